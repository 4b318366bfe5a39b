/**
 * fast-check arbitraries for what every package tests with: keys, records, fences, sets of names that any store can
 * hold. They lean towards what breaks merges: `a-b` beside `a/b`, bytes above 0x7f, one key that begins another.
 */
import * as fc from 'fast-check';
import { keyFromBytes, keyFromText, type Fence, type Key, type KeyRange, type StoredRecord } from '../src/index.ts';
import type { Version } from '../src/index.ts';

/** Any bytes, the empty key included. */
export const anyKey: fc.Arbitrary<Key> = fc.uint8Array({ maxLength: 12 }).map(keyFromBytes);

// Around '/' in byte order; a two-byte letter; U+FF5A and U+1F600, whose UTF-16 order is not their byte order.
const nameUnits = ['a', 'b', '-', '.x', '0', '~', 'é', 'ｚ', '😀'];
const namePart = fc.array(fc.constantFrom(...nameUnits), { minLength: 1, maxLength: 3 }).map((units) => units.join(''));

/** A slash-separated name, such as `a-b/é`. */
export const anyName: fc.Arbitrary<string> = fc
  .array(namePart, { minLength: 1, maxLength: 3 })
  .map((parts) => parts.join('/'));

/** Such a name as a key, often a neighbour of others. */
export const anyTextKey: fc.Arbitrary<Key> = anyName.map(keyFromText);

/** Different names, none of which is a folder of another: a tree can hold them too. */
export const anyLeafNames: fc.Arbitrary<readonly string[]> = fc.uniqueArray(
  fc.oneof(
    fc.tuple(namePart, namePart).map(([folder, leaf]) => `${folder}/${leaf}`),
    namePart.map((leaf) => `${leaf}=`),
  ),
  { maxLength: 30 },
);

export const anyValue: fc.Arbitrary<Uint8Array> = fc.uint8Array({ maxLength: 20 });

export const anyRange: fc.Arbitrary<KeyRange> = fc
  .tuple(anyTextKey, fc.option(anyTextKey))
  .map(([a, b]) => (b === null || a <= b ? { start: a, end: b } : { start: b, end: a }));

export const anyRecord: fc.Arbitrary<StoredRecord> = fc.record({
  key: fc.oneof(anyTextKey, anyKey),
  value: anyValue,
  version: fc.nat().map((n) => String(n) as Version),
  expiresAtMs: fc.option(fc.integer({ min: 1, max: 4_000_000_000_000 })),
});

/** Records of one store: different keys, ascending. */
export const anyRecords: fc.Arbitrary<readonly StoredRecord[]> = fc
  .uniqueArray(anyRecord, { selector: ({ key }) => key, maxLength: 40 })
  .map((records) => records.toSorted((a, b) => (a.key < b.key ? -1 : 1)));

/** Small numbers, so that two of them often meet in attempt or token. */
export const anyFence: fc.Arbitrary<Fence> = fc.record({
  attempt: fc.integer({ min: 1, max: 4 }),
  token: fc.integer({ min: 1, max: 4 }),
});
