/**
 * Progress as numbers: takes the engine's messages and keeps what a line of progress says. Pure; time is passed in.
 *
 * The rate is that of the last few seconds; the time left is a range, between the rate now and the rate since the
 * stage began, because a single number would claim to know more.
 */
import { noCounts, scannedOf, type ChunkCounts, type Message, type ThrottleReport } from '@keyferry/core';

export type Stage = 'sort' | 'plan' | 'check' | 'backfill' | 'retry' | 'verify' | 'tail' | 'rollback';

export interface Progress {
  readonly stage: Stage;
  readonly done: number;
  /** Null where nobody knows how many there will be. */
  readonly total: number | null;
  readonly unit: 'key' | 'chunk';
  readonly elapsedMs: number;
  /** Of the last few seconds; null before there is anything to go by. */
  readonly perSecond: number | null;
  /** Shortest and longest time left; null where the total is not known. */
  readonly etaMs: readonly [number, number] | null;
  readonly counts: ChunkCounts;
  readonly chunks: { readonly done: number; readonly total: number } | null;
  readonly retries: number;
  /** How fast the run may go, and what holds it back; null where nothing is paced. */
  readonly pace: ThrottleReport | null;
}

interface Sample {
  readonly atMs: number;
  readonly done: number;
}

const windowMs = 5000;
/** Before this much time the rate is noise. */
const settleMs = 500;

export class ProgressTracker {
  private stage: Stage | null = null;
  private startedAtMs = 0;
  private startedAt = 0;
  private samples: Sample[] = [];
  private done = 0;
  private total: number | null = null;
  private counts = noCounts;
  private chunks: { done: number; total: number } | null = null;
  private retries = 0;
  private pace: ThrottleReport | null = null;
  /** Keys that a verify will meet, when the plan says so. */
  private expectedKeys: number | null = null;

  expectKeys(keys: number): void {
    this.expectedKeys = keys;
  }

  /** Back to before the first stage. */
  leaveStage(): void {
    this.stage = null;
  }

  /** True when the message changed what a progress line says. */
  take(message: Message, nowMs: number): boolean {
    switch (message.code) {
      case 'image.sorting':
        return this.moved('sort', message.data.sourceKeys, null, nowMs);
      case 'plan.scanning':
        return this.moved('plan', message.data.sourceKeys, null, nowMs);
      case 'backup.taken':
        return false;
      case 'apply.checking':
        return this.moved('check', message.data.chunksDone, message.data.chunksTotal, nowMs);
      case 'apply.started':
        this.chunks = { done: message.data.chunksDone, total: message.data.chunksTotal };
        return false;
      case 'backfill.progress':
        this.counts = message.data.counts;
        this.pace = message.data.pace;
        this.expectedKeys = message.data.total;
        return this.moved('backfill', scannedOf(message.data.counts), message.data.total, nowMs);
      case 'chunk.done':
        if (this.chunks !== null) this.chunks.done += 1;
        return this.stage === 'backfill';
      case 'letters.progress':
        this.counts = message.data.tried;
        return this.moved('retry', scannedOf(message.data.tried), null, nowMs);
      case 'verify.progress':
        return this.moved('verify', message.data.keys, this.expectedKeys, nowMs);
      case 'tail.progress':
        return this.moved('tail', message.data.counts.puts + message.data.counts.deletes, null, nowMs);
      case 'rollback.progress':
        return this.moved('rollback', message.data.removed + message.data.restored, null, nowMs);
      case 'store.retrying':
        this.retries += 1;
        return this.stage !== null;
      case 'chunk.claimed':
      case 'chunk.lost':
      case 'key.settled':
      case 'chunk.moved':
      case 'rollback.unrestorable':
      case 'history.not-kept':
      case 'feed.not-ended':
      case 'run.throttled':
      case 'run.unthrottled':
      case 'run.stopping':
      case 'turn.waiting':
      case 'apply.ended':
      case 'apply.already-done':
      case 'mode.announced':
      case 'barrier.waiting':
      case 'barrier.held':
      case 'source.strays':
      case 'drain.progress':
      case 'tail.caught-up':
      case 'tail.backlog':
      case 'tail.lost':
      case 'tail.reconciled':
      case 'tail.generation':
      case 'cutover.step':
      case 'cutover.calling':
      case 'cutover.held':
      case 'cutover.acknowledged':
      case 'cutover.ended':
      case 'phase.begun':
      case 'phase.passed':
      case 'phase.undoing':
      case 'back.step':
      case 'soak.sampled':
        return false;
    }
  }

  /** Null before the first stage. */
  at(nowMs: number): Progress | null {
    const { stage, done, total } = this;
    if (stage === null) return null;
    const elapsedMs = nowMs - this.startedAtMs;
    const perSecond = this.rateNow(nowMs);
    const overall = elapsedMs < settleMs ? null : ((done - this.startedAt) * 1000) / elapsedMs;
    return {
      stage,
      done,
      total,
      unit: stage === 'check' ? 'chunk' : 'key',
      elapsedMs,
      perSecond,
      etaMs: total === null ? null : etaRange(Math.max(0, total - done), perSecond, overall),
      counts: this.counts,
      chunks: stage === 'backfill' ? this.chunks : null,
      retries: this.retries,
      pace: stage === 'backfill' ? this.pace : null,
    };
  }

  private moved(stage: Stage, done: number, total: number | null, nowMs: number): boolean {
    if (stage !== this.stage) {
      this.stage = stage;
      this.startedAtMs = nowMs;
      // What a former run did before a resume must not count as this run's speed.
      this.startedAt = stage === 'backfill' ? done : 0;
      this.samples = [{ atMs: nowMs, done: this.startedAt }];
    }
    this.done = done;
    this.total = total;
    this.samples.push({ atMs: nowMs, done });
    // The newest sample that is older than the window stays: the window must have a left edge.
    while (this.samples.length > 2 && (this.samples[1]?.atMs ?? nowMs) <= nowMs - windowMs) this.samples.shift();
    return true;
  }

  private rateNow(nowMs: number): number | null {
    const first = this.samples[0];
    if (first === undefined || nowMs - first.atMs < settleMs) return null;
    return ((this.done - first.done) * 1000) / (nowMs - first.atMs);
  }
}

export function etaRange(left: number, now: number | null, overall: number | null): readonly [number, number] | null {
  const times = [now, overall]
    .filter((rate) => rate !== null && rate > 0)
    .map((rate) => (left * 1000) / (rate as number));
  return times.length === 0 ? null : [Math.min(...times), Math.max(...times)];
}
