/**
 * What SQLite throws, as keyferry's codes. Result codes as in sqlite.org/rescode.html; the low byte is the primary one.
 */
import { KeyferryError } from '@keyferry/core';

export const resultCodes = {
  permission: 3,
  busy: 5,
  locked: 6,
  readOnly: 8,
  ioError: 10,
  corrupt: 11,
  full: 13,
  cannotOpen: 14,
  tooBig: 18,
  authorization: 23,
  notADatabase: 26,
} as const;

/** The primary result code, or null when the error is not SQLite's. node:sqlite keeps it in `errcode`. */
export function resultCodeOf(error: unknown): number | null {
  if (!(error instanceof Error) || !('code' in error) || error.code !== 'ERR_SQLITE_ERROR') return null;
  return 'errcode' in error && typeof error.errcode === 'number' ? error.errcode & 0xff : 0;
}

export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** An error of ours, or one that is no business of SQLite's, comes back as it is. */
export function storeErrorOf(store: string, error: unknown): unknown {
  const code = resultCodeOf(error);
  const details = { store, detail: textOf(error) };
  const options = { cause: error };
  if (code === null) {
    // node:sqlite's own: an integer beyond 2^53 in a column that keyferry reads as a number.
    const isOutOfRange = error instanceof RangeError && 'code' in error && error.code === 'ERR_OUT_OF_RANGE';
    return isOutOfRange ? new KeyferryError('store.answer-unexpected', details, options) : error;
  }
  switch (code) {
    case resultCodes.busy: // another process kept its lock for longer than the busy timeout
    case resultCodes.locked:
      return new KeyferryError('store.timeout', details, options);
    case resultCodes.permission:
    case resultCodes.readOnly:
    case resultCodes.authorization:
      return new KeyferryError('store.permission-denied', details, options);
    case resultCodes.ioError:
    case resultCodes.cannotOpen:
      return new KeyferryError('store.unreachable', details, options);
    case resultCodes.corrupt:
    case resultCodes.notADatabase:
      return new KeyferryError('store.answer-unexpected', details, options);
    case resultCodes.full:
      return new KeyferryError('store.out-of-space', details, options);
    default:
      return new KeyferryError('store.request-refused', details, options);
  }
}
