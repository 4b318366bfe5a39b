/**
 * Weather: what becomes of a call, and of the process that makes it. Drawn from the seed for each call, so that faults
 * fall between any two steps of the engine and not only where somebody thought of them.
 *
 *     answered     request ─► effect ─► answer
 *     answer-lost  request ─► effect           the caller sees a timeout
 *     late         request ····(caller sees a timeout)····► effect, up to a minute later
 *     lost         request                     the caller sees a timeout
 *     refused      nothing                     the caller sees at once that the store is unreachable
 *     compacted    nothing                     the source dropped the state that a scan reads
 *
 * `late` is the one that needs fences: neither a repeat of the call nor a look at the store can rule it out.
 */
import { Faults } from './faults.ts';
import type { Prng } from './prng.ts';

export type StoreName = 'source' | 'target' | 'state' | 'switch';
export type FateKind = 'answered' | 'answer-lost' | 'late' | 'lost' | 'refused' | 'compacted';

export interface Fate {
  readonly kind: FateKind;
  /** From the call to its effect, and from there (or from the call, when no answer comes) to what the caller sees. */
  readonly requestMs: number;
  readonly answerMs: number;
  /** The process stands still for so long: before the request leaves it, or with the request on its way. */
  readonly stall: { readonly ms: number; readonly before: boolean } | null;
  /** The process dies as soon as it has sent the request. */
  readonly crash: boolean;
  /** Somebody presses Ctrl-C. */
  readonly interrupt: boolean;
}

/** Probabilities for each call. */
export interface Climate {
  readonly answerLost: number;
  readonly late: number;
  readonly lost: number;
  readonly refused: number;
  readonly compacted: number;
  readonly stall: number;
  readonly crash: number;
  readonly interrupt: number;
  /** That a backfill write begins a jam of the target, which holds it back too. */
  readonly jam: number;
  /** Longest usual latency, each way. */
  readonly latencyMs: number;
}

const timeoutMs = 5000;
const lateMaxMs = 60_000;
const afterlifeMs = 3000;
/** Within so long all that a jam held back comes through. */
const rushMs = 1500;
/** Longer than the leases of lock and chunks. */
const stallMaxMs = 70_000;

export const calm: Climate = {
  answerLost: 0,
  late: 0,
  lost: 0,
  refused: 0,
  compacted: 0,
  stall: 0,
  crash: 0,
  interrupt: 0,
  jam: 0,
  latencyMs: 5,
};

/** Each kind of fault is there or not, weak or strong: most seeds have some of them, a few all. */
export function drawClimate(prng: Prng): Climate {
  const level = (strong: number): number => prng.pick([0, 0, strong / 4, strong]);
  return {
    answerLost: level(0.04),
    late: level(0.04),
    lost: level(0.04),
    refused: level(0.04),
    compacted: level(0.04),
    stall: level(0.02),
    crash: level(0.015),
    interrupt: level(0.004),
    jam: level(0.04),
    latencyMs: prng.pick([2, 20, 200]),
  };
}

/**
 * A store that nobody reaches for a while. `down`: calls fail at once. `jammed`: requests wait on the wire and come
 * through together when it ends, those of the dead among those of their successors.
 */
interface Outage {
  readonly store: StoreName;
  readonly kind: 'down' | 'jammed';
  readonly fromMs: number;
  readonly toMs: number;
}

export class Weather {
  private climate: Climate;
  private readonly prng: Prng;
  private readonly faults: Faults;
  private outages: readonly Outage[] = [];

  /** @param faults counts those that it draws, and says which of them happen */
  constructor(prng: Prng, climate: Climate, faults = new Faults()) {
    this.prng = prng;
    this.climate = climate;
    this.faults = faults;
  }

  change(climate: Climate): void {
    this.climate = climate;
    this.outages = [];
  }

  addOutage(outage: Outage): void {
    this.outages = [...this.outages, outage];
  }

  fateOf(store: StoreName, operation: string, nowMs: number): Fate {
    const before = this.outages;
    const fate = this.drawFate(store, operation, nowMs);
    const isFault = fate.kind !== 'answered' || fate.crash || fate.stall !== null || fate.interrupt;
    if ((!isFault && before === this.outages) || this.faults.happens()) return fate;
    this.outages = before;
    const requestMs = Math.min(fate.requestMs, this.climate.latencyMs);
    const answerMs = Math.min(fate.answerMs, this.climate.latencyMs);
    return { kind: 'answered', requestMs, answerMs, crash: false, stall: null, interrupt: false };
  }

  private drawFate(store: StoreName, operation: string, nowMs: number): Fate {
    const { prng, climate } = this;
    // Jams begin where they hurt: with a backfill write, whose sender often does not live to see the end of it.
    const jams = operation === 'write' && prng.chance(climate.jam);
    if (jams) this.addOutage({ store, kind: 'jammed', fromMs: nowMs, toMs: nowMs + prng.between(5_000, 40_000) });
    const crash = prng.chance(jams ? 0.4 : climate.crash);
    const stalls = prng.chance(jams ? 0.3 : climate.stall);
    const fate = {
      answerMs: 1 + prng.below(climate.latencyMs),
      // What a dying process leaves on the wire may come through when its successor is already at work.
      requestMs: 1 + prng.below(crash && prng.chance(0.5) ? afterlifeMs : climate.latencyMs),
      crash,
      stall: stalls ? { ms: prng.between(1000, stallMaxMs), before: prng.chance(0.5) } : null,
      interrupt: prng.chance(climate.interrupt),
    };
    const outage = this.outages.find((each) => each.store === store && each.fromMs <= nowMs && nowMs < each.toMs);
    if (outage?.kind === 'down') return { ...fate, kind: 'refused' };
    if (outage?.kind === 'jammed') return { ...fate, ...this.jammed(outage.toMs - nowMs, fate.answerMs) };
    if (store === 'source' && operation === 'scan' && prng.chance(climate.compacted))
      return { ...fate, kind: 'compacted' };
    return { ...fate, ...this.misfortune() };
  }

  private jammed(leftMs: number, answerMs: number): Pick<Fate, 'kind' | 'requestMs' | 'answerMs'> {
    const requestMs = leftMs + this.prng.below(rushMs);
    return requestMs < timeoutMs
      ? { kind: 'answered', requestMs, answerMs }
      : { kind: 'late', requestMs, answerMs: timeoutMs };
  }

  private misfortune(): Partial<Fate> & Pick<Fate, 'kind'> {
    const { prng, climate } = this;
    if (prng.chance(climate.refused)) return { kind: 'refused' };
    if (prng.chance(climate.lost)) return { kind: 'lost', answerMs: timeoutMs };
    if (prng.chance(climate.answerLost)) return { kind: 'answer-lost', answerMs: timeoutMs };
    if (!prng.chance(climate.late)) return { kind: 'answered' };
    return { kind: 'late', requestMs: prng.between(timeoutMs, lateMaxMs), answerMs: timeoutMs };
  }
}
