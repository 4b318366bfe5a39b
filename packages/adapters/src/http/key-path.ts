/** Keys as paths of a URL. */
import { keyToBytes, type Key } from '@keyferry/core';

/** Percent-encodes every byte that is not unreserved (RFC 3986), segment by segment; the slashes between stay. */
export function encodePath(key: Key): string {
  let path = '';
  for (const byte of keyToBytes(key)) {
    const character = String.fromCharCode(byte);
    path += /[A-Za-z0-9\-._~/]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return path;
}
