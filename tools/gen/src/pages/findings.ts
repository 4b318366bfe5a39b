/** docs/reference/findings.md: what a plan may find, and what apply then asks for. */
import { allExplanations } from 'keyferry/reference';
import { code, page, remedy, table } from '../markdown.ts';

export function findingsPage(): string {
  const rows = allExplanations()
    .filter(({ kind }) => kind === 'finding')
    .map(({ code: name, level, accept, summary, why, remedy: fix }) => [
      code(name),
      level ?? '',
      summary + (why === null ? '' : `<br>Why it matters: ${why}`),
      level === 'blocking' ? 'refuses' : accept ? `needs ${code(`--accept ${name}`)}` : 'goes on',
      fix === null ? 'the plan that has it says what would solve it' : remedy(fix),
    ]);
  return page(
    'Findings',
    [
      'What a reviewer must know before apply. Each plan names its findings with the keys they are about; ' +
        '`keyferry show FILE --finding CODE` shows all of one, `keyferry explain CODE` what is below.',
    ],
    table(['code', 'level', 'what was found', 'apply', 'what to do'], rows),
  );
}
