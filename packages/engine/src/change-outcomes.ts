/** What became of a batch: each record under exactly one count, and what is to be named of those that were left. */
import {
  noCounts,
  type ChangeOutcome,
  type ChunkCounts,
  type GuardedChange,
  type Key,
  type MetChange,
  type Unplaced,
} from '@keyferry/core';
import type { Batch } from './chunk-batches.ts';

/** One for each change of a batch; or all of them are written, and nobody looks at one. */
export type BatchOutcomes = readonly ChangeOutcome[] | 'all-written';

export function countOutcomes(batch: Batch, outcomes: BatchOutcomes): ChunkCounts {
  const deadLetters = batch.unplaced.reduce((sum, { entry }) => sum + entry.count, 0);
  const counts = { ...noCounts, notCarried: batch.notCarried, deletesChanged: batch.spared.length, deadLetters };
  if (outcomes === 'all-written') return { ...counts, written: batch.size };
  for (const [i, outcome] of outcomes.entries()) counts[countOf(batch.changes[i] as GuardedChange, outcome)] += 1;
  return counts;
}

export function countOf(change: GuardedChange, outcome: ChangeOutcome): keyof ChunkCounts {
  if (change.kind === 'delete') {
    if (outcome.kind === 'deleted') return 'deleted';
    return outcome.kind === 'missing' ? 'deletesGone' : 'deletesChanged';
  }
  const isOverwrite = change.expect !== 'absent';
  switch (outcome.kind) {
    case 'written':
    case 'already-written':
      return isOverwrite ? 'overwritten' : 'written';
    case 'present':
      if (outcome.equal) return 'equal';
      return isOverwrite ? 'changed' : 'kept';
    case 'tombstoned':
      return 'tombstoned';
    case 'missing':
    case 'deleted':
      return 'changed';
    case 'refused':
      return 'deadLetters';
  }
}

/** Every target key of a batch with the count that it is under. */
export function* settledKeys(batch: Batch, outcomes: BatchOutcomes): Generator<[Key, keyof ChunkCounts]> {
  for (const [i, change] of batch.changes.entries()) {
    yield [change.key, outcomes === 'all-written' ? 'written' : countOf(change, outcomes[i] as ChangeOutcome)];
  }
  for (const key of batch.spared) yield [key, 'deletesChanged'];
  for (const { targetKey } of batch.unplaced) yield [targetKey, 'deadLetters'];
}

/** Why a source record is a dead letter; null when it is none. */
export function deadLetterReason(change: GuardedChange, outcome: ChangeOutcome): string | null {
  return outcome.kind === 'refused' && change.kind === 'put' ? outcome.detail : null;
}

/** Why records without a place are a dead letter. */
export const unplacedReason = ({ reason, detail }: Unplaced): string => `${reason}: ${detail}`;

export type Met = Pick<MetChange, 'action' | 'what'> & { readonly key: Key };

/** The records of a batch that were to be overwritten or deleted, and were left because they are not the planned ones. */
export function metChanges(batch: Batch, outcomes: BatchOutcomes): readonly Met[] {
  const met: Met[] = batch.spared.map((key) => ({ key, action: 'delete', what: 'it is in the source by now' }));
  if (outcomes === 'all-written') return met;
  for (const [i, outcome] of outcomes.entries()) {
    const change = batch.changes[i] as GuardedChange;
    const counted = countOf(change, outcome);
    if (counted !== 'changed' && counted !== 'deletesChanged') continue;
    const action = change.kind === 'delete' ? 'delete' : 'overwrite';
    met.push({ key: change.key, action, what: whatHappened(outcome) });
  }
  return met;
}

function whatHappened(outcome: ChangeOutcome): string {
  if (outcome.kind === 'refused') return outcome.detail;
  return outcome.kind === 'present' ? 'changed in the target' : 'gone from the target';
}
