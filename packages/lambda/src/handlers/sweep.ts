/** Function `sweep`: frees chunks of functions that died, and says how far the migration is, for people and alarms. */
import { scannedOf } from '@keyferry/core';
import { sweepSlice, type SweepSlice } from '@keyferry/engine';
import { handlerOf, type Answer } from '../runtime/invocation.ts';
import { count, type Metric } from '../runtime/metrics.ts';

export const handler = handlerOf('sweep', async (invocation): Promise<Answer<SweepSlice>> => {
  const { environment, spec, deadline, holder, home } = invocation;
  const slice = await sweepSlice(environment.engine, spec, { deadline, holder, home });
  return { result: slice, logged: slice, metrics: slice.counts === null ? {} : metricsOf(slice, slice.counts) };
});

function metricsOf(
  { total, freed, perSecond, stillMs, chunksDone, chunksTotal }: SweepSlice,
  counts: NonNullable<SweepSlice['counts']>,
): Readonly<Record<string, Metric>> {
  const share = total === null || total === 0 ? 1 : Math.min(1, scannedOf(counts) / total);
  return {
    Progress: { value: Math.round(share * 10_000) / 100, unit: 'Percent' },
    RecordsPerSecond: { value: Math.round(perSecond), unit: 'Count/Second' },
    Still: { value: Math.round(stillMs / 1000), unit: 'Seconds' },
    DeadLettersTotal: count(counts.deadLetters),
    ChunksDoneTotal: count(chunksDone),
    ChunksTotal: count(chunksTotal),
    ChunksFreed: count(freed.length),
  };
}
