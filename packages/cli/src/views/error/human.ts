/** The one shape of an error: what happened, the facts, why it matters, the fix as a command, where to read more. */
import { isKeyferryError } from '@keyferry/core';
import wrapAnsi from 'wrap-ansi';
import type { Palette } from '../../terminal/palette.ts';
import { columns, indent } from '../layout/columns.ts';
import { pasteable } from '../layout/commands.ts';
import { configIssueLines } from './config-issues.ts';
import { factsOf } from './facts.ts';
import type { ErrorReport } from './report.ts';
import { fixLines, summaryOf, whys } from './wording.ts';

const whyWidthMax = 90;

export function errorHuman(report: ErrorReport, palette: Palette): string {
  const { error, configText, stack } = report;
  const why = whys[error.code];
  const isBug = error.code === 'internal.invariant';
  const rows: (readonly [string, string])[] = [
    ...factsOf(report),
    ...(why === undefined ? [] : named('why', wrapAnsi(why, whyWidthMax).split('\n'))),
    ...named(
      'fix',
      fixLines(report).map((line) => withConfig(line, report)),
    ),
    ...(isBug
      ? [['report', 'please report it, with the command, this output and the log file (--log-file FILE)'] as const]
      : []),
    ...(error.code === 'usage.invalid' ? [] : [['more', `keyferry explain ${error.code}`] as const]),
  ];
  const issues =
    isKeyferryError(error, 'config.invalid') || isKeyferryError(error, 'fixtures.invalid')
      ? configIssueLines(error.details.file, error.details.issues, configText)
      : [];
  return [
    `${palette.bad(`Error ${error.code}:`)} ${summaryOf(report)}`,
    ...indent(issues),
    ...indent(
      columns(rows, [
        { align: 'left', min: 6 },
        { align: 'left', gap: 3 },
      ]),
    ),
    ...(stack === null ? [] : ['', palette.quiet(stack)]),
    '',
  ].join('\n');
}

/** Commands that read the configuration; the others would refuse the flag's sense, if not the flag. */
const reads = /keyferry (?:plan|apply|verify|status|rollback|finalize|reconcile|report|state|locks|doctor) /;

function withConfig(line: string, report: ErrorReport): string {
  return reads.test(line) && !line.includes('--config') ? pasteable(line, report) : line;
}

const named = (name: string, lines: readonly string[]): (readonly [string, string])[] =>
  lines.map((line, i) => [i === 0 ? name : '', line]);
