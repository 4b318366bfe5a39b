/**
 * Goal: going back removes exactly what the migration created and nobody changed since, and leaves of keyferry's own
 * keys only the epoch. Method: a mix of own, overwritten, changed and foreign records, before and after each step.
 */
import { describe, expect, it } from 'vitest';
import type { CreatedRecord, KeyRange, MigrationId, TargetControl, Version } from '../../src/index.ts';
import { rangeOf, readAll, seedOf, withFixture, type TargetHarness } from './harness.ts';
import { begin, besideOthers, claim, expectFenceLost, fence, firstChunk, kindsOf, putOf } from './target-steps.ts';

export function undoSuite(harness: TargetHarness): void {
  const itBeside = besideOthers(harness);
  const { key } = harness;
  const everything = rangeOf(harness);
  const keys = (names: readonly string[]) => names.map((name) => key(name));
  const created = async (control: TargetControl, range: KeyRange = everything, pageKeysMax = 100) => {
    const pages: (readonly CreatedRecord[])[] = [];
    for await (const page of control.listCreated(range, { pageKeysMax })) pages.push(page);
    for (const page of pages) expect(page.length).toBeLessThanOrEqual(pageKeysMax);
    return pages.flat().toSorted((a, b) => (a.key < b.key ? -1 : 1));
  };
  const createdKeys = async (control: TargetControl, range?: KeyRange, pageKeysMax?: number) =>
    (await created(control, range, pageKeysMax)).map((record) => record.key);

  describe('what a migration created', () => {
    itBeside('is listed with its version, without foreign records', () =>
      withFixture(harness.open([seedOf(harness, 'theirs')]), async ({ store }) => {
        const { control, writer } = await begin(store);
        expect(await created(control)).toEqual([]);
        await writer.write([putOf(harness, 'a'), putOf(harness, 'b'), putOf(harness, 'theirs')]);
        const records = await readAll(store, everything);
        const own = records.filter((record) => record.key !== key('theirs'));
        expect(await created(control)).toEqual(own.map((record) => ({ key: record.key, version: record.version })));
      }),
    );

    it('is listed once, by any page size, in the range that is asked for', () =>
      withFixture(harness.open([]), async ({ store }) => {
        const { control, writer } = await begin(store);
        const names = ['a-b', 'a/b', 'a/c', 'a0', 'b/a', 'b/b', 'é'];
        await writer.write(names.map((name) => putOf(harness, name)));
        for (const pageKeysMax of [1, 3, 7, 1000]) {
          expect(await createdKeys(control, everything, pageKeysMax)).toEqual(keys(names));
        }
        expect(await createdKeys(control, { start: key('a/'), end: key('a0') })).toEqual(keys(['a/b', 'a/c']));
        expect(await createdKeys(control, { start: key('b/'), end: everything.end }, 1)).toEqual(
          keys(['b/a', 'b/b', 'é']),
        );
      }));

    it('is listed for all attempts, by another process too', () =>
      withFixture(harness.open([]), async ({ store, openAnother }) => {
        const { control, writer } = await begin(store);
        await writer.write([putOf(harness, 'a')]);
        await control.raiseEpoch(fence(2, 1));
        const later = await claim(control, fence(2, 1), fence(2, 1));
        await later.write([putOf(harness, 'a'), putOf(harness, 'b')]);
        const other = ((await openAnother?.()) ?? store).control('contract' as MigrationId);
        expect(await createdKeys(other)).toEqual(keys(['a', 'b']));
      }));

    itBeside('is not what somebody changed, deleted or made anew since', () =>
      withFixture(harness.open([]), async ({ store, change }) => {
        const { control, writer } = await begin(store);
        await writer.write(['changed', 'deleted', 'made-anew', 'own'].map((name) => putOf(harness, name)));
        await change([
          { put: seedOf(harness, 'changed', 'theirs') },
          { delete: key('deleted') },
          { delete: key('made-anew') },
          { put: seedOf(harness, 'made-anew') },
        ]);
        expect(await createdKeys(control)).toEqual(keys(['own']));
      }),
    );

    itBeside('is not what it overwrote: removing that would lose the record that was there before', () =>
      withFixture(harness.open([seedOf(harness, 'theirs', 'before')]), async ({ store }) => {
        const { control, writer } = await begin(store);
        const version = (await readAll(store, everything))[0]?.version as Version;
        const outcomes = await writer.write([{ ...putOf(harness, 'theirs', 'after'), expect: { version } }]);
        expect(kindsOf(outcomes)).toEqual(['written']);
        expect(await created(control)).toEqual([]);
      }),
    );

    it('is each migration’s own', () =>
      withFixture(harness.open([]), async ({ store }) => {
        const one = await begin(store, 1, 'one');
        const other = await begin(store, 1, 'one-more');
        await one.writer.write([putOf(harness, 'a')]);
        await other.writer.write([putOf(harness, 'a'), putOf(harness, 'b')]);
        expect(await createdKeys(one.control)).toEqual(keys(['a']));
        expect(await createdKeys(other.control)).toEqual(keys(['b']));
      }));
  });

  describe('removing what was created', () => {
    itBeside('takes away each record that still has its version, and says what became of each', () =>
      withFixture(harness.open([seedOf(harness, 'theirs')]), async ({ store, change }) => {
        const { control, writer } = await begin(store);
        await writer.write(['a', 'changed', 'deleted', 'z'].map((name) => putOf(harness, name)));
        const records = await created(control);
        await change([{ put: seedOf(harness, 'changed', 'theirs') }, { delete: key('deleted') }]);
        expect(await control.removeCreated(records, fence(1, 1))).toEqual(['removed', 'changed', 'absent', 'removed']);
        expect((await readAll(store, everything)).map((record) => record.key)).toEqual(keys(['changed', 'theirs']));
        expect(await created(control)).toEqual([]);
        expect(await control.removeCreated(records, fence(1, 1))).toEqual(['absent', 'changed', 'absent', 'absent']);
      }),
    );

    it('takes more records than a batch holds', () =>
      withFixture(harness.open([]), async ({ store }) => {
        const { control, writer } = await begin(store);
        const size = store.capabilities.batchKeysMax;
        const puts = Array.from({ length: size + 2 }, (_, i) => putOf(harness, `n/${String(i).padStart(6, '0')}`));
        await writer.write(puts.slice(0, size));
        await writer.write(puts.slice(size));
        const records = await created(control, everything, 1000);
        expect(records).toHaveLength(size + 2);
        const outcomes = await control.removeCreated(records, fence(1, 1));
        expect(outcomes).toHaveLength(size + 2);
        expect(new Set(outcomes)).toEqual(new Set(['removed']));
        expect(await readAll(store, everything)).toEqual([]);
      }));

    it('under another epoch is refused, and nothing is removed', ({ skip }) =>
      withFixture(harness.open([]), async ({ store }) => {
        if (!store.capabilities.fencing) return skip('the target compares no fences');
        const { control, writer } = await begin(store);
        await writer.write([putOf(harness, 'a'), putOf(harness, 'b')]);
        const records = await created(control);
        await control.raiseEpoch(fence(1, 2));
        await expectFenceLost(control.removeCreated(records, fence(1, 1)));
        await expectFenceLost(control.removeCreated(records, fence(1, 3)));
        expect(await createdKeys(control)).toEqual(keys(['a', 'b']));
        expect(await control.removeCreated(records, fence(1, 2))).toEqual(['removed', 'removed']);
      }));

    it('leaves a key that a later attempt can write again', () =>
      withFixture(harness.open([]), async ({ store }) => {
        const { control, writer } = await begin(store);
        await writer.write([putOf(harness, 'a')]);
        await control.removeCreated(await created(control), fence(1, 1));
        await control.raiseEpoch(fence(2, 1));
        const later = await claim(control, fence(2, 1), fence(2, 1));
        expect(kindsOf(await later.write([putOf(harness, 'a')]))).toEqual(['written']);
        expect(await createdKeys(control)).toEqual(keys(['a']));
      }));
  });

  describe('dropping a migration’s own keys', () => {
    itBeside('leaves the records and the epoch, and forgets the rest', () =>
      withFixture(harness.open([seedOf(harness, 'theirs')]), async ({ store, putTombstone }) => {
        const { control, writer, migration } = await begin(store);
        await writer.write([putOf(harness, 'a')]);
        await putTombstone?.(migration, key('gone'));
        const before = await readAll(store, everything);
        await control.dropControl(fence(1, 1));
        expect(await readAll(store, everything)).toEqual(before);
        expect(await control.readEpoch()).toEqual(fence(1, 1));
        expect(await control.readFence(firstChunk)).toBeNull();
        expect(await created(control)).toEqual([]);
        if (store.capabilities.fencing) await expectFenceLost(writer.write([putOf(harness, 'b')]));
        const again = await claim(control, fence(1, 2), fence(1, 1));
        expect(kindsOf(await again.write([putOf(harness, 'gone'), putOf(harness, 'a')]))).toEqual([
          'written',
          'present',
        ]);
      }),
    );

    it('may be repeated', () =>
      withFixture(harness.open([]), async ({ store }) => {
        const { control } = await begin(store);
        await control.dropControl(fence(1, 1));
        await control.dropControl(fence(1, 1));
        expect(await control.readEpoch()).toEqual(fence(1, 1));
      }));

    it('under another epoch is refused', ({ skip }) =>
      withFixture(harness.open([]), async ({ store }) => {
        if (!store.capabilities.fencing) return skip('the target compares no fences');
        const { control, writer } = await begin(store);
        await writer.write([putOf(harness, 'a')]);
        await control.raiseEpoch(fence(2, 1));
        await expectFenceLost(control.dropControl(fence(1, 1)));
        expect(await control.readFence(firstChunk)).toEqual(fence(1, 1));
        expect(await createdKeys(control)).toEqual(keys(['a']));
      }));

    it('leaves other migrations alone', () =>
      withFixture(harness.open([]), async ({ store }) => {
        const one = await begin(store, 1, 'one');
        const other = await begin(store, 1, 'one-more');
        await other.writer.write([putOf(harness, 'b')]);
        await one.control.dropControl(fence(1, 1));
        expect(await createdKeys(other.control)).toEqual(keys(['b']));
        expect(await other.control.readFence(firstChunk)).toEqual(fence(1, 1));
      }));
  });
}
