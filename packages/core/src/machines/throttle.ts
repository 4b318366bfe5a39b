/**
 * Throttle: how many keys may go to the target now, and what holds them back.
 *
 *     rate limit ───────────────┐
 *     target's p99 ──► adaptive ┴─► the lower one ─► token bucket ─► go, or wait so long
 *     source's p99 ──►   rate
 *
 * The adaptive rate exists where a latency is limited, and where that comes to be so in the middle of a run, from the first late
 * answer on, below what went until then. It starts low and doubles every few answers until the first one
 * that came too late: a run that began as fast as it can would be noticed before it was measured. From then on each answer that is
 * late takes a share of it away, and each that is in time adds so small a share that the two cancel out at one late answer
 * in a hundred: where the rate comes to rest, the limit is the 99th percentile. A window's percentile would not do: of twenty
 * answers it is the slowest one, which an idle store exceeds too. It never falls below a few keys a second: with a limit that
 * the store cannot meet even when idle, the run crawls and says why, and does not hang.
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
/** The same where the rate is adaptive: applications wait behind each batch, so batches are small and come evenly. */
export const evenBurstMs = 25;
/** Where a run begins whose stores have limits of latency. */
export const startPerSecond = 200;
/** The adaptive rate falls no lower, unless the rate limit itself is. */
export const slowestPerSecond = 10;
const slowDownFactor = 0.7;
/** Until the first late answer: doubled in twenty. */
const startFactor = 2 ** (1 / 20);
/** Ninety-nine answers in time make up for a late one. */
const speedUpFactor = slowDownFactor ** (-1 / 99);
/** Where answers are few (pages of a source, say), one counts for each such time since the one before, up to twenty. */
const sparseMs = 50;
const sparseMost = 20;
/** So many answers come late for reasons of their own: connections are opened, and code runs for the first time. */
const coldAnswers = 100;
/** One slow-down in this time: what was sent before it comes back late as well. */
const settleMs = 100;
/** A window ends with enough samples after a while, or with any at all after a long one. */
const windowMs = 500;
const windowMaxMs = 2000;
const windowSamples = 20;
/** For so long after the last wait, what made somebody wait is what limits. */
const heldForMs = 2000;

interface Window {
  startedAtMs: number;
  answeredAtMs: number;
  readonly samples: number[];
  keys: number;
}

interface Adaptive {
  readonly perSecond: number;
  readonly because: PacedSide;
  /** No answer but the first ones was late yet. */
  readonly starting: boolean;
  readonly slowedAtMs: number;
}

export class Throttle {
  private limits: ThrottleLimits;
  private adaptive: Adaptive | null;
  private answers = 0;
  /** Keys a second in the last window of each side. */
  private readonly wentPerSecond: Record<PacedSide, number> = { target: 0, source: 0 };
  private level = 0;
  private filledAtMs: number;
  private readonly windows: Readonly<Record<PacedSide, Window>>;
  private readonly p99Ms: Record<PacedSide, number | null> = { target: null, source: null };
  private held: { readonly by: Limiter; readonly atMs: number } | null = null;

  constructor(limits: ThrottleLimits, nowMs: number) {
    this.limits = limits;
    this.filledAtMs = nowMs;
    const because = limits.targetP99Ms === null ? 'source' : 'target';
    const isLimited = limits.targetP99Ms !== null || limits.sourceP99Ms !== null;
    this.adaptive = isLimited ? { perSecond: startPerSecond, because, starting: true, slowedAtMs: -Infinity } : null;
    this.windows = {
      target: { startedAtMs: nowMs, answeredAtMs: nowMs, samples: [], keys: 0 },
      source: { startedAtMs: nowMs, answeredAtMs: nowMs, samples: [], keys: 0 },
    };
  }

  /** Other limits from now on. What was sent under the former ones stays owed. */
  adjust(limits: ThrottleLimits, nowMs: number): void {
    this.fill(nowMs);
    this.limits = limits;
    for (const side of ['target', 'source'] as const) {
      if (this.limitOf(side) !== null) continue;
      this.p99Ms[side] = null;
      if (this.adaptive?.because !== side) continue;
      const because = side === 'target' ? 'source' : 'target';
      this.adaptive = this.limitOf(because) === null ? null : { ...this.adaptive, because };
    }
    // Under another limit nobody knows yet which rate is too high.
    if (this.adaptive !== null) this.adaptive = { ...this.adaptive, starting: true };
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
    this.fill(nowMs);
    this.answers += 1;
    if (latencyMs > limitMs) this.slowDown(side, nowMs);
    else if (this.adaptive?.because === side && this.isHeld(nowMs)) this.speedUp(this.adaptive, nowMs);
    window.answeredAtMs = nowMs;
    const ageMs = nowMs - window.startedAtMs;
    if (ageMs < windowMs || (ageMs < windowMaxMs && window.samples.length < windowSamples)) return;
    this.p99Ms[side] = percentile99(window.samples);
    this.wentPerSecond[side] = (window.keys * 1000) / ageMs;
    window.startedAtMs = nowMs;
    window.samples.length = 0;
    window.keys = 0;
  }

  /** No batch larger than the burst, if that is a key at least: a run that is slow should be so evenly. */
  batchKeysMax(most: number): number {
    const perSecond = this.perSecondMax();
    return perSecond === null ? most : Math.max(1, Math.min(most, Math.floor((perSecond * this.burst()) / 1000)));
  }

  report(nowMs: number): ThrottleReport {
    const { held, limits, p99Ms } = this;
    const limitedBy = held !== null && this.isHeld(nowMs) ? held.by : 'nothing';
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
    const most = perSecond === null ? 0 : (perSecond * this.burst()) / 1000;
    const added = perSecond === null ? Infinity : ((nowMs - this.filledAtMs) * perSecond) / 1000;
    this.level = Math.min(most, this.level + added);
    this.filledAtMs = nowMs;
  }

  private burst(): number {
    return this.adaptive === null ? burstMs : evenBurstMs;
  }

  /** Whether the rate made anybody wait of late. */
  private isHeld(nowMs: number): boolean {
    return this.held !== null && nowMs - this.held.atMs < heldForMs;
  }

  private slowDown(because: PacedSide, nowMs: number): void {
    const { adaptive } = this;
    if (adaptive !== null && nowMs < adaptive.slowedAtMs + settleMs) return;
    // Less may have gone than could: then it is what went that was too much, unless there was no time yet to see it.
    const isUsedUp = adaptive !== null && (this.isHeld(nowMs) || this.p99Ms[because] === null);
    const before = isUsedUp ? adaptive.perSecond : Math.min(adaptive?.perSecond ?? Infinity, this.went(because, nowMs));
    const perSecond = Math.max(slowestPerSecond, before * slowDownFactor);
    const starting = adaptive?.starting === true && this.answers <= coldAnswers;
    this.adaptive = { perSecond, because, starting, slowedAtMs: nowMs };
  }

  /** Only a rate that holds something back is raised: of a higher one nobody knows what the store would say to it. */
  private speedUp(adaptive: Adaptive, nowMs: number): void {
    const { perSecond, because, starting } = adaptive;
    const answers = (nowMs - this.windows[because].answeredAtMs) / sparseMs;
    const factor = starting ? startFactor : speedUpFactor;
    const raised = perSecond * factor ** Math.max(1, Math.min(answers, sparseMost));
    const most = Math.min(this.limits.ratePerSecond ?? Infinity, 2 * this.went(because, nowMs));
    this.adaptive = { ...adaptive, perSecond: Math.max(perSecond, Math.min(raised, most)) };
  }

  /** Keys a second, of late. */
  private went(side: PacedSide, nowMs: number): number {
    const { startedAtMs, keys } = this.windows[side];
    return Math.max(this.wentPerSecond[side], (keys * 1000) / Math.max(windowMs, nowMs - startedAtMs));
  }
}

/** By the nearest rank; of fewer than a hundred it is the largest. */
function percentile99(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.ceil(sorted.length * 0.99) - 1] ?? 0;
}
