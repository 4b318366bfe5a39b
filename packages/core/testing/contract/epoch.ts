/**
 * Goal: raising the epoch is one write that shuts out every worker of a migration, and of no other migration.
 * Method: claims, writes and removals under an epoch that was raised, before and after.
 */
import { describe, expect, it } from 'vitest';
import { chunkId, type MigrationId } from '../../src/index.ts';
import { rangeOf, readAll, withFixture, type TargetHarness } from './harness.ts';
import { begin, claim, expectFenceLost, fence, firstChunk, kindsOf, putOf } from './target-steps.ts';

export function epochSuite(harness: TargetHarness): void {
  const everything = rangeOf(harness);

  describe('the epoch', () => {
    it('is absent at first, and then what it was raised to', () =>
      withFixture(harness.open([]), async ({ store, openAnother }) => {
        const control = store.control('contract' as MigrationId);
        expect(await control.readEpoch()).toBeNull();
        expect(await control.raiseEpoch(fence(1, 1))).toEqual({ kind: 'raised' });
        expect(await control.readEpoch()).toEqual(fence(1, 1));
        const other = (await openAnother?.())?.control('contract' as MigrationId);
        if (other !== undefined) expect(await other.readEpoch()).toEqual(fence(1, 1));
      }));

    it.each([
      { name: 'the same', attempt: 2, token: 5, raised: false },
      { name: 'a lower token', attempt: 2, token: 4, raised: false },
      { name: 'a lower attempt, though a higher token', attempt: 1, token: 9, raised: false },
      { name: 'a higher token', attempt: 2, token: 6, raised: true },
      { name: 'a token with more digits', attempt: 2, token: 10, raised: true },
      { name: 'a higher attempt, though a lower token', attempt: 3, token: 1, raised: true },
    ])('by $name is raised: $raised', ({ attempt, token, raised }) =>
      withFixture(harness.open([]), async ({ store }) => {
        const control = store.control('contract' as MigrationId);
        await control.raiseEpoch(fence(2, 5));
        expect(await control.raiseEpoch(fence(attempt, token))).toEqual(
          raised ? { kind: 'raised' } : { kind: 'refused', current: fence(2, 5) },
        );
        expect(await control.readEpoch()).toEqual(raised ? fence(attempt, token) : fence(2, 5));
      }),
    );

    it('that several raise at once is raised by exactly one', () =>
      withFixture(harness.open([]), async ({ store, openAnother }) => {
        const stores = [store, store, (await openAnother?.()) ?? store, (await openAnother?.()) ?? store];
        const controls = stores.map((each) => each.control('contract' as MigrationId));
        for (const attempt of [1, 2, 3]) {
          const outcomes = await Promise.all(controls.map((each) => each.raiseEpoch(fence(attempt, 1))));
          expect(outcomes.filter(({ kind }) => kind === 'raised')).toHaveLength(1);
        }
      }));

    it('that is absent refuses every claim', () =>
      withFixture(harness.open([]), async ({ store }) => {
        const control = store.control('contract' as MigrationId);
        expect(await control.claimChunk(firstChunk, fence(1, 1), fence(1, 1))).toEqual({
          kind: 'refused',
          fence: null,
          epoch: null,
        });
        expect(await control.readFence(firstChunk)).toBeNull();
      }));

    it.each([
      { name: 'lower', epoch: fence(1, 1) },
      { name: 'higher', epoch: fence(3, 1) },
    ])('refuses a claim under a $name one', ({ epoch }) =>
      withFixture(harness.open([]), async ({ store }) => {
        const control = store.control('contract' as MigrationId);
        await control.raiseEpoch(fence(2, 1));
        expect(await control.claimChunk(firstChunk, fence(2, 7), epoch)).toEqual({
          kind: 'refused',
          fence: null,
          epoch: fence(2, 1),
        });
        expect(await control.readFence(firstChunk)).toBeNull();
      }),
    );

    it('once raised shuts out every worker at once: nothing of theirs is written', ({ skip }) =>
      withFixture(harness.open([]), async ({ store }) => {
        if (!store.capabilities.fencing) return skip('the target compares no fences');
        const { control, writer } = await begin(store);
        const second = await claim(control, fence(1, 1), fence(1, 1), chunkId(1));
        await writer.write([putOf(harness, 'a')]);
        await control.raiseEpoch(fence(1, 2));
        const before = await readAll(store, everything);
        await expectFenceLost(writer.write([putOf(harness, 'a'), putOf(harness, 'b')]));
        await expectFenceLost(second.write([putOf(harness, 'c')]));
        expect(await readAll(store, everything)).toEqual(before);
        const again = await claim(control, fence(1, 2), fence(1, 2));
        expect(kindsOf(await again.write([putOf(harness, 'a'), putOf(harness, 'b')]))).toEqual([
          'already-written',
          'written',
        ]);
      }));

    it('and fences of one migration are no other’s', () =>
      withFixture(harness.open([]), async ({ store }) => {
        const one = await begin(store, 1, 'one');
        const other = await begin(store, 7, 'one-more');
        expect(await one.control.readEpoch()).toEqual(fence(1, 1));
        expect(await other.control.readFence(firstChunk)).toEqual(fence(7, 1));
        expect(kindsOf(await one.writer.write([putOf(harness, 'a')]))).toEqual(['written']);
        expect(await other.writer.write([putOf(harness, 'a')])).toMatchObject([{ kind: 'present', equal: true }]);
        await other.control.raiseEpoch(fence(8, 1));
        expect(kindsOf(await one.writer.write([putOf(harness, 'b')]))).toEqual(['written']);
      }));
  });
}
