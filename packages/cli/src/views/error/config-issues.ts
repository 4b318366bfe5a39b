/**
 * What is wrong with a configuration file, all of it at once: `file:line:column`, the line, a caret. The same cause is
 * told once, with every place. What looks like a secret is blanked: the line may be the very one that holds it.
 */
import type { ConfigIssue } from '@keyferry/core';

const secretField =
  /((?:password|passwd|passphrase|secret|token|credentials?|api[-_]?key)["']?\s*:\s*)("[^"]*"|'[^']*'|[^\s,{}#]+)/gi;
const blank = '***';

export function configIssueLines(file: string, issues: readonly ConfigIssue[], text: string | null): string[] {
  const source = text === null ? [] : text.split(/\r?\n/);
  const causes = new Map<string, ConfigIssue[]>();
  for (const issue of issues) {
    const cause = issue.suggestion === null ? issue.message : `${issue.message}; did you mean ${issue.suggestion}?`;
    causes.set(cause, [...(causes.get(cause) ?? []), issue]);
  }
  return [...causes].flatMap(([cause, [first, ...others]]) =>
    first === undefined
      ? []
      : [
          `${placeOf(file, first)}   ${pathPrefix(first)}${cause}`,
          ...excerpt(first, source),
          ...others.map((other) => `${placeOf(file, other)}   ${other.path}: the same`),
        ],
  );
}

const pathPrefix = ({ path }: ConfigIssue): string => (path === '' ? '' : `${path}: `);

function placeOf(file: string, { line, column }: ConfigIssue): string {
  return [file, ...(line === null ? [] : [line]), ...(line === null || column === null ? [] : [column])].join(':');
}

function excerpt({ line, column }: ConfigIssue, source: readonly string[]): string[] {
  const text = line === null ? undefined : source[line - 1];
  if (line === null || text === undefined) return [];
  const { shown, shift } = withoutSecrets(text, (column ?? 1) - 1);
  const number = String(line);
  const caret =
    column === null ? [] : [`  ${' '.repeat(number.length)} | ${' '.repeat(Math.max(0, column - 1 + shift))}^`];
  return [`  ${number} | ${shown}`, ...caret];
}

/** The line with secrets blanked, and how far what stands at `at` moved by that. */
export function withoutSecrets(line: string, at: number): { readonly shown: string; readonly shift: number } {
  let shift = 0;
  const shown = line.replace(secretField, (whole: string, field: string, value: string, offset: number) => {
    if (offset + whole.length <= at) shift += blank.length - value.length;
    return field + blank;
  });
  return { shown, shift };
}
