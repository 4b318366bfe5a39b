/**
 * Goal: what a run keeps of itself stays small and loses no record, write or chunk.
 * Method: laws over generated observations, in any order, over runs from milliseconds to days.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ChunkId } from '../model/ids.ts';
import { bucketUpperMs, latencyBucket, latencyCount, mergeLatencies, quantileMs } from '../model/latency.ts';
import { addSpan, chunkSpansMax, halveSamples, SampleSeries, samplesMax, type ChunkSpan } from './run-samples.ts';

const anyTimeMs = fc.oneof(fc.nat(30_000), fc.nat(4 * 86_400_000));
const anyObservation = fc.record({ atMs: anyTimeMs, written: fc.nat(500), other: fc.nat(20), latencyMs: fc.nat(5000) });

function seriesOf(all: readonly { atMs: number; written: number; other: number; latencyMs: number }[]) {
  const series = new SampleSeries();
  for (const { atMs, written, other, latencyMs } of all) {
    series.addRecords(atMs, written, other);
    series.addWrite(atMs, latencyMs);
  }
  return series.value();
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

describe('samples of a run', () => {
  it('law: none is lost, and there are never more than the maximum', () => {
    fc.assert(
      fc.property(fc.array(anyObservation, { maxLength: 60 }), (all) => {
        const { samples, spanMs } = seriesOf(all);
        expect(samples.length).toBeLessThanOrEqual(samplesMax);
        expect(sum(samples.map(({ written }) => written))).toBe(sum(all.map(({ written }) => written)));
        expect(sum(samples.map(({ other }) => other))).toBe(sum(all.map(({ other }) => other)));
        expect(sum(samples.map(({ writes }) => latencyCount(writes)))).toBe(all.length);
        expect(Math.max(0, ...all.map(({ atMs }) => atMs))).toBeLessThan(spanMs * samplesMax);
      }),
    );
  });

  it('law: the order in which workers report does not matter', () => {
    fc.assert(
      fc.property(fc.array(anyObservation, { maxLength: 30 }), (all) => {
        expect(seriesOf(all.toReversed())).toEqual(seriesOf(all));
      }),
    );
  });

  it('law: each observation is where its time is', () => {
    fc.assert(
      fc.property(anyTimeMs, anyTimeMs, (atMs, lastMs) => {
        const series = new SampleSeries();
        series.addRecords(atMs, 1, 0);
        series.addRecords(lastMs, 0, 1);
        const { samples, spanMs } = series.value();
        expect(samples.findIndex(({ written }) => written === 1)).toBe(Math.floor(atMs / spanMs));
      }),
    );
  });

  it('halving an odd number leaves the last one alone', () => {
    const series = new SampleSeries();
    for (const atMs of [0, 100, 200]) series.addRecords(atMs, 1, 0);
    expect(halveSamples(series.value())).toMatchObject({ spanMs: 200, samples: [{ written: 2 }, { written: 1 }] });
  });

  it('of a day of writes fit one item of any state store', () => {
    const series = new SampleSeries();
    for (let i = 0; i < 50_000; i += 1) {
      series.addRecords(i * 1728, 125, 3);
      series.addWrite(i * 1728, (i * 7919) % 60_000);
    }
    expect(JSON.stringify(series.value()).length).toBeLessThan(200_000);
  });
});

describe('chunks by worker', () => {
  const anySpan = fc.record({ worker: fc.nat(31), fromMs: fc.nat(100_000), lastsMs: fc.nat(5000) });

  it('law: none is lost, each stays with its worker, and there are never more than the maximum', () => {
    fc.assert(
      fc.property(fc.array(anySpan, { minLength: 250, maxLength: 900 }), (all) => {
        let spans: readonly ChunkSpan[] = [];
        for (const [i, { worker, fromMs, lastsMs }] of all.entries()) {
          spans = addSpan(spans, { worker, chunk: `c${i}` as ChunkId, chunks: 1, fromMs, toMs: fromMs + lastsMs });
          expect(spans.length).toBeLessThanOrEqual(chunkSpansMax);
        }
        for (const worker of new Set(all.map((each) => each.worker))) {
          const own = spans.filter((span) => span.worker === worker);
          expect(sum(own.map(({ chunks }) => chunks))).toBe(all.filter((each) => each.worker === worker).length);
        }
      }),
      { numRuns: 20 },
    );
  });
});

describe('latencies', () => {
  it('law: a quantile is never below the true one and at most 19 % above it', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0.2, max: 100_000, noNaN: true }), { minLength: 1 }),
        fc.constantFrom(0.5, 0.9, 0.99, 1),
        (all, share) => {
          const sketch = all.reduce<ReturnType<typeof mergeLatencies>>(
            (into, ms) => mergeLatencies(into, [[latencyBucket(ms), 1]]),
            [],
          );
          const truth = all.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(share * all.length) - 1)] as number;
          const told = quantileMs(sketch, share) as number;
          expect(told).toBeGreaterThanOrEqual(truth * (1 - 1e-9));
          expect(told).toBeLessThanOrEqual(truth * 1.19);
        },
      ),
    );
  });

  it.each([
    [0, 0],
    [0.125, 0],
    [0.126, 1],
    [Number.NaN, 0],
    [1e12, 80],
  ])('of %d ms are in bucket %i', (ms, bucket) => expect(latencyBucket(ms)).toBe(bucket));

  it('of nothing have no quantile', () => {
    expect(quantileMs([], 0.5)).toBeNull();
    expect(bucketUpperMs(4)).toBe(0.25);
  });
});
