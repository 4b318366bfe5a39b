/** What became of a batch: each record under exactly one count, and the letters for those that can never be written. */
import { noCounts, type ChunkCounts, type ChangeOutcome } from '@keyferry/core';
import type { Batch } from './chunk-batches.ts';

export function countOutcomes(
  outcomes: readonly ChangeOutcome[],
  { notCarried, unplaced }: Pick<Batch, 'notCarried' | 'unplaced'>,
): ChunkCounts {
  const counts = { ...noCounts, notCarried, deadLetters: unplaced.reduce((sum, { entry }) => sum + entry.count, 0) };
  for (const outcome of outcomes) counts[countOf(outcome)] += 1;
  return counts;
}

function countOf(outcome: ChangeOutcome): keyof ChunkCounts {
  switch (outcome.kind) {
    case 'written':
    case 'already-written':
      return 'written';
    case 'present':
      return outcome.equal ? 'equal' : 'kept';
    case 'tombstoned':
      return 'tombstoned';
    case 'missing':
    case 'deleted':
    case 'refused':
      return 'deadLetters';
  }
}

/** Why a record is a dead letter; null when it is none. */
export function deadLetterReason(outcome: ChangeOutcome): string | null {
  if (outcome.kind === 'refused') return outcome.detail;
  return outcome.kind === 'missing' ? 'the record to be overwritten is gone' : null;
}
