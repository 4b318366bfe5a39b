/** Goal: pairs sort by their first part and then by the second, and come apart again. Method: laws over bytes. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareKeys, keyFromBytes, type Key } from './key.ts';
import { firstOfPair, pairKey, splitPair } from './key-pair.ts';

// Mostly the bytes that the form itself is made of.
const anyByte = fc.constantFrom(0, 0, 1, 0xfe, 0xff, 0x61);
const anyBytes: fc.Arbitrary<Key> = fc
  .array(anyByte, { maxLength: 5 })
  .map((bytes) => keyFromBytes(Uint8Array.from(bytes)));

describe('a pair of keys', () => {
  it('law: comes apart as it was put together', () =>
    fc.assert(
      fc.property(anyBytes, anyBytes, (first, second) => {
        expect(splitPair(pairKey(first, second))).toEqual({ first, second });
      }),
    ));

  it('law: sorts by the first part, then by the second', () =>
    fc.assert(
      fc.property(anyBytes, anyBytes, anyBytes, anyBytes, (a, b, c, d) => {
        const want = compareKeys(a, c) || compareKeys(b, d);
        expect(compareKeys(pairKey(a, b), pairKey(c, d))).toBe(want);
      }),
    ));

  it('law: starts at or behind where its first part and all greater ones start', () =>
    fc.assert(
      fc.property(anyBytes, anyBytes, anyBytes, (first, second, start) => {
        expect(pairKey(first, second) >= firstOfPair(start)).toBe(first >= start);
      }),
    ));
});
