/**
 * Goal: a packed page holds the records that a plain one would, and compares keys as their strings compare.
 * Method: generated keys that share beginnings, of all lengths around a word, against `<` of strings.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareKeys, keyFromBytes, keyToBytes, type Key } from './key.ts';
import { PackedPage, type PackedRecords } from './packed-page.ts';
import { changedRecord, type Version } from './record.ts';

const valueBytes = 2;

/** Each key, and two bytes of value behind it; not at the start of the memory that the block lies in. */
function packed(keys: readonly Key[], more: Pick<PackedRecords, 'createdOf'> = {}): PackedPage {
  const filler = '#'.repeat(3);
  const text = filler + keys.map((key) => `${key}vv`).join('');
  const bytes = keyToBytes(text as Key).subarray(filler.length);
  const spans = new Uint32Array(4 * keys.length);
  let at = 0;
  for (const [i, key] of keys.entries()) {
    const end = at + key.length;
    spans.set([at, end, end, end + valueBytes], 4 * i);
    at = end + valueBytes;
  }
  return new PackedPage({
    bytes,
    spans,
    count: keys.length,
    keyOf: (start, end) => keyFromBytes(bytes.subarray(start, end)),
    valueOf: (start, end) => bytes.subarray(start, end),
    versionOf: (index) => String(index) as Version,
    expiresAtMsOf: (index) => (index === 0 ? 7 : null),
    ...more,
  });
}

/** Few distinct bytes, so that beginnings are shared, and those where the sign of a word turns. */
const anyKey = fc
  .array(fc.constantFrom(0, 1, 0x7f, 0x80, 0xff), { maxLength: 11 })
  .map((bytes) => keyFromBytes(Uint8Array.from(bytes)));

describe('PackedPage', () => {
  it('holds plain records', () => {
    const page = packed(['a', 'b/c'] as Key[]);
    const value = Uint8Array.from([118, 118]);
    expect(page.records).toEqual([
      { key: 'a', value, version: '0', expiresAtMs: 7 },
      { key: 'b/c', value, version: '1', expiresAtMs: null },
    ]);
  });

  it('hands out single records that can be changed', () => {
    const record = packed(['a'] as Key[]).recordAt(0);
    expect(changedRecord(record, { key: 'b' as Key })).toEqual({
      key: 'b',
      value: Uint8Array.from([118, 118]),
      version: '0',
      expiresAtMs: 7,
    });
    expect([record.key, record.version]).toEqual(['a', '0']);
  });

  it('law: hands out single records that are those of the page, with the token of their creation or without one', () =>
    fc.assert(
      fc.property(fc.array(anyKey), fc.boolean(), (keys, isToldCreation) => {
        const createdOf = (index: number) => `made ${index}` as Version;
        const page = packed(keys, isToldCreation ? { createdOf } : {});
        const single = keys.map((_, index) => changedRecord(page.recordAt(index), {}));
        expect(single).toStrictEqual(page.records);
      }),
    ));

  it('law: compares keys as their strings compare', () =>
    fc.assert(
      fc.property(fc.array(anyKey), anyKey, anyKey, (before, a, b) => {
        const left = packed([...before, a]);
        const right = packed([b]);
        expect(Math.sign(left.compareKeys(before.length, 0, right, 0, 0))).toBe(compareKeys(a, b));
        expect(left.matchingKeys(before.length, 0, right, 0, 0)).toBe(a === b ? 1 : 0);
        const [long, longer] = [packed([`pre${a}` as Key]), packed([`prefix${b}` as Key])];
        expect(Math.sign(long.compareKeys(0, 3, longer, 0, 6))).toBe(compareKeys(a, b));
        expect(long.matchingKeys(0, 3, longer, 0, 6)).toBe(a === b ? 1 : 0);
      }),
    ));

  it('law: two values are the same if their bytes are, and neither record ends', () =>
    fc.assert(
      fc.property(anyKey, anyKey, fc.boolean(), (a, b, ends) => {
        const page = (value: Key, expiresAtMs: number | null): PackedPage => {
          const bytes = keyToBytes(`k${value}` as Key);
          return new PackedPage({
            bytes,
            count: 1,
            spans: Uint32Array.of(0, 1, 1, bytes.length),
            keyOf: () => 'k' as Key,
            valueOf: (start, end) => bytes.subarray(start, end),
            versionOf: () => '1' as Version,
            expiresAtMsOf: () => expiresAtMs,
          });
        };
        expect(page(a, null).samePermanentValue(0, page(b, ends ? 5 : null), 0)).toBe(a === b && !ends);
        expect(page(a, ends ? 5 : null).samePermanentValue(0, page(a, null), 0)).toBe(!ends);
      }),
    ));

  it('law: says where order breaks', () =>
    fc.assert(
      fc.property(fc.array(anyKey), (keys) => {
        const broken = keys.findIndex((key, i) => i > 0 && key <= (keys[i - 1] as Key));
        expect(packed(keys).firstOutOfOrder()).toBe(broken === -1 ? null : broken);
      }),
    ));

  it('law: counts the keys that match from a place on', () =>
    fc.assert(
      fc.property(fc.uniqueArray(anyKey), fc.uniqueArray(anyKey), fc.uniqueArray(anyKey), (same, a, b) => {
        const [left, right] = [
          [...same, ...a],
          [...same, ...b],
        ];
        let matching = 0;
        while (matching < Math.min(left.length, right.length) && left[matching] === right[matching]) matching += 1;
        expect(packed(left).matchingKeys(0, 0, packed(right), 0, 0)).toBe(matching);
      }),
    ));
});
