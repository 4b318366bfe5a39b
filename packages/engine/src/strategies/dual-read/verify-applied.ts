/**
 * `verify` as a command while applications take part: as apply and cutover verify. It changes nothing: those verify for
 * themselves before they go on. Before the source is frozen, and once tombstones are gone, there is nothing to tell.
 */
import { KeyferryError, runId, type MigrationSpec, type StopSignal } from '@keyferry/core';
import { recordHistory } from '../../events.ts';
import type { Engine } from '../../migration.ts';
import { assertPlanFits } from '../../plan-fits.ts';
import { RunRecorder } from '../../run-record.ts';
import { readItem, readMigration } from '../../state-items.ts';
import type { AppliedVerification } from '../../verify-applied.ts';
import { onlineParts } from './online.ts';
import { SwitchWatch } from './switch-watch.ts';
import { obstaclesIn, verifyOnline } from './verify-online.ts';
import { refusal } from './walk.ts';

/** @throws {KeyferryError} `phase.not-allowed` in other modes than `migrating` and `settled` */
export async function verifyDualRead(
  engine: Engine,
  spec: MigrationSpec,
  by: string,
  signal?: StopSignal,
): Promise<AppliedVerification> {
  const { migration } = spec;
  const parts = onlineParts(engine, spec);
  const state = (await readMigration(engine, migration))?.item ?? null;
  const { rung, record } = await new SwitchWatch(engine, spec, parts).look();
  const isBetween = rung.mode === 'migrating' || rung.mode === 'settled';
  if (state === null || !isBetween) throw refusal(migration, { phase: state?.phase ?? 'new', state }, rung, 'verify');
  const plan = (await readItem(engine, 'plan', migration, state.plan))?.item;
  if (plan === undefined) throw new KeyferryError('state.conflict', { what: `plan ${state.plan}` });
  await assertPlanFits(engine, plan, spec, { resuming: true });
  const run = runId(engine.clock.nowMs(), [engine.random.uint32(), engine.random.uint32()]);
  const facts = { run, command: 'verify', plan: plan.plan, attempt: state.attempt, by } as const;
  const recorder = new RunRecorder(engine, migration, facts);
  const { result, deviations } = await recorder.during(
    async () => {
      const found = await verifyOnline(engine, spec, parts, plan, record?.frozenAt ?? null, signal);
      recorder.verified(found, obstaclesIn(found));
      return { result: found, deviations: obstaclesIn(found) };
    },
    (each) => (each.deviations.length === 0 ? 'done' : 'deviated'),
  );
  const message = deviations.length === 0 ? 'verified: nothing is missing' : `verified: ${deviations.join('; ')}`;
  await recordHistory(engine, migration, { type: 'verified', message, run, by });
  return { plan, result, deviations };
}
