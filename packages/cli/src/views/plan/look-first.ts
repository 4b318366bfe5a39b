/** What a reviewer sees first: conflicts, deletes, overwrites, the largest value, the shortest time left, a sensitive key by size only. */
import type { PlanDocument, PlannedChange } from '@keyferry/core';
import type { Palette } from '../../terminal/palette.ts';
import { columns } from '../layout/columns.ts';
import { keyText } from '../layout/keys.ts';
import { changeText, symbolOf } from './change-row.ts';

export function lookFirstLines({ lookFirst, createdAt }: PlanDocument, palette: Palette): string[] {
  const creates = lookFirst.filter(({ action }) => action === 'create');
  const largest = creates.reduce<PlannedChange | null>(
    (top, row) => (top === null || row.bytes > top.bytes ? row : top),
    null,
  );
  const rows = lookFirst.map((row) => [
    `  ${symbolOf(row, palette)} ${keyText(row.targetKey)}`,
    changeText(row, createdAt) + (row === largest && creates.length > 1 ? ', the largest value' : ''),
  ]);
  return columns(rows, [{ align: 'left' }, { align: 'left', gap: 3 }]);
}
