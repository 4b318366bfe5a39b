/**
 * Function `backfill`: copies chunks until its time runs out. Called by a schedule, for a queue, by a Distributed Map, or
 * directly; any number of it at once.
 */
import { scannedOf } from '@keyferry/core';
import { backfillSlice, type BackfillSlice } from '@keyferry/engine';
import type { SQSBatchResponse } from 'aws-lambda';
import { workOf } from '../runtime/chunk-work.ts';
import { handlerOf, type Answer } from '../runtime/invocation.ts';
import { count, milliseconds } from '../runtime/metrics.ts';

export const handler = handlerOf('backfill', async (invocation): Promise<Answer<BackfillSlice | SQSBatchResponse>> => {
  const { environment, spec, deadline, holder, home } = invocation;
  const work = await workOf(invocation);
  const slice = await backfillSlice(environment.engine, spec, { deadline, holder, home, chunks: work.chunks });
  const { counts, chunksDone, slowestMs, failures } = slice;
  return {
    result: await work.answer(slice),
    logged: slice,
    metrics: {
      RecordsDone: count(scannedOf(counts)),
      RecordsWritten: count(counts.written + counts.overwritten + counts.deleted),
      DeadLetters: count(counts.deadLetters),
      ChunksDone: count(chunksDone),
      RequestFailures: count(failures),
      SlowestRequest: milliseconds(slowestMs),
    },
  };
});
