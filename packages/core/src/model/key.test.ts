/** Goal: keys keep byte order and lose no byte on any way in or out. Method: edges as tables, then laws. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compareKeys,
  keyAfter,
  keyForDisplay,
  keyFromBytes,
  keyFromJson,
  keyFromText,
  keyToBytes,
  keyToJson,
  keyToText,
  prefixEnd,
  prefixRange,
  rangeHolds,
} from './key.ts';

const anyBytes = fc.uint8Array({ maxLength: 24 });
const anyKey = anyBytes.map(keyFromBytes);

describe('keys', () => {
  it('law: bytes survive the way through a key and through JSON', () =>
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        const key = keyFromBytes(bytes);
        expect(keyToBytes(key)).toEqual(bytes);
        expect(keyFromJson(keyToJson(key))).toBe(key);
      }),
    ));

  it('law: they compare as their bytes do', () =>
    fc.assert(
      fc.property(anyBytes, anyBytes, (a, b) => {
        expect(Math.sign(compareKeys(keyFromBytes(a), keyFromBytes(b)))).toBe(Math.sign(Buffer.compare(a, b)));
      }),
    ));

  it('orders a character outside the basic plane by its bytes, where strings would not', () => {
    const [rare, common] = ['\u{1f600}', '\uffee'];
    expect(rare < common).toBe(true);
    expect(keyFromText(rare) > keyFromText(common)).toBe(true);
  });

  it('law: text survives', () =>
    fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (text) => keyToText(keyFromText(text)) === text)));

  it.each([
    { name: 'text', key: keyFromText('/config/ä'), json: { text: '/config/ä' } },
    { name: 'a byte order mark', key: keyFromText('\ufeffa'), json: { text: '\ufeffa' } },
    { name: 'bytes that are no text', key: keyFromBytes(Uint8Array.of(0xff, 0x00)), json: { base64: '/wA=' } },
  ])('writes $name to JSON', ({ key, json }) => {
    expect(keyToJson(key)).toEqual(json);
  });

  it('shows control and direction characters escaped, so that a key cannot forge output', () => {
    expect(keyForDisplay(keyFromText('a\n\u001b[31m\u202eb'))).toBe('a\\u000a\\u001b[31m\\u202eb');
  });

  it.each([
    { prefix: 'a', end: 'b' },
    { prefix: '/config/', end: '/config0' },
    { prefix: 'a\xff', end: 'b' },
    { prefix: '\xff\xff', end: null },
    { prefix: '', end: null },
  ])('ends the prefix $prefix at $end', ({ prefix, end }) => {
    expect(prefixEnd(keyFromBytes(Buffer.from(prefix, 'latin1')))).toBe(end);
  });

  it('law: a prefix range holds exactly the keys that start with it', () =>
    fc.assert(
      fc.property(anyKey, anyKey, (prefix, key) => rangeHolds(prefixRange(prefix), key) === key.startsWith(prefix)),
    ));

  it('law: nothing lies between a key and the key after it', () =>
    fc.assert(fc.property(anyKey, anyKey, (a, b) => !(b > a && b < keyAfter(a)))));
});
