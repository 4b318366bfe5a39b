/**
 * One run: how far it is, chunk by chunk, and with `--dead-letters` each record that could not be written.
 *
 * For people, chunks that are done without a dead letter are a number only: what is left, and what went wrong, must not
 * drown in them. The document has all of them. Of a sensitive key the store's own words are left out: they may quote it.
 */
import { instantText, scannedOf, standingOf, type DeadLetter } from '@keyferry/core';
import type { ChunkDetail, RunDetail } from '@keyferry/engine';
import type { Palette } from '../../terminal/palette.ts';
import { columns } from '../layout/columns.ts';
import { stepLines } from '../layout/commands.ts';
import { heldText } from '../layout/holder.ts';
import { keyText, textForDisplay } from '../layout/keys.ts';
import { limiterText, perSecondText } from '../layout/limits.ts';
import { counted, countText, instantForPeople, rateText } from '../layout/numbers.ts';
import { envelope, type View, type ViewContext } from '../view.ts';
import { controlFacts } from './control.ts';
import { chunksText, progressText, runJson, standingSuffix, startedText } from './list.ts';

export interface ShownRun {
  readonly run: RunDetail;
  /** `--dead-letters` */
  readonly withDeadLetters: boolean;
  readonly isSensitive: (letter: DeadLetter) => boolean;
}

/** In place of a store's own words about a sensitive key. */
export const withheld = '(sensitive)';

export const runView: View<ShownRun> = {
  human: runHuman,
  json: ({ run, withDeadLetters, isSensitive }, warnings) =>
    envelope('keyferry.run', warnings, {
      ...runJson(run),
      next: nextOf(run),
      chunkList: run.chunks.map(chunkJson),
      deadLettersTotal: run.deadLetters.length,
      ...(withDeadLetters ? { deadLetters: run.deadLetters.map((each) => letterJson(each, isSensitive(each))) } : {}),
    }),
};

function runHuman({ run, withDeadLetters, isSensitive }: ShownRun, context: ViewContext): string {
  const { palette } = context;
  const { status, pace, running, deadLetters } = run;
  const { migration, phase, state, lock, counts, control, step } = status;
  const facts: (readonly [string, string])[] = [];
  if (state !== null) {
    facts.push(['run', `${state.run}, attempt ${state.attempt} of plan ${state.plan}, ${startedText(run)}`]);
  }
  if (running && lock !== null) {
    facts.push(['holder', heldText(lock, context)]);
  }
  if (counts !== null) {
    facts.push(['progress', `${progressText(run)}, ${chunksText(run)}`]);
    facts.push(['counts', countsText(counts)]);
  }
  if (pace !== null) {
    const most = pace.perSecondMax === null ? '' : ` of at most ${perSecondText(pace.perSecondMax)}`;
    facts.push(['rate', `${rateText(pace.perSecond)}${most}, limited by ${limiterText(pace.limitedBy)}`]);
  }
  facts.push(...controlFacts(control));
  return [
    `${palette.strong(migration)}   ${phase}${standingSuffix(run)}`,
    ...columns(
      facts.map(([name, text]) => [`  ${name}`, text]),
      [{ align: 'left' }, { align: 'left' }],
    ),
    ...chunkLines(run.chunks),
    ...(withDeadLetters ? letterLines(deadLetters, isSensitive, palette) : []),
    ...stepLines(nextOf(run), step.wayBack, context),
    '',
  ].join('\n');
}

/** Who has looked at the dead letters tries them again, when nobody else is at it. */
function nextOf({ status: { migration, step, control }, running, deadLetters }: RunDetail): string {
  const mayRetry = deadLetters.length > 0 && !running && standingOf(control) === 'going';
  return mayRetry ? `keyferry runs retry ${migration}` : step.next;
}

const countsText = ({ written, equal, kept, tombstoned, deadLetters, notCarried }: ChunkDetail['counts']): string =>
  `${countText(written)} written, ${countText(equal)} equal, ${countText(kept)} kept, ` +
  `${countText(tombstoned)} tombstoned, ${countText(deadLetters)} dead, ${countText(notCarried)} not carried`;

function chunkLines(chunks: readonly ChunkDetail[]): string[] {
  const shown = chunks.filter(({ state, counts }) => state.phase !== 'done' || counts.deadLetters > 0);
  const waiting = shown.filter(({ state }) => state.phase === 'pending' && state.progress.cursor === null);
  const rest = chunks.length - shown.length;
  const lines = columns(
    shown
      .filter((chunk) => !waiting.includes(chunk))
      .map(({ state, counts, planned }) => [
        `  ${state.chunk}`,
        state.phase,
        state.worker ?? '',
        `${countText(scannedOf(counts))} of ${planned === null ? '?' : countText(plannedRecords(planned))}`,
        counts.deadLetters === 0 ? '' : counted(counts.deadLetters, 'dead letter'),
        state.progress.cursor === null ? '' : `up to ${keyText(state.progress.cursor)}`,
      ]),
    [
      { align: 'left' },
      { align: 'left' },
      { align: 'left' },
      { align: 'right' },
      { align: 'right' },
      { align: 'left' },
    ],
  );
  const others = [
    ...(rest === 0 ? [] : [`${counted(rest, 'chunk')} done`]),
    ...(waiting.length === 0 ? [] : [`${counted(waiting.length, 'chunk')} not begun`]),
  ];
  return [...lines, ...(others.length === 0 ? [] : [`  ${others.join(', ')}`])];
}

/** Records of the plan; directories and the like are not among a chunk's actions. */
const plannedRecords = ({ actions }: NonNullable<ChunkDetail['planned']>): number =>
  Object.values(actions).reduce((sum, count) => sum + count, 0);

function letterLines(letters: readonly DeadLetter[], isSensitive: ShownRun['isSensitive'], palette: Palette): string[] {
  const rows = columns(
    letters.map((letter) => [
      `  ${palette.bad('x')} ${keyText(letter.targetKey)}`,
      isSensitive(letter) ? withheld : textForDisplay(letter.reason),
      `${letter.chunk}, ${instantForPeople(instantText(letter.atMs))}`,
    ]),
    [{ align: 'left' }, { align: 'left', gap: 3 }, { align: 'left', gap: 3 }],
  );
  return [palette.strong(letters.length === 0 ? 'No dead letters' : counted(letters.length, 'dead letter')), ...rows];
}

function letterJson({ sourceKey, targetKey, chunk, reason, atMs }: DeadLetter, sensitive: boolean) {
  return { sourceKey, targetKey, chunk, reason: sensitive ? null : reason, sensitive, at: instantText(atMs) };
}

function chunkJson({ state, counts, planned }: ChunkDetail) {
  const { chunk, phase, worker, leaseEndsAtMs, progress } = state;
  return {
    chunk,
    phase,
    worker,
    leaseEndsAt: leaseEndsAtMs === null ? null : instantText(leaseEndsAtMs),
    cursor: progress.cursor,
    counts: { ...counts, scanned: scannedOf(counts) },
    planned: planned?.actions ?? null,
  };
}
