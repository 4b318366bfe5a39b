/** Goal: a digest changes with every change of the set, and with nothing else. Method: known vectors, then laws. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Key } from '../model/key.ts';
import { PackedPage } from '../model/packed-page.ts';
import type { Version } from '../model/record.ts';
import { bucketOf, bucketOfPacked } from './buckets.ts';
import { addDigests, digestsEqual, DigestSum, emptyDigest, RecordHasher, type DigestedRecord } from './digest.ts';
import { Hasher, hashPieceBytes, lanes, lanesFromHex, lanesToHex } from './hash128.ts';

const salt = '00112233445566778899aabbccddeeff';
const anyByte = fc.nat(255).map((byte) => String.fromCharCode(byte));
const anyRecord: fc.Arbitrary<DigestedRecord> = fc.record({
  key: fc.string({ unit: anyByte, maxLength: 20 }),
  value: fc.uint8Array({ maxLength: 40 }),
  expiresAtMs: fc.option(fc.nat()),
});

function digestOf(records: readonly DigestedRecord[], withSalt = salt) {
  const hasher = new RecordHasher(withSalt);
  const sum = new DigestSum();
  for (const record of records) sum.add(hasher.hash(record));
  return sum.value();
}

describe('hash128', () => {
  // Made with the reference implementation of MurmurHash3_x86_128, seed 0x01234567.
  it.each([
    ['', 'ea17643f5582f37f5582f37f5582f37f'],
    ['hello', '3bb901cbe536edcd7757145577571455'],
    ['The quick brown fox jumps over the lazy dog', '8d26aec1c5a004f89f542c68f97fc672'],
  ])('agrees with the reference on %j', (text, want) => {
    const into = lanes().fill(0x01234567);
    new Hasher().hash(into, new TextEncoder().encode(text));
    expect(lanesToHex(into)).toBe(want);
  });

  it('does not depend on what was hashed before', () => {
    const hasher = new Hasher();
    hasher.hash(lanes(), new Uint8Array(64).fill(0xff));
    const [used, fresh] = [lanes(), lanes()];
    hasher.hash(used, Uint8Array.of(1, 2, 3));
    new Hasher().hash(fresh, Uint8Array.of(1, 2, 3));
    expect(used).toEqual(fresh);
  });

  it.each([hashPieceBytes - 1, hashPieceBytes, hashPieceBytes + 1, 3 * hashPieceBytes])(
    'sees every byte of %d',
    (length) => {
      const digests = [0, length >> 1, length - 1].map((at) => {
        const [into, input] = [lanes(), new Uint8Array(length)];
        input[at] = 1;
        new Hasher().hashPair(into, 'k', input);
        return lanesToHex(into);
      });
      expect(new Set(digests).size).toBe(3);
    },
  );

  it('reads back what it wrote, and nothing else', () => {
    expect(lanesToHex(lanesFromHex(salt) ?? lanes())).toBe(salt);
    expect(lanesFromHex('xyz')).toBeNull();
  });
});

describe('digests', () => {
  it('law: order does not matter, and parts add up to the whole', () =>
    fc.assert(
      fc.property(fc.array(anyRecord), fc.array(anyRecord), (a, b) => {
        const whole = digestOf([...a, ...b]);
        expect(digestOf([...b, ...a])).toEqual(whole);
        expect(addDigests(digestOf(a), digestOf(b))).toEqual(whole);
      }),
    ));

  it('law: sums are those of whole numbers of 128 bits, carries included', () => {
    const lane = fc.constantFrom('00000000', '00000001', '7fffffff', '80000000', 'ffffffff');
    const sum = fc.tuple(lane, lane, lane, lane).map((lanesOf) => lanesOf.join(''));
    fc.assert(
      fc.property(sum, sum, (a, b) => {
        const whole = (BigInt(`0x${a}`) + BigInt(`0x${b}`)) & (2n ** 128n - 1n);
        const added = addDigests({ count: 1, sum: a }, { count: 1, sum: b });
        expect(added).toEqual({ count: 2, sum: whole.toString(16).padStart(32, '0') });
      }),
      { numRuns: 1000 },
    );
  });

  it('tells keys apart by each of their bytes, those above ASCII too', () => {
    const keys = ['a', 'ab', 'ac', '\u{7f}', '\u{80}', '\u{c2}\u{80}', '\u{ff}', '\u{c3}\u{bf}'];
    const sums = keys.map((key) => digestOf([{ ...base, key }]).sum);
    expect(new Set(sums).size).toBe(keys.length);
  });

  it('a record counted twice does not cancel out', () => {
    const record = { key: 'a', value: Uint8Array.of(1), expiresAtMs: null };
    expect(digestOf([record, record]).sum).not.toBe(emptyDigest.sum);
  });

  const base: DigestedRecord = { key: 'ab', value: Uint8Array.of(0x63, 0x64), expiresAtMs: null };
  it.each([
    { name: 'the key', other: { ...base, key: 'ac' } },
    { name: 'the value', other: { ...base, value: Uint8Array.of(0x63) } },
    { name: 'where the key ends and the value begins', other: { ...base, key: 'abc', value: Uint8Array.of(0x64) } },
    { name: 'whether it expires', other: { ...base, expiresAtMs: 5 } },
  ])('tells records apart by $name', ({ other }) => {
    expect(digestsEqual(digestOf([base]), digestOf([other]))).toBe(false);
  });

  it('does not change with the time left, which moves by itself', () => {
    expect(digestOf([{ ...base, expiresAtMs: 5 }])).toEqual(digestOf([{ ...base, expiresAtMs: 6 }]));
  });

  it('differs with the salt', () => {
    expect(digestOf([base], 'f'.repeat(32)).sum).not.toBe(digestOf([base]).sum);
  });

  it('goes on from a checkpoint', () => {
    const sum = new DigestSum(digestOf([base]));
    sum.add(new RecordHasher(salt).hash({ ...base, key: 'z' }));
    expect(sum.value()).toEqual(digestOf([base, { ...base, key: 'z' }]));
  });
});

describe('a record of a packed page', () => {
  const anyPacked = fc.record({
    key: fc.string({ unit: anyByte, maxLength: 20 }),
    value: fc.uint8Array({ maxLength: 40 }),
    expiresAtMs: fc.option(fc.nat()),
    gap: fc.nat(1),
  });

  it('law: has the hash and the bucket that it has by itself, or none that is made where it lies', () =>
    fc.assert(
      fc.property(anyPacked, ({ key, value, expiresAtMs, gap }) => {
        const bytes = Buffer.concat([Buffer.from('#'), Buffer.from(key, 'latin1'), Buffer.alloc(gap), value]);
        const [start, keyEnd] = [1, 1 + key.length];
        const page = new PackedPage({
          bytes,
          count: 1,
          spans: Uint32Array.of(start, keyEnd, keyEnd + gap, bytes.length),
          keyOf: () => key as Key,
          valueOf: () => value,
          versionOf: () => '1' as Version,
          expiresAtMsOf: () => expiresAtMs,
        });
        const hasher = new RecordHasher(salt);
        const found = hasher.hashPacked(page, 0);
        const isPlain = /^[\x00-\x7f]*$/.test(key) && gap === 0;
        expect(found && lanesToHex(found)).toBe(
          isPlain ? lanesToHex(new RecordHasher(salt).hash({ key, value, expiresAtMs })) : null,
        );
        expect(bucketOfPacked(page, 0)).toBe(bucketOf(key));
      }),
    ));

  it('is left to be made where it is too long for one piece', () => {
    const long = (length: number) => {
      const bytes = Buffer.alloc(length, 'v');
      return new RecordHasher(salt).hashPacked(
        new PackedPage({
          bytes,
          count: 1,
          spans: Uint32Array.of(0, 1, 1, length),
          keyOf: () => 'v' as Key,
          valueOf: () => bytes.subarray(1),
          versionOf: () => '1' as Version,
          expiresAtMsOf: () => null,
        }),
        0,
      );
    };
    expect(long(hashPieceBytes - 1)).not.toBeNull();
    expect(long(hashPieceBytes)).toBeNull();
  });
});
