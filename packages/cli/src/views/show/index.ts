/** The rows of a plan, one kind of action at a time: `show FILE --only create`. */
import type { PlanDocument, PlannedChange } from '@keyferry/core';
import { columns } from '../layout/columns.ts';
import { keyText } from '../layout/keys.ts';
import { counted, countText } from '../layout/numbers.ts';
import { changeText, symbolOf } from '../plan/change-row.ts';
import { changeJson } from '../plan/json.ts';
import { envelope, type View, type ViewContext } from '../view.ts';

export interface ChangesResult {
  readonly plan: PlanDocument;
  readonly only: PlannedChange['action'];
  readonly rows: readonly PlannedChange[];
}

export const changesView: View<ChangesResult> = {
  human: changesHuman,
  json: ({ plan, only, rows }, warnings) =>
    envelope('keyferry.changes', warnings, {
      plan: plan.plan,
      migration: plan.migration,
      only,
      keysTotal: plan.totals.actions[only].keys,
      changes: rows.map(changeJson),
    }),
};

function changesHuman({ plan, only, rows }: ChangesResult, { palette }: ViewContext): string {
  const total = plan.totals.actions[only].keys;
  const lines = columns(
    rows.map((row) => [`  ${symbolOf(row, palette)} ${keyText(row.targetKey)}`, changeText(row, plan.createdAt)]),
    [{ align: 'left' }, { align: 'left', gap: 3 }],
  );
  const omitted = total - rows.length;
  return [
    palette.strong(`${plan.plan}   ${plan.migration}   ${counted(total, 'key')} to ${verbs[only]}`),
    ...lines,
    ...(omitted > 0 ? [`  and ${countText(omitted)} ${omittedText(only)}`] : []),
    '',
  ].join('\n');
}

/** Of blocked records, those that the rules find no place for have no row: there is no target key to name. */
const omittedText = (only: PlannedChange['action']): string =>
  only === 'blocked'
    ? 'that the rules find no place for: see the findings'
    : 'that the plan holds by the digest of their chunk only';

const verbs: Readonly<Record<PlannedChange['action'], string>> = {
  create: 'create',
  overwrite: 'overwrite',
  delete: 'delete',
  conflict: 'leave in conflict',
  blocked: 'block',
};
