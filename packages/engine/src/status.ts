/** Status: where a migration stands, who works on it, and the one safe next command. Reads state only, no store. */
import {
  lockIsHeld,
  nextStep,
  type ChunkCounts,
  type LockState,
  type MigrationId,
  type MigrationState,
  type NextStep,
  type PlanDocument,
  type DeadLetter,
} from '@keyferry/core';
import { summarizeChunks } from './backfill.ts';
import type { Environment } from './migration.ts';
import { attemptScope, listItems, locksScope, migrationsScope, readItem } from './state-items.ts';

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
  readonly step: NextStep;
}

const deadLettersShown = 20;

export async function readStatus(env: Environment, migration: MigrationId): Promise<Status> {
  const entry = await readItem(env, 'migration', migrationsScope, migration);
  const lock = await readItem(env, 'lock', locksScope, migration);
  const state = entry?.item ?? null;
  const phase = state?.phase ?? 'new';
  const nowMs = env.clock.nowMs();
  const plan = state === null ? null : await readItem(env, 'plan', migration, state.plan);
  const scope = attemptScope(migration, state?.attempt ?? 0);
  const chunks = await summarizeChunks(env, scope);
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
    step: nextStep(migration, phase, state?.appliedAs ?? `${migration}.kfplan`),
  };
}

async function firstDeadLetters(env: Environment, scope: string): Promise<readonly DeadLetter[]> {
  const letters: DeadLetter[] = [];
  for await (const entries of listItems(env, 'dead-letter', scope)) {
    letters.push(...entries.map(({ item }) => item));
    if (letters.length >= deadLettersShown) break;
  }
  return letters.slice(0, deadLettersShown);
}

/** The plan that a migration's latest attempt applied, for verify; null before the first. */
export async function readAppliedPlan(env: Environment, migration: MigrationId): Promise<PlanDocument | null> {
  const entry = await readItem(env, 'migration', migrationsScope, migration);
  if (entry === null) return null;
  const plan = await readItem(env, 'plan', migration, entry.item.plan);
  return plan?.item ?? null;
}
