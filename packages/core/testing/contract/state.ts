/**
 * The contract of ports/state-store.ts: every change is conditional, exactly one of several writers wins, and what is
 * read is what was written.
 */
import { describe, expect, it } from 'vitest';
import type { StateVersion } from '../../src/index.ts';
import { withFixture, type StateHarness } from './harness.ts';
import { stateListSuite } from './state-list.ts';
import { create, eventOf } from './state-steps.ts';

/** Registers the suite: call it at the top level of a test file. */
export function stateContract(name: string, harness: StateHarness): void {
  describe(`${name} as a state store`, () => {
    writeSuite(harness);
    removeSuite(harness);
    stateListSuite(harness);
  });
}

function writeSuite(harness: StateHarness): void {
  describe('a state item', () => {
    it('that nobody wrote is null', () =>
      withFixture(harness.open(), async ({ store }) => {
        expect(await store.read('event', 'm', 'e')).toBeNull();
      }));

    it('is created once: a second creation conflicts and returns what is there', () =>
      withFixture(harness.open(), async ({ store }) => {
        const version = await create(store, 'e', eventOf('first'));
        const first = { id: 'e', item: eventOf('first'), version };
        expect(await store.read('event', 'm', 'e')).toEqual(first);
        expect(await store.write('event', 'm', 'e', eventOf('second'), 'absent')).toEqual({
          kind: 'conflict',
          current: first,
        });
        expect(await store.read('event', 'm', 'e')).toEqual(first);
      }));

    it('changes at the version that was seen, and at no other', () =>
      withFixture(harness.open(), async ({ store }) => {
        const v1 = await create(store, 'e', eventOf('1'));
        const second = await store.write('event', 'm', 'e', eventOf('2'), v1);
        expect(second.kind).toBe('written');
        const current = await store.read('event', 'm', 'e');
        expect(current?.item).toEqual(eventOf('2'));
        expect(current?.version).not.toBe(v1);
        expect(await store.write('event', 'm', 'e', eventOf('3'), v1)).toEqual({ kind: 'conflict', current });
        expect(await store.read('event', 'm', 'e')).toEqual(current);
      }));

    it('that is not there conflicts with nothing', () =>
      withFixture(harness.open(), async ({ store }) => {
        const version = await create(store, 'e', eventOf('1'));
        expect(await store.write('event', 'm', 'other', eventOf('2'), version)).toEqual({
          kind: 'conflict',
          current: null,
        });
        expect(await store.read('event', 'm', 'other')).toBeNull();
      }));

    it('changes its version even when its content stays', () =>
      withFixture(harness.open(), async ({ store }) => {
        const v1 = await create(store, 'e', eventOf('same'));
        const outcome = await store.write('event', 'm', 'e', eventOf('same'), v1);
        expect(outcome.kind).toBe('written');
        expect((await store.read('event', 'm', 'e'))?.version).not.toBe(v1);
      }));

    it('comes back as it was written, nested and in any script', () =>
      withFixture(harness.open(), async ({ store }) => {
        const item = {
          chunk: 'c00000',
          start: { text: 'ä/日本/😀/\u2028"\\\n' },
          end: null,
          actions: { create: 1, equal: 0, conflict: 9007199254740991, blocked: -1 },
          notCarried: 0.5,
          bytes: 0,
          permanent: { count: 0, sum: '0'.repeat(32) },
          expiring: { count: 0, sum: '' },
          matched: { count: 1, sum: 'x'.repeat(100_000) },
          targetOnly: 0,
          listed: false,
        };
        await store.write('chunk-plan', 'm/p', 'c00000', item as never, 'absent');
        expect((await store.read('chunk-plan', 'm/p', 'c00000'))?.item).toEqual(item);
      }));

    it('is a copy: changing what was handed in or out changes nothing stored', () =>
      withFixture(harness.open(), async ({ store }) => {
        const item = { ...eventOf('before') };
        await create(store, 'e', item);
        item.message = 'after';
        const read = await store.read('event', 'm', 'e');
        Object.assign(read?.item ?? {}, { message: 'after' });
        expect((await store.read('event', 'm', 'e'))?.item.message).toBe('before');
      }));

    it('is seen by everyone who opens the database', () =>
      withFixture(harness.open(), async ({ store, openAnother }) => {
        const other = await openAnother();
        const version = await create(store, 'e', eventOf('1'));
        expect(await other.read('event', 'm', 'e')).toEqual({ id: 'e', item: eventOf('1'), version });
        await other.write('event', 'm', 'e', eventOf('2'), version);
        expect((await store.write('event', 'm', 'e', eventOf('3'), version)).kind).toBe('conflict');
        expect((await store.read('event', 'm', 'e'))?.item).toEqual(eventOf('2'));
      }));

    it('that several write at once is written by exactly one of them', () =>
      withFixture(harness.open(), async ({ store, openAnother }) => {
        const stores = [store, await openAnother(), await openAnother(), store];
        const created = await Promise.all(
          stores.map((each, i) => each.write('event', 'm', 'e', eventOf(String(i)), 'absent')),
        );
        expect(created.filter(({ kind }) => kind === 'written')).toHaveLength(1);
        const before = await store.read('event', 'm', 'e');
        const changed = await Promise.all(
          stores.map((each, i) =>
            each.write('event', 'm', 'e', eventOf(`again ${i}`), before?.version ?? ('' as StateVersion)),
          ),
        );
        const winners = changed.flatMap((outcome, i) => (outcome.kind === 'written' ? [i] : []));
        expect(winners).toHaveLength(1);
        const after = await store.read('event', 'm', 'e');
        expect(after?.item).toEqual(eventOf(`again ${winners[0]}`));
        for (const outcome of changed) if (outcome.kind === 'conflict') expect(outcome.current).toEqual(after);
      }));
  });
}

function removeSuite(harness: StateHarness): void {
  describe('removing a state item', () => {
    it('takes it away at the version that was seen', () =>
      withFixture(harness.open(), async ({ store }) => {
        const version = await create(store, 'e', eventOf('1'));
        expect((await store.remove('event', 'm', 'e', version)).kind).toBe('written');
        expect(await store.read('event', 'm', 'e')).toBeNull();
        expect(await store.remove('event', 'm', 'e', version)).toEqual({ kind: 'conflict', current: null });
      }));

    it('conflicts at any other version and returns what is there', () =>
      withFixture(harness.open(), async ({ store }) => {
        const v1 = await create(store, 'e', eventOf('1'));
        await store.write('event', 'm', 'e', eventOf('2'), v1);
        const current = await store.read('event', 'm', 'e');
        expect(await store.remove('event', 'm', 'e', v1)).toEqual({ kind: 'conflict', current });
        expect(await store.read('event', 'm', 'e')).toEqual(current);
      }));

    it('and creating it anew gives a version that it never had', () =>
      withFixture(harness.open(), async ({ store }) => {
        const v1 = await create(store, 'e', eventOf('same'));
        await store.remove('event', 'm', 'e', v1);
        expect(await create(store, 'e', eventOf('same'))).not.toBe(v1);
        expect((await store.write('event', 'm', 'e', eventOf('late'), v1)).kind).toBe('conflict');
      }));
  });
}
