/** Goal: keys and ranges mean the same here and on the wire. Method: all bytes, and etcd's two odd conventions. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { prefixRange, rangeHolds, type Key, type KeyRange } from '@keyferry/core';
import { anyKey, anyRange } from '@keyferry/core/testing';
import { keyFromBuffer, keyToBuffer, rangeToWire, rangeWithout } from './codec.ts';

const range = (start: string, end: string | null): KeyRange => ({ start: start as Key, end: end as Key | null });

describe('codec', () => {
  it('law: a key comes back as it was sent', () =>
    fc.assert(fc.property(anyKey, (key) => keyFromBuffer(keyToBuffer(key)) === key)));

  it.each([
    { name: 'from the first key to the last', from: range('', null), key: '\0', end: '\0' },
    { name: 'to the last key', from: range('a', null), key: 'a', end: '\0' },
    { name: 'between two keys', from: range('a', 'b\xff'), key: 'a', end: 'b\xff' },
  ])('writes a range $name', ({ from, key, end }) => {
    expect(rangeToWire(from)).toEqual({ key: Buffer.from(key, 'latin1'), range_end: Buffer.from(end, 'latin1') });
  });

  it('asks nothing for a range that holds no key: an end of one zero byte would mean "to the last"', () => {
    expect(rangeToWire(range('', '\0'))).toBeNull();
    expect(rangeToWire(range('b', 'b'))).toBeNull();
    expect(rangeToWire(range('b', 'a'))).toBeNull();
  });

  it('law: a range without a prefix holds the keys that have it not', () =>
    fc.assert(
      fc.property(anyRange, anyKey, anyKey, (from, prefix, key) => {
        const parts = rangeWithout(from, prefixRange(prefix));
        const inParts = parts.filter((part) => rangeHolds(part, key)).length;
        expect(inParts).toBe(rangeHolds(from, key) && !key.startsWith(prefix) ? 1 : 0);
        for (const { start, end } of parts) expect(end === null || start < end).toBe(true);
      }),
    ));
});
