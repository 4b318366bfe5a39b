/**
 * Claims a chunk: first in the state, by one conditional write, then in the target, whose fence is what keeps a stalled
 * worker out. Between the two the former worker may still write; its writes are guarded and its checkpoint fails, so it
 * changes nothing that matters.
 */
import {
  decideClaim,
  KeyferryError,
  nextToken,
  release,
  type ChunkId,
  type ChunkState,
  type ChunkWriter,
  type StateVersion,
  type WorkerId,
} from '@keyferry/core';
import { chunkLeaseMs, type Backfill } from './backfill-context.ts';
import { assertSameEpoch } from './epoch.ts';
import { withRetry } from './retry.ts';
import { writeItem } from './state-items.ts';

export interface Claim {
  readonly kind: 'claimed';
  readonly state: ChunkState;
  readonly version: StateVersion;
  readonly writer: ChunkWriter;
  /** By the own monotonic clock, from before the write that set the lease. */
  readonly leaseFromMonotonicMs: number;
}

export type NoClaim =
  | { readonly kind: 'done' }
  | { readonly kind: 'held'; readonly untilMs: number }
  /** Another worker was quicker, or an answer of our own was lost: look again. */
  | { readonly kind: 'lost' };

/** @throws {KeyferryError} `epoch.lost` when the target no longer holds this run's epoch. */
export async function claimChunk(backfill: Backfill, chunk: ChunkId, worker: WorkerId): Promise<Claim | NoClaim> {
  const { engine, control, scope, attempt, epoch, deadRuns } = backfill;
  const entry = await withRetry(engine, `state ${chunk}`, () => engine.state.read('chunk', scope, chunk));
  if (entry === null) throw new KeyferryError('state.conflict', { what: `chunk ${chunk}` });
  const inTarget = await withRetry(engine, `fence ${chunk}`, () => control.readFence(chunk));
  const token = nextToken(attempt, entry.item.token, inTarget);
  const nowMs = engine.clock.nowMs();
  const leaseFromMonotonicMs = engine.clock.monotonicMs();
  const decision = decideClaim(entry.item, { worker, token, nowMs, leaseMs: chunkLeaseMs, deadRuns });
  if (decision.kind !== 'claim') return decision;
  const change = await writeItem(engine, 'chunk', scope, chunk, decision.next, entry.version);
  if (change.kind === 'lost') return { kind: 'lost' };
  const fence = { attempt, token };
  const claimed = await withRetry(engine, `claim ${chunk}`, () => control.claimChunk(chunk, fence, epoch));
  if (claimed.kind === 'claimed') {
    return {
      kind: 'claimed',
      state: decision.next,
      version: change.version,
      writer: claimed.writer,
      leaseFromMonotonicMs,
    };
  }
  await writeItem(engine, 'chunk', scope, chunk, release(decision.next), change.version);
  assertSameEpoch(backfill.spec.migration, epoch, claimed.epoch);
  return { kind: 'lost' };
}
