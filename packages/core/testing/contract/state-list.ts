/**
 * Goal: a list has every item of its kind and scope, once, in the order of ids, by any page size.
 * Method: several kinds and scopes whose names begin alike; items that come and go between two pages.
 */
import { describe, expect, it } from 'vitest';
import type { StateEntry, StateKind, StateStore } from '../../src/index.ts';
import { withFixture, type StateHarness } from './harness.ts';
import { create, eventOf } from './state-steps.ts';

async function listAll<K extends StateKind>(store: StateStore, kind: K, scope: string, itemsMax: number) {
  const entries: StateEntry<K>[] = [];
  let after: string | null = null;
  do {
    const page: Awaited<ReturnType<typeof store.list<K>>> = await store.list(kind, scope, { after, itemsMax });
    expect(page.entries.length).toBeLessThanOrEqual(itemsMax);
    entries.push(...page.entries);
    after = page.next;
  } while (after !== null);
  return entries;
}

export function stateListSuite(harness: StateHarness): void {
  describe('a list of state items', () => {
    it('of an empty scope is empty', () =>
      withFixture(harness.open(), async ({ store }) => {
        expect(await store.list('event', 'm', { after: null, itemsMax: 10 })).toEqual({ entries: [], next: null });
      }));

    it.each([1, 2, 5, 6, 100])('has every item once, in the order of ids, by pages of %i', (itemsMax) =>
      withFixture(harness.open(), async ({ store }) => {
        const ids = ['c00010', 'c00002', 'a', 'b', 'é', 'Z'];
        for (const id of ids) await create(store, id, eventOf(id));
        const entries = await listAll(store, 'event', 'm', itemsMax);
        expect(entries.map(({ id }) => id)).toEqual(['Z', 'a', 'b', 'c00002', 'c00010', 'é']);
        for (const entry of entries) expect(entry).toEqual(await store.read('event', 'm', entry.id));
      }),
    );

    it('goes on after any id, whether it is there or not', () =>
      withFixture(harness.open(), async ({ store }) => {
        for (const id of ['a', 'c', 'e']) await create(store, id, eventOf(id));
        const after = async (id: string) =>
          (await store.list('event', 'm', { after: id, itemsMax: 10 })).entries.map((entry) => entry.id);
        expect(await after('')).toEqual(['a', 'c', 'e']);
        expect(await after('a')).toEqual(['c', 'e']);
        expect(await after('b')).toEqual(['c', 'e']);
        expect(await after('e')).toEqual([]);
      }));

    it('is of one kind and one scope', () =>
      withFixture(harness.open(), async ({ store }) => {
        await create(store, 'x', eventOf('m'), 'm');
        await create(store, 'x', eventOf('m/p'), 'm/p');
        await create(store, 'x/y', eventOf('longer id'), 'm');
        await create(store, 'y', eventOf('longer scope'), 'm/x');
        const letter = {
          sourceKey: { text: 's' },
          targetKey: { text: 't' },
          chunk: 'c',
          reason: 'r',
          atMs: 1,
          resolved: null,
        };
        await store.write('dead-letter', 'm', 'x', letter, 'absent');
        expect((await listAll(store, 'event', 'm', 1)).map(({ id }) => id)).toEqual(['x', 'x/y']);
        expect((await listAll(store, 'event', 'm/p', 1)).map(({ item }) => item)).toEqual([eventOf('m/p')]);
        expect((await listAll(store, 'dead-letter', 'm', 1)).map(({ item }) => item)).toEqual([letter]);
        expect(await listAll(store, 'event', '', 1)).toEqual([]);
      }));

    it('keeps its place when items before it and behind it go', () =>
      withFixture(harness.open(), async ({ store }) => {
        const versions = new Map<string, Awaited<ReturnType<typeof create>>>();
        for (const id of ['a', 'b', 'c', 'd']) versions.set(id, await create(store, id, eventOf(id)));
        const first = await store.list('event', 'm', { after: null, itemsMax: 2 });
        expect(first.entries.map(({ id }) => id)).toEqual(['a', 'b']);
        for (const id of ['a', 'b', 'c']) await store.remove('event', 'm', id, versions.get(id) ?? ('' as never));
        const rest = await store.list('event', 'm', { after: first.next, itemsMax: 2 });
        expect(rest.entries.map(({ id }) => id)).toEqual(['d']);
        expect(rest.next).toBeNull();
      }));
  });
}
