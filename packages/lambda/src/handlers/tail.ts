/**
 * Function `tail`, of strategy `replicate`: carries what changed since the last invocation, and ends. Whatever calls it is a
 * tick: a schedule, a stream of the source, a person.
 */
import { tailSlice, type TailSlice } from '@keyferry/engine';
import { handlerOf, type Answer } from '../runtime/invocation.ts';
import { count, milliseconds } from '../runtime/metrics.ts';

export const handler = handlerOf('tail', async (invocation): Promise<Answer<TailSlice>> => {
  const { environment, spec, deadline, holder, command } = invocation;
  const slice = await tailSlice(environment.engine, spec, { deadline, holder, command });
  const { carried, lag, refusedTotal, outcome } = slice;
  return {
    result: slice,
    logged: slice,
    metrics: {
      Carried: count(carried.puts + carried.deletes),
      Reconciled: count(carried.reconciled),
      Refused: count(refusedTotal + (outcome === 'stopped' ? 1 : 0)),
      ...(lag === null ? {} : { Lag: milliseconds(Math.round(lag.ms)) }),
    },
  };
});
