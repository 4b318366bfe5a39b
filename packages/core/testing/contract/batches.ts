/**
 * Goal: one outcome for each put, in order, up to the limits that the capabilities state; batches may overlap in time.
 * Method: batches that mix every outcome, exactly at each limit and one past it.
 */
import { describe, expect, it } from 'vitest';
import {
  recordBytes,
  type ChangeOutcome,
  type GuardedPut,
  type PackedPuts,
  type StoredRecord,
  type Version,
} from '../../src/index.ts';
import { contentOf, rangeOf, readAll, seedOf, sortedByKey, withFixture, type TargetHarness } from './harness.ts';
import { packedPageOf } from '../packed-page-of.ts';
import { begin, besideOthers, claim, expectFenceLost, fence, kindsOf, putOf } from './target-steps.ts';

/** A limit above this is not tried out: the test would take gigabytes. */
const triedBytesMax = 64 * 1024 * 1024;

export function batchSuite(harness: TargetHarness): void {
  const itBeside = besideOthers(harness);
  const { key } = harness;
  const everything = rangeOf(harness);
  const numbered = (count: number, value: string) =>
    Array.from({ length: count }, (_, i) => putOf(harness, `n/${String(i).padStart(6, '0')}`, value));
  const sized = (name: string, size: number): GuardedPut => {
    const value = new Uint8Array(size - key(name).length).fill(0x61);
    return { kind: 'put', key: key(name), value, expiresAtMs: null, expect: 'absent' };
  };

  const recordsOf = (names: readonly string[], value?: string): readonly StoredRecord[] =>
    names.map((name) => {
      const seed = seedOf(harness, name, value);
      return { key: seed.key, value: seed.value, version: '1' as Version, expiresAtMs: null };
    });
  /** In a page with a record more on either side. */
  const packedPuts = (
    records: readonly StoredRecord[],
    { from, into } = { from: key(''), into: key('') },
  ): PackedPuts => {
    const besides = recordsOf(['!', '~']);
    const page = packedPageOf([...besides.slice(0, 1), ...records, ...besides.slice(1)]);
    const bytes = records.reduce((sum, record) => sum + recordBytes(record), 0);
    return { page, start: 1, end: 1 + records.length, bytes, sourcePrefix: from, targetPrefix: into };
  };

  describe('a batch', () => {
    itBeside('answers each put in its place, whatever becomes of the others', () =>
      withFixture(
        harness.open(['d', 'e', 'f'].map((name) => seedOf(harness, name, 'theirs'))),
        async ({ store, putTombstone }) => {
          const { writer, migration } = await begin(store);
          const version = async (name: string) =>
            (await readAll(store, everything)).find((record) => record.key === key(name))?.version as Version;
          await putTombstone?.(migration, key('gone'));
          await writer.write([putOf(harness, 'c')]);
          const outcomes = await writer.write([
            putOf(harness, 'z'),
            { ...putOf(harness, 'd', 'ours'), expect: { version: await version('d') } },
            putOf(harness, 'e', 'theirs'),
            { ...putOf(harness, 'missing'), expect: { version: await version('e') } },
            putOf(harness, 'c'),
            { ...putOf(harness, 'f', 'ours'), expect: { version: await version('e') } },
            ...(putTombstone === undefined ? [] : [putOf(harness, 'gone')]),
            putOf(harness, 'a'),
          ]);
          expect(kindsOf(outcomes)).toEqual([
            'written',
            'written',
            'present',
            'missing',
            'already-written',
            'present',
            ...(putTombstone === undefined ? [] : ['tombstoned']),
            'written',
          ]);
          expect(outcomes[2]).toMatchObject({ equal: true });
          expect(outcomes[5]).toMatchObject({ equal: false });
          const after = await readAll(store, everything);
          expect(after.map((record) => record.key)).toEqual(['a', 'c', 'd', 'e', 'f', 'z'].map((name) => key(name)));
          const versions = new Map(after.map((record) => [record.key, record.version]));
          expect((outcomes[0] as ChangeOutcome & { kind: 'written' }).version).toBe(versions.get(key('z')));
          expect((outcomes[1] as ChangeOutcome & { kind: 'written' }).version).toBe(versions.get(key('d')));
        },
      ),
    );

    it('may come as it lies in a page: all of it is put, or none and it is told', ({ skip }) =>
      withFixture(harness.open([]), async ({ store }) => {
        const { writer } = await begin(store);
        if (writer.writePacked === undefined) return skip('it takes changes alone');
        const names = ['b', 'c', 'd', 'x'];
        const putsFrom = (start: number, end: number) => packedPuts(recordsOf(names).slice(start, end));
        const read = async () => contentOf(await readAll(store, everything));
        const seeds = (...all: readonly string[]) => contentOf(all.map((name) => seedOf(harness, name)));
        expect(await writer.writePacked(putsFrom(1, 3))).toBe('written');
        expect(await read()).toEqual(seeds('c', 'd'));
        // Over what is there, or once more: nothing of it, and each has an outcome as a change.
        for (const start of [0, 1]) expect(await writer.writePacked(putsFrom(start, 4))).toBe('declined');
        expect(await read()).toEqual(seeds('c', 'd'));
        const outcomes = await writer.write(names.map((name) => putOf(harness, name)));
        expect(kindsOf(outcomes)).toEqual(['written', 'already-written', 'already-written', 'written']);
        expect(await read()).toEqual(seeds(...names));
      }));

    it('that lies in a page gets the prefix of the target', ({ skip }) =>
      withFixture(harness.open([]), async ({ store }) => {
        const { writer } = await begin(store);
        if (writer.writePacked === undefined) return skip('it takes changes alone');
        const puts = packedPuts(recordsOf(['from/a', 'from/b'], 'v'), { from: key('from/'), into: key('into/the/') });
        expect(await writer.writePacked(puts)).toBe('written');
        const wanted = ['into/the/a', 'into/the/b'].map((name) => seedOf(harness, name, 'v'));
        expect(contentOf(await readAll(store, everything))).toEqual(contentOf(wanted));
      }));

    it('that lies in a page is under the fence like any other', ({ skip }) =>
      withFixture(harness.open([]), async ({ store }) => {
        const { writer, control } = await begin(store);
        if (writer.writePacked === undefined) return skip('it takes changes alone');
        const puts = packedPuts(recordsOf(['a']));
        await claim(control, fence(1, 2), fence(1, 1));
        await expectFenceLost(writer.writePacked(puts));
        expect(await readAll(store, everything)).toEqual([]);
      }));

    it('may be empty', () =>
      withFixture(harness.open([]), async ({ store }) => {
        const { writer } = await begin(store);
        expect(await writer.write([])).toEqual([]);
      }));

    it('may have as many puts as the capabilities say', () =>
      withFixture(harness.open([]), async ({ store }) => {
        const { writer } = await begin(store);
        const puts = numbered(store.capabilities.batchKeysMax, 'v');
        expect(new Set(kindsOf(await writer.write(puts)))).toEqual(new Set(['written']));
        expect(new Set(kindsOf(await writer.write(puts)))).toEqual(new Set(['already-written']));
        expect(await store.countRecords(everything, puts.length + 1)).toBe(puts.length);
      }));

    itBeside(
      'may have as many puts as the capabilities say, all with an expiry or all present and different',
      ({ skip }) => {
        const theirs = (count: number) => numbered(count, 'theirs').map((put) => ({ ...put, ttlMs: null }));
        return withFixture(harness.open([]), async ({ store, change }) => {
          const { writer } = await begin(store);
          const count = store.capabilities.batchKeysMax;
          await change(theirs(count).map((put) => ({ put })));
          const present = await writer.write(numbered(count, 'ours'));
          expect(present.every((outcome) => outcome.kind === 'present' && !outcome.equal)).toBe(true);
          if (!store.capabilities.expiry) return skip('the store has no expiry');
          const expiring = Array.from({ length: count }, (_, i) => ({
            ...putOf(harness, `expiring/${i}`),
            expiresAtMs: harness.nowMs() + 600_000 + i * 1000,
          }));
          expect(new Set(kindsOf(await writer.write(expiring)))).toEqual(new Set(['written']));
        });
      },
    );

    it('may have as many bytes as the capabilities say', ({ skip }) =>
      withFixture(harness.open([]), async ({ store }) => {
        const { batchBytesMax, batchKeysMax, recordBytesMax } = store.capabilities;
        if (batchBytesMax > triedBytesMax) return skip('the limit is too large to try');
        const count = Math.min(batchKeysMax, Math.max(2, Math.ceil(batchBytesMax / (recordBytesMax ?? batchBytesMax))));
        const each = Math.min(Math.floor(batchBytesMax / count), recordBytesMax ?? batchBytesMax);
        const puts = Array.from({ length: count }, (_, i) => sized(`sized/${String(i).padStart(6, '0')}`, each));
        const { writer } = await begin(store);
        expect(new Set(kindsOf(await writer.write(puts)))).toEqual(new Set(['written']));
        const read = await readAll(store, everything);
        expect(read.map(({ value }) => value.length)).toEqual(puts.map(({ value }) => value.length));
        expect(new Set(kindsOf(await writer.write(puts)))).toEqual(new Set(['already-written']));
      }));

    it('may run beside others of the same writer', () =>
      withFixture(harness.open([]), async ({ store }) => {
        const { writer } = await begin(store);
        const all = numbered(40, 'v');
        const batches = Array.from({ length: 8 }, (_, i) => all.slice(i * 5, i * 5 + 5));
        const outcomes = await Promise.all(batches.map((batch) => writer.write(batch)));
        expect(new Set(outcomes.flatMap((each) => kindsOf(each)))).toEqual(new Set(['written']));
        const written = sortedByKey(all).map((put) => ({ ...put, ttlMs: null }));
        expect(contentOf(await readAll(store, everything))).toEqual(contentOf(written));
      }));
  });

  describe('the largest record', () => {
    it('is taken', ({ skip }) =>
      withFixture(harness.open([]), async ({ store }) => {
        const { recordBytesMax } = store.capabilities;
        if (recordBytesMax === null || recordBytesMax > triedBytesMax) return skip('no limit, or one too large to try');
        const { writer } = await begin(store);
        expect(kindsOf(await writer.write([sized('large', recordBytesMax)]))).toEqual(['written']);
        expect((await readAll(store, everything))[0]?.value.length).toBe(recordBytesMax - key('large').length);
      }));

    it('plus one byte is refused by itself, and the puts beside it come through', ({ skip }) =>
      withFixture(harness.open([]), async ({ store }) => {
        const { recordBytesMax } = store.capabilities;
        if (recordBytesMax === null || recordBytesMax > triedBytesMax) return skip('no limit, or one too large to try');
        const { writer } = await begin(store);
        const outcomes = await writer.write([
          putOf(harness, 'a'),
          sized('large', recordBytesMax + 1),
          putOf(harness, 'z'),
        ]);
        expect(kindsOf(outcomes)).toEqual(['written', 'refused', 'written']);
        expect((await readAll(store, everything)).map((record) => record.key)).toEqual([key('a'), key('z')]);
      }));
  });
}
