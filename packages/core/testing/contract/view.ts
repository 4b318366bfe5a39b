/**
 * Goal: a view shows one state of the store, its position says which, and versions tell a changed record from one that
 * stayed. Method: an application's writes between opening a view and reading it.
 */
import { describe, expect, it } from 'vitest';
import type { ReadableStore, StoredRecord, StoreView } from '../../src/index.ts';
import {
  contentOf,
  plainRecords,
  rangeOf,
  readAll,
  seedOf,
  sortedByKey,
  traitsOf,
  withFixture,
  type ReadableHarness,
} from './harness.ts';

export function viewSuite(harness: ReadableHarness): void {
  const { key } = harness;
  const traits = traitsOf(harness);
  const everything = rangeOf(harness);
  const names = ['a-b', 'a/b', 'a/c', 'b', 'c/d'];
  const seeds = names.map((name) => seedOf(harness, name));
  const scanAll = async (view: StoreView, range = everything) => {
    const records: StoredRecord[] = [];
    for await (const page of view.scan(range, { pageKeysMax: 2 })) records.push(...plainRecords(page.records));
    return sortedByKey(records);
  };
  const withView = async <T>(store: ReadableStore, body: (view: StoreView) => Promise<T>): Promise<T> => {
    const view = await store.openView(everything);
    try {
      return await body(view);
    } finally {
      await view.close();
    }
  };

  describe('a view', () => {
    it('shows a part of its range when asked for a part', () =>
      withFixture(harness.open(seeds), ({ store }) =>
        withView(store, async (view) => {
          const part = await scanAll(view, { start: key('a/'), end: key('b') });
          expect(part.map((record) => record.key)).toEqual([key('a/b'), key('a/c')]);
        }),
      ));

    it('can be scanned by several at once', () =>
      withFixture(harness.open(seeds), ({ store }) =>
        withView(store, async (view) => {
          const scans = await Promise.all([scanAll(view), scanAll(view), scanAll(view), scanAll(view)]);
          const whole = contentOf(await readAll(store, everything));
          expect(whole).toHaveLength(names.length);
          for (const records of scans) expect(contentOf(records)).toEqual(whole);
        }),
      ));

    it('can be read again after a scan that was given up', () =>
      withFixture(harness.open(seeds), ({ store }) =>
        withView(store, async (view) => {
          for await (const page of view.scan(everything, { pageKeysMax: 1 })) {
            if (page.records.length > 0) break;
          }
          expect(await scanAll(view)).toHaveLength(names.length);
        }),
      ));

    it('keeps what it showed when it was opened, whatever is written later', ({ skip }) =>
      withFixture(harness.open(seeds), async ({ store, change }) => {
        if (change === undefined || !store.capabilities.pinnedView)
          return skip('views are not pinned, or nobody can write');
        const before = await readAll(store, everything);
        await withView(store, async (view) => {
          await change([
            { put: seedOf(harness, 'a/b', 'overwritten') },
            { put: seedOf(harness, 'a/bb', 'new') },
            { delete: key('c/d') },
          ]);
          expect(await scanAll(view)).toEqual(before);
        });
        const after = await readAll(store, everything);
        expect(after.map((record) => record.key)).toEqual(['a-b', 'a/b', 'a/bb', 'a/c', 'b'].map((name) => key(name)));
      }));

    it('keeps what it showed although a scan of it had begun', ({ skip }) =>
      withFixture(harness.open(seeds), async ({ store, change }) => {
        if (change === undefined || !store.capabilities.pinnedView)
          return skip('views are not pinned, or nobody can write');
        const before = await readAll(store, everything);
        await withView(store, async (view) => {
          const seen: StoredRecord[] = [];
          let changed = false;
          for await (const page of view.scan(everything, { pageKeysMax: 1 })) {
            if (!changed) await change([{ delete: key('b') }, { put: seedOf(harness, 'c/d', 'changed') }]);
            changed = true;
            seen.push(...plainRecords(page.records));
          }
          expect(sortedByKey(seen)).toEqual(before);
        });
      }));

    it('that is opened later shows the later state, beside the earlier one', ({ skip }) =>
      withFixture(harness.open(seeds), async ({ store, change }) => {
        if (change === undefined) return skip('nobody can write to the store');
        await withView(store, async (earlier) => {
          await change([{ put: seedOf(harness, 'z', 'late') }]);
          await withView(store, async (later) => {
            expect((await scanAll(later)).at(-1)?.key).toBe(key('z'));
            if (store.capabilities.pinnedView) expect((await scanAll(earlier)).at(-1)?.key).toBe(key('c/d'));
          });
        });
      }));

    it.runIf(traits.stillHead)('is at the head while nobody writes', () =>
      withFixture(harness.open(seeds), async ({ store }) => {
        const head = await store.head();
        await withView(store, async (view) => expect(view.position).toBe(head));
      }),
    );
  });

  describe('the head', () => {
    it.runIf(traits.stillHead)('stays where it is while nobody writes', () =>
      withFixture(harness.open(seeds), async ({ store }) => {
        const head = await store.head();
        await readAll(store, everything);
        expect(await store.head()).toBe(head);
      }),
    );

    it('moves with each put, overwrite and delete; to where it never was, unless it is a digest of the content', ({
      skip,
    }) =>
      withFixture(harness.open(seeds), async ({ store, change }) => {
        if (change === undefined) return skip('nobody can write to the store');
        const heads = [await store.head()];
        for (const each of [
          { put: seedOf(harness, 'new') },
          { put: seedOf(harness, 'new', 'other') },
          { delete: key('new') },
          { put: seedOf(harness, 'new') },
          { delete: key('new') },
        ]) {
          await change([each]);
          heads.push(await store.head());
        }
        for (const [i, head] of heads.entries()) expect(head).not.toBe(heads[i + 1]);
        if (store.capabilities.positionIsContent) expect(heads.at(-1)).toBe(heads[0]);
        else expect(new Set(heads).size).toBe(heads.length);
      }));

    it('is the same for everyone who opens the store', ({ skip }) =>
      withFixture(harness.open(seeds), async ({ store, change, openAnother }) => {
        if (openAnother === undefined) return skip('the store opens once');
        const other = await openAnother();
        const before = await other.head();
        expect(await store.head()).toEqual(traits.stillHead ? before : expect.any(String));
        await change?.([{ put: seedOf(harness, 'new') }]);
        if (change !== undefined) expect(await other.head()).not.toBe(before);
      }));
  });

  describe('a version', () => {
    it('changes with its record, and only then', ({ skip }) =>
      withFixture(harness.open(seeds), async ({ store, change }) => {
        if (change === undefined) return skip('nobody can write to the store');
        const before = await readAll(store, everything);
        await change([{ put: seedOf(harness, 'a/b', 'changed') }, { put: seedOf(harness, 'z') }]);
        const after = await readAll(store, everything);
        for (const record of before) {
          const later = after.find((each) => each.key === record.key);
          if (record.key === key('a/b')) expect(later?.version).not.toBe(record.version);
          else expect(later?.version).toBe(record.version);
        }
      }));

    it('is a new one when a record goes and comes back with the same value', ({ skip }) =>
      withFixture(harness.open(seeds), async ({ store, change }) => {
        if (change === undefined) return skip('nobody can write to the store');
        const before = (await readAll(store, everything)).find((record) => record.key === key('b'));
        await change([{ delete: key('b') }, { put: seedOf(harness, 'b') }]);
        const after = (await readAll(store, everything)).find((record) => record.key === key('b'));
        expect(after?.value).toEqual(before?.value);
        expect(after?.version).not.toBe(before?.version);
      }));
  });
}
