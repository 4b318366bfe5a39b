/**
 * Goal: numbers come out of a record as they went in, also where one no longer fits into 31, 32 or 49 bits, at which the ways of
 * writing and reading them change.
 */
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { KeyValueReader, readLease } from './decode.ts';
import { encodeLease, keyValueBytes, readRevision, revisionBytes, writeKeyValue, writeRevision } from './key-value.ts';

const exactMax = Number.MAX_SAFE_INTEGER;
const edges = [7, 14, 28, 31, 32, 49, 53].flatMap((bits) => [2 ** bits - 1, 2 ** bits]);
const anyNumber = fc.oneof(
  fc.constantFrom(...edges.filter((edge) => edge <= exactMax)),
  fc.integer({ min: 1, max: 53 }).chain((bits) => fc.integer({ min: 1, max: 2 ** bits - 1 })),
);

it('law: a revision and a lease are read as they were written', () => {
  fc.assert(
    fc.property(anyNumber, fc.oneof(fc.constant(0), anyNumber), (revision, lease) => {
      const kv = Buffer.from('kv');
      const record = { bytes: kv, keyStart: 0, keyEnd: 1, valueStart: 1, valueEnd: 2, revision, lease };
      const end = revisionBytes + keyValueBytes(record);
      const bytes = Buffer.alloc(end);
      writeRevision(bytes, 0, revision);
      writeKeyValue(bytes, revisionBytes, record);
      expect(bytes.readBigUInt64BE(0)).toBe(BigInt(revision));
      const entry = { bytes, keyStart: 0, keyEnd: revisionBytes, valueEnd: end, isBucket: false };
      const read = new KeyValueReader().read(entry);
      const value = bytes.toString('latin1', read.valueStart, read.valueEnd);
      expect([read.key, value, read.revision, read.lease]).toEqual([
        'k',
        'v',
        revision,
        lease === 0 ? null : String(lease),
      ]);
    }),
    { numRuns: 1000 },
  );
});

it('law: so are the id and the seconds of a lease', () => {
  fc.assert(
    fc.property(anyNumber, anyNumber, (id, seconds) => {
      const bytes = encodeLease(id, seconds);
      const entry = { bytes, keyStart: 0, keyEnd: 0, valueEnd: bytes.length, isBucket: false };
      expect(readLease(entry)).toEqual({ id: String(id), seconds });
    }),
  );
});

it.each([0n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n])('%i is no revision', (number) => {
  const bytes = Buffer.alloc(revisionBytes);
  bytes.writeBigUInt64BE(number);
  bytes.write('_', 8);
  expect(readRevision(bytes, 0, revisionBytes)).toBe(0);
});
