/**
 * `verify` as a command while applications take part: as apply and cutover verify. It changes nothing: those verify for
 * themselves before they go on. Before the source is frozen, and once tombstones are gone, there is nothing to tell.
 */
import { KeyferryError, runId, type MigrationSpec, type PlanDocument, type StopSignal } from '@keyferry/core';
import { recordHistory } from '../../events.ts';
import type { Engine } from '../../migration.ts';
import { assertPlanFits } from '../../plan-fits.ts';
import { RunRecorder } from '../../run-record.ts';
import type { Session } from '../../session.ts';
import { readItem, readMigration } from '../../state-items.ts';
import type { AppliedVerification } from '../../verify-applied.ts';
import { onlineParts } from './online.ts';
import { SwitchWatch } from './switch-watch.ts';
import { obstaclesIn, verifyOnline, type OnlineVerification } from './verify-online.ts';
import { refusal } from './walk.ts';

/** @throws {KeyferryError} `phase.not-allowed` in other modes than `migrating` and `settled` */
export async function verifyDualRead(
  engine: Engine,
  spec: MigrationSpec,
  by: string,
  signal?: StopSignal,
): Promise<AppliedVerification> {
  const { migration } = spec;
  const state = (await readMigration(engine, migration))?.item ?? null;
  const { rung } = await new SwitchWatch(engine, spec, onlineParts(engine, spec)).look();
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
      const found = await verifyBetween(engine, spec, plan, signal);
      recorder.verified(found.verified, found.deviations);
      return { result: found.verified, deviations: found.deviations };
    },
    (each) => (each.deviations.length === 0 ? 'done' : 'deviated'),
  );
  const message = deviations.length === 0 ? 'verified: nothing is missing' : `verified: ${deviations.join('; ')}`;
  await recordHistory(engine, migration, { type: 'verified', message, run, by });
  return { plan, result, deviations };
}

/** Of whichever mode in which both stores are looked at. */
export async function verifyBetween(
  engine: Engine,
  spec: MigrationSpec,
  plan: PlanDocument,
  signal?: StopSignal,
): Promise<{ readonly verified: OnlineVerification; readonly deviations: readonly string[] }> {
  const parts = onlineParts(engine, spec);
  const { record } = await new SwitchWatch(engine, spec, parts).look();
  const verified = await verifyOnline(engine, spec, parts, plan, record?.frozenAt ?? null, signal);
  return { verified, deviations: obstaclesIn(verified) };
}

/** @throws {KeyferryError} `phase.not-allowed` */
export async function assertMigrating(
  engine: Engine,
  spec: MigrationSpec,
  session: Pick<Session, 'phase' | 'state'>,
): Promise<void> {
  const { rung } = await new SwitchWatch(engine, spec, onlineParts(engine, spec)).look();
  if (rung.mode !== 'migrating') throw refusal(spec.migration, session, rung, 'runs retry');
}
