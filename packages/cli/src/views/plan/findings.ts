/** Findings: blocking ones and those to be accepted in full, with keys; all with the way out. */
import type { Finding, PlanDocument } from '@keyferry/core';
import type { Palette } from '../../terminal/palette.ts';
import { columns } from '../layout/columns.ts';
import { keyText } from '../layout/keys.ts';
import { counted, countText } from '../layout/numbers.ts';

export function findingLines({ findings }: PlanDocument, palette: Palette): string[] {
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

function more({ level, accept, code, keys, count, fix }: Finding): string[] {
  const lines: string[] = [];
  if (level === 'blocking' || accept) {
    lines.push(...keys.map(keyText));
    if (keys.length > 0 && count > keys.length) lines.push(`and ${countText(count - keys.length)} more`);
  }
  lines.push(`fix   ${fix}`);
  if (accept) lines.push(`needs --accept ${code} at apply`);
  return lines.map((line) => `      ${line}`);
}
