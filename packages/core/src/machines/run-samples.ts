/**
 * What a run keeps of itself for its report, in a size that does not grow with it.
 *
 *     100 ms | 100 ms | …      200 samples, then each two become one:      200 ms | 200 ms | …
 *
 * Samples stand at fixed places on the run's own clock, so merging loses no record and no write, only sharpness; and the
 * order in which workers report does not matter. Chunks by worker are kept the same way: two neighbours of a worker
 * become one when there are too many. So the whole record is one item of the state, whatever the run's length.
 */
import type { ChunkId } from '../model/ids.ts';
import { addLatency, mergeLatencies, type LatencySketch } from '../model/latency.ts';

export const samplesMax = 200;
export const chunkSpansMax = 300;
const firstSpanMs = 100;

/** What happened in one stretch of a run. */
export interface RunSample {
  readonly written: number;
  /** Dealt with and not written: equal, kept, tombstoned, dead letters, not carried. */
  readonly other: number;
  /** Requests that write and failed; they were repeated, or ended the run. */
  readonly failures: number;
  /** Of single requests that write. */
  readonly writes: LatencySketch;
}

export interface RunSamples {
  /** Length of each sample. */
  readonly spanMs: number;
  /** The first begins when the run does. */
  readonly samples: readonly RunSample[];
}

/** A worker on a chunk, or on several in a row. */
export interface ChunkSpan {
  readonly worker: number;
  /** The first of them. */
  readonly chunk: ChunkId;
  readonly chunks: number;
  /** Since the run began. */
  readonly fromMs: number;
  readonly toMs: number;
}

const nothing: RunSample = { written: 0, other: 0, failures: 0, writes: [] };

export function mergeSamples(a: RunSample, b: RunSample): RunSample {
  return {
    written: a.written + b.written,
    other: a.other + b.other,
    failures: a.failures + b.failures,
    writes: mergeLatencies(a.writes, b.writes),
  };
}

/** Neighbours become one; the last one stays alone where their number is odd. */
export function halveSamples({ spanMs, samples }: RunSamples): RunSamples {
  const halved: RunSample[] = [];
  for (let i = 0; i < samples.length; i += 2) {
    halved.push(mergeSamples(samples[i] as RunSample, samples[i + 1] ?? nothing));
  }
  return { spanMs: spanMs * 2, samples: halved };
}

/** Samples as they come in. */
export class SampleSeries {
  private spanMs = firstSpanMs;
  private samples: RunSample[] = [];

  /** @param atMs since the run began; may be any earlier time too */
  addRecords(atMs: number, written: number, other: number): void {
    this.add(atMs, (sample) => ({ ...sample, written: sample.written + written, other: sample.other + other }));
  }

  addWrite(atMs: number, latencyMs: number): void {
    this.add(atMs, (sample) => ({ ...sample, writes: addLatency(sample.writes, latencyMs) }));
  }

  addFailure(atMs: number): void {
    this.add(atMs, (sample) => ({ ...sample, failures: sample.failures + 1 }));
  }

  value(): RunSamples {
    return { spanMs: this.spanMs, samples: [...this.samples] };
  }

  private add(atMs: number, change: (sample: RunSample) => RunSample): void {
    while (atMs >= this.spanMs * samplesMax) {
      const { spanMs, samples } = halveSamples(this.value());
      [this.spanMs, this.samples] = [spanMs, [...samples]];
    }
    const index = Math.max(0, Math.floor(atMs / this.spanMs));
    while (this.samples.length <= index) this.samples.push(nothing);
    this.samples[index] = change(this.samples[index] as RunSample);
  }
}

/** Two neighbours of one worker become one. */
export function halveSpans(spans: readonly ChunkSpan[]): readonly ChunkSpan[] {
  const halved: ChunkSpan[] = [];
  const waiting = new Map<number, number>();
  for (const span of spans) {
    const at = waiting.get(span.worker);
    const before = at === undefined ? undefined : halved[at];
    if (at === undefined || before === undefined) {
      waiting.set(span.worker, halved.push(span) - 1);
      continue;
    }
    halved[at] = {
      ...before,
      chunks: before.chunks + span.chunks,
      fromMs: Math.min(before.fromMs, span.fromMs),
      toMs: Math.max(before.toMs, span.toMs),
    };
    waiting.delete(span.worker);
  }
  return halved;
}

export function addSpan(spans: readonly ChunkSpan[], span: ChunkSpan): readonly ChunkSpan[] {
  const all = [...spans, span];
  return all.length > chunkSpansMax ? halveSpans(all) : all;
}
