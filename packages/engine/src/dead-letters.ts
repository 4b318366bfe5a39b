/**
 * Dead letters of an attempt, and how they are counted.
 *
 *     a chunk's counts     every letter behind its cursor, for good
 *     resolved letters     taken from the dead ones and put where they belong now
 *
 * So the letter is its own ledger: it is settled and counted by one conditional write, whatever dies in between.
 */
import {
  addCounts,
  keyFromJson,
  noCounts,
  type ChunkCounts,
  type ChunkState,
  type DeadLetter,
  type StateEntry,
} from '@keyferry/core';
import type { Environment } from './migration.ts';
import { withRetry } from './retry.ts';
import { listItems } from './state-items.ts';

export type LetterEnd = NonNullable<DeadLetter['resolved']>['as'];

/** What resolved letters change about the sum of the chunks' own counts. */
export async function resolvedLetters(env: Environment, scope: string): Promise<ChunkCounts> {
  let counts = noCounts;
  for await (const letters of listItems(env, 'dead-letter', scope)) {
    for (const { item } of letters) counts = addCounts(counts, resolvedBy(item));
  }
  return counts;
}

/** What this letter changes about its chunk's own counts: nothing while it is dead. */
export function resolvedBy({ resolved }: DeadLetter): ChunkCounts {
  return resolved === null ? noCounts : { ...noCounts, deadLetters: -1, [resolved.as]: 1 };
}

/** Pages of the letters that are still dead. */
export async function* openLetters(
  env: Environment,
  scope: string,
): AsyncGenerator<readonly StateEntry<'dead-letter'>[]> {
  for await (const letters of listItems(env, 'dead-letter', scope)) {
    yield letters.filter(({ item }) => item.resolved === null);
  }
}

/** Whether the chunk's own counts have it: what lies behind the cursor has not been dealt with. */
export function isCounted({ sourceKey }: DeadLetter, { phase, progress }: ChunkState): boolean {
  if (phase === 'done') return true;
  return progress.cursor !== null && keyFromJson(sourceKey) <= keyFromJson(progress.cursor);
}

/**
 * Before a run goes on: letters that a worker named and no checkpoint passed go away. Their records come up again, and
 * those that can be written by then would be dead and written at once.
 */
export async function dropUncountedLetters(env: Environment, scope: string): Promise<void> {
  for await (const letters of openLetters(env, scope)) {
    for (const { id, item, version } of letters) {
      const chunk = await withRetry(env, 'state', () => env.state.read('chunk', scope, item.chunk));
      if (chunk === null || isCounted(item, chunk.item)) continue;
      await withRetry(env, 'drop letter', () => env.state.remove('dead-letter', scope, id, version));
    }
  }
}
