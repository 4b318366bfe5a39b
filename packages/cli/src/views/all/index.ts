/** What became of each migration when one command worked on all of them. */
import { shellWord, type MigrationId } from '@keyferry/core';
import type { ExitCode } from '../../exit-codes.ts';
import { columns } from '../layout/columns.ts';
import { pasteable } from '../layout/commands.ts';
import { counted, listText } from '../layout/numbers.ts';
import { envelope, type Envelope, type View, type ViewContext } from '../view.ts';

export interface MigrationEnd {
  readonly migration: MigrationId;
  /** Of the command on this migration alone; null: it was not begun. */
  readonly exitCode: ExitCode | null;
  /** Those before it that did not end well. */
  readonly heldBackBy: readonly string[];
  /** What the command printed with --json on this migration alone; null: it was not begun. */
  readonly document: Envelope | null;
}

export interface AllResult {
  readonly command: string;
  /** In the order in which they were worked on. */
  readonly migrations: readonly MigrationEnd[];
}

interface AllView extends View<AllResult> {
  /** Before what is shown of one migration. */
  readonly heading: (migration: string, context: ViewContext) => string;
}

export const allView: AllView = {
  heading: (migration, { palette }) => `${palette.strong(`== ${migration} ==`)}\n`,
  human: (result, context) => {
    const { command, migrations } = result;
    const open = migrations.filter(({ exitCode }) => exitCode !== 0);
    const rows = migrations.map((end) => [`  ${end.migration}`, endText(end)]);
    const well = `${counted(migrations.length - open.length, 'migration')} of ${migrations.length} ended well`;
    return [
      context.palette.strong('== all =='),
      ...columns(rows, [{ align: 'left' }, { align: 'left' }]),
      `${command} --all: ${well}.`,
      ...open
        .slice(0, 1)
        .map(({ migration }) => `Next: ${pasteable(`keyferry status ${shellWord(migration)}`, context)}`),
      '',
    ].join('\n');
  },
  json: (result, warnings) => envelope('keyferry.all', warnings, allJson(result)),
};

/** Each document has a schema of its own, by its format. */
function allJson({ command, migrations }: AllResult) {
  return {
    command,
    migrations: migrations.map(({ document, ...end }) => ({ ...end, document: document as object | null })),
  };
}

function endText({ exitCode, heldBackBy, document }: MigrationEnd): string {
  if (heldBackBy.length > 0) return `not begun: comes after ${listText(heldBackBy)}`;
  if (exitCode === null) return 'not begun';
  const code = codeOf(document);
  return exitCode === 0 ? 'done' : `exit ${exitCode}${code === null ? '' : `   ${code}`}`;
}

function codeOf(document: Envelope | null): string | null {
  const error: unknown = document !== null && 'error' in document ? document.error : null;
  const code: unknown = typeof error === 'object' && error !== null && 'code' in error ? error.code : null;
  return typeof code === 'string' ? code : null;
}
