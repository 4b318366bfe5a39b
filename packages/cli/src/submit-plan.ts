/**
 * `apply FILE --runner lambda`: submits a reviewed plan to functions, and follows what they do with it. Needs the state and
 * no way to the stores. Whoever stops it stops watching: functions go on.
 */
import { KeyferryError, type PlanReader } from '@keyferry/core';
import type { FollowResult } from '@keyferry/engine';
import { assertInOrder } from './all-migrations.ts';
import { isPlanFile } from './apply-subject.ts';
import type { CommandRun } from './command-run.ts';
import { holderText, thisMachine } from './lock-holder.ts';
import { assertInstances } from './instances-named.ts';
import { usageError } from './usage-error.ts';
import { loadAdapters, loadEngine, openConfig, withMigration, withState } from './wiring.ts';

/** What functions would leave out in silence is refused. @throws {KeyferryError} `usage.invalid` */
export function assertForFunctions(flags: Readonly<Record<'finalize' | 'chunks-max', unknown>>): void {
  const given = (['finalize', 'chunks-max'] as const).find((flag) => Boolean(flags[flag]));
  if (given === undefined) return;
  throw usageError(
    `--runner lambda takes no --${given}: functions stop by their deadlines, and never finalize`,
    'leave it out; once they are done and you are sure:   keyferry finalize MIGRATION',
  );
}

interface SubmitFlags {
  readonly accept?: string[] | undefined;
  readonly 'confirm-gone'?: string[] | undefined;
}

/** @throws {KeyferryError} `usage.invalid`; what `confirmGone`, `submitPlan` and `followFunctions` fail with */
export async function submitAndFollow(run: CommandRun, subject: string, flags: SubmitFlags): Promise<FollowResult> {
  if (!isPlanFile(subject)) {
    throw usageError(
      `--runner lambda applies a reviewed plan, and ${subject} is a migration`,
      `plan it first:   keyferry plan ${subject} --out ${subject}.kfplan`,
    );
  }
  const { openPlanFile } = await loadAdapters();
  const reader = await openPlanFile(subject);
  try {
    return await submit(run, reader, subject, flags);
  } finally {
    await reader.close();
  }
}

async function submit(
  run: CommandRun,
  reader: PlanReader,
  subject: string,
  { accept = [], 'confirm-gone': gone = [] }: SubmitFlags,
): Promise<FollowResult> {
  const { plan } = reader;
  const { config } = await openConfig(run);
  run.about(plan.migration);
  const { planConfig } = await loadAdapters();
  planConfig(config, plan.migration); // a migration that is not in the file is refused before anything is written
  await assertInOrder(run, plan.migration, 'state');
  if (!('dynamodb' in config.state)) {
    throw usageError(
      'the state is in a file of this machine, which functions do not reach',
      'keep it in a table:   state: { dynamodb: { table: keyferry, region: eu-west-1 } }   in the configuration',
    );
  }
  // Before functions announce a mode: they wait for whoever is not named.
  if (gone.length > 0) await nameGone(run, plan.migration, gone);
  const deadLettersMax = config.migrations[plan.migration]?.runLimits.deadLettersMax ?? 0;
  const { followFunctions, submitPlan } = await loadEngine();
  return await withState(run, config, async (env) => {
    await run.reading(submitPlan(env, reader, { by: holderText(thisMachine()), accept, appliedAs: subject }));
    run.note(`Submitted ${plan.plan} to functions; following them. Ctrl-C ends only this.`);
    run.progress.begin('waiting for functions to take it up');
    try {
      return await followFunctions(env, plan, { signal: run.signal, deadLettersMax });
    } catch (error) {
      if (error instanceof KeyferryError && error.code === 'run.interrupted') {
        run.note(`Functions go on; follow them again:   keyferry status ${plan.migration} --watch`);
      }
      throw error;
    }
  });
}

/** At the switch, to which submitting itself needs no way. */
async function nameGone(run: CommandRun, migration: string, gone: readonly string[]): Promise<void> {
  const { confirmGone } = await loadEngine();
  await withMigration(run, migration, async ({ engine, spec }) => {
    assertInstances(spec, 'apply', gone);
    if (engine.online === undefined) return;
    const { place } = engine.online;
    await run.reading(confirmGone(engine, place, place.where, gone));
  });
}
