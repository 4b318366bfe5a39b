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
  imageRule,
  keyFromJson,
  noCounts,
  toSourceKey,
  type ChunkCounts,
  type ChunkState,
  type DeadLetter,
  type Key,
  type MigrationSpec,
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

/** Source records that a letter stands for: several only where all of them would get one key. */
export const recordsOf = ({ unplaced }: DeadLetter): number => unplaced?.count ?? 1;

/** What this letter changes about its chunk's own counts: nothing while it is dead. */
export function resolvedBy(letter: DeadLetter): ChunkCounts {
  const { resolved } = letter;
  if (resolved === null) return noCounts;
  return addCounts({ ...noCounts, deadLetters: -recordsOf(letter) }, endOf(letter, resolved.as));
}

/** Of several records that were in each other's way one has got the key, and the others are in its way no more. */
export function endOf(letter: DeadLetter, as: LetterEnd): ChunkCounts {
  return addCounts({ ...noCounts, [as]: 1 }, { ...noCounts, notCarried: recordsOf(letter) - 1 });
}

/** Where scans and chunks meet the record of a letter: in the source, or in the image that is sorted first. */
export function placeOf({ targetKey }: DeadLetter, spec: MigrationSpec): Key {
  return toSourceKey(imageRule(spec).rule, keyFromJson(targetKey));
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
export function isCounted(letter: DeadLetter, { phase, progress }: ChunkState, spec: MigrationSpec): boolean {
  if (phase === 'done') return true;
  return progress.cursor !== null && placeOf(letter, spec) <= keyFromJson(progress.cursor);
}

/**
 * Before a worker goes on with a chunk that another one had: letters that were named and that no checkpoint passed go
 * away. Their records come up again, and those that can be written by then would be dead and written at once. Only behind
 * the claim: before it, a checkpoint of the former worker may still be on its way, and would count what was dropped.
 */
export async function dropUncountedLetters(
  env: Environment,
  spec: MigrationSpec,
  scope: string,
  claim: ChunkState,
): Promise<void> {
  for await (const letters of openLetters(env, scope)) {
    for (const { id, item, version } of letters) {
      if (item.chunk !== claim.chunk || isCounted(item, claim, spec)) continue;
      await withRetry(env, 'drop letter', () => env.state.remove('dead-letter', scope, id, version));
    }
  }
}
