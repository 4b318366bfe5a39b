/** The course of a run as it is drawn and told: rates and latencies from its samples. Pure. */
import {
  bucketUpperMs,
  latencyCount,
  mergeLatencies,
  mergeSamples,
  quantileMs,
  type LatencySketch,
  type RunRecord,
  type RunSample,
} from '@keyferry/core';

export interface Step {
  readonly fromMs: number;
  readonly toMs: number;
  /** Records dealt with a second. */
  readonly perSecond: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  /** Requests that write and failed. */
  readonly failures: number;
}

export interface Course {
  readonly steps: readonly Step[];
  /** From the run's start to the last thing that it wrote or read. */
  readonly endMs: number;
  readonly records: number;
  readonly requests: number;
  readonly failures: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly slowestMs: number | null;
}

export function courseOf({ samples: { samples, spanMs }, chunks }: RunRecord): Course {
  const lastSampleMs = samples.length * spanMs;
  const lastChunkMs = Math.max(0, ...chunks.map(({ toMs }) => toMs));
  // The last sample is rarely a full one; where its chunks ended says how long it was.
  const isInLast = lastChunkMs > lastSampleMs - spanMs && lastChunkMs < lastSampleMs;
  const endMs = isInLast ? lastChunkMs : Math.max(lastSampleMs, lastChunkMs);
  const drawn = withoutStub(samples, endMs - (samples.length - 1) * spanMs < spanMs / 2);
  const steps = drawn.map((sample, i): Step => {
    const fromMs = i * spanMs;
    const toMs = i === drawn.length - 1 ? endMs : fromMs + spanMs;
    return {
      fromMs,
      toMs,
      perSecond: ((sample.written + sample.other) * 1000) / Math.max(1, toMs - fromMs),
      p50Ms: quantileMs(sample.writes, 0.5),
      p99Ms: quantileMs(sample.writes, 0.99),
      failures: sample.failures,
    };
  });
  const all = samples.reduce<LatencySketch>((sum, { writes }) => mergeLatencies(sum, writes), []);
  const slowest = all.at(-1)?.[0];
  return {
    steps,
    endMs,
    records: samples.reduce((sum, { written, other }) => sum + written + other, 0),
    requests: latencyCount(all),
    failures: samples.reduce((sum, { failures }) => sum + failures, 0),
    p50Ms: quantileMs(all, 0.5),
    p99Ms: quantileMs(all, 0.99),
    slowestMs: slowest === undefined ? null : bucketUpperMs(slowest),
  };
}

/** A last sample that is a stub goes into the one before it: a rate over an instant would tower over all others. */
function withoutStub(samples: readonly RunSample[], isStub: boolean): readonly RunSample[] {
  const [before, last] = samples.slice(-2);
  if (!isStub || before === undefined || last === undefined) return samples;
  return [...samples.slice(0, -2), mergeSamples(before, last)];
}

/** From the first record to the last, the verify behind them left out. */
export function meanRate({ records, endMs }: Course): number {
  return endMs > 0 ? (records * 1000) / endMs : 0;
}
