/**
 * Soak: how long, and within which limits, the new registry has to serve before the old one may go.
 *
 * Samples are taken by whoever comes by (a schedule, `apply`, `apply --follow`), each of what passed since the one before.
 * Sums stay, and the last ones; so a soak of a week is one small item. A breach is never forgotten by a good sample after
 * it: it is named until the soak is begun anew. Time without a sample does not count as soaked (SPEC R95).
 */
export interface SoakLimits {
  /** Milliseconds of observed time. */
  readonly lengthMs: number;
  /** Share of answers 5xx, 0 to 1. */
  readonly errorShareMax: number;
  /** Milliseconds; null: any. */
  readonly p99MaxMs: number | null;
  /** Longest time between two samples that counts as observed. */
  readonly gapMaxMs: number;
}

/** EVIDENCE (ports/registry.ts). */
export interface SoakSample {
  readonly atMs: number;
  readonly requests: number;
  readonly errors5xx: number;
  readonly errors4xx: number;
  /** The worst of all balancers; null: none says. */
  readonly p99Ms: number | null;
  /** 3.x, asked directly. */
  readonly ready: boolean;
  /** In words: a balancer whose files and process differ, an answer of another release. */
  readonly drift: readonly string[];
}

export interface SoakState {
  readonly sinceMs: number | null;
  /** Sum of the gaps between samples that were not too long. */
  readonly observedMs: number;
  readonly samples: number;
  readonly requests: number;
  readonly errors5xx: number;
  /** The last ones, oldest first. */
  readonly last: readonly SoakSample[];
  /** The first ones, in words; `breachesTotal` counts all. */
  readonly breaches: readonly { readonly atMs: number; readonly what: string }[];
  readonly breachesTotal: number;
}

const lastMax = 50;
const breachesMax = 20;

export const noSoak: SoakState = {
  sinceMs: null,
  observedMs: 0,
  samples: 0,
  requests: 0,
  errors5xx: 0,
  last: [],
  breaches: [],
  breachesTotal: 0,
};

/** What a sample says against the limits, in words. */
export function breachesOf(sample: SoakSample, limits: SoakLimits): readonly string[] {
  const { requests, errors5xx, p99Ms, ready, drift } = sample;
  const share = requests === 0 ? 0 : errors5xx / requests;
  return [
    ...(ready ? [] : ['3.x does not answer that it is ready']),
    ...(share > limits.errorShareMax ? [`${errors5xx} of ${requests} answers were 5xx`] : []),
    ...(p99Ms !== null && limits.p99MaxMs !== null && p99Ms > limits.p99MaxMs
      ? [`99 of 100 requests took up to ${p99Ms} ms, limit ${limits.p99MaxMs} ms`]
      : []),
    ...drift,
  ];
}

/** The soak with one sample more. Its clock may have been set back: time only adds up. */
export function withSample(soak: SoakState, sample: SoakSample, limits: SoakLimits): SoakState {
  const before = soak.last.at(-1)?.atMs ?? soak.sinceMs ?? sample.atMs;
  const gapMs = Math.max(0, sample.atMs - before);
  const breaches = breachesOf(sample, limits).map((what) => ({ atMs: sample.atMs, what }));
  return {
    sinceMs: soak.sinceMs ?? sample.atMs,
    observedMs: soak.observedMs + (gapMs <= limits.gapMaxMs ? gapMs : 0),
    samples: soak.samples + 1,
    requests: soak.requests + sample.requests,
    errors5xx: soak.errors5xx + sample.errors5xx,
    last: [...soak.last, sample].slice(-lastMax),
    breaches: [...soak.breaches, ...breaches].slice(0, breachesMax),
    breachesTotal: soak.breachesTotal + breaches.length,
  };
}

export type SoakVerdict =
  | { readonly kind: 'soaking'; readonly leftMs: number }
  | { readonly kind: 'breached'; readonly leftMs: number }
  | { readonly kind: 'passed' };

export function soakVerdict(soak: SoakState, limits: SoakLimits, breachAccepted: boolean): SoakVerdict {
  const leftMs = Math.max(0, limits.lengthMs - soak.observedMs);
  if (soak.breachesTotal > 0 && !breachAccepted) return { kind: 'breached', leftMs };
  return leftMs === 0 && soak.samples > 0 ? { kind: 'passed' } : { kind: 'soaking', leftMs };
}
