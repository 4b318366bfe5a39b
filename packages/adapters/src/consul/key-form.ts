/**
 * Which keys Consul can hold so that others can read them. Pure: the plan asks it of every record, and each write once
 * more.
 *
 * A transaction takes any text as a key. But whoever reads one names it in a path, and Go's server answers a path that it
 * would clean with a redirect to another one (net/http, ServeMux) [measured, 1.8.7]: `/a`, `a//b`, `a/../b` could be
 * written and never be read by their names. Keys are JSON strings wherever they are written: they must be UTF-8.
 */
import { commonPrefix, keyToText, type Key, type KeyRange } from '@keyferry/core';

/** The remainder of a sentence, or null when Consul can hold it. */
export function unfitKey(key: Key): string | null {
  if (key === '') return 'the key is empty';
  if (key.startsWith('/')) return 'the key begins with a slash';
  if (key.includes('//')) return 'the key has an empty part';
  if (/(?:^|\/)\.\.?(?:\/|$)/.test(key)) return 'the key has a part "." or ".."';
  return keyToText(key) === null ? 'the key is not UTF-8' : null;
}

/** What to list so that all of a range is in it; more than is wanted may be. */
export function listingPrefix(range: KeyRange): Key {
  return readablePrefix(commonPrefix(range));
}

/** As much of a prefix as can be named in a path. */
export function readablePrefix(prefix: Key): Key {
  const bad = /^\/|\/\/|(?:^|\/)\.\.?(?:\/|$)/.exec(prefix);
  if (bad === null) return prefix;
  // Up to the slash before the part that is no part: `a/../b` is read by `a/`.
  const start = bad[0].startsWith('/') && bad.index > 0 ? bad.index + 1 : bad.index;
  return prefix.slice(0, start) as Key;
}
