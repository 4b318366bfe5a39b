/** What a code means: what happened, what a script sees, what to do. Errors and findings share the list. */
import wrapAnsi from 'wrap-ansi';
import { columns, indent } from '../layout/columns.ts';
import { envelope, type View, type ViewContext } from '../view.ts';

export interface Explanation {
  readonly code: string;
  readonly kind: 'error' | 'finding';
  readonly summary: string;
  /** What to do; null where it depends on what was found. */
  readonly remedy: string | null;
  readonly why: string | null;
  /** Errors. */
  readonly retry: string | null;
  readonly exitCodes: readonly number[];
  /** Findings. */
  readonly level: string | null;
  readonly accept: boolean;
}

export const explainView: View<readonly Explanation[]> = {
  human: (codes, context) =>
    codes.length === 1 ? codes.map((code) => explainOne(code, context)).join('') : explainAll(codes),
  json: (codes, warnings) => envelope('keyferry.codes', warnings, { codes }),
};

const widthMax = 100;

function explainOne(explanation: Explanation, { palette }: ViewContext): string {
  const { code, kind, summary, remedy, why, retry, exitCodes, level, accept } = explanation;
  const rows: string[][] = [];
  if (why !== null) rows.push(['why', why]);
  if (kind === 'error') {
    rows.push(['exit', exitCodes.join(' or ')]);
    rows.push(['retry', retryTexts[retry ?? 'never'] ?? '']);
  } else {
    rows.push(['level', level === 'blocking' ? 'blocking: the plan cannot be applied' : 'warning']);
    rows.push(['apply', accept ? `only with --accept ${code}` : level === 'blocking' ? 'never' : 'goes on']);
  }
  const fixes = (remedy ?? 'the plan that has it says what would solve it').split('\n');
  rows.push(...fixes.map((line, i) => [i === 0 ? 'fix' : '', line]));
  const lines = columns(rows, [{ align: 'left' }, { align: 'left', gap: 3 }]);
  return [wrapAnsi(`${palette.strong(code)} (${kind}): ${summary}`, widthMax), ...indent(lines), ''].join('\n');
}

const retryTexts: Readonly<Record<string, string>> = {
  never: 'asking again gives the same answer',
  backoff: 'keyferry repeats the call a few times by itself, then fails',
  restart: 'run the command again: it goes on from the last checkpoint',
};

function explainAll(codes: readonly Explanation[]): string {
  const rows = codes.map(({ code, kind, exitCodes, level, summary }) => [
    code,
    kind === 'error' ? `exit ${exitCodes.join('/')}` : (level ?? ''),
    summary,
  ]);
  return `${columns(rows, [{ align: 'left' }, { align: 'left' }, { align: 'left' }]).join('\n')}\n`;
}
