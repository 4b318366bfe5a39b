/** One thing that doctor looked at, and what came of it. */
import { isKeyferryError, KeyferryError, shellWord } from '@keyferry/core';

export type CheckLevel = 'ok' | 'warn' | 'fail';

export interface Check {
  /** What was looked at: `state`, `config-v2-to-v3 source`. */
  readonly subject: string;
  readonly level: CheckLevel;
  readonly what: string;
  /** Null where nothing is to be done. */
  readonly fix: string | null;
  /** The error's code, for `explain`; null where there was none. */
  readonly code: string | null;
}

export const ok = (subject: string, what: string): Check => ({ subject, level: 'ok', what, fix: null, code: null });

export const warn = (subject: string, what: string, fix: string): Check => ({
  subject,
  level: 'warn',
  what,
  fix,
  code: null,
});

/**
 * The checks that `look` makes; what it fails with is a check too, so that one store that is down does not hide the
 * state of the other.
 * @throws what is no failure of the thing that was looked at: an interrupt, a bug
 */
export async function checksOf(subject: string, look: () => Promise<readonly Check[]>): Promise<readonly Check[]> {
  try {
    return await look();
  } catch (error) {
    const { code } = error as { readonly code?: unknown };
    if (!(error instanceof KeyferryError) || code === 'run.interrupted' || code === 'internal.invariant') throw error;
    const fix = isKeyferryError(error, 'config.invalid')
      ? `see its mistakes:   keyferry validate --config ${shellWord(error.details.file)}`
      : error.remedy;
    return [{ subject, level: 'fail', what: error.message, fix, code: error.code }];
  }
}
