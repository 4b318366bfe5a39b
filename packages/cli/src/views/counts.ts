/**
 * The counts of an apply as people read them, held against those of its plan. Deletes stand apart: what is deleted was in
 * the target, and is no part of what was scanned.
 */
import { noCounts, type ChunkCounts } from '@keyferry/core';
import type { ApplyResult } from '@keyferry/engine';
import { notCarriedCount } from './plan/not-carried.ts';

type CountKind = keyof ChunkCounts;

export const countLabels: Readonly<Record<CountKind, readonly [symbol: string, label: string, note: string]>> = {
  written: ['+', 'written', 'created by this migration'],
  overwritten: ['~', 'overwritten', 'in place of what the plan saw'],
  equal: ['=', 'equal', 'was there already'],
  changed: ['!', 'met a change', 'to be overwritten, but no longer as planned: left'],
  kept: ['!', 'kept', 'target differs'],
  tombstoned: ['x', 'tombstoned', 'deleted in the target meanwhile, not brought back'],
  deadLetters: ['x', 'dead letters', 'the target refused them'],
  notCarried: ['.', 'not carried', ''],
  deleted: ['-', 'deleted', 'was in the target only'],
  deletesGone: ['=', 'gone', 'to be deleted, and gone already'],
  deletesChanged: ['!', 'not deleted', 'no longer as planned: left'],
};
const sourceKinds = [
  'written',
  'overwritten',
  'equal',
  'changed',
  'kept',
  'tombstoned',
  'deadLetters',
  'notCarried',
] as const satisfies readonly CountKind[];
const deleteKinds = ['deleted', 'deletesGone', 'deletesChanged'] as const satisfies readonly CountKind[];
/** Lines that stand only where there is something to say: most migrations only create. */
const whereSome: ReadonlySet<CountKind> = new Set(['overwritten', 'changed', ...deleteKinds]);

/** The lines to be shown, in order: of what was scanned, and of what was in the target alone. */
export function shownCounts(...columns: readonly (ChunkCounts | null)[]) {
  const isShown = (kind: CountKind): boolean =>
    !whereSome.has(kind) || columns.some((counts) => counts !== null && counts[kind] > 0);
  return { ofSource: sourceKinds.filter(isShown), ofTarget: deleteKinds.filter(isShown) };
}

export function plannedCounts({
  plan: { totals },
}: Pick<ApplyResult, 'plan'>): ChunkCounts & { readonly scanned: number } {
  const { create, overwrite, delete: deleted, equal, conflict, blocked } = totals.actions;
  const notCarried = notCarriedCount(totals);
  return {
    ...noCounts,
    written: create.keys,
    overwritten: overwrite.keys,
    deleted: deleted.keys,
    equal: equal.keys,
    kept: conflict.keys,
    // A plan that blocks is never applied, so this is zero; it keeps the sum true by construction.
    deadLetters: blocked.keys,
    notCarried,
    scanned: totals.scanned,
  };
}
