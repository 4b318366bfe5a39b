/**
 * Backfill: all chunks of a plan, by concurrent workers, until each is done. Chunks that another process works on are
 * waited for, and go on here once their lease has ended.
 */
import {
  addCounts,
  addDigests,
  digestsEqual,
  emptyDigest,
  newChunk,
  noCounts,
  workerId,
  type ChunkCounts,
  type ChunkState,
  type Digest,
  type PlannedChunk,
  type PlanReader,
  type RunId,
} from '@keyferry/core';
import type { Backfill } from './backfill-context.ts';
import type { Engine, Environment } from './migration.ts';
import { attemptScope, listItems, writeItem } from './state-items.ts';
import { workOnChunk } from './worker.ts';

/** How long to wait before looking again at chunks that others hold. */
const heldWaitMs = 500;

/** Puts the plan's chunks into the state; what is there already stays. */
export async function registerChunks(
  engine: Engine,
  reader: PlanReader,
  migration: string,
  attempt: number,
): Promise<void> {
  const scope = attemptScope(migration, attempt);
  for await (const chunks of reader.readChunks()) {
    for (const chunk of chunks) {
      await writeItem(engine, 'chunk-plan', scope, chunk.chunk, chunk, 'absent');
      await writeItem(engine, 'chunk', scope, chunk.chunk, newChunk(chunk.chunk), 'absent');
    }
  }
}

export interface BackfillSummary {
  readonly counts: ChunkCounts;
  readonly chunksDone: number;
  readonly chunksTotal: number;
  /** Chunks whose permanent source records were not those of the plan any more when they were copied. */
  readonly moved: readonly string[];
  /** What the plan said of the permanent records of the source, all chunks together. */
  readonly plannedPermanent: Digest;
}

/** What the state says about the chunks of an attempt. */
export async function summarizeChunks(env: Environment, scope: string): Promise<BackfillSummary> {
  let counts = noCounts;
  let chunksDone = 0;
  let chunksTotal = 0;
  let plannedPermanent = emptyDigest;
  const moved: string[] = [];
  // Both are registered together, under the same ids, and listed in their order; the pages they come in may differ.
  const planned = entriesOf(listItems(env, 'chunk-plan', scope));
  let next = await planned.next();
  for await (const entries of listItems(env, 'chunk', scope)) {
    for (const { id, item } of entries) {
      while (next.done !== true && next.value.id < id) next = await planned.next();
      const plan = next.done !== true && next.value.id === id ? next.value.item : undefined;
      chunksTotal += 1;
      counts = addCounts(counts, item.progress.counts);
      if (plan !== undefined) plannedPermanent = addDigests(plannedPermanent, plan.permanent);
      if (item.phase !== 'done') continue;
      chunksDone += 1;
      if (plan !== undefined && !digestsEqual(plan.permanent, item.progress.digest)) moved.push(item.chunk);
    }
  }
  return { counts, chunksDone, chunksTotal, moved, plannedPermanent };
}

async function* entriesOf<T>(pages: AsyncIterable<readonly T[]>): AsyncGenerator<T> {
  for await (const entries of pages) yield* entries;
}

/** Runs until all chunks are done, or `signal` aborts. Rethrows the first failure, once every worker has stopped. */
export async function runBackfill(backfill: Omit<Backfill, 'signal'>, run: RunId, stop: AbortSignal): Promise<void> {
  const failed = new AbortController();
  const failures: unknown[] = [];
  const signal = AbortSignal.any([stop, failed.signal]);
  const waiting = await openChunks(backfill);
  const work = async (index: number): Promise<void> => {
    const worker = workerId(run, index);
    try {
      for (;;) {
        // A worker that finds none waiting is not needed: the others are on the last ones.
        const chunk = waiting.shift();
        if (chunk === undefined || signal.aborted) return;
        const end = await workOnChunk({ ...backfill, signal }, chunk, worker);
        if (end.kind === 'done') backfill.onChunkDone();
        else waiting.push(chunk);
        if (end.kind === 'held' || end.kind === 'lost') await backfill.engine.clock.sleep(heldWaitMs, signal);
      }
    } catch (error) {
      failures.push(error);
      failed.abort();
    }
  };
  await Promise.all(Array.from({ length: backfill.spec.workers }, (_, i) => work(i)));
  if (failures.length > 0) throw failures[0];
}

async function openChunks(backfill: Omit<Backfill, 'signal'>): Promise<PlannedChunk[]> {
  const { engine, scope } = backfill;
  const done = new Set<string>();
  const isDone = (state: ChunkState): boolean => state.phase === 'done';
  for await (const entries of listItems(engine, 'chunk', scope)) {
    for (const { item } of entries) if (isDone(item)) done.add(item.chunk);
  }
  const open: PlannedChunk[] = [];
  for await (const entries of listItems(engine, 'chunk-plan', scope)) {
    for (const { item } of entries) if (!done.has(item.chunk)) open.push(item);
  }
  return open;
}
