/** What a rollback would do, for the question; and what it did. */
import type { OnlineRollbackResult, ReplicateRollbackResult, RollbackResult, Status } from '@keyferry/engine';
import type { Palette } from '../../terminal/palette.ts';
import { backupLines } from '../backups.ts';
import { stepLines } from '../layout/commands.ts';
import { keyText } from '../layout/keys.ts';
import { counted, countText, durationText } from '../layout/numbers.ts';
import { outcomeJson } from '../online/outcome.ts';
import { rolledBackOnlineLines } from '../online/rollback.ts';
import { envelope, type View, type ViewContext } from '../view.ts';

export interface RolledBackView {
  readonly migration: string;
  readonly result: RollbackResult & Partial<Pick<OnlineRollbackResult, 'online' | 'drained'>>;
  /** How applications were led back to the source; null where they had never left it. */
  readonly turnedBack: ReplicateRollbackResult['turnedBack'];
}

export const rollbackView: View<RolledBackView> = {
  human: rollbackHuman,
  json: ({ migration, result, turnedBack }, warnings) =>
    envelope('keyferry.rollback', warnings, {
      migration,
      ledBack: turnedBack === null ? null : ledBackJson(turnedBack),
      run: result.run,
      ...result.counts,
      written: result.written,
      unrestorable: result.unrestorable,
      left: result.left,
      changedKeys: result.changedKeys,
      backups: result.backups,
      ...(result.online === undefined ? {} : { online: outcomeJson(result.online), drained: result.drained }),
      elapsedMs: Math.round(result.elapsedMs),
      next: nextAfter(migration),
    }),
};

function ledBackJson({ heldMs, compared, strays }: NonNullable<ReplicateRollbackResult['turnedBack']>) {
  return { heldMs: Math.round(heldMs), compared, strays };
}

/** Shown before the question. */
export function rollbackIntent({ migration, phase, state, counts, unrestorable }: Status, palette: Palette): string {
  const { before = null, attempts = [] } = state?.wrote ?? {};
  const isKnown = counts !== null && before !== null;
  const written = isKnown ? `the ${counted(before + counts.written, 'key')} that it created` : 'what it created';
  const changed = counts === null ? 0 : Math.max(0, counts.overwritten + counts.deleted - unrestorable);
  // Of earlier attempts only their images are known, which nobody counted.
  const restorable = attempts.length > 1 ? 'the records' : counted(changed, 'record');
  return [
    `${palette.strong(`Roll back ${migration}`)}   ${phase}`,
    ...(phase === 'cut-over' || phase === 'turning-back'
      ? [
          '  leads applications back to the source, which has followed the target: writes are held for a moment, none is lost',
        ]
      : []),
    `  removes from the target ${written}, if nobody changed them since; everything else stays`,
    ...(changed > 0 || attempts.length > 1
      ? [`  puts back ${restorable} that it overwrote or deleted, if nobody changed them since`]
      : []),
    ...(unrestorable > 0 ? [`  ${palette.bad(unrestorableText(unrestorable))}`] : []),
    '',
  ].join('\n');
}

function rollbackHuman({ migration, result, turnedBack }: RolledBackView, context: ViewContext): string {
  const { palette } = context;
  const { run, counts, left, changedKeys, elapsedMs, unrestorable } = result;
  const { restored, expired } = counts;
  const rest = counts.changed + counts.notRestored - changedKeys.length;
  const over = expired > 0 ? `, ${countText(expired)} whose own time is over` : '';
  return [
    `${palette.strong(`Rolled back ${migration}`)}   run ${run}, ${durationText(elapsedMs)}`,
    ...rolledBackOnlineLines(result),
    ...(turnedBack === null
      ? []
      : [
          `  < led back   writes were held for ${durationText(turnedBack.heldMs)}, ${counted(turnedBack.compared, 'record')} compared in it`,
        ]),
    ...(turnedBack?.strays ?? []).map(
      (key) => `  ${palette.bad('! stray')}      ${keyText(key)}   written in the target after it`,
    ),
    `  - removed    ${removedText(result)}`,
    ...(restored + expired > 0 ? [`  ~ restored   ${countText(restored)} overwritten or deleted${over}`] : []),
    ...(left === null
      ? []
      : [
          `  ! left       ${countText(left)}${left > 0 ? '   changed since, or expired' : ''}${unrestorable > 0 ? `; ${unrestorableText(unrestorable)}` : ''}`,
        ]),
    ...changedKeys.map((key) => `      ${keyText(key)}`),
    ...(changedKeys.length > 0 && rest > 0 ? [`      and ${countText(rest)} more`] : []),
    '',
    ...backupLines(result.backups),
    ...stepLines(nextAfter(migration), null, context),
    '',
  ].join('\n');
}

export function unrestorableText(count: number): string {
  return `${counted(count, 'record was', 'records were')} overwritten or deleted without a before-image: nothing brings ${count === 1 ? 'it' : 'them'} back`;
}

/** A rollback that was killed may have removed more than it could count. */
function removedText({ counts, written, left }: RollbackResult): string {
  const removed = countText(counts.removed);
  if (written === null) return removed;
  return `${left === null ? `at least ${removed}` : removed} of ${countText(written)} written`;
}

const nextAfter = (migration: string): string => `keyferry plan ${migration} --out ${migration}.kfplan`;
