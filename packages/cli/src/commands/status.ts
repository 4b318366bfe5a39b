import { setTimeout as wait } from 'node:timers/promises';
import { Args, Flags } from '@oclif/core';
import { invariant, KeyferryError, standingOf, type MigrationId, type Phase, type PrimarySwitch } from '@keyferry/core';
import type { Environment, PrimaryStatus } from '@keyferry/engine';
import { BaseCommand, type Outcome } from '../base-command.ts';
import type { CommandRun } from '../command-run.ts';
import { isParallel } from '../parallel.ts';
import { readBacklogs } from '../read-backlogs.ts';
import type { View } from '../views/view.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { unfinishedExitcodeFlag } from '../flags/detailed-exitcode.ts';
import { eventsReadMax, statusView, type ShownStatus } from '../views/status/index.ts';
import { loadAdapters, loadEngine, openConfig, withState } from '../wiring.ts';

export default class Status extends BaseCommand {
  static override readonly summary =
    'Where a migration stands, the next safe command and the way back. Of stores it reads a switch, and what they keep for tails.';
  static override readonly examples = ['<%= config.bin %> status', '<%= config.bin %> status config-v2-to-v3 --json'];
  static override readonly args = {
    migration: Args.string({ description: 'Name of a migration; all of them when it is left out.' }),
  };

  static override readonly flags = {
    'detailed-exitcode': unfinishedExitcodeFlag,
    watch: Flags.boolean({
      summary: 'Look again and again, telling each change on stderr, until nothing works on it any more.',
    }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Status);
    await this.perform<unknown>(flags, args.migration ?? null, async (run): Promise<Outcome<unknown>> => {
      const { config, redactor } = await openConfig(run);
      const { migration: named } = args;
      if (named !== undefined && isParallel(config, named)) return await parallelStatus(run, named, flags);
      const { parallelSettings, planConfig, wireBacklogs, wirePrimarySwitch, wireSwitch } = await loadAdapters();
      const { readEvents, readOnlineStatus, readParallelStatus, readStatus } = await loadEngine();
      const asked =
        args.migration === undefined
          ? [...Object.keys(config.migrations), ...Object.keys(config.parallel)]
          : [planConfig(config, args.migration).migration];
      const result = await withState(run, config, async (env) => {
        const read = async (): Promise<readonly ShownStatus[]> => {
          const all: ShownStatus[] = [];
          for (const each of asked) {
            const migration = each as MigrationId;
            const status = await run.reading(readStatus(env, migration));
            const events = await run.reading(readEvents(env, migration, eventsReadMax));
            if (isParallel(config, each)) {
              const { next, wayBack } = await readParallelStatus(env, parallelSettings(config, each), []);
              all.push({ ...status, events, step: { next, wayBack } });
              continue;
            }
            if (status.tails.length > 0) {
              const backlogs = await readBacklogs(run, each, () => wireBacklogs(config, each, { redactor }));
              const place = await wirePrimarySwitch(config, each, { redactor });
              const primary = await readFollowers(run, env, migration, place);
              all.push({ ...status, events, backlogs, ...(primary === null ? {} : { primary }) });
              continue;
            }
            const place = await wireSwitch(config, each, { redactor });
            if (place === null) {
              all.push({ ...status, events });
              continue;
            }
            try {
              const { instancesMin: min = 1, followedBy } = config.migrations[each]?.online ?? {};
              const online = await run.reading(
                readOnlineStatus(env, { migration, place, instancesMin: min, followedBy }, status.state),
              );
              const backlogs = await readBacklogs(run, each, () => wireBacklogs(config, each, { redactor }));
              all.push({ ...status, events, online, backlogs, step: online.step });
            } catch (error) {
              run.warn(
                `the switch could not be read (${error instanceof KeyferryError ? error.code : String(error)}): ${place.where}`,
              );
              all.push({ ...status, events });
            } finally {
              await place.close();
            }
          }
          return all;
        };
        return flags.watch ? await watch(run, read) : await read();
      });
      const exitCode = statusExitCode(result, flags['detailed-exitcode']);
      return { result, view: statusView as View<unknown>, exitCode };
    });
  }
}

/** Null: nobody follows a switch, or it cannot be read. */
async function readFollowers(
  run: CommandRun,
  env: Environment,
  migration: MigrationId,
  place: PrimarySwitch | null,
): Promise<PrimaryStatus | null> {
  if (place === null) return null;
  const { readPrimaryStatus } = await loadEngine();
  try {
    return await run.reading(readPrimaryStatus(env, migration, place));
  } catch (error) {
    const code = error instanceof KeyferryError ? error.code : String(error);
    run.warn(`the switch could not be read (${code}): ${place.where}`);
    return null;
  } finally {
    await place.close();
  }
}

interface StatusFlags {
  readonly watch: boolean;
  readonly 'detailed-exitcode': boolean;
}

/** A soak is watched until it is over; anything else, until nobody works on it any more. */
async function parallelStatus(run: CommandRun, migration: string, flags: StatusFlags): Promise<Outcome<unknown>> {
  const { statusOfParallel } = await import('../parallel.ts');
  let told = '';
  for (;;) {
    const outcome = await statusOfParallel(run, migration);
    invariant(outcome !== null, `${migration} is of strategy parallel`);
    const { state, soak } = outcome.result;
    const isGoing = state?.course === 'back' || (state?.course === 'forward' && soak?.kind !== 'passed');
    const exitCode = flags['detailed-exitcode'] && isGoing ? exitCodes.changes : outcome.exitCode;
    if (!flags.watch || !isGoing || run.signal.aborted)
      return { ...outcome, exitCode, view: outcome.view as View<unknown> };
    const seen = outcome.view.human(outcome.result, run.viewContext);
    if (seen !== told) run.note(seen);
    told = seen;
    await run.reading(wait(watchEveryMs));
  }
}

const watchEveryMs = 2000;

/** Until no migration is at work, or somebody stops it: what is seen then is the result. */
async function watch(run: CommandRun, read: () => Promise<readonly ShownStatus[]>): Promise<readonly ShownStatus[]> {
  let told = '';
  for (;;) {
    const all = await read();
    if (run.signal.aborted || !all.some(isAtWork)) return all;
    const facts = all.map(({ migration, phase, counts, chunksDone }) => [migration, phase, counts, chunksDone]);
    if (JSON.stringify(facts) !== told) run.note(statusView.human(all, run.viewContext));
    told = JSON.stringify(facts);
    await run.reading(wait(watchEveryMs));
  }
}

/** A run holds its lock, or functions have something to do. */
function isAtWork({ phase, state, lock, control }: ShownStatus): boolean {
  if (lock?.held === true) return true;
  return state?.runner === 'functions' && phase === 'applying' && standingOf(control) === 'going';
}

/** Unfinished: begun, and at no end that was proven; there is something to be done. */
function statusExitCode(all: readonly ShownStatus[], detailed: boolean): ExitCode {
  return detailed && all.some(({ phase }) => !settled.includes(phase)) ? exitCodes.changes : exitCodes.done;
}

const settled: readonly Phase[] = ['new', 'verified', 'rolled-back', 'finalized', 'reopened'];
