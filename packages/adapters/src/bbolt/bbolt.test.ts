/**
 * Goal: what is written is what is read, in both directions, whatever the sizes; and the file is the one that bbolt
 * knows. Method: generated buckets; trees of each depth; the layout of a small file byte by byte. That bbolt itself agrees
 * is shown where an etcd is at hand: test/contract/etcd-v3-snapshot-servers.test.ts.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fnv1a64 } from './format.ts';
import { entriesOf, fileOf, openBytes, type Entries } from '../../test/bbolt-memory-file.ts';

const anyKey = fc.uint8Array({ minLength: 1, maxLength: 40 });
const anyValue = fc.oneof(
  { weight: 6, arbitrary: fc.uint8Array({ maxLength: 200 }) },
  { weight: 1, arbitrary: fc.integer({ min: 3000, max: 20_000 }).map((length) => new Uint8Array(length).fill(length)) },
);
const bucket = fc
  .uniqueArray(fc.tuple(anyKey, anyValue), {
    maxLength: 200,
    selector: ([each]) => Buffer.from(each).toString('latin1'),
  })
  .map((entries) =>
    entries.map(([k, v]) => [Buffer.from(k), Buffer.from(v)] as const).toSorted(([a], [b]) => Buffer.compare(a, b)),
  );
const buckets = fc.dictionary(fc.string({ minLength: 1, maxLength: 8 }).filter(isLatin1), bucket, { maxKeys: 6 });

function isLatin1(text: string): boolean {
  return Buffer.from(text, 'latin1').toString('latin1') === text;
}

function* counted(count: number, valueBytes: number): Generator<readonly [Buffer, Buffer]> {
  for (let i = 0; i < count; i += 1) {
    const name = Buffer.alloc(4);
    name.writeUInt32BE(i);
    yield [name, Buffer.alloc(valueBytes, i)];
  }
}

describe('a bbolt file', () => {
  it('law: holds what was written, forwards and backwards, and the same bytes each time', () => {
    fc.assert(
      fc.property(buckets, (content) => {
        const file = fileOf(content);
        expect(file.length % 4096).toBe(0);
        expect(fileOf(content).equals(file)).toBe(true);
        const reader = openBytes(file);
        expect([...reader.buckets().keys()].toSorted()).toEqual(Object.keys(content).toSorted());
        for (const [name, entries] of Object.entries(content)) {
          expect(entriesOf(reader, name, 'forwards')).toEqual(entries);
          expect(entriesOf(reader, name, 'backwards')).toEqual(entries.toReversed());
        }
      }),
      { numRuns: 60 },
    );
  });

  it.each([
    { count: 0, depth: 0 },
    { count: 1, depth: 0 },
    { count: 20, depth: 0 },
    { count: 200, depth: 1 },
    { count: 60_000, depth: 2 },
  ])('of $count entries is a tree of $depth levels of branches', ({ count, depth }) => {
    const entries = [...counted(count, 100)];
    const reader = openBytes(fileOf({ key: entries }));
    expect(same(entriesOf(reader, 'key', 'forwards'), entries)).toBe(true);
    const leaves = [...reader.leaves(reader.buckets().get('key') ?? fail(), 'forwards')].length;
    expect(Math.ceil(Math.log(leaves) / Math.log(204))).toBe(leaves > 1 ? depth : 0);
  });

  it('takes values over many pages, and empty ones', () => {
    const entries: Entries = [
      [Buffer.from('a'), Buffer.alloc(3 * 1024 * 1024, 1)],
      [Buffer.from('b'), Buffer.alloc(0)],
      [Buffer.from('c'), Buffer.alloc(4096, 3)],
      [Buffer.from('d'), Buffer.alloc(1024 * 1024, 4)],
    ];
    expect(same(entriesOf(openBytes(fileOf({ key: entries })), 'key', 'forwards'), entries)).toBe(true);
  });

  it('begins with two metas, of which one is enough', () => {
    const file = fileOf({ key: [...counted(300, 50)] });
    expect(file.readUInt32LE(16)).toBe(0xed0cdaed);
    expect(file.readUInt32LE(4096 + 16)).toBe(0xed0cdaed);
    for (const spoiled of [16, 4096 + 60]) {
      const copy = Buffer.from(file);
      copy[spoiled] = (copy[spoiled] ?? 0) ^ 1;
      expect(entriesOf(openBytes(copy), 'key', 'forwards')).toHaveLength(300);
    }
  });

  it('refuses keys that do not ascend', () => {
    expect(() => fileOf({ key: [...counted(2, 1)].toReversed() })).toThrow(/ascend/);
  });

  it('has the checksum that FNV-1a gives', () => {
    expect(fnv1a64(Buffer.from('a'))).toBe(0xaf63_dc4c_8601_ec8cn);
  });
});

/** `toEqual` looks at each byte by itself. */
function same(a: Entries, b: Entries): boolean {
  const equal = ([key, value]: Entries[number], i: number): boolean =>
    b[i] !== undefined && key.equals(b[i][0]) && value.equals(b[i][1]);
  return a.length === b.length && a.every(equal);
}

function fail(): never {
  throw new TypeError('no such bucket');
}
