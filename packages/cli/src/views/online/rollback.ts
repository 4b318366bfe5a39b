/** What a rollback would do where applications take part, for the question; and what it did in the source. */
import type { OnlineRollbackResult, Status } from '@keyferry/engine';
import type { Palette } from '../../terminal/palette.ts';
import { countText } from '../layout/numbers.ts';
import { outcomeLines } from './outcome.ts';

/** Shown before the question. */
export function rollbackOnlineIntent({ migration, phase }: Status, palette: Palette): string {
  return [
    `${palette.strong(`Roll back ${migration}`)}   ${phase}`,
    '  holds the writes of all instances back, and does in the source what they did in the target since',
    '  then clears the target under its prefix, and lets instances read and write the source again',
    '',
  ].join('\n');
}

export function rolledBackOnlineLines({
  online,
  drained,
}: Partial<Pick<OnlineRollbackResult, 'online' | 'drained'>>): string[] {
  if (online === undefined || drained === undefined) return [];
  const { put, deleted } = drained;
  return [
    ...outcomeLines(online),
    `  ~ source     ${countText(put)} written and ${countText(deleted)} deleted there, as applications had done in the target`,
  ];
}
