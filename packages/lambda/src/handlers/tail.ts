/**
 * Function `tail`, of strategy `replicate`: carries what changed since the last invocation, and ends. Whatever calls it is a
 * tick: a schedule, a person. So is a batch of a stream of DynamoDB, which beside that is answered: what is not carried comes
 * again (SPEC R141).
 */
import { tailSlice, wokenTailSlice, type TailSlice } from '@keyferry/engine';
import type { DynamoDBBatchResponse } from 'aws-lambda';
import { isStreamEvent, streamAnswer, streamNotices } from '../runtime/events.ts';
import { handlerOf, type Answer } from '../runtime/invocation.ts';
import { count, milliseconds, type Metric } from '../runtime/metrics.ts';

export const handler = handlerOf('tail', async (invocation): Promise<Answer<TailSlice | DynamoDBBatchResponse>> => {
  const { environment, spec, deadline, holder, command, event } = invocation;
  const request = { deadline, holder, command };
  if (!isStreamEvent(event)) {
    const slice = await tailSlice(environment.engine, spec, request);
    return { result: slice, logged: slice, metrics: metricsOf(slice) };
  }
  const notices = streamNotices(event);
  const { left, ...slice } = await wokenTailSlice(environment.engine, spec, request, notices);
  return {
    result: streamAnswer(left),
    logged: { ...slice, notices: notices.length, left: left.length },
    metrics: { ...metricsOf(slice), Notices: count(notices.length), NoticesLeft: count(left.length) },
  };
});

function metricsOf({ carried, lag, refusedTotal, outcome }: TailSlice): Readonly<Record<string, Metric>> {
  return {
    Carried: count(carried.puts + carried.deletes),
    Reconciled: count(carried.reconciled),
    Refused: count(refusedTotal + (outcome === 'stopped' ? 1 : 0)),
    ...(lag === null ? {} : { Lag: milliseconds(Math.round(lag.ms)) }),
  };
}
