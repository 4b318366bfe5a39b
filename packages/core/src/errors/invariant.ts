/**
 * Broken assumptions. They stop the run and are never caught and passed over: after one, no statement of keyferry
 * about the data can be trusted.
 */
import { KeyferryError } from './keyferry-error.ts';

/** @throws {KeyferryError} `internal.invariant` unless `holds`. */
export function invariant(holds: boolean, what: string): asserts holds {
  if (!holds) throw new KeyferryError('internal.invariant', { what });
}
