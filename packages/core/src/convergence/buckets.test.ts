/** Goal: buckets add up to the digest of the whole, and a difference stays in its bucket. Method: laws. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bucketCount, bucketOf, BucketSums, totalOf } from './buckets.ts';
import { digestsEqual, DigestSum, RecordHasher } from './digest.ts';

const hasher = new RecordHasher('0123456789abcdef0123456789abcdef');
const anyRecord = fc.record({
  key: fc.string({ unit: 'binary-ascii' }),
  value: fc.uint8Array({ maxLength: 8 }),
  expiresAtMs: fc.constant(null),
});

describe('buckets of a digest', () => {
  it('law: they add up to the digest of the whole', () => {
    fc.assert(
      fc.property(fc.array(anyRecord), (records) => {
        const [buckets, whole] = [new BucketSums(), new DigestSum()];
        for (const record of records) {
          buckets.add(record.key, hasher.hash(record));
          whole.add(hasher.hash(record));
        }
        expect(totalOf(buckets.value())).toEqual(whole.value());
      }),
    );
  });

  it('law: a value that differs shows in the bucket of its key, and in no other', () => {
    fc.assert(
      fc.property(anyRecord, (record) => {
        const [one, other] = [new BucketSums(), new BucketSums()];
        one.add(record.key, hasher.hash(record));
        other.add(record.key, hasher.hash({ ...record, value: Uint8Array.from([...record.value, 1]) }));
        const differ = one
          .value()
          .flatMap((digest, i) => (digestsEqual(digest, other.value()[i] ?? digest) ? [] : [i]));
        expect(differ).toEqual([bucketOf(record.key)]);
      }),
    );
  });

  it('are filled evenly by keys as people name them', () => {
    const sizes = Array.from({ length: bucketCount }, () => 0);
    for (let i = 0; i < 16_000; i += 1) sizes[bucketOf(`/config/features/${i}`)]! += 1;
    expect(Math.min(...sizes)).toBeGreaterThan(800);
    expect(Math.max(...sizes)).toBeLessThan(1200);
  });
});
