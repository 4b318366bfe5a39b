/**
 * Pairs of keys as one key, in the order of the first and then of the second: for a scratch that sorts by keys and has
 * to hold several entries at one of them.
 *
 *     first, with 00 written as 00 ff │ 00 00 │ second
 *
 * No `first` holds 00 00 in this form, so the parts come apart again, and `00 00` sorts before anything that could go on
 * in its place: one first that begins another comes before it, as it does by itself.
 */
import type { Key } from './key.ts';

const end = '\0\0';

export function pairKey(first: Key, second: string): Key {
  return (firstOfPair(first) + end + second) as Key;
}

/** The start of all pairs whose first is `first` or greater. */
export function firstOfPair(first: Key): Key {
  return (first.includes('\0') ? first.replaceAll('\0', '\0\xff') : first) as Key;
}

export function splitPair(pair: Key): { readonly first: Key; readonly second: string } {
  const at = pair.indexOf(end);
  const first = pair.slice(0, at);
  return {
    first: (first.includes('\0') ? first.replaceAll('\0\xff', '\0') : first) as Key,
    second: pair.slice(at + end.length),
  };
}
