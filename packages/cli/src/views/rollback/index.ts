/** What a rollback would do, for the question; and what it did. */
import type { RollbackResult, Status } from '@keyferry/engine';
import type { Palette } from '../../terminal/palette.ts';
import { stepLines } from '../layout/commands.ts';
import { keyText } from '../layout/keys.ts';
import { counted, countText, durationText } from '../layout/numbers.ts';
import { envelope, type View, type ViewContext } from '../view.ts';

export interface RolledBackView {
  readonly migration: string;
  readonly result: RollbackResult;
}

export const rollbackView: View<RolledBackView> = {
  human: rollbackHuman,
  json: ({ migration, result }, warnings) =>
    envelope('keyferry.rollback', warnings, {
      migration,
      run: result.run,
      ...result.counts,
      written: result.written,
      left: result.left,
      changedKeys: result.changedKeys,
      elapsedMs: Math.round(result.elapsedMs),
      next: nextAfter(migration),
    }),
};

/** Shown before the question. */
export function rollbackIntent({ migration, phase, counts }: Status, palette: Palette): string {
  const written = counts === null ? 'what it created' : `the ${counted(counts.written, 'key')} that it created`;
  return [
    `${palette.strong(`Roll back ${migration}`)}   ${phase}`,
    `  removes from the target ${written}, if nobody changed them since; everything else stays`,
    '',
  ].join('\n');
}

function rollbackHuman({ migration, result }: RolledBackView, context: ViewContext): string {
  const { palette } = context;
  const { run, counts, left, changedKeys, elapsedMs } = result;
  const rest = counts.changed - changedKeys.length;
  return [
    `${palette.strong(`Rolled back ${migration}`)}   run ${run}, ${durationText(elapsedMs)}`,
    `  - removed    ${removedText(result)}`,
    ...(left === null ? [] : [`  ! left       ${countText(left)}${left > 0 ? '   changed since, or expired' : ''}`]),
    ...changedKeys.map((key) => `      ${keyText(key)}`),
    ...(changedKeys.length > 0 && rest > 0 ? [`      and ${countText(rest)} more`] : []),
    '',
    ...stepLines(nextAfter(migration), null, context),
    '',
  ].join('\n');
}

/** A rollback that was killed may have removed more than it could count. */
function removedText({ counts, written, left }: RollbackResult): string {
  const removed = countText(counts.removed);
  if (written === null) return removed;
  return `${left === null ? `at least ${removed}` : removed} of ${countText(written)} written`;
}

const nextAfter = (migration: string): string => `keyferry plan ${migration} --out ${migration}.kfplan`;
