/**
 * Goal: the done marker is what was written, under the epoch alone, and outlives the control keys.
 * Method: it is written, read by another process, dropped beside, replaced and taken away, under right and wrong epochs.
 */
import { describe, expect, it } from 'vitest';
import type { MigrationId } from '../../src/index.ts';
import { rangeOf, readAll, seedOf, withFixture, type TargetHarness } from './harness.ts';
import { begin, expectFenceLost, fence } from './target-steps.ts';

const marker = '{"by":"ops@höst","format":"keyferry.done"}';

export function doneSuite(harness: TargetHarness): void {
  describe('the done marker', () => {
    it('is absent at first, in an empty store and beside control keys', () =>
      withFixture(harness.open([]), async ({ store }) => {
        expect(await store.control('contract' as MigrationId).readDone()).toBeNull();
        const { control } = await begin(store);
        expect(await control.readDone()).toBeNull();
      }));

    it('is then what was written, for other processes too, and is not among the records', () =>
      withFixture(harness.open([seedOf(harness, 'theirs')]), async ({ store, openAnother }) => {
        const { control, migration } = await begin(store);
        const before = await readAll(store, rangeOf(harness));
        await control.writeDone(marker, fence(1, 1));
        await control.writeDone(marker, fence(1, 1));
        expect(await control.readDone()).toBe(marker);
        const other = await openAnother?.();
        if (other !== undefined) expect(await other.control(migration).readDone()).toBe(marker);
        expect(await readAll(store, rangeOf(harness))).toEqual(before);
        expect(await store.countRecords(null, 1000)).toBe(1);
      }));

    it('stays when control keys are dropped, and goes when it is taken away', () =>
      withFixture(harness.open([]), async ({ store }) => {
        const { control } = await begin(store);
        await control.writeDone(marker, fence(1, 1));
        await control.dropControl(fence(1, 1));
        expect(await control.readDone()).toBe(marker);
        await control.writeDone(null, fence(1, 1));
        await control.writeDone(null, fence(1, 1));
        expect(await control.readDone()).toBeNull();
        expect(await control.readEpoch()).toEqual(fence(1, 1));
      }));

    it('is neither written nor taken away under another epoch', ({ skip }) =>
      withFixture(harness.open([]), async ({ store }) => {
        if (!store.capabilities.fencing) return skip('the target compares no fences');
        const { control } = await begin(store);
        await expectFenceLost(control.writeDone(marker, fence(1, 2)));
        expect(await control.readDone()).toBeNull();
        await control.writeDone(marker, fence(1, 1));
        await control.raiseEpoch(fence(2, 1));
        await expectFenceLost(control.writeDone('{}', fence(1, 1)));
        await expectFenceLost(control.writeDone(null, fence(1, 1)));
        expect(await control.readDone()).toBe(marker);
      }));

    it('is each migration’s own', () =>
      withFixture(harness.open([]), async ({ store }) => {
        const one = await begin(store, 1, 'one');
        const other = await begin(store, 1, 'one-more');
        await one.control.writeDone(marker, fence(1, 1));
        expect(await other.control.readDone()).toBeNull();
        await other.control.writeDone(null, fence(1, 1));
        expect(await one.control.readDone()).toBe(marker);
      }));
  });
}
