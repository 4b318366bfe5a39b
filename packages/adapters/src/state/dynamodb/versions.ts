/**
 * Versions of items: `7.Vq3…` is the seventh since the item was made, `7.Vq3….14` one whose body is in 14 parts.
 *
 * The random middle makes each version the only one of its kind. So an item that was removed and made anew never has
 * one that somebody still remembers, with no counter that all writers would have to share; parts can be named after the
 * version they belong to; and a writer that is told of a conflict knows its own version when it meets it.
 * The number of parts is there so that whoever replaces or removes an item knows what there is to clear away.
 */
import { randomBytes } from 'node:crypto';
import type { StateVersion } from '@keyferry/core';

export function nextVersion(before: StateVersion | 'absent', parts: number): StateVersion {
  const number = Number.parseInt(before, 10);
  const next = Number.isSafeInteger(number) ? number + 1 : 1;
  const nonce = randomBytes(12).toString('base64url');
  return `${next}.${nonce}${parts === 0 ? '' : `.${parts}`}` as StateVersion;
}

/** 0: the body is in the item itself. */
export function partCountOf(version: string): number {
  return Number(/^\d+\.[\w-]+\.(\d+)$/.exec(version)?.[1] ?? 0);
}
