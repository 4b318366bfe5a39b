/** docs/reference/errors.md: every error, as `keyferry explain` tells it, and the facts that come with it in --json. */
import { allExplanations } from 'keyferry/reference';
import { code, page, remedy, table } from '../markdown.ts';
import { typeNamed, type Program } from '../schemas/program.ts';

export function errorsPage(program: Program): string {
  const details = detailsByCode(program);
  const rows = allExplanations()
    .filter(({ kind }) => kind === 'error')
    .map((error) => [
      code(error.code),
      error.summary + (error.why === null ? '' : `<br>Why it matters: ${error.why}`),
      error.exitCodes.map((each) => code(String(each))).join(', '),
      error.retry ?? '',
      remedy(error.remedy ?? ''),
      (details.get(error.code) ?? []).map(code).join(', '),
    ]);
  return page(
    'Errors',
    [
      'Every failure has a code, which stays the same, and [an exit code](exit-codes.md). Words in capitals stand for a ' +
        'fact of the case. `keyferry explain CODE` says the same in the terminal.',
      'Retry: `never`, asking again gives the same answer; `backoff`, keyferry repeats the call a few times by itself, ' +
        'then fails; `restart`, run the command again and it goes on from the last checkpoint. The last column names ' +
        'the members of `error.details` in `--json`.',
    ],
    table(['code', 'what happened', 'exit', 'retry', 'what to do', 'details'], rows),
  );
}

function detailsByCode(program: Program): ReadonlyMap<string, readonly string[]> {
  const { checker } = program;
  const details = typeNamed(program, 'DetailsTable');
  return new Map(
    checker
      .getPropertiesOfType(details)
      .map((entry) => [
        entry.name,
        checker.getPropertiesOfType(checker.getTypeOfSymbol(entry)).map(({ name }) => name),
      ]),
  );
}
