/**
 * A chunk worker: claims a chunk, copies it batch by batch, checkpoints, finishes; then the next one.
 *
 * A claim is made twice: first in the state, by one conditional write, then in the target, whose fence is what keeps a
 * stalled worker out. Between the two the former worker may still write; its writes are guarded and its checkpoint
 * fails, so it changes nothing that matters. Several batches are under way at once; the checkpoint follows the oldest
 * one that is settled, so nothing before the cursor is ever in doubt.
 */
import {
  addCounts,
  checkpoint,
  decideClaim,
  digestsEqual,
  finish,
  isKeyferryError,
  KeyferryError,
  keyAfter,
  keyFromJson,
  keyForDisplay,
  nextToken,
  noCounts,
  RecordHasher,
  release,
  type ChunkCounts,
  type ChunkId,
  type ChunkProgress,
  type ChunkState,
  type ChunkWriter,
  type Fence,
  type PlanDocument,
  type PlannedChunk,
  type PutOutcome,
  type RunId,
  type StateVersion,
  type StopSignal,
  type TargetControl,
  type WorkerId,
} from '@keyferry/core';
import { ChunkBatches, cursorOf, type Batch } from './chunk-batches.ts';
import type { Engine, MigrationSpec } from './migration.ts';
import { scanPages } from './pages.ts';
import { withRetry } from './retry.ts';
import type { SharedView } from './shared-view.ts';
import { chunkRange } from './staleness.ts';
import { writeItem } from './state-items.ts';

export const chunkLeaseMs = 20_000;
/** A worker renews its lease, by a checkpoint, at least this often, and stops writing when it could not. */
const renewEveryMs = chunkLeaseMs / 5;
const leaseMarginMs = chunkLeaseMs / 4;
/** Batches under way at once in one chunk. */
const inFlightMax = 8;

/** What all workers of one run share. */
export interface Backfill {
  readonly engine: Engine;
  readonly spec: MigrationSpec;
  readonly plan: PlanDocument;
  readonly attempt: number;
  readonly epoch: Fence;
  readonly control: TargetControl;
  readonly view: SharedView;
  readonly scope: string;
  readonly deadRuns: ReadonlySet<RunId>;
  readonly signal: StopSignal;
  /** Called with what a batch added, as soon as it is settled. */
  readonly progress: (added: ChunkCounts) => void;
}

export type ChunkEnd =
  | { readonly kind: 'done'; readonly moved: boolean }
  | { readonly kind: 'held'; readonly untilMs: number }
  /** Another worker claimed it: it goes on there. */
  | { readonly kind: 'lost' }
  | { readonly kind: 'stopped' };

interface Claim {
  readonly state: ChunkState;
  readonly version: StateVersion;
  readonly writer: ChunkWriter;
}

/** Works on one chunk as far as it can be worked on now. */
export async function workOnChunk(backfill: Backfill, chunk: PlannedChunk, worker: WorkerId): Promise<ChunkEnd> {
  const claim = await claimChunk(backfill, chunk.chunk, worker);
  if ('kind' in claim) return claim;
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

async function claimChunk(backfill: Backfill, chunk: ChunkId, worker: WorkerId): Promise<Claim | ChunkEnd> {
  const { engine, control, scope, attempt, epoch, deadRuns } = backfill;
  const entry = await withRetry(engine, `state ${chunk}`, () => engine.state.read('chunk', scope, chunk));
  if (entry === null) throw new KeyferryError('state.conflict', { what: `chunk ${chunk}` });
  const inTarget = await withRetry(engine, `fence ${chunk}`, () => control.readFence(chunk));
  const token = nextToken(attempt, entry.item.token, inTarget);
  const nowMs = engine.clock.nowMs();
  const decision = decideClaim(entry.item, { worker, token, nowMs, leaseMs: chunkLeaseMs, deadRuns });
  if (decision.kind === 'held') return decision;
  if (decision.kind === 'done') return { kind: 'done', moved: false };
  const change = await writeItem(engine, 'chunk', scope, chunk, decision.next, entry.version);
  if (change.kind === 'lost') return { kind: 'lost' };
  const claimed = await raiseFence(backfill, chunk, { attempt, token });
  if (claimed.kind === 'claimed') return { state: decision.next, version: change.version, writer: claimed.writer };
  await writeItem(engine, 'chunk', scope, chunk, release(decision.next), change.version);
  if (claimed.epoch !== null && (claimed.epoch.attempt !== epoch.attempt || claimed.epoch.token !== epoch.token)) {
    throw new KeyferryError('state.conflict', { what: `the epoch of ${backfill.spec.migration} in the target` });
  }
  return { kind: 'lost' };
}

/** A refusal that shows our own fence is a lost answer of our own claim: claim again, one token higher. */
async function raiseFence(backfill: Backfill, chunk: ChunkId, fence: Fence) {
  const { engine, control, epoch } = backfill;
  return withRetry(engine, `claim ${chunk}`, () => control.claimChunk(chunk, fence, epoch));
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
    const nowMs = backfill.engine.clock.monotonicMs();
    this.renewedAtMs = nowMs;
    this.leaseEndsMonotonicMs = nowMs + chunkLeaseMs - leaseMarginMs;
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
    const batches = new ChunkBatches(spec.rule, new RecordHasher(plan.salt), this.progress, limits);
    const underWay: { readonly batch: Batch; readonly outcomes: Promise<readonly PutOutcome[]> }[] = [];
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

  private async write(batch: Batch): Promise<readonly PutOutcome[]> {
    if (batch.puts.length === 0) return [];
    const { engine, signal } = this.backfill;
    return withRetry(engine, `write ${this.chunk.chunk}`, () => this.writer.write(batch.puts), signal);
  }

  private async settle(batch: Batch, outcomes: readonly PutOutcome[]): Promise<void> {
    const added = countOutcomes(outcomes, batch.notCarried);
    await this.recordDeadLetters(batch, outcomes);
    this.progress = {
      cursor: cursorOf(batch),
      counts: addCounts(this.progress.counts, added),
      digest: batch.digest,
    };
    this.backfill.progress(added);
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
    return { kind: 'done', moved };
  }

  private async store(next: ChunkState): Promise<void> {
    const { engine, scope } = this.backfill;
    const change = await writeItem(engine, 'chunk', scope, this.chunk.chunk, next, this.version);
    if (change.kind === 'lost') throw new KeyferryError('fence.lost', { chunk: this.chunk.chunk });
    this.claim = next;
    this.version = change.version;
  }

  private async recordDeadLetters(batch: Batch, outcomes: readonly PutOutcome[]): Promise<void> {
    const { engine, scope } = this.backfill;
    for (const [i, outcome] of outcomes.entries()) {
      const reason = deadLetterReason(outcome);
      const put = batch.puts[i];
      const sourceKey = batch.sourceKeys[i];
      if (reason === null || put === undefined || sourceKey === undefined) continue;
      const letter = {
        sourceKey: keyForDisplay(sourceKey),
        targetKey: keyForDisplay(put.key),
        chunk: this.chunk.chunk,
        reason,
        atMs: engine.clock.nowMs(),
      };
      // Written before the checkpoint that passes it; a repeat finds it there.
      await writeItem(engine, 'dead-letter', scope, letter.targetKey, letter, 'absent');
    }
  }
}

function deadLetterReason(outcome: PutOutcome): string | null {
  if (outcome.kind === 'refused') return outcome.detail;
  return outcome.kind === 'missing' ? 'the record to be overwritten is gone' : null;
}

function countOutcomes(outcomes: readonly PutOutcome[], notCarried: number): ChunkCounts {
  const counts = { ...noCounts, notCarried };
  for (const outcome of outcomes) {
    switch (outcome.kind) {
      case 'written':
      case 'already-written':
        counts.written += 1;
        break;
      case 'present':
        if (outcome.equal) counts.equal += 1;
        else counts.kept += 1;
        break;
      case 'tombstoned':
        counts.tombstoned += 1;
        break;
      case 'missing':
      case 'refused':
        counts.deadLetters += 1;
        break;
    }
  }
  return counts;
}
