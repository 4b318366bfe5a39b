/** The report for a terminal. */
import type { ReportData } from '@keyferry/engine';
import { backupLines } from '../backups.ts';
import { columns, indent } from '../layout/columns.ts';
import { stepLines } from '../layout/commands.ts';
import { keyText } from '../layout/keys.ts';
import { counted, countText } from '../layout/numbers.ts';
import { runLines } from '../state/show.ts';
import type { ViewContext } from '../view.ts';
import { countRows, courseSentence, deadLetterNote, nextCommand, reportOf, timeText, type Report } from './facts.ts';

const listedMax = 10;

export function reportText(data: ReportData, context: ViewContext): string {
  const report = reportOf(data);
  const { state, verdict, course, deviations } = report;
  const { status, verified, deadLetters, deadLettersTotal, runs } = data;
  const { palette } = context;
  const verify = verified?.verify ?? null;
  return [
    `${palette.strong(`Report ${state.migration}`)}   ${palette[verdict.level](verdict.text)}   plan ${state.plan}, attempt ${state.attempt}`,
    '',
    ...(status.counts === null ? [] : countLines(data, palette.caution)),
    ...(course === null ? [] : ['', `${palette.strong('Course')}   ${courseSentence(course)}`]),
    ...(verify === null
      ? []
      : [
          '',
          `${palette.strong('Both sides')}   ${verify.verdict === 'agree' ? palette.good('agree') : palette.bad('differ')}, as of ${timeText(verify.atMs)}`,
          ...indent(
            columns(
              [
                ['source', counted(verify.source.count, 'record'), `digest ${verify.source.sum}`],
                ['target', counted(verify.target.count, 'record'), `digest ${verify.target.sum}`],
              ],
              [{ align: 'left' }, { align: 'right', gap: 3 }, { align: 'left', gap: 3 }],
            ),
          ),
          ...indent(
            firstOf(verify.differences, verify.differencesTotal, (each) => [`! ${keyText(each.key)}`, each.what]),
          ),
        ]),
    ...(deviations.length === 0
      ? []
      : ['', palette.strong('Not as planned'), ...deviations.map((each) => `  ${palette.bad('!')} ${each}`)]),
    ...(deadLettersTotal === 0
      ? []
      : [
          '',
          palette.strong(counted(deadLettersTotal, 'dead letter')),
          ...indent(
            firstOf(deadLetters, deadLettersTotal, (letter) => [
              `x ${keyText(letter.targetKey)}`,
              letter.reason,
              deadLetterNote(letter),
            ]),
          ),
        ]),
    ...(state.backups === undefined ? [] : ['', ...backupLines(state.backups)]),
    '',
    palette.strong('Runs'),
    ...runLines(runs),
    '',
    ...endLines(report, context),
    '',
  ].join('\n');
}

/** The next command and the way back, or that there is neither. */
export function endLines(report: Report, context: ViewContext): readonly string[] {
  const next = nextCommand(report);
  return next === null ? ['Nothing is left to do.'] : stepLines(next, report.data.status.step.wayBack, context);
}

function firstOf<T>(items: readonly T[], total: number, row: (item: T) => readonly string[]): readonly string[] {
  const shown = items.slice(0, listedMax);
  const rows = columns(
    shown.map(row),
    [0, 1, 2].map(() => ({ align: 'left', gap: 3 }) as const),
  );
  return total > shown.length && shown.length > 0 ? [...rows, `and ${countText(total - shown.length)} more`] : rows;
}

function countLines({ status: { plan, counts } }: ReportData, caution: (text: string) => string): readonly string[] {
  if (counts === null) return [];
  const rows = countRows(plan, counts).map(({ label, planned, done, note, differs }) => [
    `  ${label}`,
    planned === null ? '' : countText(planned),
    differs ? caution(countText(done)) : countText(done),
    note,
  ]);
  return columns(
    [['', 'planned', 'done', ''], ...rows],
    [
      { align: 'left', min: 16 },
      { align: 'right', min: 10 },
      { align: 'right', min: 10 },
      { align: 'left', gap: 3 },
    ],
  );
}
