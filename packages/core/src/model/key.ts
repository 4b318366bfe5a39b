/**
 * Key: the bytes that name a record, held as a string in which each UTF-16 unit is one byte (0 to 255).
 *
 * Why a byte string and not a Uint8Array: it compares by bytes with `<`, works as a Map key and takes half the
 * memory of a Buffer view. A string decoded as UTF-8 would compare in UTF-16 order, which is not byte order, and
 * merging two scans would then miss keys. Text exists only at the edges: `keyFromText` and `keyToJson`.
 */
import type { Brand } from './brand.ts';

export type Key = Brand<string, 'Key'>;

/** How a key is written in JSON: its text when it is clean UTF-8, else its bytes in base64. */
export type KeyJson = { readonly text: string } | { readonly base64: string };

/** Keys from `start` (included) up to `end` (not included); `end: null` means to the last key. */
export interface KeyRange {
  readonly start: Key;
  readonly end: Key | null;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const isAscii = /^[\x00-\x7f]*$/;
const byteSliceMax = 8192;

export function keyFromBytes(bytes: Uint8Array): Key {
  let key = '';
  for (let at = 0; at < bytes.length; at += byteSliceMax) {
    key += String.fromCharCode(...bytes.subarray(at, at + byteSliceMax));
  }
  return key as Key;
}

export function keyFromText(text: string): Key {
  return isAscii.test(text) ? (text as Key) : keyFromBytes(encoder.encode(text));
}

export function keyToBytes(key: Key): Uint8Array {
  const bytes = new Uint8Array(key.length);
  for (let i = 0; i < key.length; i += 1) bytes[i] = key.charCodeAt(i);
  return bytes;
}

/** The key as text, or null when its bytes are not valid UTF-8. */
export function keyToText(key: Key): string | null {
  if (isAscii.test(key)) return key;
  try {
    return decoder.decode(keyToBytes(key));
  } catch {
    return null; // fatal decoding is the test: invalid UTF-8 is an answer here, not a failure
  }
}

export function keyToJson(key: Key): KeyJson {
  const text = keyToText(key);
  return text === null ? { base64: btoa(key) } : { text };
}

export function keyFromJson(json: KeyJson): Key {
  return 'text' in json ? keyFromText(json.text) : (atob(json.base64) as Key);
}

/** For people: the text, or base64 marked as such; control characters escaped so that a key cannot forge output. */
export function keyForDisplay(key: Key): string {
  const text = keyToText(key);
  if (text === null) return `base64:${btoa(key)}`;
  return escapeControls(text);
}

/** A text that somebody else wrote, for people: what could move the cursor or turn the direction is escaped. */
export function escapeControls(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, (c) => {
    const code = c.codePointAt(0) ?? 0;
    return `\\u${code.toString(16).padStart(4, '0')}`;
  });
}

export function compareKeys(a: Key, b: Key): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The first key after all keys that start with `prefix`; null when there is none (an empty prefix, or all 0xff). */
export function prefixEnd(prefix: Key): Key | null {
  for (let i = prefix.length - 1; i >= 0; i -= 1) {
    const byte = prefix.charCodeAt(i);
    if (byte < 0xff) return (prefix.slice(0, i) + String.fromCharCode(byte + 1)) as Key;
  }
  return null;
}

export function prefixRange(prefix: Key): KeyRange {
  return { start: prefix, end: prefixEnd(prefix) };
}

/** The smallest key greater than `key`. */
export function keyAfter(key: Key): Key {
  return (key + '\0') as Key;
}

export function rangeHolds(range: KeyRange, key: Key): boolean {
  return key >= range.start && (range.end === null || key < range.end);
}

export function intersectRanges(a: KeyRange, b: KeyRange): KeyRange | null {
  const start = a.start > b.start ? a.start : b.start;
  const end = a.end === null ? b.end : b.end === null ? a.end : a.end < b.end ? a.end : b.end;
  return end !== null && end <= start ? null : { start, end };
}

/** The longest prefix of all keys that the range can hold. */
export function commonPrefix({ start, end }: KeyRange): Key {
  for (let length = start.length; length > 0; length -= 1) {
    const prefix = start.slice(0, length) as Key;
    const last = prefixEnd(prefix);
    if (last === null || (end !== null && end <= last)) return prefix;
  }
  return '' as Key;
}
