/**
 * Backfill: all chunks of a plan, by concurrent workers, until each is done. Chunks that another process works on are
 * waited for, and go on here once their lease has ended.
 */
import {
  guardedCount,
  newChunk,
  workerId,
  type ChunkState,
  type PlannedChunk,
  type PlanReader,
  type RunId,
} from '@keyferry/core';
import type { Backfill } from './backfill-context.ts';
import type { Engine } from './migration.ts';
import { registerGuards } from './chunk-guards.ts';
import { RowsByChunk } from './staleness.ts';
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
  const rows = new RowsByChunk(reader.readChanges());
  for await (const chunks of reader.readChunks()) {
    for (const chunk of chunks) {
      await writeItem(engine, 'chunk-plan', scope, chunk.chunk, chunk, 'absent');
      // Before the chunk itself: whoever claims it finds its guards.
      if (guardedCount(chunk.actions) > 0) await registerGuards(engine, scope, chunk, await rows.of(chunk));
      await writeItem(engine, 'chunk', scope, chunk.chunk, newChunk(chunk.chunk), 'absent');
    }
  }
}

/** Runs until all chunks are done, or `signal` aborts. Rethrows the first failure, once every worker has stopped. */
export async function runBackfill(backfill: Omit<Backfill, 'signal'>, run: RunId, stop: AbortSignal): Promise<void> {
  const failed = new AbortController();
  const failures: unknown[] = [];
  const signal = AbortSignal.any([stop, failed.signal]);
  const waiting = (await openChunks(backfill)).slice(0, backfill.chunksMax ?? undefined);
  const work = async (index: number): Promise<void> => {
    const worker = workerId(run, index);
    try {
      for (;;) {
        // A worker that finds none waiting is not needed: the others are on the last ones.
        const chunk = waiting.shift();
        if (chunk === undefined || signal.aborted) return;
        const left = backfill.recorder.onChunk(index, chunk.chunk);
        const end = await workOnChunk({ ...backfill, signal }, chunk, worker);
        if (end.kind === 'done' || end.kind === 'stopped') left();
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
