/** Status: where a migration stands, who works on it, and the one safe next command. Reads state only, no store. */
import {
  instantMs,
  lockIsHeld,
  standingOf,
  type ChunkCounts,
  type CutoverState,
  type LockState,
  type MigrationId,
  type MigrationState,
  type NextStep,
  type PlanDocument,
  type DeadLetter,
  type Refusal,
  type RunControl,
  type TailState,
} from '@keyferry/core';
import { summarizeChunks } from './backfill-summary.ts';
import { unkeptChanges } from './before-images.ts';
import { openLetters } from './dead-letters.ts';
import type { Environment } from './migration.ts';
import { readControl, stepUnder } from './run-control.ts';
import { attemptScope, currentId, locksScope, migrationsScope, readItem, readMigration } from './state-items.ts';

export interface Status {
  readonly migration: MigrationId;
  readonly phase: MigrationState['phase'];
  readonly state: MigrationState | null;
  readonly plan: PlanDocument | null;
  readonly lock: (LockState & { readonly held: boolean; readonly heartbeatAgoMs: number }) | null;
  readonly counts: ChunkCounts | null;
  readonly chunksDone: number;
  readonly chunksTotal: number;
  readonly deadLetters: readonly DeadLetter[];
  /** Records that a rollback could not bring back: overwritten or deleted without a before-image. */
  readonly unrestorable: number;
  /** What was asked of the attempt from outside of its run. */
  readonly control: RunControl;
  /** Under strategy `replicate`: the tails that were ever begun in this attempt, and the last cutover. */
  readonly tails: readonly TailState[];
  readonly cutover: CutoverState | null;
  /** The plan that an `apply MIGRATION` was refused by since; null: none, or it is forgotten by now. */
  readonly refusal: Refusal | null;
  readonly step: NextStep;
}

const deadLettersShown = 20;

export async function readStatus(env: Environment, migration: MigrationId): Promise<Status> {
  const entry = await readMigration(env, migration);
  const lock = await readItem(env, 'lock', locksScope, migration);
  const state = entry?.item ?? null;
  const phase = state?.phase ?? 'new';
  const nowMs = env.clock.nowMs();
  const plan = state === null ? null : await readItem(env, 'plan', migration, state.plan);
  const scope = attemptScope(migration, state?.attempt ?? 0);
  const chunks = await summarizeChunks(env, scope);
  const control = await readControl(env, migration, state);
  const forward = state === null ? null : await readItem(env, 'tail', scope, 'forward');
  const reverse = state === null ? null : await readItem(env, 'tail', scope, 'reverse');
  const cutover = state === null ? null : await readItem(env, 'cutover', scope, currentId);
  return {
    migration,
    phase,
    state,
    plan: plan?.item ?? null,
    lock:
      lock === null
        ? null
        : {
            ...lock.item,
            held: lockIsHeld(lock.item, nowMs),
            heartbeatAgoMs: Math.max(0, nowMs - lock.item.heartbeatAtMs),
          },
    counts: state === null ? null : chunks.counts,
    chunksDone: chunks.chunksDone,
    chunksTotal: chunks.chunksTotal,
    deadLetters: await firstDeadLetters(env, scope),
    unrestorable: state === null ? 0 : await unkeptChanges(env, state),
    control,
    tails: [forward, reverse].flatMap((tail) => (tail === null ? [] : [tail.item])),
    cutover: cutover?.item ?? null,
    refusal: await readRefusal(env, migration, state),
    step: stepOf(migration, phase, { state, plan: plan?.item ?? null, control }, chunks.counts.deadLetters),
  };
}

async function readRefusal(env: Environment, migration: MigrationId, state: MigrationState | null) {
  const refusal = (await readItem(env, 'refusal', migration, currentId))?.item ?? null;
  if (refusal === null || instantMs(refusal.expiresAt) <= env.clock.nowMs()) return null;
  return state !== null && state.changedAtMs > instantMs(refusal.createdAt) ? null : refusal;
}

/** Records that could not be written come before anything else can help. */
function stepOf(
  migration: MigrationId,
  phase: Status['phase'],
  { state, plan, control }: Pick<Status, 'state' | 'plan' | 'control'>,
  deadLetters: number,
): NextStep {
  const applied = { phase, appliedAs: state?.appliedAs ?? `${migration}.kfplan` };
  const step = stepUnder(control, migration, applied, plan?.replicate !== undefined);
  return phase === 'applied' && standingOf(control) === 'going' && deadLetters > 0
    ? { ...step, next: `keyferry runs show ${migration} --dead-letters` }
    : step;
}

async function firstDeadLetters(env: Environment, scope: string): Promise<readonly DeadLetter[]> {
  const first: DeadLetter[] = [];
  for await (const letters of openLetters(env, scope)) {
    first.push(...letters.slice(0, deadLettersShown - first.length).map(({ item }) => item));
    if (first.length === deadLettersShown) break;
  }
  return first;
}

/** The plan that a migration's latest attempt applied, for verify; null before the first. */
export async function readAppliedPlan(env: Environment, migration: MigrationId): Promise<PlanDocument | null> {
  const entry = await readItem(env, 'migration', migrationsScope, migration);
  if (entry === null) return null;
  const plan = await readItem(env, 'plan', migration, entry.item.plan);
  return plan?.item ?? null;
}
