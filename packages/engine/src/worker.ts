/**
 * A chunk worker: claims a chunk, copies it batch by batch, checkpoints, finishes; then the next one.
 *
 * Several batches are under way at once; the checkpoint follows the oldest one that is settled, so nothing before the
 * cursor is ever in doubt.
 *
 * Where the target compares no fences, every try of a batch first proves by a conditional write of the state that the
 * chunk is still this worker's. That narrows the time in which a late write can happen to the life of one request.
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
  type DeadLetter,
  type GuardedChange,
  type Key,
  type PlannedChunk,
  toTargetKey,
  type StateVersion,
  type WorkerId,
} from '@keyferry/core';
import { chunkLeaseMs, type Backfill } from './backfill-context.ts';
import { keepBeforeImages } from './before-images.ts';
import {
  countOutcomes,
  deadLetterReason,
  metChanges,
  settledKeys,
  unplacedReason,
  type BatchOutcomes,
} from './change-outcomes.ts';
import { ChunkBatches, cursorOf, putFormOf, type Batch } from './chunk-batches.ts';
import { readGuards } from './chunk-guards.ts';
import { claimChunk, type Claim, type NoClaim } from './claim-chunk.ts';
import { dropUncountedLetters } from './dead-letters.ts';
import { tellKeys } from './key-messages.ts';
import { readRecord } from './one-key.ts';
import { scanPages } from './pages.ts';
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
    const { engine, spec, scope } = backfill;
    if (claim.state.token > 1) await dropUncountedLetters(engine, spec, scope, claim.state);
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

interface BatchUnderWay {
  readonly batch: Batch;
  readonly outcomes: Promise<BatchOutcomes>;
  readonly answered: boolean;
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
  private batchesSent = 0;
  private proving = Promise.resolve();

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
    const { engine, spec, plan, signal, scope, pace } = this.backfill;
    const range = chunkRange(this.chunk, spec);
    const { cursor } = this.progress;
    const start = cursor === null ? range.start : keyAfter(keyFromJson(cursor));
    const { batchKeysMax, batchBytesMax } = engine.target.capabilities;
    const limits = { batchBytesMax, batchKeysMax: () => pace.batchKeysMax(batchKeysMax) };
    const { rule } = imageRule(spec);
    const guards = await readGuards(engine, scope, this.chunk);
    if (cursor !== null) guards.passTo(toTargetKey(rule, keyFromJson(cursor)));
    const hasher = new RecordHasher(plan.salt);
    const mayPack = this.writer.writePacked !== undefined;
    const batches = new ChunkBatches(rule, hasher, this.progress, limits, guards, putFormOf(spec), mayPack);
    const underWay: BatchUnderWay[] = [];
    const settleOldest = async (): Promise<void> => {
      const oldest = underWay.shift();
      if (oldest !== undefined) await this.settle(oldest.batch, await oldest.outcomes);
    };
    const settleAnswered = async (): Promise<void> => {
      while (underWay[0]?.answered === true) await settleOldest();
    };
    const whileHeldBack = async (): Promise<void> => {
      await settleAnswered();
      await this.keepLease();
    };
    const send = async (ready: Iterable<Batch>): Promise<void> => {
      for (const batch of ready) {
        if (signal.aborted) return;
        // Records of a settled batch are nobody's any more: kept, they would be moved as old ones with each collection.
        await settleAnswered();
        if (underWay.length >= inFlightMax) await settleOldest();
        await pace.pass(batch.size, signal, whileHeldBack);
        if (signal.aborted) return;
        await this.keepLease();
        underWay.push(this.send(batch));
      }
    };
    try {
      for await (const page of scanPages(engine, pace.timedView(view), { start, end: range.end }, signal)) {
        await send(batches.cut(page, () => engine.clock.nowMs()));
        if (signal.aborted) break;
      }
      await send(batches.rest());
      while (underWay.length > 0) await settleOldest();
    } finally {
      await Promise.allSettled(underWay.map(({ outcomes }) => outcomes));
    }
    return signal.aborted;
  }

  private send(batch: Batch): BatchUnderWay {
    const outcomes = this.write(batch);
    const sent = { batch, outcomes, answered: false };
    const answered = (): void => {
      sent.answered = true;
    };
    outcomes.then(answered, answered); // awaited when its turn comes; until then it must not end the process
    return sent;
  }

  private async write(batch: Batch): Promise<BatchOutcomes> {
    const { recorder } = this.backfill;
    const outcomes = batch.size === 0 ? [] : await this.change(batch);
    recorder.dealtWith(countOutcomes(batch, outcomes));
    return outcomes;
  }

  private async change(batch: Batch): Promise<BatchOutcomes> {
    const { engine, signal, plan, control, recorder, scope, pace } = this.backfill;
    const { chunk } = this.chunk;
    this.batchesSent += 1;
    const name = { chunk, token: this.claim.token, batch: this.batchesSent };
    // What is packed changes nothing that is there.
    if (plan.keepBefore && batch.packed === null) await keepBeforeImages(engine, control, scope, name, batch.changes);
    const write = async (): Promise<BatchOutcomes> => {
      if (!engine.target.capabilities.fencing) await this.proveOwnership();
      return recorder.timed(() => pace.timed('target', () => this.request(batch)));
    };
    return withRetry(engine, `write ${chunk}`, write, signal);
  }

  private async request(batch: Batch): Promise<BatchOutcomes> {
    const { writer } = this;
    if (batch.packed !== null && (await writer.writePacked?.(batch.packed)) === 'written') return 'all-written';
    return writer.write(batch.changes);
  }

  private async settle(batch: Batch, outcomes: BatchOutcomes): Promise<void> {
    const added = countOutcomes(batch, outcomes);
    await this.recordDeadLetters(batch, outcomes);
    await this.recordMetChanges(batch, outcomes);
    tellKeys(this.backfill.engine.host, settledKeys(batch, outcomes));
    this.progress = {
      cursor: cursorOf(batch),
      counts: addCounts(this.progress.counts, added),
      digest: batch.digest,
    };
    this.backfill.onSettled(added);
  }

  /** A checkpoint when one is due. @throws {KeyferryError} `fence.lost` when the lease is no longer ours. */
  private async keepLease(): Promise<void> {
    const { clock, target } = this.backfill.engine;
    const nowMs = clock.monotonicMs();
    if (nowMs < this.renewedAtMs + renewEveryMs && nowMs < this.leaseEndsMonotonicMs) return;
    await (target.capabilities.fencing ? this.renewLease() : this.proveOwnership());
  }

  /** One at a time, as each rests on the version that the one before left; once one has failed, all do. */
  private proveOwnership(): Promise<void> {
    this.proving = this.proving.then(() => this.renewLease());
    return this.proving;
  }

  private async renewLease(): Promise<void> {
    const { clock } = this.backfill.engine;
    const nowMs = clock.monotonicMs();
    await this.store(checkpoint(this.claim, this.progress, clock.nowMs() + chunkLeaseMs));
    this.renewedAtMs = nowMs;
    this.leaseEndsMonotonicMs = nowMs + chunkLeaseMs - leaseMarginMs;
  }

  private async finish(): Promise<ChunkEnd> {
    const { engine, spec } = this.backfill;
    await this.store(finish(this.claim, this.progress));
    engine.host.emit({ code: 'chunk.done', data: { chunk: this.chunk.chunk, counts: this.progress.counts } });
    // Where applications take part, what is copied is the source as it was frozen, after the plan.
    const moved = spec.strategy === 'offline' && !digestsEqual(this.progress.digest, this.chunk.permanent);
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

  private async recordDeadLetters(batch: Batch, outcomes: BatchOutcomes): Promise<void> {
    for (const [i, outcome] of outcomes === 'all-written' ? [] : outcomes.entries()) {
      const change = batch.changes[i];
      const sourceKey = batch.sourceKeys[i] ?? null;
      if (change === undefined || sourceKey === null) continue;
      const reason = deadLetterReason(change, outcome);
      if (reason === null) continue;
      const why = { reason, ...(await this.tried(change)) };
      await this.recordDeadLetter(canonicalJson(keyToJson(change.key)), sourceKey, change.key, why);
    }
    for (const { entry, targetKey } of batch.unplaced) {
      const { reason, count } = entry;
      const [sourceKey = entry.key] = entry.sourceKeys;
      // The key that it would have may be another record's own, and that one a dead letter too.
      const id = `${reason} ${canonicalJson(keyToJson(entry.key))}`;
      const letter = { reason: unplacedReason(entry), unplaced: { reason, count } };
      await this.recordDeadLetter(id, sourceKey, targetKey, letter);
    }
  }

  /** What failed-before.ts holds later looks against. Of what is published whole, nothing can be read by key yet. */
  private async tried(change: GuardedChange): Promise<Pick<DeadLetter, 'tried'>> {
    const { engine, plan } = this.backfill;
    if (change.kind !== 'put' || engine.target.publication !== null) return {};
    const there = await readRecord(engine, engine.target, change.key);
    const record = new RecordHasher(plan.salt).short(change);
    return { tried: { record, targetVersion: there?.version ?? null } };
  }

  /** Written before the checkpoint that passes it; a repeat finds it there. */
  private async recordDeadLetter(
    id: string,
    sourceKey: Key,
    targetKey: Key,
    why: Pick<DeadLetter, 'reason' | 'unplaced' | 'tried'>,
  ): Promise<void> {
    const { engine, scope, spec } = this.backfill;
    const letter = {
      sourceKey: keyToJson(sourceKey),
      targetKey: keyToJson(targetKey),
      chunk: this.chunk.chunk,
      ...why,
      atMs: engine.clock.nowMs(),
      ...(spec.isSensitive(targetKey) ? { sensitive: true } : {}),
      resolved: null,
    };
    await writeItem(engine, 'dead-letter', scope, id, letter, 'absent');
  }

  /** As dead letters: before the checkpoint that passes them. */
  private async recordMetChanges(batch: Batch, outcomes: BatchOutcomes): Promise<void> {
    const { engine, scope } = this.backfill;
    for (const { key, action, what } of metChanges(batch, outcomes)) {
      const targetKey = keyToJson(key);
      const met = { targetKey, chunk: this.chunk.chunk, action, what, atMs: engine.clock.nowMs() };
      await writeItem(engine, 'met-change', scope, canonicalJson(targetKey), met, 'absent');
    }
  }
}
