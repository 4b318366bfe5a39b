/**
 * Throttle: how many keys may go to the target now, and what holds them back.
 *
 *     rate limit ───────────────┐
 *     target's p99 ──► adaptive ┴─► the lower one ─► token bucket ─► go, or wait so long
 *     source's p99 ──►   rate
 *
 * The adaptive rate exists only once a store was slower than its limit. It then falls by a share of what went through,
 * and rises by a fixed step for each window of samples within the limit, until it holds nothing back any more: a
 * migration yields to the applications quickly and comes back slowly. It never falls below a few keys a second: with a
 * limit that the store cannot meet even when idle, the run crawls and says why, and does not hang.
 *
 * A batch goes as a whole once the bucket is not in debt, and its keys are owed afterwards. So over any time nothing
 * exceeds rate × time by more than the burst and one batch, and no batch is too large ever to go.
 * Pure: time and samples are passed in. Who waits, and keeps its lease meanwhile, is engine/src/pace.ts.
 */

export interface ThrottleLimits {
  /** Keys a second to the target; null: no limit. */
  readonly ratePerSecond: number | null;
  /** 99 of 100 requests of the target are to be answered within this; null: no limit. */
  readonly targetP99Ms: number | null;
  /** The same for pages read from the source. */
  readonly sourceP99Ms: number | null;
}

export const unlimited: ThrottleLimits = { ratePerSecond: null, targetP99Ms: null, sourceP99Ms: null };

export type PacedSide = 'target' | 'source';
export type Limiter = 'rate' | 'target-latency' | 'source-latency' | 'nothing';

export interface ThrottleReport {
  readonly limitedBy: Limiter;
  /** Keys a second that may go now; null: as many as the stores take. */
  readonly perSecondMax: number | null;
  /** Of the last window of samples; null before the first, and where nobody asked for a limit. */
  readonly p99Ms: Readonly<Record<PacedSide, number | null>>;
  readonly limits: ThrottleLimits;
}

/** What may go at once after a time in which less went than the rate allows. */
export const burstMs = 250;
/** The adaptive rate falls no lower, unless the rate limit itself is. */
export const slowestPerSecond = 10;
const slowDownFactor = 0.7;
/**
 * A step up is this share of what went through before the last slow-down, but no less than the other one of the most
 * that ever went: small steps around the rate that a busy store takes, and no hours on the way back from a crawl.
 */
const speedUpShare = 1 / 20;
const speedUpShareOfMost = 1 / 100;
/** A window ends with enough samples after a while, or with any at all after a long one. */
const windowMs = 500;
const windowMaxMs = 2000;
const windowSamples = 20;
/** For so long after the last wait, what made somebody wait is what limits. */
const heldForMs = 2000;

interface Window {
  startedAtMs: number;
  readonly samples: number[];
  keys: number;
}

interface Adaptive {
  readonly perSecond: number;
  /** What went through before it last slowed down. */
  readonly before: number;
  /** What went through before it first slowed down: there, the latency holds nothing back any more. */
  readonly most: number;
  readonly because: PacedSide;
}

export class Throttle {
  private limits: ThrottleLimits;
  private adaptive: Adaptive | null = null;
  private level = 0;
  private filledAtMs: number;
  private readonly windows: Readonly<Record<PacedSide, Window>>;
  private readonly p99Ms: Record<PacedSide, number | null> = { target: null, source: null };
  private held: { readonly by: Limiter; readonly atMs: number } | null = null;

  constructor(limits: ThrottleLimits, nowMs: number) {
    this.limits = limits;
    this.filledAtMs = nowMs;
    this.windows = {
      target: { startedAtMs: nowMs, samples: [], keys: 0 },
      source: { startedAtMs: nowMs, samples: [], keys: 0 },
    };
  }

  /** Other limits from now on. What was sent under the former ones stays owed. */
  adjust(limits: ThrottleLimits, nowMs: number): void {
    this.fill(nowMs);
    this.limits = limits;
    for (const side of ['target', 'source'] as const) {
      if (this.limitOf(side) !== null) continue;
      this.p99Ms[side] = null;
      if (this.adaptive?.because === side) this.adaptive = null;
    }
  }

  /** @returns 0: the keys are taken and may go. Else milliseconds until it is worth asking again; nothing was taken. */
  take(keys: number, nowMs: number): number {
    const perSecond = this.perSecondMax();
    this.fill(nowMs);
    if (perSecond !== null && this.level < 0) {
      this.held = { by: this.limiter(), atMs: nowMs };
      return Math.max(1, Math.ceil((-this.level * 1000) / perSecond));
    }
    this.level -= keys;
    for (const window of Object.values(this.windows)) window.keys += keys;
    return 0;
  }

  /** One request was answered, well or badly, after so long. */
  sample(side: PacedSide, latencyMs: number, nowMs: number): void {
    const limitMs = this.limitOf(side);
    if (limitMs === null) return;
    const window = this.windows[side];
    window.samples.push(latencyMs);
    const ageMs = nowMs - window.startedAtMs;
    if (ageMs < windowMs || (ageMs < windowMaxMs && window.samples.length < windowSamples)) return;
    const p99Ms = percentile99(window.samples);
    this.fill(nowMs);
    if (p99Ms > limitMs) this.slowDown(side, (window.keys * 1000) / ageMs);
    else if (this.adaptive?.because === side) this.speedUp(this.adaptive);
    this.p99Ms[side] = p99Ms;
    window.startedAtMs = nowMs;
    window.samples.length = 0;
    window.keys = 0;
  }

  /** No batch larger than the burst, if that is a key at least: a run that is slow should be so evenly. */
  batchKeysMax(most: number): number {
    const perSecond = this.perSecondMax();
    return perSecond === null ? most : Math.max(1, Math.min(most, Math.floor((perSecond * burstMs) / 1000)));
  }

  report(nowMs: number): ThrottleReport {
    const { held, limits, p99Ms } = this;
    const limitedBy = held !== null && nowMs - held.atMs < heldForMs ? held.by : 'nothing';
    return { limitedBy, perSecondMax: this.perSecondMax(), p99Ms: { ...p99Ms }, limits };
  }

  private limitOf(side: PacedSide): number | null {
    return side === 'target' ? this.limits.targetP99Ms : this.limits.sourceP99Ms;
  }

  private perSecondMax(): number | null {
    const { adaptive, limits } = this;
    if (adaptive === null) return limits.ratePerSecond;
    return Math.min(adaptive.perSecond, limits.ratePerSecond ?? Infinity);
  }

  private limiter(): Limiter {
    const { adaptive, limits } = this;
    if (adaptive === null || adaptive.perSecond >= (limits.ratePerSecond ?? Infinity)) return 'rate';
    return adaptive.because === 'target' ? 'target-latency' : 'source-latency';
  }

  private fill(nowMs: number): void {
    const perSecond = this.perSecondMax();
    const most = perSecond === null ? 0 : (perSecond * burstMs) / 1000;
    const added = perSecond === null ? Infinity : ((nowMs - this.filledAtMs) * perSecond) / 1000;
    this.level = Math.min(most, this.level + added);
    this.filledAtMs = nowMs;
  }

  private slowDown(because: PacedSide, wentPerSecond: number): void {
    const before = Math.max(slowestPerSecond, Math.min(this.adaptive?.perSecond ?? Infinity, wentPerSecond));
    const perSecond = Math.max(slowestPerSecond, before * slowDownFactor);
    this.adaptive = { perSecond, before, most: Math.max(this.adaptive?.most ?? 0, before), because };
  }

  private speedUp(adaptive: Adaptive): void {
    const { before, most } = adaptive;
    const perSecond = adaptive.perSecond + Math.max(before * speedUpShare, most * speedUpShareOfMost);
    const enough = this.limits.ratePerSecond ?? most;
    this.adaptive = perSecond >= enough ? null : { ...adaptive, perSecond };
  }
}

/** By the nearest rank; of fewer than a hundred it is the largest. */
function percentile99(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.ceil(sorted.length * 0.99) - 1] ?? 0;
}
