/**
 * Keys and prefixes, for people and for JSON. Control characters are escaped: a key must not forge output.
 */
import { keyForDisplay, keyFromJson, type KeyJson } from '@keyferry/core';

export function keyText(key: KeyJson): string {
  return keyForDisplay(keyFromJson(key));
}

/** The prefix, or words for the empty one. */
export function prefixText(prefix: KeyJson): string {
  const text = keyText(prefix);
  return text === '' ? '(all keys)' : text;
}
