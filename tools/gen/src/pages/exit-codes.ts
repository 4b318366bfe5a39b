/** docs/reference/exit-codes.md: what a script may conclude, and which failures end so. */
import { allExplanations, exitCodeMeanings, exitCodes } from 'keyferry/reference';
import { code, page, table } from '../markdown.ts';

export function exitCodesPage(): string {
  const errors = allExplanations().filter(({ kind }) => kind === 'error');
  const rows = Object.entries(exitCodes).map(([name, exitCode]) => {
    const { meaning, script } = exitCodeMeanings[name as keyof typeof exitCodes];
    return [code(String(exitCode)), meaning, script];
  });
  const endings = Object.values(exitCodes).flatMap((exitCode) => {
    const codes = errors.filter((error) => error.exitCodes.includes(exitCode)).map((error) => code(error.code));
    return codes.length === 0 ? [] : [`- ${code(String(exitCode))}: ${codes.join(', ')}`];
  });
  return page(
    'Exit codes',
    ['The same for every command. What each error means is in [errors](errors.md).'],
    table(['code', 'meaning', 'a script should'], rows),
    '## Errors that end so',
    endings.join('\n'),
  );
}
