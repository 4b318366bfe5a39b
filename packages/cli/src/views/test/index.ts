/** What rules made of fixtures: a line a case, and of each that differs where it stands and both sides. */
import type { FixtureDifference } from '@keyferry/core';
import { columns } from '../layout/columns.ts';
import { counted, countText } from '../layout/numbers.ts';
import { envelope, type View, type ViewContext } from '../view.ts';

export interface TestedCase {
  readonly migration: string;
  readonly name: string;
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly passed: boolean;
  readonly differences: readonly FixtureDifference[];
}

export const testView: View<readonly TestedCase[]> = {
  human: testHuman,
  json: (cases, warnings) => {
    const failed = cases.filter(({ passed }) => !passed).length;
    return envelope('keyferry.test', warnings, { passed: cases.length - failed, failed, cases });
  },
};

function testHuman(cases: readonly TestedCase[], { palette }: ViewContext): string {
  const lines: string[] = [];
  for (const [migration, own] of Map.groupBy(cases, (each) => each.migration)) {
    lines.push(
      `${palette.strong(migration)}   ${own[0]?.file ?? ''}`,
      ...own.flatMap((each) => caseLines(each, palette)),
      '',
    );
  }
  const failed = cases.filter(({ passed }) => !passed).length;
  const sum = `${counted(cases.length, 'case')}: ${countText(cases.length - failed)} as expected, ${countText(failed)} not.`;
  return [...lines, failed === 0 ? palette.good(sum) : palette.bad(sum), ''].join('\n');
}

function caseLines(
  { passed, name, file, line, column, differences }: TestedCase,
  palette: ViewContext['palette'],
): string[] {
  if (passed) return [`  ${palette.good('=')} ${name}`];
  const rows = differences.flatMap(({ what, expected, actual }) => [
    [`      ${what}`, 'expected', expected],
    ['', 'actual', actual],
  ]);
  const left = { align: 'left' } as const;
  return [`  ${palette.bad('!')} ${name}   ${file}:${line}:${column}`, ...columns(rows, [left, left, left])];
}
