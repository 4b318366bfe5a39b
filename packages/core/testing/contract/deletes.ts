/**
 * Goal: a delete takes away exactly the version that the plan saw, and says what it found; a repeat is harmless and
 * known as one. Method: every state that a key can be in; the store is read after each change.
 */
import { describe, expect, it } from 'vitest';
import type { GuardedDelete, StoredRecord, TargetStore, Version } from '../../src/index.ts';
import { bytes, plainRecords, rangeOf, readAll, seedOf, withFixture, type TargetHarness } from './harness.ts';
import { begin, claim, expectFenceLost, fence, putOf } from './target-steps.ts';

export function guardedDeleteSuite(harness: TargetHarness): void {
  const { key } = harness;
  const everything = rangeOf(harness);
  const readOne = async (store: TargetStore): Promise<StoredRecord | undefined> =>
    (await readAll(store, everything)).find((record) => record.key === key('k'));
  const deleteOf = async (store: TargetStore, name = 'k'): Promise<GuardedDelete> => {
    const [record] = await store.lookUp([key(name)]);
    return { kind: 'delete', key: key(name), expect: { version: record?.version as Version } };
  };

  describe('a delete', () => {
    it('takes away the record of its version, and nothing beside it', () =>
      withFixture(
        harness.open([seedOf(harness, 'k'), seedOf(harness, 'k/below'), seedOf(harness, 'k0')]),
        async ({ store }) => {
          const { writer } = await begin(store);
          expect(await writer.write([await deleteOf(store)])).toEqual([{ kind: 'deleted' }]);
          expect((await readAll(store, everything)).map((record) => record.key)).toEqual([key('k/below'), key('k0')]);
        },
      ));

    it('is deleted still when the same attempt repeats it, also by another claim', () =>
      withFixture(harness.open([seedOf(harness, 'k')]), async ({ store, openAnother }) => {
        const { writer } = await begin(store);
        const change = await deleteOf(store);
        await writer.write([change]);
        expect(await writer.write([change])).toEqual([{ kind: 'deleted' }]);
        const other = ((await openAnother?.()) ?? store).control('contract' as never);
        const next = await claim(other, fence(1, 2), fence(1, 1));
        expect(await next.write([change])).toEqual([{ kind: 'deleted' }]);
      }));

    it('leaves any other version alone, also one of the same value', () =>
      withFixture(harness.open([seedOf(harness, 'k', 'v')]), async ({ store, change }) => {
        const { writer } = await begin(store);
        const planned = await deleteOf(store);
        for (const theirs of ['theirs', 'v']) {
          await change([{ put: seedOf(harness, 'k', theirs) }]);
          const before = await readOne(store);
          expect(await writer.write([planned])).toEqual([{ kind: 'present', version: before?.version, equal: false }]);
          expect(await readOne(store)).toEqual(before);
        }
      }));

    it('leaves alone what somebody made anew after it', () =>
      withFixture(harness.open([seedOf(harness, 'k')]), async ({ store, change }) => {
        const { writer } = await begin(store);
        const planned = await deleteOf(store);
        await writer.write([planned]);
        await change([{ put: seedOf(harness, 'k', 'anew') }]);
        expect(await writer.write([planned])).toMatchObject([{ kind: 'present', equal: false }]);
        expect((await readOne(store))?.value).toEqual(bytes('anew'));
      }));

    it('misses a record that somebody else took away', () =>
      withFixture(harness.open([seedOf(harness, 'k')]), async ({ store, change }) => {
        const { writer, control } = await begin(store);
        const planned = await deleteOf(store);
        await change([{ delete: key('k') }]);
        expect(await writer.write([planned])).toEqual([{ kind: 'missing' }]);
        await control.raiseEpoch(fence(2, 1));
        const later = await claim(control, fence(2, 1), fence(2, 1));
        expect(await later.write([planned])).toEqual([{ kind: 'missing' }]);
      }));

    it('of an earlier attempt is not this one’s', () =>
      withFixture(harness.open([seedOf(harness, 'k')]), async ({ store }) => {
        const { writer, control } = await begin(store);
        const planned = await deleteOf(store);
        await writer.write([planned]);
        await control.raiseEpoch(fence(2, 1));
        const later = await claim(control, fence(2, 1), fence(2, 1));
        expect(await later.write([planned])).toEqual([{ kind: 'missing' }]);
      }));

    it('under another fence or epoch is refused, and nothing is deleted', ({ skip }) =>
      withFixture(harness.open([seedOf(harness, 'k')]), async ({ store }) => {
        if (!store.capabilities.fencing) return skip('the target compares no fences');
        const { writer, control } = await begin(store);
        const planned = await deleteOf(store);
        await claim(control, fence(1, 2), fence(1, 1));
        await expectFenceLost(writer.write([planned]));
        const second = await claim(control, fence(1, 3), fence(1, 1));
        await control.raiseEpoch(fence(1, 2));
        await expectFenceLost(second.write([planned]));
        expect(await readOne(store)).toBeDefined();
      }));

    it('stands in one batch with puts, each answered in its place', () =>
      withFixture(
        harness.open(['gone', 'moved', 'old'].map((name) => seedOf(harness, name))),
        async ({ store, change }) => {
          const { writer } = await begin(store);
          const [gone, moved, old] = await Promise.all(['gone', 'moved', 'old'].map((name) => deleteOf(store, name)));
          await change([{ put: seedOf(harness, 'moved', 'newer') }, { delete: key('gone') }]);
          const outcomes = await writer.write([
            putOf(harness, 'a'),
            old as GuardedDelete,
            moved as GuardedDelete,
            gone as GuardedDelete,
            putOf(harness, 'z'),
          ]);
          expect(outcomes.map(({ kind }) => kind)).toEqual(['written', 'deleted', 'present', 'missing', 'written']);
          expect((await readAll(store, everything)).map((record) => record.key)).toEqual(
            ['a', 'moved', 'z'].map((name) => key(name)),
          );
        },
      ));

    it('may be as many in a batch as the capabilities say', () =>
      withFixture(harness.open([]), async ({ store }) => {
        const { writer } = await begin(store);
        const names = Array.from({ length: store.capabilities.batchKeysMax }, (_, i) => `n/${i}`);
        await writer.write(names.map((name) => putOf(harness, name)));
        const found = await store.lookUp(names.map((name) => key(name)));
        const deletes = names.map((name, i): GuardedDelete => {
          return { kind: 'delete', key: key(name), expect: { version: found[i]?.version as Version } };
        });
        expect(new Set((await writer.write(deletes)).map(({ kind }) => kind))).toEqual(new Set(['deleted']));
        expect(new Set((await writer.write(deletes)).map(({ kind }) => kind))).toEqual(new Set(['deleted']));
        expect(await readAll(store, everything)).toEqual([]);
      }));
  });

  describe('a look at single records', () => {
    it('finds one for each key, in order, and null where none is', () =>
      withFixture(harness.open(['a', 'b', 'c/d'].map((name) => seedOf(harness, name))), async ({ store }) => {
        const found = await store.lookUp(['c/d', 'none', 'a', 'a/b', 'a'].map((name) => key(name)));
        const [a, , d] = await readAll(store, everything);
        expect(found.map((each) => each && plainRecords([each])[0])).toEqual([d, null, a, null, a]);
        expect(await store.lookUp([])).toEqual([]);
      }));

    it('sees what was written a moment ago, by an application and by a migration', () =>
      withFixture(harness.open([]), async ({ store, change, openAnother }) => {
        const { writer } = await begin(store);
        await change([{ put: seedOf(harness, 'theirs') }]);
        await writer.write([putOf(harness, 'ours')]);
        const other = (await openAnother?.()) ?? store;
        const found = await other.lookUp([key('ours'), key('theirs')]);
        expect(found.map((record) => record?.key)).toEqual([key('ours'), key('theirs')]);
      }));

    it('takes as many keys as a batch holds, and tells expiries', () =>
      withFixture(
        harness.open([{ ...seedOf(harness, 'n/1'), ttlMs: 3_600_000 }, seedOf(harness, 'n/2')]),
        async ({ store }) => {
          const names = Array.from({ length: store.capabilities.batchKeysMax }, (_, i) => `n/${i}`);
          const found = await store.lookUp(names.map((name) => key(name)));
          expect(found.filter((record) => record !== null).map((record) => record.key)).toEqual([
            key('n/1'),
            key('n/2'),
          ]);
          expect(found[2]?.expiresAtMs).toBeNull();
          if (store.capabilities.expiry) expect(found[1]?.expiresAtMs).toBeGreaterThan(harness.nowMs());
        },
      ));
  });
}
