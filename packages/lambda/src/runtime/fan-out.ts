/**
 * Sharing chunks out by a queue, where the deployment has one.
 *
 *     dispatch ──queue is empty, something is left──► items ──► backfill ──done──► gone
 *                                                        ▲          └──left──► again, soon
 *
 * Nothing is remembered of what was sent: the state knows what is done, the queue knows what is under way. So items that
 * were lost, or ended in the dead-letter queue, are sent again once the queue has run dry; and as its numbers are
 * approximate, items may be in it twice, which costs a look at chunks that are done.
 */
import { openWorkQueue, type WorkQueue } from '@keyferry/adapters';
import { KeyferryError } from '@keyferry/core';
import { withRetry, type Environment, type SliceEnd } from '@keyferry/engine';
import type { SQSBatchResponse } from 'aws-lambda';
import type { QueuedItem } from './events.ts';
import type { FunctionHost } from './function-host.ts';
import { queueVariable } from './queue-variable.ts';

/** Small items, so that each is done within one invocation, and few enough to be sent within seconds. */
export const queuedItemsMax = 10_000;

/** Null: chunks get to functions in another way. */
export function workQueue(env: NodeJS.ProcessEnv = process.env): WorkQueue | null {
  const url = env[queueVariable] ?? '';
  return url === '' ? null : openWorkQueue(url, env);
}

/** @returns how many items it took: 0 when there are some in it. @throws {KeyferryError} `queue.unreachable`, `queue.unusable` */
export async function fillQueue(
  env: Pick<Environment, 'clock' | 'random' | 'host'>,
  queue: WorkQueue,
  items: readonly object[],
): Promise<number> {
  const depth = await withRetry(env, 'depth of the queue', () => queue.depth());
  if (depth > 0) return 0;
  return await withRetry(env, 'items into the queue', () => queue.send(items.map((item) => JSON.stringify(item))));
}

/**
 * How soon an item comes again, by why it is not done: its time ran out; others have its chunks, for as long as a lease may
 * last; somebody paused it, or nothing was begun.
 */
const comesAgainAfterS: Readonly<Record<SliceEnd['outcome'], number>> = {
  done: 0,
  more: 0,
  waiting: 30,
  idle: 60,
  stopped: 900,
};

/**
 * Has the items that were not done come again before the queue itself would hand them out, which is six timeouts later.
 * That it cannot be reached is no failure: they come then.
 */
export async function giveBack(
  queue: WorkQueue,
  host: Pick<FunctionHost, 'log'>,
  items: readonly QueuedItem[],
  { batchItemFailures }: SQSBatchResponse,
  outcome: SliceEnd['outcome'],
): Promise<void> {
  const failed = new Set(batchItemFailures.map(({ itemIdentifier }) => itemIdentifier));
  const records = items.flatMap(({ item, record }) => (item !== null && failed.has(record.messageId) ? [record] : []));
  const given = await Promise.allSettled(
    records.map(({ receiptHandle }) => queue.giveBack(receiptHandle, comesAgainAfterS[outcome])),
  );
  for (const each of given) {
    if (each.status === 'fulfilled') continue;
    if (!(each.reason instanceof KeyferryError)) throw each.reason;
    host.log('warning', each.reason.code, { text: each.reason.message });
  }
}
