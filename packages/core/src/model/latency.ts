/**
 * Latencies as a sketch: counts in buckets that grow by a quarter of a doubling, so that two sketches merge by adding
 * and a quantile is at most 19 % too high. A list of durations would not stay small, an average would hide the tail.
 */

/** Bucket and count, ascending, buckets that are empty left out. */
export type LatencySketch = readonly (readonly [bucket: number, count: number])[];

/** Everything up to 1/8 ms is in the first bucket, everything over two minutes in the last. */
const bucketMax = 80;
const bucketsPerDoubling = 4;
const firstUpperMs = 1 / 8;

export function latencyBucket(ms: number): number {
  if (!(ms > firstUpperMs)) return 0;
  return Math.min(bucketMax, Math.ceil(bucketsPerDoubling * Math.log2(ms / firstUpperMs)));
}

/** The longest latency that the bucket stands for. */
export function bucketUpperMs(bucket: number): number {
  return firstUpperMs * 2 ** (bucket / bucketsPerDoubling);
}

export function addLatency(sketch: LatencySketch, ms: number): LatencySketch {
  return mergeLatencies(sketch, [[latencyBucket(ms), 1]]);
}

export function mergeLatencies(a: LatencySketch, b: LatencySketch): LatencySketch {
  const counts = new Map(a);
  for (const [bucket, count] of b) counts.set(bucket, (counts.get(bucket) ?? 0) + count);
  return [...counts].toSorted(([x], [y]) => x - y);
}

export function latencyCount(sketch: LatencySketch): number {
  return sketch.reduce((sum, [, count]) => sum + count, 0);
}

/** @param share 0.99 for p99. Null when nothing was measured. */
export function quantileMs(sketch: LatencySketch, share: number): number | null {
  const wanted = share * latencyCount(sketch);
  let seen = 0;
  for (const [bucket, count] of sketch) {
    seen += count;
    if (seen >= wanted) return bucketUpperMs(bucket);
  }
  return null;
}
