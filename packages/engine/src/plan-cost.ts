/** What applying a plan would cost: from what the plan has read and its estimate to the terms that core works costs out by. */
import {
  costOf,
  type BuiltPlan,
  type CostEstimate,
  type Estimate,
  type KeysAndBytes,
  type MigrationSpec,
} from '@keyferry/core';
import type { Engine } from './migration.ts';

/** Null: nothing is billed by use, or nobody asks. */
export function costEstimate(
  { source, target }: Pick<Engine, 'source' | 'target'>,
  spec: MigrationSpec,
  { totals, itemUnits, targetKeys, chunks, changesListed }: BuiltPlan,
  { transactions, workers }: Estimate,
  scanMs: number,
): CostEstimate | null {
  if (spec.costs === undefined) return null;
  const { create, overwrite, delete: deleted, equal, conflict, blocked } = totals.actions;
  const image = sumOf([create, overwrite, equal, conflict, blocked]);
  const meanBytes = image.keys === 0 ? 0 : image.bytes / image.keys;
  // As it is when apply checks the plan, and as it is to be when it verifies.
  const targetRecords = targetKeys + totals.targetOnly + (image.keys + totals.targetOnly);
  const work = {
    sharedState: spec.costs.sharedState,
    source: source.capabilities.billing ?? null,
    target: target.capabilities.billing ?? null,
    sourceRead: image,
    targetRead: { keys: targetRecords, bytes: Math.round(targetRecords * meanBytes) },
    changes: { ...sumOf([create, overwrite, deleted]), itemUnits },
    // What stood there before an overwrite is taken to be as large as what comes.
    keptBytes: spec.keepBefore ? overwrite.bytes + deleted.bytes : 0,
    changesListed,
    transactions,
    chunks,
    workers,
    functions: spec.runLimits.functions,
    ratePerSecond: spec.runLimits.ratePerSecond,
    scanMs,
  };
  return costOf(work, spec.costs.prices);
}

const sumOf = (volumes: readonly KeysAndBytes[]): KeysAndBytes => ({
  keys: volumes.reduce((sum, { keys }) => sum + keys, 0),
  bytes: volumes.reduce((sum, { bytes }) => sum + bytes, 0),
});
