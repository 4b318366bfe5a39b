/** What finalize and its undoing would do, for the question; what they did; and the done marker wherever it is shown. */
import { deletesOf, nextStep, scannedOf, type DoneMarker, type MigrationId } from '@keyferry/core';
import type { FinalizeResult, OnlineOutcome, ReopenResult, Status } from '@keyferry/engine';
import type { Palette } from '../../terminal/palette.ts';
import { columns, indent } from '../layout/columns.ts';
import { stepLines } from '../layout/commands.ts';
import { prefixText } from '../layout/keys.ts';
import { counted, countText, durationText, instantForPeople } from '../layout/numbers.ts';
import { positionText } from '../layout/positions.ts';
import { outcomeJson, outcomeLines } from '../online/outcome.ts';
import { envelope, type View, type ViewContext } from '../view.ts';

export interface FinalizedView {
  readonly migration: MigrationId;
  readonly result: FinalizeResult & { readonly online?: OnlineOutcome };
}

export interface ReopenedView {
  readonly migration: MigrationId;
  readonly result: ReopenResult;
}

/** Shown before the question. */
export function finalizeIntent({ migration, phase, counts }: Status, palette: Palette): string {
  if (phase === 'cut-over') {
    return [
      `${palette.strong(`Finalize ${migration}`)}   ${phase}`,
      `  ends the reverse tail: ${palette.strong('the source follows the target no more, and rollback ends here')}`,
      '  writes the done marker into the target, and drops what keyferry keeps in both stores; no record is changed',
      '',
    ].join('\n');
  }
  const written = counts === null ? 'records' : counted(counts.written, 'record');
  return [
    `${palette.strong(`Finalize ${migration}`)}   ${phase}`,
    '  reads both sides once more; if nothing moved, writes the done marker into the target',
    `  then drops what tells the ${written} of this migration from others: ${palette.strong('rollback ends here')}`,
    '  the source is left as it is',
    '',
  ].join('\n');
}

/** @param marker the one that is to go */
export function reopenIntent(
  { migration, phase, state }: Pick<Status, 'migration' | 'phase' | 'state'>,
  marker: DoneMarker | null,
  palette: Palette,
): string {
  return [
    `${palette.strong(`Reopen ${migration}`)}   ${state === null ? 'finalized by another host' : phase}`,
    ...(marker === null ? [] : markerLines(marker)),
    '  takes the done marker away: whoever waits for it sees an unfinished migration again',
    '  what was finalized stays in the target and cannot be rolled back; the next plan finds it as equal',
    '',
  ].join('\n');
}

export const finalizedView: View<FinalizedView> = {
  human: ({ migration, result }, context) => {
    const { palette } = context;
    const { run, marker, resumed, online, elapsedMs } = result;
    const how = `run ${run}${resumed ? ', resumed' : ''}, ${durationText(elapsedMs)}`;
    return [
      `${palette.strong(`Finalized ${migration}`)}   ${palette.good('proven and marked as done')}   ${how}`,
      ...(online === undefined ? [] : outcomeLines(online)),
      ...markerLines(marker),
      '',
      'The way back ends here; fences, marks and tombstones are gone from the target.',
      ...stepLines(nextStep(migration, 'finalized', '').next, null, context),
      '',
    ].join('\n');
  },
  json: ({ migration, result: { run, marker, resumed, online, elapsedMs } }, warnings) =>
    envelope('keyferry.finalize', warnings, {
      migration,
      run,
      resumed,
      marker,
      ...(online === undefined ? {} : { online: outcomeJson(online) }),
      elapsedMs: Math.round(elapsedMs),
      next: nextStep(migration, 'finalized', '').next,
      wayBack: null,
    }),
};

export const reopenedView: View<ReopenedView> = {
  human: ({ migration, result: { run, marker } }, context) =>
    [
      `${context.palette.strong(`Reopened ${migration}`)}   run ${run}`,
      ...markerLines(marker),
      '',
      'The done marker is gone. What was finalized stays, and cannot be rolled back.',
      ...stepLines(nextStep(migration, 'reopened', '').next, null, context),
      '',
    ].join('\n'),
  json: ({ migration, result: { run, marker } }, warnings) =>
    envelope('keyferry.reopen', warnings, {
      migration,
      run,
      marker,
      next: nextStep(migration, 'reopened', '').next,
      wayBack: null,
    }),
};

export interface AlreadyDone {
  readonly migration: MigrationId;
  readonly marker: DoneMarker;
  /** Whether this host's state knows of it, and so has something to report. */
  readonly isKnownHere: boolean;
}

const nextOf = ({ migration, isKnownHere }: AlreadyDone): string | null =>
  isKnownHere ? nextStep(migration, 'finalized', '').next : null;

/** What `apply` answers where there is nothing left to do. */
export const alreadyDoneView: View<AlreadyDone> = {
  human: (done, context: ViewContext) => {
    const { migration, marker } = done;
    const next = nextOf(done);
    return [
      `${context.palette.strong(migration)}   already done by ${marker.by} at ${instantForPeople(marker.finalizedAt)}; nothing was written`,
      ...markerLines(marker),
      '',
      ...(next === null
        ? ['It was done on another host: nothing of it is in the state here.']
        : stepLines(next, null, context)),
      '',
    ].join('\n');
  },
  json: (done, warnings) =>
    envelope('keyferry.already-done', warnings, {
      migration: done.migration,
      plan: done.marker.plan,
      outcome: 'already-done',
      marker: done.marker,
      next: nextOf(done),
      wayBack: null,
    }),
};

/** What was equal says why nothing had to be written; the rest only where there is any. */
function countsText(counts: DoneMarker['counts']): string {
  const { written, overwritten, changed, equal, kept, tombstoned, notCarried } = counts;
  const more = [
    [overwritten, 'overwritten'],
    [changed, 'met a change'],
    [kept, 'kept'],
    [tombstoned, 'tombstoned'],
    [notCarried, 'not carried'],
  ] as const;
  const rest = more.map(([count, what]) => (count > 0 ? `, ${countText(count)} ${what}` : '')).join('');
  const deletes = deletesOf(counts) === 0 ? '' : `; ${countText(deletesOf(counts))} deleted`;
  const total = `${countText(scannedOf(counts))} dealt with${deletes}`;
  return `${countText(written)} written, ${countText(equal)} equal${rest}, of ${total}`;
}

export function markerLines({ by, finalizedAt, plan, attempt, source, target, counts }: DoneMarker): string[] {
  const rows = [
    ['done', `${instantForPeople(finalizedAt)} by ${by}`],
    ['plan', `${plan}, attempt ${attempt}`],
    ...[source, target].map((side, i) => [
      i === 0 ? 'source' : 'target',
      `${side.store} ${prefixText(side.prefix)}, ${counted(side.digest.count, 'record')}, digest ${side.digest.sum}, ` +
        `position ${positionText(side.position)}`,
    ]),
    ['counts', countsText(counts)],
  ];
  return indent(columns(rows, [{ align: 'left' }, { align: 'left' }]));
}
