/**
 * Broken assumptions. They stop the run and are never caught and passed over: after one, no statement of keyferry
 * about the data can be trusted.
 */
import { KeyferryError } from './keyferry-error.ts';

/**
 * @param what a function where the check is made for each record: its text is then made only when it is needed.
 * @throws {KeyferryError} `internal.invariant` unless `holds`.
 */
export function invariant(holds: boolean, what: string | (() => string)): asserts holds {
  if (!holds) throw new KeyferryError('internal.invariant', { what: typeof what === 'string' ? what : what() });
}
