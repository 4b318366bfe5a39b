/**
 * Function `dispatch`: takes up the plan that was submitted, and says what is next and how it can be shared out: its
 * `items` are what a Distributed Map hands to `backfill` or `verify`. Where the deployment has a queue, those of `backfill`
 * go into it instead; chunks are verified by ticks then.
 */
import { dispatchSlice, type ChunkSpan, type DispatchSlice } from '@keyferry/engine';
import { fillQueue, queuedItemsMax, workQueue } from '../runtime/fan-out.ts';
import { handlerOf, type Answer } from '../runtime/invocation.ts';
import { count } from '../runtime/metrics.ts';

type Item = ChunkSpan & { readonly plan: string | null };

export interface Dispatched extends Omit<DispatchSlice, 'spans'> {
  /** Empty where they go into a queue. */
  readonly items: readonly Item[];
  /** How many went into the queue: 0 while there are some in it; null: there is no queue. */
  readonly queued: number | null;
}

/** Items for each function that may work at once: so that a slow one does not hold up the end. */
const itemsPerFunction = 8;
/** An answer of Step Functions holds 256 KiB. */
const itemsMax = 2000;

export const handler = handlerOf('dispatch', async (invocation): Promise<Answer<Dispatched>> => {
  const { environment, spec, deadline, holder, home, command } = invocation;
  const queue = workQueue();
  const spansMax = queue === null ? Math.min(itemsMax, itemsPerFunction * spec.runLimits.functions) : queuedItemsMax;
  const request = { deadline, holder, home, command, spansMax };
  const { spans, ...slice } = await dispatchSlice(environment.engine, spec, request);
  const items = spans.map((span) => ({ ...span, plan: slice.plan }));
  const isQueued = queue !== null && slice.next === 'backfill';
  const queued = isQueued ? await fillQueue(environment.engine, queue, items) : null;
  return {
    result: { ...slice, items: isQueued ? [] : items, queued },
    logged: { ...slice, items: items.length, queued },
    metrics: {
      ...(queued === null ? {} : { ItemsQueued: count(queued) }),
      Refused: count(slice.outcome === 'stopped' ? 1 : 0),
    },
  };
});
