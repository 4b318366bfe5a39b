/**
 * Function `dispatch`: takes up the plan that was submitted, and says what is next and how it can be shared out: its
 * `items` are what a Distributed Map hands to `backfill` or `verify`.
 */
import { dispatchSlice, type ChunkSpan, type DispatchSlice } from '@keyferry/engine';
import { handlerOf, type Answer } from '../runtime/invocation.ts';
import { count } from '../runtime/metrics.ts';

export interface Dispatched extends Omit<DispatchSlice, 'spans'> {
  readonly items: readonly (ChunkSpan & { readonly plan: string | null })[];
}

/** Items for each function that may work at once: so that a slow one does not hold up the end. */
const itemsPerFunction = 8;
/** An answer of Step Functions holds 256 KiB. */
const itemsMax = 2000;

export const handler = handlerOf('dispatch', async (invocation): Promise<Answer<Dispatched>> => {
  const { environment, spec, deadline, holder, home, command } = invocation;
  const spansMax = Math.min(itemsMax, itemsPerFunction * spec.runLimits.functions);
  const request = { deadline, holder, home, command, spansMax };
  const { spans, ...slice } = await dispatchSlice(environment.engine, spec, request);
  const items = spans.map((span) => ({ ...span, plan: slice.plan }));
  return {
    result: { ...slice, items },
    logged: { ...slice, items: items.length },
    metrics: { Refused: count(slice.outcome === 'stopped' ? 1 : 0) },
  };
});
