/** What the state says about the chunks of an attempt, added up: for progress, for the verdict, and for going back. */
import {
  addCounts,
  addDigests,
  digestsEqual,
  emptyDigest,
  noCounts,
  type ChunkCounts,
  type Digest,
  type MetChange,
} from '@keyferry/core';
import { resolvedLetters } from './dead-letters.ts';
import type { Environment } from './migration.ts';
import { listItems } from './state-items.ts';

export interface BackfillSummary {
  readonly counts: ChunkCounts;
  readonly chunksDone: number;
  readonly chunksTotal: number;
  /** Chunks whose permanent source records were not those of the plan any more when they were copied. */
  readonly moved: readonly string[];
  /** The first of the records that were to be overwritten or deleted, and that were left because they had changed. */
  readonly met: readonly MetChange[];
  /** What the plan said of the permanent records of the source, all chunks together. */
  readonly plannedPermanent: Digest;
}

export async function summarizeChunks(env: Environment, scope: string): Promise<BackfillSummary> {
  let counts = noCounts;
  let chunksDone = 0;
  let chunksTotal = 0;
  let plannedPermanent = emptyDigest;
  const moved: string[] = [];
  const planned = listItems(env, 'chunk-plan', scope);
  for await (const entries of listItems(env, 'chunk', scope)) {
    // Both are registered together, under the same ids: their pages run side by side.
    const plans = (await planned.next()).value ?? [];
    for (const [i, { item }] of entries.entries()) {
      const plan = plans[i]?.item;
      chunksTotal += 1;
      counts = addCounts(counts, item.progress.counts);
      if (plan !== undefined) plannedPermanent = addDigests(plannedPermanent, plan.permanent);
      if (item.phase !== 'done') continue;
      chunksDone += 1;
      if (plan !== undefined && !digestsEqual(plan.permanent, item.progress.digest)) moved.push(item.chunk);
    }
  }
  counts = addCounts(counts, await resolvedLetters(env, scope));
  return { counts, chunksDone, chunksTotal, moved, met: await firstMetChanges(env, scope), plannedPermanent };
}

/** Records that are named; all of them are counted. */
const metNamed = 20;

async function firstMetChanges(env: Environment, scope: string): Promise<readonly MetChange[]> {
  for await (const entries of listItems(env, 'met-change', scope, { after: null, itemsMax: metNamed })) {
    return entries.map(({ item }) => item);
  }
  return [];
}
