/**
 * Verify as a command: the sides of an applied migration, held against each other and against the plan that was applied.
 * A comparison of nothing would agree, so the stores and rules must be the plan's, and the source what the plan saw.
 */
import {
  KeyferryError,
  nextStep,
  phaseTable,
  runId,
  type PlanDocument,
  type StopSignal,
  type MigrationSpec,
} from '@keyferry/core';
import { summarizeChunks } from './backfill-summary.ts';
import { deviationsOf } from './deviations.ts';
import { recordHistory } from './events.ts';
import type { Engine } from './migration.ts';
import { assertPlanFits } from './plan-fits.ts';
import { withRetry } from './retry.ts';
import { RunRecorder } from './run-record.ts';
import { attemptScope, migrationsScope, readItem, readMigration, writeItem } from './state-items.ts';
import { verify, type VerifyResult } from './verify.ts';

export interface AppliedVerification {
  readonly plan: PlanDocument;
  readonly result: VerifyResult;
  /** Empty: both sides agree and are what was planned. */
  readonly deviations: readonly string[];
}

/**
 * @param by who asks, for the history: `user@host, pid N`
 * @throws {KeyferryError} `phase.not-allowed` before the first apply; `plan.mismatch` with other stores or rules.
 */
export async function verifyApplied(
  engine: Engine,
  spec: MigrationSpec,
  by: string,
  signal?: StopSignal,
): Promise<AppliedVerification> {
  const { migration } = spec;
  const entry = await readMigration(engine, migration);
  const plan = entry === null ? null : await readItem(engine, 'plan', migration, entry.item.plan);
  if (entry === null || plan === null || !['applied', 'verified', 'applying'].includes(entry.item.phase)) {
    const phase = entry?.item.phase ?? 'new';
    const follows = spec.strategy === 'replicate';
    const { next } = nextStep(migration, phase, entry?.item.appliedAs ?? `${migration}.kfplan`, follows);
    throw new KeyferryError('phase.not-allowed', { migration, phase, command: 'verify', next });
  }
  await assertPlanFits(engine, plan.item, spec, { resuming: true });
  const summary = await summarizeChunks(engine, attemptScope(migration, entry.item.attempt));
  const run = runId(engine.clock.nowMs(), [engine.random.uint32(), engine.random.uint32()]);
  const facts = { run, command: 'verify', plan: plan.item.plan, attempt: entry.item.attempt, by } as const;
  const recorder = new RunRecorder(engine, migration, facts);
  const { result, deviations } = await recorder.during(
    async () => {
      const verified = await verify(engine, spec, plan.item, signal);
      const all = [...deviationsOf(plan.item, summary, verified), ...(await unpublished(engine))];
      recorder.verified(verified, all);
      return { result: verified, deviations: all };
    },
    (each) => (each.deviations.length === 0 ? 'done' : 'deviated'),
  );
  const message = deviations.length === 0 ? 'verified: both sides agree' : `verified: ${deviations.join('; ')}`;
  await recordHistory(engine, migration, { type: 'verified', message, run, by });
  // Under replicate the tail proves, and its apply says so: one reading of sides that move leads to no finalize.
  if (spec.strategy === 'replicate') return { plan: plan.item, result, deviations };
  const next = phaseTable[entry.item.phase][deviations.length === 0 ? 'verified' : 'differs'];
  if (next !== null && next !== entry.item.phase) {
    // No lock is held: if a run changed the state meanwhile, its word stands.
    const item = { ...entry.item, phase: next, changedAtMs: engine.clock.nowMs() };
    await writeItem(engine, 'migration', migrationsScope, migration, item, entry.version);
  }
  return { plan: plan.item, result, deviations };
}

/** What waits to be published is shown by its views, and is not there for anybody else. */
async function unpublished({ target: { publication }, ...env }: Engine): Promise<readonly string[]> {
  if (publication === null) return [];
  const exists = await withRetry(env, 'look for target', () => publication.exists());
  return exists ? [] : ['the target was not published: apply has not come to its end, or somebody removed it'];
}
