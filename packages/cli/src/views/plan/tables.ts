/** The plan's two tables: by kind of action, and by prefix. Every record of the source is in one row of each total. */
import type { PlanDocument } from '@keyferry/core';
import type { Palette } from '../../terminal/palette.ts';
import { columns, type Column } from '../layout/columns.ts';
import { keyText, prefixText } from '../layout/keys.ts';
import { bytesText, countText } from '../layout/numbers.ts';
import { notCarriedCount, notCarriedText } from './not-carried.ts';

export function totalsTable({ totals, onConflict, prune, target }: PlanDocument, palette: Palette): string[] {
  const { create, overwrite, delete: deleted, equal, conflict, blocked } = totals.actions;
  const notCarried = notCarriedCount(totals);
  const bytes = (count: number): string => (count === 0 ? '0' : bytesText(count));
  const conflictNote = onConflict === 'fail' ? 'target differs: settle it first' : 'target differs and is kept';
  const rows = [
    ['', 'keys', 'bytes', ''],
    [palette.good('  + create'), countText(create.keys), bytes(create.bytes), 'only if absent'],
    [
      palette.caution('  ~ overwrite'),
      countText(overwrite.keys),
      bytes(overwrite.bytes),
      onConflict === 'overwrite' ? 'only at the version recorded here' : `onConflict: ${onConflict}`,
    ],
    [
      palette.caution('  - delete'),
      countText(deleted.keys),
      bytes(deleted.bytes),
      prune ? 'in the target only, at the version recorded here' : 'never in this migration',
    ],
    ['  = equal', countText(equal.keys), bytes(equal.bytes), ''],
    [
      palette.caution('  ! conflict'),
      countText(conflict.keys),
      bytes(conflict.bytes),
      conflict.keys > 0 ? conflictNote : '',
    ],
    ...(blocked.keys > 0
      ? [[palette.bad('  ! blocked'), countText(blocked.keys), bytes(blocked.bytes), 'see findings']]
      : []),
    ['  . not carried', countText(notCarried), '-', notCarriedText(totals.notCarried)],
    ['  total', countText(totals.scanned), '', ''],
  ];
  const spec: Column[] = [
    { align: 'left', min: 15 },
    { align: 'right', min: 10 },
    { align: 'right', min: 11 },
    { align: 'left', gap: 3 },
  ];
  const beside =
    totals.targetOnly > 0
      ? [`  besides, ${countText(totals.targetOnly)} under ${prefixText(target.prefix)} in the target only, left alone`]
      : [];
  return [...columns(rows, spec), ...beside];
}

export function prefixTable({ byPrefix, totals }: PlanDocument): string[] {
  if (byPrefix.length === 0) return [];
  const { overwrite, delete: deleted, blocked } = totals.actions;
  const withOverwrites = overwrite.keys > 0;
  const withDeletes = deleted.keys > 0;
  const withBlocked = blocked.keys > 0;
  const withTtl = totals.expiring > 0;
  const head = [
    '  by prefix',
    'create',
    ...(withOverwrites ? ['overwrite'] : []),
    ...(withDeletes ? ['delete'] : []),
    'equal',
    'conflict',
    ...(withBlocked ? ['blocked'] : []),
    ...(withTtl ? ['TTL'] : []),
  ];
  const rows = byPrefix.map((row) => [
    `  ${keyText(row.prefix)}`,
    countText(row.create),
    ...(withOverwrites ? [countText(row.overwrite)] : []),
    ...(withDeletes ? [countText(row.delete)] : []),
    countText(row.equal),
    countText(row.conflict),
    ...(withBlocked ? [countText(row.blocked)] : []),
    ...(withTtl ? [countText(row.expiring)] : []),
    bytesText(row.bytes),
    bytesText(row.largestBytes),
  ]);
  const spec: Column[] = [
    { align: 'left' },
    { align: 'right', min: 12 },
    ...(withOverwrites ? [{ align: 'right', min: 11 } as const] : []),
    ...(withDeletes ? [{ align: 'right', min: 8 } as const] : []),
    { align: 'right', min: 8 },
    { align: 'right', min: 10 },
    ...(withBlocked ? [{ align: 'right', min: 9 } as const] : []),
    ...(withTtl ? [{ align: 'right', min: 7 } as const] : []),
    { align: 'right', min: 11 },
    { align: 'right', min: 10 },
  ];
  return columns([[...head, 'bytes', 'largest'], ...rows], spec);
}
