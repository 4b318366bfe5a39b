import { Args } from '@oclif/core';
import type { MigrationId, Phase } from '@keyferry/core';
import { BaseCommand } from '../base-command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { unfinishedExitcodeFlag } from '../flags/detailed-exitcode.ts';
import { eventsReadMax, statusView, type ShownStatus } from '../views/status/index.ts';
import { loadAdapters, loadEngine, openConfig, withState } from '../wiring.ts';

export default class Status extends BaseCommand {
  static override readonly summary =
    'Where a migration stands, the next safe command and the way back. Reads no store.';
  static override readonly examples = ['<%= config.bin %> status', '<%= config.bin %> status config-v2-to-v3 --json'];
  static override readonly args = {
    migration: Args.string({ description: 'Name of a migration; all of them when it is left out.' }),
  };

  static override readonly flags = { 'detailed-exitcode': unfinishedExitcodeFlag };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Status);
    await this.perform<readonly ShownStatus[]>(flags, args.migration ?? null, async (run) => {
      const { config } = await openConfig(run);
      const { planConfig } = await loadAdapters();
      const { readEvents, readStatus } = await loadEngine();
      const asked =
        args.migration === undefined ? Object.keys(config.migrations) : [planConfig(config, args.migration).migration];
      const result = await withState(run, config, async (env) => {
        const all: ShownStatus[] = [];
        for (const each of asked) {
          const migration = each as MigrationId;
          const status = await run.reading(readStatus(env, migration));
          all.push({ ...status, events: await run.reading(readEvents(env, migration, eventsReadMax)) });
        }
        return all;
      });
      return { result, view: statusView, exitCode: statusExitCode(result, flags['detailed-exitcode']) };
    });
  }
}

/** Unfinished: begun, and at no end that was proven; there is something to be done. */
function statusExitCode(all: readonly ShownStatus[], detailed: boolean): ExitCode {
  return detailed && all.some(({ phase }) => !settled.includes(phase)) ? exitCodes.changes : exitCodes.done;
}

const settled: readonly Phase[] = ['new', 'verified', 'rolled-back', 'finalized', 'reopened'];
