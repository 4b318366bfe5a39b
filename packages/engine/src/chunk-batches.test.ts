/**
 * Goal: every entry of a page is in exactly one batch, no batch is over a limit, and the checkpoint behind each batch
 * says neither more nor less than what lies before it.
 * Method: the edges by hand, then laws over generated pages.
 */
import {
  digestsEqual,
  DigestSum,
  RecordHasher,
  keyToJson,
  type ChunkProgress,
  type GuardRow,
  type RecordPage,
  type StoredRecord,
} from '@keyferry/core';
import { emptyDigest, keyFromText, noCounts, recordBytes, type NotCarried, type Version } from '@keyferry/core';
import { anyRecords, packedPageOf } from '@keyferry/core/testing';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ChunkBatches, type Batch, type BatchLimits } from './chunk-batches.ts';
import { ChunkGuards } from './chunk-guards.ts';

const salt = '0123456789abcdef0123456789abcdef';
const rule = { sourcePrefix: keyFromText('s/'), targetPrefix: keyFromText('t/') };
const start: ChunkProgress = { cursor: null, counts: noCounts, digest: emptyDigest };
const limits = (batchKeysMax: number, batchBytesMax = 1e6): BatchLimits => ({
  batchKeysMax: () => batchKeysMax,
  batchBytesMax,
});

function cut(page: RecordPage, within: BatchLimits, nowMs = 0): Batch[] {
  return [...new ChunkBatches(rule, new RecordHasher(salt), start, within, new ChunkGuards([])).cut(page, () => nowMs)];
}

function record(name: string, value = 'v', expiresAtMs: number | null = null): StoredRecord {
  const version = '1' as Version;
  return { key: keyFromText(`s/${name}`), value: new TextEncoder().encode(value), version, expiresAtMs };
}

const page = (records: readonly StoredRecord[], notCarried: readonly NotCarried[] = []): RecordPage => ({
  records,
  notCarried,
});
const emptyDir = (name: string): NotCarried => ({ key: keyFromText(`s/${name}`), reason: 'dir.empty' });
const sizes = (batches: readonly Batch[]): number[] => batches.map(({ changes }) => changes.length);

describe('a page of records', () => {
  it.each([
    { count: 0, want: [] },
    { count: 1, want: [1] },
    { count: 3, want: [3] },
    { count: 4, want: [3, 1] },
    { count: 6, want: [3, 3] },
  ])('of $count is cut into batches of $want', ({ count, want }) => {
    const records = Array.from({ length: count }, (_, i) => record(`k${i}`));
    expect(sizes(cut(page(records), limits(3)))).toEqual(want);
  });

  it('is cut where the next record would pass the limit of bytes, and not before', () => {
    const records = ['a', 'b', 'c'].map((name) => record(name, '0123456')); // 10 bytes each
    expect(sizes(cut(page(records), limits(100, 20)))).toEqual([2, 1]);
    expect(sizes(cut(page(records), limits(100, 19)))).toEqual([1, 1, 1]);
  });

  it('puts a record over the limit of bytes in a batch of its own', () => {
    const records = [record('a'), record('b', 'x'.repeat(100)), record('c')];
    expect(sizes(cut(page(records), limits(100, 20)))).toEqual([1, 1, 1]);
  });

  it('leaves out records whose time is over, and counts them', () => {
    const batches = cut(page([record('a', 'v', 50), record('b', 'v', 51), record('c')]), limits(9), 50);
    expect(batches).toMatchObject([{ notCarried: 1, lastKey: 's/c' }]);
    expect(batches[0]?.changes.map(({ key }) => key)).toEqual(['t/b', 't/c']);
  });

  it('counts directories with the batch that passes them, the last ones too', () => {
    const batches = cut(page([record('b'), record('d')], [emptyDir('c'), emptyDir('a'), emptyDir('e')]), limits(1));
    expect(batches.map(({ notCarried, lastKey }) => [notCarried, lastKey])).toEqual([
      [1, 's/b'],
      [2, 's/e'],
    ]);
  });

  it('without any record still moves the cursor past its directories', () => {
    expect(cut(page([], [emptyDir('b'), emptyDir('a')]), limits(3))).toMatchObject([
      { changes: [], notCarried: 2, lastKey: 's/b' },
    ]);
  });
});

describe('laws', () => {
  const anyPage = anyRecords.map((records) => page(records.map((r) => ({ ...r, key: keyFromText(`s/${r.key}`) }))));

  it('every record is put once, in order, or was over', () =>
    fc.assert(
      fc.property(anyPage, fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1, max: 60 }), (given, keys, bytesMax) => {
        const nowMs = 2_000_000_000_000;
        const batches = cut(given, limits(keys, bytesMax), nowMs);
        const living = given.records.filter(({ expiresAtMs }) => expiresAtMs === null || expiresAtMs > nowMs);
        expect(batches.flatMap(({ sourceKeys }) => sourceKeys)).toEqual(living.map(({ key }) => key));
        const notCarried = batches.reduce((sum, batch) => sum + batch.notCarried, 0);
        expect(notCarried).toBe(given.records.length - living.length);
        for (const { changes } of batches) {
          const size = changes.reduce((sum, change) => sum + recordBytes(change), 0);
          expect(changes.length <= keys && (size <= bytesMax || changes.length === 1)).toBe(true);
        }
      }),
    ));

  it('the digest of a batch is that of the permanent records up to its last key', () =>
    fc.assert(
      fc.property(anyPage, fc.integer({ min: 1, max: 7 }), (given, keys) => {
        for (const { digest, lastKey } of cut(given, limits(keys))) {
          const sum = new DigestSum();
          const hasher = new RecordHasher(salt);
          for (const each of given.records) {
            if (each.expiresAtMs === null && each.key <= lastKey) sum.add(hasher.hash(each));
          }
          expect(digestsEqual(digest, sum.value())).toBe(true);
        }
      }),
    ));
});

describe('a packed page', () => {
  const cutPacked = (given: RecordPage, within: BatchLimits, guards: readonly GuardRow[] = []): Batch[] => {
    const hasher = new RecordHasher(salt);
    const batches = new ChunkBatches(rule, hasher, start, within, new ChunkGuards(guards), 'plain', true);
    return [...batches.cut(packedPageOf(given.records, given.notCarried), () => 0)];
  };
  const without = ({ size, changes, sourceKeys, spared, unplaced, lastKey, notCarried, digest }: Batch) => {
    const plain = changes.map((change) => (change.kind === 'put' ? { ...change, value: [...change.value] } : change));
    return { size, changes: plain, sourceKeys, spared, unplaced, lastKey, notCarried, digest };
  };
  const anyPage = fc
    .tuple(anyRecords, fc.uniqueArray(fc.string({ maxLength: 3 }), { maxLength: 4 }), fc.boolean())
    .map(([records, directories, isPermanent]) =>
      page(
        records.map((r) => ({
          ...r,
          key: keyFromText(`s/${r.key}`),
          expiresAtMs: isPermanent ? null : r.expiresAtMs,
        })),
        directories.map(emptyDir),
      ),
    );

  it('law: is cut as a plain one is', () =>
    fc.assert(
      fc.property(anyPage, fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1, max: 60 }), (given, keys, bytesMax) => {
        const within = limits(keys, bytesMax);
        expect(cutPacked(given, within).map(without)).toEqual(cut(given, within).map(without));
      }),
    ));

  it('goes as it lies where all of it stays and nothing is to be overwritten or deleted', () => {
    const records = [record('a'), record('b'), record('c')];
    const packedOf = (batches: readonly Batch[]) => batches.map(({ packed }) => packed && [packed.start, packed.end]);
    expect(packedOf(cutPacked(page(records), limits(2)))).toEqual([
      [0, 2],
      [2, 3],
    ]);
    expect(packedOf(cutPacked(page([...records, record('d', 'v', 7)]), limits(9)))).toEqual([null]);
    const guards = [{ targetKey: keyToJson(keyFromText('t/x')), action: 'delete' as const, version: '7' }];
    expect(packedOf(cutPacked(page(records), limits(9), guards))).toEqual([null]);
    expect(packedOf(cut(packedPageOf(records), limits(9)))).toEqual([null]);
  });
});

describe('deletes', () => {
  const rows = (names: readonly string[], action: GuardRow['action'] = 'delete'): GuardRow[] =>
    names.map((name) => ({ targetKey: keyToJson(keyFromText(`t/${name}`)), action, version: '7' }));
  const batchesOf = (given: RecordPage, guards: readonly GuardRow[], keysMax = 9): Batch[] => {
    const batches = new ChunkBatches(rule, new RecordHasher(salt), start, limits(keysMax), new ChunkGuards(guards));
    return [...batches.cut(given, () => 0), ...batches.rest()];
  };
  const shortOf = (batches: readonly Batch[]) =>
    batches.map(({ changes, lastKey }) => [changes.map(({ kind, key }) => `${kind} ${key}`).join(', '), lastKey]);

  it('stand in order between the records, and the last ones behind them', () => {
    expect(shortOf(batchesOf(page([record('b'), record('d')]), rows(['a', 'c', 'e', 'f'])))).toEqual([
      ['delete t/a, put t/b, delete t/c, put t/d', 's/d'],
      ['delete t/e, delete t/f', 's/f'],
    ]);
  });

  it('keep to the limits, and each moves the cursor to its own place', () => {
    expect(shortOf(batchesOf(page([record('c')]), rows(['a', 'b']), 1))).toEqual([
      ['delete t/a', 's/a'],
      ['delete t/b', 's/b'],
      ['put t/c', 's/c'],
    ]);
  });

  it('are not passed by a cursor that a directory moves on', () => {
    expect(shortOf(batchesOf(page([record('a')], [emptyDir('d')]), rows(['b', 'd', 'e'])))).toEqual([
      ['put t/a, delete t/b, delete t/d', 's/d'],
      ['delete t/e', 's/e'],
    ]);
  });

  it('of a key that the source has by now are spared, and its put expects nothing there', () => {
    const [batch] = batchesOf(page([record('a')]), rows(['a']));
    expect(batch).toMatchObject({ spared: ['t/a'], changes: [{ kind: 'put', key: 't/a', expect: 'absent' }] });
  });

  it('overwrites expect their version, and one without a source record is passed by', () => {
    const [batch, ...more] = batchesOf(page([record('b')]), rows(['a', 'b', 'c'], 'overwrite'));
    expect(batch?.changes).toMatchObject([{ kind: 'put', key: 't/b', expect: { version: '7' } }]);
    expect(more).toEqual([]);
  });

  it('behind a cursor alone are done again', () => {
    const guards = new ChunkGuards(rows(['a', 'b', 'c']));
    guards.passTo(keyFromText('t/b'));
    const batches = new ChunkBatches(rule, new RecordHasher(salt), start, limits(9), guards);
    expect(shortOf([...batches.rest()])).toEqual([['delete t/c', 's/c']]);
  });
});
