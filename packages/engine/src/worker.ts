/**
 * A chunk worker: claims a chunk, copies it batch by batch, checkpoints, finishes; then the next one.
 *
 * Several batches are under way at once; the checkpoint follows the oldest one that is settled, so nothing before the
 * cursor is ever in doubt.
 */
import {
  addCounts,
  canonicalJson,
  checkpoint,
  digestsEqual,
  imageRule,
  finish,
  isKeyferryError,
  KeyferryError,
  keyAfter,
  keyFromJson,
  keyToJson,
  RecordHasher,
  release,
  type ChunkProgress,
  type ChunkState,
  type ChunkWriter,
  type Key,
  type PlannedChunk,
  type ChangeOutcome,
  type StateVersion,
  type WorkerId,
} from '@keyferry/core';
import { chunkLeaseMs, type Backfill } from './backfill-context.ts';
import { ChunkBatches, cursorOf, type Batch } from './chunk-batches.ts';
import { claimChunk, type Claim, type NoClaim } from './claim-chunk.ts';
import { scanPages } from './pages.ts';
import { countOutcomes, deadLetterReason } from './put-outcomes.ts';
import { withRetry } from './retry.ts';
import type { SharedView } from './shared-view.ts';
import { chunkRange } from './staleness.ts';
import { writeItem } from './state-items.ts';

/** A worker renews its lease, by a checkpoint, at least this often, and stops writing when it could not. */
const renewEveryMs = chunkLeaseMs / 5;
const leaseMarginMs = chunkLeaseMs / 4;
/** Batches under way at once in one chunk. */
const inFlightMax = 8;

export type ChunkEnd = NoClaim | { readonly kind: 'stopped' };

/** Works on one chunk as far as it can be worked on now. */
export async function workOnChunk(backfill: Backfill, chunk: PlannedChunk, worker: WorkerId): Promise<ChunkEnd> {
  const claim = await claimChunk(backfill, chunk.chunk, worker);
  if (claim.kind !== 'claimed') return claim;
  const { host } = backfill.engine;
  host.emit({ code: 'chunk.claimed', data: { chunk: chunk.chunk, worker, token: claim.state.token } });
  const run = new ChunkRun(backfill, chunk, claim);
  try {
    return await run.copy();
  } catch (error) {
    if (!isKeyferryError(error, 'fence.lost')) {
      await run.giveBack();
      throw error;
    }
    host.emit({ code: 'chunk.lost', data: { chunk: chunk.chunk, worker, token: claim.state.token } });
    return { kind: 'lost' };
  }
}

/** One claimed chunk on its way from its checkpoint to its end. */
class ChunkRun {
  private readonly backfill: Backfill;
  private readonly chunk: PlannedChunk;
  private readonly writer: ChunkWriter;
  private claim: ChunkState;
  private version: StateVersion;
  private progress: ChunkProgress;
  /** By the own monotonic clock, counted from before the write that set the lease. */
  private leaseEndsMonotonicMs: number;
  private renewedAtMs: number;

  constructor(backfill: Backfill, chunk: PlannedChunk, claim: Claim) {
    this.backfill = backfill;
    this.chunk = chunk;
    this.writer = claim.writer;
    this.claim = claim.state;
    this.version = claim.version;
    this.progress = claim.state.progress;
    this.renewedAtMs = claim.leaseFromMonotonicMs;
    this.leaseEndsMonotonicMs = claim.leaseFromMonotonicMs + chunkLeaseMs - leaseMarginMs;
  }

  async copy(): Promise<ChunkEnd> {
    for (;;) {
      const view = await this.backfill.view.view();
      try {
        const stopped = await this.copyFrom(view);
        if (stopped) {
          await this.giveBack();
          return { kind: 'stopped' };
        }
        return await this.finish();
      } catch (error) {
        await this.backfill.view.renew(view, error);
      }
    }
  }

  /** Gives the chunk back with what is done so far; whoever claims it next goes on from there. */
  async giveBack(): Promise<void> {
    const released = release({ ...this.claim, progress: this.progress });
    // Losing here is fine: then it is somebody else's already.
    await writeItem(this.backfill.engine, 'chunk', this.backfill.scope, this.chunk.chunk, released, this.version);
  }

  /** @returns true when it was told to stop before the end. */
  private async copyFrom(view: Awaited<ReturnType<SharedView['view']>>): Promise<boolean> {
    const { engine, spec, plan, signal } = this.backfill;
    const range = chunkRange(this.chunk, spec);
    const { cursor } = this.progress;
    const start = cursor === null ? range.start : keyAfter(keyFromJson(cursor));
    const { batchKeysMax, batchBytesMax } = engine.target.capabilities;
    const limits = { batchKeysMax, batchBytesMax };
    const batches = new ChunkBatches(imageRule(spec).rule, new RecordHasher(plan.salt), this.progress, limits);
    const underWay: { readonly batch: Batch; readonly outcomes: Promise<readonly ChangeOutcome[]> }[] = [];
    const settleOldest = async (): Promise<void> => {
      const oldest = underWay.shift();
      if (oldest !== undefined) await this.settle(oldest.batch, await oldest.outcomes);
    };
    try {
      for await (const page of scanPages(engine, view, { start, end: range.end }, signal)) {
        for (const batch of batches.cut(page, engine.clock.nowMs())) {
          if (underWay.length >= inFlightMax) await settleOldest();
          await this.keepLease();
          const outcomes = this.write(batch);
          outcomes.catch(() => undefined); // awaited when its turn comes; until then it must not end the process
          underWay.push({ batch, outcomes });
          if (signal.aborted) break;
        }
        if (signal.aborted) break;
      }
      while (underWay.length > 0) await settleOldest();
    } finally {
      await Promise.allSettled(underWay.map(({ outcomes }) => outcomes));
    }
    return signal.aborted;
  }

  private async write(batch: Batch): Promise<readonly ChangeOutcome[]> {
    if (batch.puts.length === 0) return [];
    const { engine, signal } = this.backfill;
    return withRetry(engine, `write ${this.chunk.chunk}`, () => this.writer.write(batch.puts), signal);
  }

  private async settle(batch: Batch, outcomes: readonly ChangeOutcome[]): Promise<void> {
    const added = countOutcomes(outcomes, batch);
    await this.recordDeadLetters(batch, outcomes);
    this.progress = {
      cursor: cursorOf(batch),
      counts: addCounts(this.progress.counts, added),
      digest: batch.digest,
    };
    this.backfill.onSettled(added);
  }

  /** A checkpoint when one is due. @throws {KeyferryError} `fence.lost` when the lease is no longer ours. */
  private async keepLease(): Promise<void> {
    const { clock } = this.backfill.engine;
    const nowMs = clock.monotonicMs();
    if (nowMs < this.renewedAtMs + renewEveryMs && nowMs < this.leaseEndsMonotonicMs) return;
    await this.store(checkpoint(this.claim, this.progress, clock.nowMs() + chunkLeaseMs));
    this.renewedAtMs = nowMs;
    this.leaseEndsMonotonicMs = nowMs + chunkLeaseMs - leaseMarginMs;
  }

  private async finish(): Promise<ChunkEnd> {
    const { engine } = this.backfill;
    await this.store(finish(this.claim, this.progress));
    engine.host.emit({ code: 'chunk.done', data: { chunk: this.chunk.chunk, counts: this.progress.counts } });
    const moved = !digestsEqual(this.progress.digest, this.chunk.permanent);
    if (moved) engine.host.emit({ code: 'chunk.moved', data: { chunk: this.chunk.chunk } });
    return { kind: 'done' };
  }

  private async store(next: ChunkState): Promise<void> {
    const { engine, scope } = this.backfill;
    const change = await writeItem(engine, 'chunk', scope, this.chunk.chunk, next, this.version);
    if (change.kind === 'lost') throw new KeyferryError('fence.lost', { chunk: this.chunk.chunk });
    this.claim = next;
    this.version = change.version;
  }

  private async recordDeadLetters(batch: Batch, outcomes: readonly ChangeOutcome[]): Promise<void> {
    for (const [i, outcome] of outcomes.entries()) {
      const reason = deadLetterReason(outcome);
      const put = batch.puts[i];
      const sourceKey = batch.sourceKeys[i];
      if (reason === null || put === undefined || sourceKey === undefined) continue;
      await this.recordDeadLetter(canonicalJson(keyToJson(put.key)), sourceKey, put.key, reason);
    }
    for (const { entry, targetKey } of batch.unplaced) {
      const [sourceKey = entry.key] = entry.sourceKeys;
      // The key that it would have may be another record's own, and that one a dead letter too.
      const id = `${entry.reason} ${canonicalJson(keyToJson(entry.key))}`;
      await this.recordDeadLetter(id, sourceKey, targetKey, `${entry.reason}: ${entry.detail}`);
    }
  }

  /** Written before the checkpoint that passes it; a repeat finds it there. */
  private async recordDeadLetter(id: string, sourceKey: Key, targetKey: Key, reason: string): Promise<void> {
    const { engine, scope } = this.backfill;
    const letter = {
      sourceKey: keyToJson(sourceKey),
      targetKey: keyToJson(targetKey),
      chunk: this.chunk.chunk,
      reason,
      atMs: engine.clock.nowMs(),
    };
    await writeItem(engine, 'dead-letter', scope, id, letter, 'absent');
  }
}
