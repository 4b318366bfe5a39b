/** What a plan costs, in rows for people: each says for how much of what, and when it is paid if not in any case. */
import type { CostRow, CostSum, PlanDocument } from '@keyferry/core';
import { columns } from '../layout/columns.ts';
import { countText, dollarsText } from '../layout/numbers.ts';

const conditions: Readonly<Record<CostRow['when'], string>> = {
  always: '',
  configured: 'as configured',
  other: 'the other way, instead',
  functions: 'by functions, on top',
  map: 'with a Distributed Map, on top',
};

export const costHeads = ['', 'units', 'this plan', 'a million keys', ''] as const;

/** What, how much of it, what that costs, what it would cost for a million such keys, and when it is paid. */
export function costRows({ cost }: PlanDocument): readonly (readonly [string, string, string, string, string])[] {
  return (cost?.rows ?? []).map(({ what, unit, units, when, detail, ...sum }) => {
    const note = [conditions[when], detail].filter((text) => text !== '').join('; ');
    return [what, `${countText(units)} ${unit}`, dollarsText(sum.dollars), perMillionText(sum), note];
  });
}

/** Null: nothing is billed by use. */
export function costSummary({ cost }: PlanDocument): string | null {
  if (cost === undefined) return null;
  const { prices, machines, functions } = cost;
  const byFunctions = functions === null ? '' : `, ${sumText(functions)} by functions`;
  return `about ${sumText(machines)}${byFunctions}: prices of ${prices.region}, ${prices.asOf}, if nothing goes wrong`;
}

export function costLines(plan: PlanDocument): readonly string[] {
  const summary = costSummary(plan);
  if (summary === null) return [];
  const rows = [costHeads, ...costRows(plan)].map(([what, ...rest]) => [`           ${what}`, ...rest]);
  const align = ['left', 'right', 'right', 'right', 'left'] as const;
  return [
    `  cost     ${summary}`,
    ...columns(
      rows,
      align.map((each) => ({ align: each })),
    ),
  ];
}

function sumText({ dollars, dollarsPerMillionKeys }: CostSum): string {
  const perMillion = dollarsPerMillionKeys === null ? '' : ` (${dollarsText(dollarsPerMillionKeys)} a million keys)`;
  return `${dollarsText(dollars)}${perMillion}`;
}

function perMillionText({ dollarsPerMillionKeys }: CostSum): string {
  return dollarsPerMillionKeys === null ? '-' : dollarsText(dollarsPerMillionKeys);
}
