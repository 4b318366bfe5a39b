/** The way back from each phase; the row that is true now is marked. */
import type { RollbackRow } from '@keyferry/core';
import { columns } from '../layout/columns.ts';

export function rollbackLines(rows: readonly RollbackRow[]): string[] {
  return columns(
    [
      ['', 'in phase', 'steps', 'may be lost', 'by hand'],
      ...rows.map(({ now, phase, steps, loses, byHand }) => [
        now ? '>' : '',
        phase,
        steps.length === 0 ? 'none' : steps.join(', '),
        loses,
        byHand,
      ]),
    ],
    [{ align: 'left', min: 1 }, { align: 'left', gap: 1 }, { align: 'left' }, { align: 'left' }, { align: 'left' }],
  );
}
