/** The report as Markdown, for a ticket or a pull request. */
import type { TakenBackup } from '@keyferry/core';
import type { ReportData } from '@keyferry/engine';
import { restoreText } from '../backups.ts';
import { keyText, textForDisplay } from '../layout/keys.ts';
import { bytesText, countText, durationText, instantForPeople } from '../layout/numbers.ts';
import { holderForPeople } from '../../lock-holder.ts';
import { whoText } from '../state/history.ts';
import { countRows, courseSentence, deadLetterNote, nextCommand, reportOf, timeText, wayBackText } from './facts.ts';

const listedMax = 50;

export function reportMarkdown(data: ReportData): string {
  const report = reportOf(data);
  const { state, verdict, course, deviations } = report;
  const { status, verified, deadLetters, deadLettersTotal, runs, events } = data;
  const next = nextCommand(report);
  const verify = verified?.verify ?? null;
  const counts = status.counts === null ? [] : countRows(status.plan, status.counts);
  return [
    `## ${cell(state.migration)}: ${verdict.text}`,
    '',
    `plan \`${state.plan}\`, attempt ${state.attempt}${course === null ? '' : `. ${courseSentence(course)}`}.`,
    '',
    ...(counts.length === 0
      ? []
      : [
          '| records | planned | done | |',
          '| --- | ---: | ---: | --- |',
          ...counts.map(
            ({ label, planned, done, note, differs }) =>
              `| ${label} | ${planned === null ? '' : countText(planned)} | ${differs ? `**${countText(done)}**` : countText(done)} | ${note} |`,
          ),
          '',
        ]),
    ...(deviations.length === 0 ? [] : ['**Not as planned**', '', ...deviations.map((each) => `- ${cell(each)}`), '']),
    ...(verify === null
      ? []
      : [
          `**Both sides ${verify.verdict}**, as of ${timeText(verify.atMs)}`,
          '',
          '| side | records | digest | position |',
          '| --- | ---: | --- | --- |',
          `| source | ${countText(verify.source.count)} | \`${verify.source.sum}\` | ${cell(verify.sourcePosition)} |`,
          `| target | ${countText(verify.target.count)} | \`${verify.target.sum}\` | ${cell(verify.targetPosition)} |`,
          '',
          ...listed(
            verify.differences,
            verify.differencesTotal,
            ({ key, what }) => `- \`${code(keyText(key))}\` ${what}`,
          ),
        ]),
    ...(deadLettersTotal === 0
      ? []
      : [
          `**Dead letters: ${countText(deadLettersTotal)}**`,
          '',
          ...listed(deadLetters, deadLettersTotal, (letter) => {
            const note = deadLetterNote(letter);
            return `- \`${code(keyText(letter.targetKey))}\`${note === '' ? '' : ` (${note})`} ${cell(letter.reason)}`;
          }),
        ]),
    ...backupTable(state.backups ?? []),
    '| run | command | began | took | ended | by |',
    '| --- | --- | --- | ---: | --- | --- |',
    ...runs.map(
      ({ run, command, startedAtMs, endedAtMs, outcome, by }) =>
        `| \`${run}\` | ${command} | ${timeText(startedAtMs)} | ${endedAtMs === null ? '' : durationText(endedAtMs - startedAtMs)} | ${outcome ?? 'no end recorded'} | ${cell(holderForPeople(by))} |`,
    ),
    '',
    ...events.map(({ atMs, message, by, run }) => `- ${timeText(atMs)}: ${cell(message)} (${cell(whoText(by, run))})`),
    '',
    `${next === null ? 'Nothing is left to do' : `Next: \`${next}\``}. Way back: \`${wayBackText(report)}\`.`,
    '',
  ].join('\n');
}

function backupTable(backups: readonly TakenBackup[]): readonly string[] {
  if (backups.length === 0) return [];
  return [
    '| backup of | where | bytes | SHA-256 | made | |',
    '| --- | --- | ---: | --- | --- | --- |',
    ...backups.map(
      ({ side, store, what, path, bytes, sha256, takenAt }) =>
        `| ${side} ${cell(store)} | \`${code(path)}\` | ${bytesText(bytes)} | \`${sha256}\` | ${instantForPeople(takenAt)} | ${cell(restoreText(what, path))} |`,
    ),
    '',
  ];
}

function listed<T>(items: readonly T[], total: number, line: (item: T) => string): readonly string[] {
  const shown = items.slice(0, listedMax);
  const rest = total - shown.length;
  if (shown.length === 0) return [];
  return [...shown.map(line), ...(rest > 0 ? [`- and ${countText(rest)} more`] : []), ''];
}

/** Text that may hold anything, where Markdown would read it. */
const cell = (text: string): string => textForDisplay(text).replace(/[\\`*_|<>[\]]/g, (each) => `\\${each}`);

/** Within a code span nothing can be escaped: a backtick would end it. */
const code = (text: string): string => text.replaceAll('`', "'").replaceAll('|', '¦');
