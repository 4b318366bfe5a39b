/**
 * Runs, as the state tells of them: which migration is how far, who works on it, chunk by chunk. Reads state only.
 * A rate is what the run last said of itself; it counts as the rate now only while the run holds its lock.
 */
import {
  addCounts,
  noCounts,
  type ChunkCounts,
  type ChunkState,
  type DeadLetter,
  type MigrationId,
  type PlannedChunk,
  type RunPace,
} from '@keyferry/core';
import { resolvedBy } from './dead-letters.ts';
import type { Environment } from './migration.ts';
import { withRetry } from './retry.ts';
import { readStatus, type Status } from './status.ts';
import { attemptScope, listItems, migrationsScope } from './state-items.ts';

export interface RunSummary {
  readonly status: Status;
  /** Whether a run works on it now, as far as its lock can tell. */
  readonly running: boolean;
  /** What the running run last said of its speed; null: none runs, or it has not said so yet. */
  readonly pace: RunPace | null;
}

export interface ChunkDetail {
  readonly state: ChunkState;
  /** Its own counts, with the dead letters that were resolved since under what became of them. */
  readonly counts: ChunkCounts;
  readonly planned: PlannedChunk | null;
}

export interface RunDetail extends RunSummary {
  readonly chunks: readonly ChunkDetail[];
  /** All that are still dead. */
  readonly deadLetters: readonly DeadLetter[];
}

/** The latest run of each migration that has one, in the order of their names. */
export async function listRuns(env: Environment): Promise<readonly RunSummary[]> {
  const runs: RunSummary[] = [];
  for await (const entries of listItems(env, 'migration', migrationsScope)) {
    for (const { id } of entries) runs.push(await summaryOf(env, id as MigrationId));
  }
  return runs;
}

/** By the id of a run, or the name of its migration; null when the state knows neither. */
export async function readRun(env: Environment, runOrMigration: string): Promise<RunDetail | null> {
  for await (const entries of listItems(env, 'migration', migrationsScope)) {
    for (const { id, item } of entries) {
      if (id === runOrMigration || item.run === runOrMigration) return await detailOf(env, id as MigrationId);
    }
  }
  return null;
}

async function summaryOf(env: Environment, migration: MigrationId): Promise<RunSummary> {
  const status = await readStatus(env, migration);
  const { state, lock } = status;
  const running = lock?.held === true && lock.run === state?.run;
  if (!running) return { status, running, pace: null };
  const scope = attemptScope(migration, state.attempt);
  const pace = await withRetry(env, 'state', () => env.state.read('run-pace', scope, state.run));
  return { status, running, pace: pace?.item ?? null };
}

async function detailOf(env: Environment, migration: MigrationId): Promise<RunDetail> {
  const summary = await summaryOf(env, migration);
  const scope = attemptScope(migration, summary.status.state?.attempt ?? 0);
  const plans = new Map<string, PlannedChunk>();
  for await (const entries of listItems(env, 'chunk-plan', scope)) {
    for (const { id, item } of entries) plans.set(id, item);
  }
  const deadLetters: DeadLetter[] = [];
  const resolved = new Map<string, ChunkCounts>();
  for await (const letters of listItems(env, 'dead-letter', scope)) {
    for (const { item } of letters) {
      if (item.resolved === null) deadLetters.push(item);
      else resolved.set(item.chunk, addCounts(resolved.get(item.chunk) ?? noCounts, resolvedBy(item)));
    }
  }
  const chunks: ChunkDetail[] = [];
  for await (const entries of listItems(env, 'chunk', scope)) {
    for (const { id, item } of entries) {
      const counts = addCounts(item.progress.counts, resolved.get(id) ?? noCounts);
      chunks.push({ state: item, counts, planned: plans.get(id) ?? null });
    }
  }
  return { ...summary, chunks, deadLetters };
}
