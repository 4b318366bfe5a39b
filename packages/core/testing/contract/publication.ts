/**
 * Goal: a target that is written whole or not at all is there for nobody until it is published, and never replaced.
 * Method: publishing early, twice, under another epoch, and over what another migration made.
 */
import { describe, expect, it } from 'vitest';
import { contentOf, rangeOf, readAll, seedOf, withFixture, type TargetHarness } from './harness.ts';
import { begin, expectFenceLost, fence, putOf } from './target-steps.ts';

export function publicationSuite(harness: TargetHarness): void {
  const everything = rangeOf(harness);

  describe('a target that is written once', () => {
    it('is not there before it is published, and holds then what was put', ({ skip }) =>
      withFixture(harness.open([]), async ({ store, openAnother }) => {
        const { publication } = store;
        if (publication === null) return skip('each write is there at once');
        const { migration, writer } = await begin(store);
        expect(await publication.exists()).toBe(false);
        await writer.write(['a-b', 'a/b', 'b'].map((name) => putOf(harness, name)));
        expect(await publication.exists()).toBe(false);
        await publication.publish(migration, fence(1, 1));
        const other = (await openAnother?.()) ?? store;
        for (const each of [store, other]) {
          expect(await each.publication?.exists()).toBe(true);
          expect(contentOf(await readAll(each, everything))).toEqual(
            contentOf(['a-b', 'a/b', 'b'].map((name) => seedOf(harness, name))),
          );
        }
      }));

    it('is published once, however often it is asked', ({ skip }) =>
      withFixture(harness.open([]), async ({ store }) => {
        const { publication } = store;
        if (publication === null) return skip('each write is there at once');
        const { migration, writer } = await begin(store);
        await writer.write([putOf(harness, 'a')]);
        await publication.publish(migration, fence(1, 1));
        const head = await store.head();
        await publication.publish(migration, fence(1, 1));
        expect(await store.head()).toBe(head);
      }));

    it('is there although nothing was put: an empty one', ({ skip }) =>
      withFixture(harness.open([]), async ({ store }) => {
        const { publication } = store;
        if (publication === null) return skip('each write is there at once');
        const { migration } = await begin(store);
        await publication.publish(migration, fence(1, 1));
        expect(await publication.exists()).toBe(true);
        expect(await readAll(store, everything)).toEqual([]);
      }));

    it('is not published under another epoch', ({ skip }) =>
      withFixture(harness.open([]), async ({ store }) => {
        const { publication } = store;
        if (publication === null) return skip('each write is there at once');
        const { migration, control, writer } = await begin(store);
        await writer.write([putOf(harness, 'a')]);
        await control.raiseEpoch(fence(1, 2));
        await expectFenceLost(publication.publish(migration, fence(1, 1)));
        expect(await publication.exists()).toBe(false);
      }));

    it('is not replaced by what another migration put', ({ skip }) =>
      withFixture(harness.open([]), async ({ store, openAnother }) => {
        const { publication } = store;
        if (publication === null) return skip('each write is there at once');
        const one = await begin(store, 1, 'one');
        const other = await begin((await openAnother?.()) ?? store, 1, 'other');
        await one.writer.write([putOf(harness, 'a', 'one')]);
        await other.writer.write([putOf(harness, 'b', 'other')]);
        await publication.publish(one.migration, fence(1, 1));
        const before = await store.head();
        await expect(publication.publish(other.migration, fence(1, 1))).rejects.toMatchObject({
          code: 'target.exists',
        });
        expect(await store.head()).toBe(before);
      }));
  });
}
