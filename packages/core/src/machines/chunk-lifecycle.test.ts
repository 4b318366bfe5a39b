/** Goal: nobody takes a chunk from a live worker, and nobody waits for a dead one. Method: both sides of each edge. */
import { describe, expect, it } from 'vitest';
import { chunkId, workerId, type RunId } from '../model/ids.ts';
import {
  checkpoint,
  clockSkewMs,
  decideClaim,
  finish,
  newChunk,
  noCounts,
  ownsChunk,
  release,
  scannedOf,
  type ChunkState,
  type ClaimDecision,
} from './chunk-lifecycle.ts';

const run = 'run_A' as RunId;
const [mine, other] = [workerId(run, 0), workerId('run_B' as RunId, 0)];
const fresh = newChunk(chunkId(0));
const held: ChunkState = { ...fresh, phase: 'claimed', token: 3, worker: other, leaseEndsAtMs: 1000 };
const claim = (state: ChunkState, nowMs: number, deadRuns: readonly RunId[] = []): ClaimDecision =>
  decideClaim(state, { worker: mine, token: 4, nowMs, leaseMs: 500, deadRuns: new Set(deadRuns) });

describe('decideClaim', () => {
  it('gives a free chunk to whoever asks, with a lease', () => {
    expect(claim(fresh, 100)).toMatchObject({
      kind: 'claim',
      next: { phase: 'claimed', worker: mine, token: 4, leaseEndsAtMs: 600 },
    });
  });

  it.each([
    { name: 'while the lease runs', nowMs: 999, kind: 'held' },
    { name: 'when it ends exactly now, by a clock that may be off', nowMs: 1000 + clockSkewMs, kind: 'held' },
    { name: 'a tick later', nowMs: 1001 + clockSkewMs, kind: 'claim' },
  ])('$name: $kind', ({ nowMs, kind }) => {
    expect(claim(held, nowMs).kind).toBe(kind);
  });

  it('does not wait for a worker whose run is known to be dead', () => {
    expect(claim(held, 10, ['run_B' as RunId]).kind).toBe('claim');
    expect(claim(held, 10, ['run_C' as RunId]).kind).toBe('held');
  });

  it('never hands out a chunk that is done', () => {
    expect(claim(finish(held, held.progress), 1e9).kind).toBe('done');
  });

  it('keeps the progress of the worker before', () => {
    const progress = { cursor: { text: 'k' }, counts: { ...noCounts, written: 7 }, digest: { count: 7, sum: 'x' } };
    expect(claim(checkpoint(held, progress, 1000), 1e6)).toMatchObject({ next: { progress } });
  });
});

describe('a claimed chunk', () => {
  it('is owned by worker and token together', () => {
    expect(ownsChunk(held, held)).toBe(true);
    expect(ownsChunk({ ...held, token: 4 }, held)).toBe(false);
    expect(ownsChunk({ ...held, worker: mine }, held)).toBe(false);
    expect(ownsChunk(release(held), held)).toBe(false);
  });

  it('counts each entry once', () => {
    const counts = { ...noCounts, written: 1, equal: 2, kept: 4, tombstoned: 8, deadLetters: 16, notCarried: 32 };
    expect(scannedOf(counts)).toBe(63);
  });
});
