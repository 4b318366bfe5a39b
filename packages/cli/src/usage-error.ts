/**
 * Wrong calls in our own words. oclif's parser speaks of `args` and `nonexistent flags` and appends help texts; users
 * see one sentence, the near name if there is one, and the command that shows the right form.
 */
import { KeyferryError } from '@keyferry/core';

export function usageError(what: string, fix: string, cause?: unknown): KeyferryError<'usage.invalid'> {
  return new KeyferryError('usage.invalid', { what, fix }, cause === undefined ? undefined : { cause });
}

interface ParserError extends Error {
  readonly flags?: readonly string[];
  readonly args?: readonly (string | { readonly name?: string })[];
}

const flagSentence = /^Flag (?=--[\w-]+ )/;

/** A flag without its value, or given twice: the parser throws these without saying that they are its own. */
export function isAboutFlag(error: Error & { readonly oclif?: object }): boolean {
  return error.oclif !== undefined && flagSentence.test(error.message);
}

/** @param nearest finds the near one of the known names, or null */
export function fromParserError(
  error: ParserError,
  command: string,
  knownFlags: readonly string[],
  nearest: (name: string, known: readonly string[]) => string | null,
): KeyferryError<'usage.invalid'> {
  const fix = `see:   keyferry ${command} --help`;
  const [flag] = error.flags ?? [];
  if (flag !== undefined) {
    const near = nearest(flag.replace(/^-+/, '').replace(/=.*$/s, ''), knownFlags);
    const meant = near === null ? '' : `did you mean --${near}?\n`;
    return usageError(`keyferry ${command} has no flag ${flag.replace(/=.*$/s, '')}`, meant + fix, error);
  }
  const args = (error.args ?? []).map((arg) => (typeof arg === 'string' ? arg : (arg.name ?? '').toUpperCase()));
  if (args.length > 0) {
    const missing = typeof error.args?.[0] === 'object';
    return usageError(
      missing ? `${args.join(', ')} is missing` : `${args.join(' ')} is one argument too many`,
      fix,
      error,
    );
  }
  return usageError(cleanMessage(error.message), fix, error);
}

/** oclif's own sentence without its pointer to help, in one line. */
function cleanMessage(message: string): string {
  return message
    .replaceAll('See more help with --help', '')
    .replace(/^The following errors? occurred:/, '')
    .replace(flagSentence, '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .join(' ');
}
