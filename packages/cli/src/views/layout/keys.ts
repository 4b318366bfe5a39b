/**
 * Keys and prefixes, for people and for JSON. Control characters are escaped: a key must not forge output.
 */
import { keyForDisplay, keyFromJson, keyFromText, type KeyJson } from '@keyferry/core';

export function keyText(key: KeyJson): string {
  return keyForDisplay(keyFromJson(key));
}

/** Text that came from elsewhere, such as a store's own words: its control characters are escaped, as those of keys are. */
export function textForDisplay(text: string): string {
  return keyForDisplay(keyFromText(text));
}

/** The prefix, or words for the empty one. */
export function prefixText(prefix: KeyJson): string {
  const text = keyText(prefix);
  return text === '' ? '(all keys)' : text;
}
