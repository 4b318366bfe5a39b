/**
 * Goal: what a transformer writes is read record by record wherever the pieces end, and whatever is not a record to its
 * last byte is refused with its place; nothing is made of garbage.
 * Method: records encoded by hand, cut anywhere (law); then damaged, and compared with the records that they were.
 */
import { keyFromText, keyToBytes } from '@keyferry/core';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KeyValueReader, NotAKeyValue, type KeyValue } from './key-value-reader.ts';

function varint(value: bigint): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return [...bytes, Number(rest)];
}

const numberField = (field: number, value: bigint): number[] => (value === 0n ? [] : [field << 3, ...varint(value)]);
const bytesField = (field: number, bytes: Uint8Array): number[] =>
  bytes.length === 0 ? [] : [(field << 3) | 2, ...varint(BigInt(bytes.length)), ...bytes];

/** As Go's generated code writes a mvccpb.KeyValue: fields ascending, zeros left out. */
function keyValueBytes({ key, value, modRevision, lease }: KeyValue): Buffer {
  return Buffer.from([
    ...bytesField(1, keyToBytes(key)),
    ...numberField(2, 3n),
    ...numberField(3, BigInt(modRevision)),
    ...numberField(4, 1n),
    ...bytesField(5, value),
    ...numberField(6, lease),
  ]);
}

function framed(record: Buffer): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigInt64LE(BigInt(record.length));
  return Buffer.concat([length, record]);
}

const anyKeyValue: fc.Arbitrary<KeyValue> = fc.record({
  key: fc.string({ minLength: 1 }).map((text) => keyFromText(text)),
  value: fc.uint8Array({ maxLength: 200 }),
  modRevision: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
  lease: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
});

function readAll(bytes: Buffer, pieceBytes = bytes.length): KeyValue[] {
  const reader = new KeyValueReader();
  const found: KeyValue[] = [];
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    for (const record of reader.take(bytes.subarray(at, at + pieceBytes))) found.push(record);
  }
  reader.end();
  return found;
}

/** Where it is refused; null: it is not. */
function refusal(bytes: Buffer): NotAKeyValue | null {
  try {
    readAll(bytes);
    return null;
  } catch (error) {
    if (error instanceof NotAKeyValue) return error;
    throw error;
  }
}

const one: KeyValue = { key: keyFromText('/a'), value: Buffer.from('v'), modRevision: '7', lease: 0n };

describe('the reader of what a transformer writes', () => {
  it('law: finds every record, wherever the pieces end', () =>
    fc.assert(
      fc.property(fc.array(anyKeyValue, { maxLength: 5 }), fc.integer({ min: 1, max: 50 }), (records, pieceBytes) => {
        const bytes = Buffer.concat(records.map((record) => framed(keyValueBytes(record))));
        const found = readAll(bytes, pieceBytes).map((record) => ({ ...record, value: [...record.value] }));
        expect(found).toEqual(records.map((record) => ({ ...record, value: [...record.value] })));
      }),
    ));

  it.each([
    {
      name: 'text where a length should be',
      bytes: Buffer.from('finished: 12 keys\n'),
      at: 0,
      says: /no record has a length/,
    },
    { name: 'a length of nothing', bytes: framed(Buffer.alloc(0)), at: 0, says: /length of 0/ },
    { name: 'a negative length', bytes: Buffer.alloc(8, 0xff), at: 0, says: /length of -1/ },
    { name: 'half a length', bytes: Buffer.from([1, 0, 0]), at: 0, says: /ends 3 bytes into/ },
    { name: 'a record without a key', bytes: framed(Buffer.from(numberField(3, 5n))), at: 0, says: /no key/ },
    { name: 'a field that it has not', bytes: framed(Buffer.from([8 << 3, 1])), at: 0, says: /no field 8/ },
    { name: 'bytes that are no message', bytes: framed(Buffer.from([0xff, 0xff])), at: 0, says: /./ },
    { name: 'a key of another type', bytes: framed(Buffer.from([1 << 3, 1])), at: 0, says: /wire type 0/ },
    {
      name: 'a cut-off record behind a whole one',
      bytes: Buffer.concat([framed(keyValueBytes(one)), framed(keyValueBytes(one)).subarray(0, -1)]),
      at: framed(keyValueBytes(one)).length,
      says: /ends \d+ bytes into/,
    },
  ])('refuses $name, with its place', ({ bytes, at, says }) => {
    const refused = refusal(bytes);
    expect(refused?.at).toBe(at);
    expect(refused?.message).toMatch(says);
  });

  it('law: refuses any bytes or takes them as records, and never fails otherwise', () =>
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, whole) => {
        const given = whole ? framed(Buffer.from(bytes)) : Buffer.from(bytes);
        expect([null, 'NotAKeyValue']).toContain(refusal(given)?.constructor.name ?? null);
      }),
      { numRuns: 2000 },
    ));

  it('law: of a damaged output it takes no more than the records that lie before the damage', () =>
    fc.assert(
      fc.property(
        fc.array(anyKeyValue, { minLength: 1, maxLength: 6 }),
        fc.nat(),
        fc.constantFrom('cut off', 'length overwritten'),
        (records, chosen, damage) => {
          const frames = records.map((record) => framed(keyValueBytes(record)));
          const victim = chosen % frames.length;
          const before = frames.slice(0, victim);
          const hurt = frames[victim] as Buffer;
          const rest =
            damage === 'cut off'
              ? hurt.subarray(0, 1 + (chosen % (hurt.length - 1)))
              : Buffer.from('{"key":"/a","value":"b"}');
          const reader = new KeyValueReader();
          const found: KeyValue[] = [];
          expect(() => {
            for (const record of reader.take(Buffer.concat([...before, rest]))) found.push(record);
            reader.end();
          }).toThrow(NotAKeyValue);
          expect(found.map(({ key }) => key)).toEqual(records.slice(0, victim).map(({ key }) => key));
        },
      ),
    ));
});
