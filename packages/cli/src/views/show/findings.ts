/** One finding of a plan whole: what was found, which keys, what to do, what apply asks for. */
import type { Finding, PlanDocument } from '@keyferry/core';
import { columns } from '../layout/columns.ts';
import { counted, countText } from '../layout/numbers.ts';
import { shownKeys } from '../plan/findings.ts';
import { envelope, type View, type ViewContext } from '../view.ts';

export interface FindingsResult {
  readonly plan: PlanDocument;
  readonly findings: readonly Finding[];
}

export const findingsView: View<FindingsResult> = {
  human: ({ findings }, context) => findings.map((each) => findingHuman(each, context)).join('\n'),
  json: ({ plan, findings }, warnings) =>
    envelope('keyferry.findings', warnings, { plan: plan.plan, migration: plan.migration, findings }),
};

function findingHuman(finding: Finding, { palette }: ViewContext): string {
  const { code, level, accept, count, detail, fix } = finding;
  const { shown: named, rest } = shownKeys(finding);
  const shown = rest > 0 ? [...named, `and ${countText(rest)} more, which the plan only counts`] : named;
  const rows = [
    ['  what', detail],
    ['  count', counted(count, 'case')],
    ...shown.map((key, i) => [i === 0 ? '  keys' : '', key]),
    ['  fix', fix],
    ...(accept ? [['  apply', `needs --accept ${code}`]] : []),
    ['  more', `keyferry explain ${code}`],
  ];
  const name = level === 'blocking' ? palette.bad(level) : palette.caution(level);
  return [
    `${name}  ${palette.strong(code)}`,
    ...columns(rows, [{ align: 'left' }, { align: 'left', gap: 3 }]),
    '',
  ].join('\n');
}
