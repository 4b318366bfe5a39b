/** The chunks that an event asks for, and the answer that its sender understands. */
import type { ChunkId, MigrationState } from '@keyferry/core';
import type { SliceEnd } from '@keyferry/engine';
import type { SQSBatchResponse } from 'aws-lambda';
import { isQueueEvent, parseItem, queueAnswer, queuedItems, type WorkItem } from './events.ts';
import { giveBack, workQueue } from './fan-out.ts';
import { host } from './function-environment.ts';
import type { Invocation } from './invocation.ts';

/** What every slice that works on chunks says of those that it was asked for. */
interface ChunkSlice extends Pick<SliceEnd, 'outcome'> {
  readonly left: readonly ChunkId[] | null;
}

export interface ChunkWork {
  /** Null: whatever is to be done. */
  readonly chunks: readonly ChunkId[] | null;
  answer<T extends ChunkSlice>(slice: T): Promise<T | SQSBatchResponse>;
}

/** @throws {TypeError} when a direct call or an item of a map is malformed; a message of a queue is answered instead */
export async function workOf({ event, environment }: Invocation): Promise<ChunkWork> {
  const current = await currentPlan(environment.engine.state, environment.migration);
  // Work for a plan that is not the one at hand is over.
  const isCurrent = ({ plan }: WorkItem): boolean => plan === null || plan === current;
  if (isQueueEvent(event)) {
    const items = queuedItems(event);
    const asked = items.flatMap(({ item }) => (item !== null && isCurrent(item) ? item.chunks : []));
    return {
      chunks: asked,
      answer: async ({ left, outcome }) => {
        const open = new Set(left);
        const answer = queueAnswer(items, (item) => !isCurrent(item) || !item.chunks.some((chunk) => open.has(chunk)));
        const queue = workQueue();
        if (queue !== null) await giveBack(queue, host, items, answer, outcome);
        return answer;
      },
    };
  }
  const item = parseItem(event);
  return { chunks: item === null ? null : isCurrent(item) ? item.chunks : [], answer: async (slice) => slice };
}

async function currentPlan(
  state: Invocation['environment']['engine']['state'],
  migration: string,
): Promise<MigrationState['plan'] | null> {
  return (await state.read('migration', 'migrations', migration))?.item.plan ?? null;
}
