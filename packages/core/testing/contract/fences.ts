/**
 * Goal: a worker whose chunk was claimed by another changes nothing more, whenever it wakes up; a claim only ever
 * raises the fence, and two that race for one have one winner.
 * Method: the late worker writes before, while and after the other claims; the store is read afterwards.
 */
import { describe, expect, it } from 'vitest';
import { chunkId, isKeyferryError, type MigrationId } from '../../src/index.ts';
import { rangeOf, readAll, seedOf, withFixture, type TargetHarness } from './harness.ts';
import { begin, besideOthers, claim, expectFenceLost, fence, firstChunk, kindsOf, putOf } from './target-steps.ts';

export function fenceSuite(harness: TargetHarness): void {
  const itBeside = besideOthers(harness);
  const everything = rangeOf(harness);

  describe('a fence', () => {
    it('is what the last claim made it', () =>
      withFixture(harness.open([]), async ({ store, openAnother }) => {
        const control = store.control('contract' as MigrationId);
        expect(await control.readFence(firstChunk)).toBeNull();
        await control.raiseEpoch(fence(1, 1));
        await claim(control, fence(1, 3), fence(1, 1));
        expect(await control.readFence(firstChunk)).toEqual(fence(1, 3));
        expect(await control.readFence(chunkId(1))).toBeNull();
        const other = (await openAnother?.())?.control('contract' as MigrationId);
        if (other !== undefined) expect(await other.readFence(firstChunk)).toEqual(fence(1, 3));
      }));

    itBeside('shuts a worker out once a higher one claimed its chunk: nothing of its batch is written', ({ skip }) =>
      withFixture(harness.open([seedOf(harness, 'there')]), async ({ store }) => {
        if (!store.capabilities.fencing) return skip('the target compares no fences');
        const { control, writer } = await begin(store);
        await writer.write([putOf(harness, 'a')]);
        const higher = await claim(control, fence(1, 2), fence(1, 1));
        const before = await readAll(store, everything);
        await expectFenceLost(writer.write([putOf(harness, 'a'), putOf(harness, 'b'), putOf(harness, 'c')]));
        await expectFenceLost(writer.write([putOf(harness, 'there')]));
        expect(await readAll(store, everything)).toEqual(before);
        expect(kindsOf(await higher.write([putOf(harness, 'a'), putOf(harness, 'b')]))).toEqual([
          'already-written',
          'written',
        ]);
      }),
    );

    it('of one chunk leaves the others alone', () =>
      withFixture(harness.open([]), async ({ store }) => {
        const { control, writer } = await begin(store);
        const second = await claim(control, fence(1, 1), fence(1, 1), chunkId(1));
        await claim(control, fence(1, 2), fence(1, 1), chunkId(1));
        expect(kindsOf(await writer.write([putOf(harness, 'a')]))).toEqual(['written']);
        if (store.capabilities.fencing) await expectFenceLost(second.write([putOf(harness, 'b')]));
      }));

    it('of a later attempt is higher, whatever the tokens', () =>
      withFixture(harness.open([]), async ({ store }) => {
        const { control } = await begin(store);
        await claim(control, fence(1, 9), fence(1, 1));
        await control.raiseEpoch(fence(2, 1));
        await claim(control, fence(2, 1), fence(2, 1));
        expect(await control.readFence(firstChunk)).toEqual(fence(2, 1));
      }));

    it.each([
      { name: 'the same', attempt: 2, token: 5 },
      { name: 'a lower token', attempt: 2, token: 4 },
      { name: 'a lower attempt, though a higher token', attempt: 1, token: 9 },
    ])('is not taken over by $name', ({ attempt, token }) =>
      withFixture(harness.open([]), async ({ store }) => {
        const control = store.control('contract' as MigrationId);
        await control.raiseEpoch(fence(2, 1));
        const holder = await claim(control, fence(2, 5), fence(2, 1));
        expect(await control.claimChunk(firstChunk, fence(attempt, token), fence(2, 1))).toEqual({
          kind: 'refused',
          fence: fence(2, 5),
          epoch: fence(2, 1),
        });
        expect(await control.readFence(firstChunk)).toEqual(fence(2, 5));
        expect(kindsOf(await holder.write([putOf(harness, 'a')]))).toEqual(['written']);
      }),
    );

    it('that several claim at once goes to exactly one', () =>
      withFixture(harness.open([]), async ({ store, openAnother }) => {
        const { control } = await begin(store);
        const others = [store, store, (await openAnother?.()) ?? store, (await openAnother?.()) ?? store];
        const controls = [control, ...others.map((each) => each.control('contract' as MigrationId))];
        for (const token of [2, 3, 4]) {
          const outcomes = await Promise.all(
            controls.map((each) => each.claimChunk(firstChunk, fence(1, token), fence(1, 1))),
          );
          expect(outcomes.filter(({ kind }) => kind === 'claimed')).toHaveLength(1);
        }
      }));

    it('that is raised while batches are under way lets each batch in whole or not at all', ({ skip }) =>
      withFixture(harness.open([]), async ({ store }) => {
        if (!store.capabilities.fencing) return skip('the target compares no fences');
        const { control, writer } = await begin(store);
        const names = Array.from({ length: 12 }, (_, i) => [`${i}/x`, `${i}/y`, `${i}/z`]);
        const writes = names.map((batch) => writer.write(batch.map((name) => putOf(harness, name))));
        const claiming = claim(control, fence(1, 2), fence(1, 1));
        const results = await Promise.allSettled(writes);
        await claiming;
        await expectFenceLost(writer.write([putOf(harness, 'late')]));
        const keys = (await readAll(store, everything)).map(({ key }) => key);
        for (const [i, result] of results.entries()) {
          const written = (names[i] as string[]).filter((name) => keys.includes(harness.key(name)));
          if (result.status === 'fulfilled') expect(written).toHaveLength(3);
          else
            expect({ written, lost: isKeyferryError(result.reason, 'fence.lost') }).toEqual({
              written: [],
              lost: true,
            });
        }
        expect(keys).not.toContain(harness.key('late'));
      }));

    it('lets a later attempt see what an earlier one wrote as present', () =>
      withFixture(harness.open([]), async ({ store }) => {
        const { control, writer } = await begin(store);
        await writer.write([putOf(harness, 'a', 'v'), putOf(harness, 'b', 'v')]);
        await control.raiseEpoch(fence(2, 1));
        const later = await claim(control, fence(2, 1), fence(2, 1));
        const outcomes = await later.write([putOf(harness, 'a', 'v'), putOf(harness, 'b', 'other')]);
        expect(outcomes[0]).toMatchObject({ kind: 'present', equal: true });
        expect(outcomes[1]).toMatchObject({ kind: 'present', equal: false });
      }));

    it('lets a worker that takes a chunk over see its predecessor’s records as already written', () =>
      withFixture(harness.open([]), async ({ store, openAnother }) => {
        const { writer } = await begin(store);
        await writer.write([putOf(harness, 'a'), putOf(harness, 'b')]);
        const control = ((await openAnother?.()) ?? store).control('contract' as MigrationId);
        const next = await claim(control, fence(1, 2), fence(1, 1));
        expect(kindsOf(await next.write([putOf(harness, 'a'), putOf(harness, 'b'), putOf(harness, 'c')]))).toEqual([
          'already-written',
          'already-written',
          'written',
        ]);
      }));
  });
}
