/**
 * Function `verify`: compares both sides chunk by chunk once all are copied; the last one to find nothing left writes the
 * verdict. `{ again: true }` begins another verification behind one that came to its end.
 */
import { verifySlice, type VerifySlice } from '@keyferry/engine';
import type { SQSBatchResponse } from 'aws-lambda';
import { workOf } from '../runtime/chunk-work.ts';
import { flagOf } from '../runtime/events.ts';
import { handlerOf, type Answer } from '../runtime/invocation.ts';
import { count } from '../runtime/metrics.ts';

export const handler = handlerOf('verify', async (invocation): Promise<Answer<VerifySlice | SQSBatchResponse>> => {
  const { environment, spec, deadline, holder, home, command, event } = invocation;
  const work = await workOf(invocation);
  const request = { deadline, holder, home, command, chunks: work.chunks, again: flagOf(event, 'again') };
  const slice = await verifySlice(environment.engine, spec, request);
  const { chunksDone, verdict, deviations } = slice;
  const ended = verdict === null ? {} : { Deviations: count(deviations.length) };
  return { result: await work.answer(slice), logged: slice, metrics: { ChunksVerified: count(chunksDone), ...ended } };
});
