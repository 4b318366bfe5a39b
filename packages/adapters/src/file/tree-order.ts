/**
 * The order of a tree, as byte order of other keys: a directory comes right before all that is below it.
 *
 *     byte order of keys    /a-b   /a/b   /a/c         tree order    /a/b   /a/c   /a-b
 *
 * The slash takes the place of the lowest byte, and what stood below it moves up by one. So a sorted spool of the
 * changed keys hands out the tree, whatever its size, and each key has exactly one way back.
 */
import type { Key } from '@keyferry/core';

const slash = 0x2f;

export function toTreeKey(key: Key): Key {
  return mapBytes(key, (byte) => (byte === slash ? 0 : byte < slash ? byte + 1 : byte));
}

export function fromTreeKey(key: Key): Key {
  return mapBytes(key, (byte) => (byte === 0 ? slash : byte <= slash ? byte - 1 : byte));
}

function mapBytes(key: Key, map: (byte: number) => number): Key {
  const bytes = Buffer.from(key, 'latin1');
  for (let i = 0; i < bytes.length; i += 1) bytes[i] = map(bytes[i] as number);
  return bytes.toString('latin1') as Key;
}
