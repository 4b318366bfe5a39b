/**
 * Backfill: all chunks of a plan, by concurrent workers, until each is done. Chunks that another process works on are
 * waited for, and go on here once their lease has ended.
 */
import { workerId, type ChunkState, type PlannedChunk, type RunId } from '@keyferry/core';
import type { Backfill } from './backfill-context.ts';
import { listItems } from './state-items.ts';
import { workOnChunk, type ChunkEnd } from './worker.ts';

/** How long to wait before looking again at chunks that others hold. */
const heldWaitMs = 500;

/** Where workers get their chunks from. */
export interface ChunkSupply {
  /** The next chunk to try; null: a worker is not needed any more. */
  next(): Promise<PlannedChunk | null>;
  /** Takes back a chunk that was not done: somebody else has it, or the work was stopped. */
  putBack(chunk: PlannedChunk, end: ChunkEnd, signal: AbortSignal): Promise<void>;
}

/** Runs until all chunks are done, or `signal` aborts. Rethrows the first failure, once every worker has stopped. */
export async function runBackfill(
  backfill: Omit<Backfill, 'signal'>,
  run: RunId,
  chunksMax: number | null,
  stop: AbortSignal,
): Promise<void> {
  const waiting = (await openChunks(backfill)).slice(0, chunksMax ?? undefined);
  await runWorkers(backfill, run, stop, {
    // A worker that finds none waiting is not needed: the others are on the last ones.
    next: async () => waiting.shift() ?? null,
    putBack: async (chunk, end, signal) => {
      waiting.push(chunk);
      if (end.kind === 'held' || end.kind === 'lost') await backfill.engine.clock.sleep(heldWaitMs, signal);
    },
  });
}

/** As many workers as the migration has, until the supply has nothing for them or `stop` aborts; fails as `runBackfill`. */
export async function runWorkers(
  backfill: Omit<Backfill, 'signal'>,
  run: RunId,
  stop: AbortSignal,
  supply: ChunkSupply,
): Promise<void> {
  const failed = new AbortController();
  const failures: unknown[] = [];
  const signal = AbortSignal.any([stop, failed.signal]);
  const work = async (index: number): Promise<void> => {
    const worker = workerId(run, index);
    try {
      for (;;) {
        const chunk = signal.aborted ? null : await supply.next();
        if (chunk === null || signal.aborted) return;
        const left = backfill.recorder.onChunk(index, chunk.chunk);
        const end = await workOnChunk({ ...backfill, signal }, chunk, worker);
        if (end.kind === 'done' || end.kind === 'stopped') left();
        if (end.kind === 'done') backfill.onChunkDone(chunk.chunk);
        else await supply.putBack(chunk, end, signal);
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
