/** Findings: those that block, are to be accepted or have more to say about each key in full, with keys; all with the way out. */
import type { Finding, PlanDocument } from '@keyferry/core';
import type { Palette } from '../../terminal/palette.ts';
import { columns } from '../layout/columns.ts';
import { keyText } from '../layout/keys.ts';
import { counted, countText } from '../layout/numbers.ts';

export function findingLines({ findings }: Pick<PlanDocument, 'findings'>, palette: Palette): string[] {
  const count = (level: Finding['level']): number => findings.filter((finding) => finding.level === level).length;
  const head = `Findings   ${countText(count('blocking'))} blocking, ${counted(count('warning'), 'warning')}`;
  const titles = columns(
    findings.map(({ level, code, detail }) => [
      `  ${level === 'blocking' ? palette.bad(level) : palette.caution(level)}`,
      code,
      detail,
    ]),
    [{ align: 'left' }, { align: 'left' }, { align: 'left', gap: 3 }],
  );
  return [palette.strong(head), ...findings.flatMap((finding, i) => [titles[i] ?? '', ...more(finding)])];
}

function more(finding: Finding): string[] {
  const { level, accept, cases, code, fix } = finding;
  const lines: string[] = [];
  if (level === 'blocking' || accept || cases !== undefined) {
    const { shown, rest } = shownKeys(finding);
    lines.push(...shown);
    if (rest > 0) lines.push(`and ${countText(rest)} more`);
  }
  lines.push(...fix.split('\n').map((line, i) => `${i === 0 ? 'fix ' : '    '}  ${line}`));
  if (accept) lines.push(`needs --accept ${code} at apply`);
  return lines.map((line) => `      ${line}`);
}

/** The keys that a finding names, with what it says about each, and how many records it does not name. */
export function shownKeys({ keys, cases, count }: Finding): {
  readonly shown: readonly string[];
  readonly rest: number;
} {
  if (cases === undefined) return { shown: keys.map(keyText), rest: keys.length === 0 ? 0 : count - keys.length };
  const rows = cases.map(({ key, detail }) => [keyText(key), detail]);
  const named = cases.reduce((sum, each) => sum + each.count, 0);
  return { shown: columns(rows, [{ align: 'left' }, { align: 'left', gap: 3 }]), rest: count - named };
}
