/** What doctor found: a row each, the fixes below their rows. */
import type { Check } from '../../doctor/check.ts';
import { columns } from '../layout/columns.ts';
import { pasteable } from '../layout/commands.ts';
import { counted } from '../layout/numbers.ts';
import { envelope, type View, type ViewContext } from '../view.ts';

export const doctorView: View<readonly Check[]> = {
  human: doctorHuman,
  json: (checks, warnings) => envelope('keyferry.doctor', warnings, { healthy: isHealthy(checks), checks }),
};

export const isHealthy = (checks: readonly Check[]): boolean => checks.every(({ level }) => level !== 'fail');

function doctorHuman(checks: readonly Check[], context: ViewContext): string {
  const { palette } = context;
  const paint = { ok: palette.good, warn: palette.caution, fail: palette.bad } as const;
  const rows = checks.flatMap(({ level, subject, what, fix, code }) => [
    [paint[level](level), subject, what],
    ...(fix === null ? [] : fix.split('\n').map((line, i) => ['', '', `${i === 0 ? 'fix  ' : '     '}${line}`])),
    ...(code === null ? [] : [['', '', `more keyferry explain ${code}`]]),
  ]);
  const left = { align: 'left' } as const;
  const failed = checks.filter(({ level }) => level === 'fail').length;
  const warned = checks.filter(({ level }) => level === 'warn').length;
  const last =
    failed > 0
      ? palette.bad(`${counted(failed, 'check')} failed.`)
      : `${palette.good('Healthy')}${warned > 0 ? `, with ${counted(warned, 'warning')}` : ''}.   Next: ${pasteable('keyferry plan MIGRATION --out FILE', context)}`;
  return [...columns(rows, [left, left, { ...left, gap: 3 }]), '', last, ''].join('\n');
}
