/**
 * Goal: before-images go back over what the migration left there, and over nothing that somebody changed since.
 * Method: overwrites and deletes in one and in several attempts, application writes at every point between, repeats.
 */
import { describe, expect, it } from 'vitest';
import type {
  BeforeImage,
  ChunkWriter,
  Fence,
  GuardedChange,
  Restoration,
  TargetControl,
  TargetStore,
} from '../../src/index.ts';
import { bytes, contentOf, rangeOf, readAll, seedOf, traitsOf, withFixture, type TargetHarness } from './harness.ts';
import { begin, claim, expectFenceLost, fence, firstChunk, putOf } from './target-steps.ts';

const hourMs = 3_600_000;

export function restoreSuite(harness: TargetHarness): void {
  const { key } = harness;
  const everything = rangeOf(harness);
  const content = async (store: TargetStore) => contentOf(await readAll(store, everything));
  const plain = (values: Readonly<Record<string, string>>) =>
    Object.entries(values).map(([name, value]) => ({ key: key(name), value: bytes(value) }));
  const imageOf = async (control: TargetControl, name: string): Promise<BeforeImage> => {
    const [image] = await control.readBefore([key(name)]);
    expect(image).not.toBeNull();
    return image as BeforeImage;
  };
  const change = async (
    { control, writer }: { readonly control: TargetControl; readonly writer: ChunkWriter },
    name: string,
    value: string | null,
  ): Promise<Restoration> => {
    const image = await imageOf(control, name);
    const expected = { key: image.key, expect: { version: image.version } } as const;
    const guarded: GuardedChange =
      value === null
        ? { kind: 'delete', ...expected }
        : { kind: 'put', ...expected, value: bytes(value), expiresAtMs: null };
    const [outcome] = await writer.write([guarded]);
    expect(outcome?.kind).toBe(value === null ? 'deleted' : 'written');
    return { undo: value === null ? 'delete' : 'overwrite', image };
  };
  const nextAttempt = async (control: TargetControl, attempt: number) => {
    await control.raiseEpoch(fence(attempt, 1));
    return { control, writer: await claim(control, fence(attempt, 1), fence(attempt, 1)) };
  };
  const createdKeys = async (control: TargetControl) => {
    const keys: string[] = [];
    for await (const page of control.listCreated(everything, { pageKeysMax: 10 }))
      keys.push(...page.map((record) => record.key));
    return keys.toSorted();
  };
  const first: Fence = fence(1, 1);

  describe('a look before a change', () => {
    it('tells a record’s content, and whose it is', () =>
      withFixture(
        harness.open([seedOf(harness, 'foreign'), seedOf(harness, 'taken', 'before')]),
        async ({ store, change: byApplication, openAnother }) => {
          const begun = await begin(store);
          await begun.writer.write([putOf(harness, 'created'), putOf(harness, 'retaken')]);
          await change(begun, 'taken', 'after');
          await byApplication([{ put: seedOf(harness, 'retaken', 'theirs') }]);
          const other = ((await openAnother?.()) ?? store).control(begun.migration);
          for (const control of [begun.control, other]) {
            const names = ['created', 'foreign', 'none', 'retaken', 'taken'];
            const images = await control.readBefore(names.map((name) => key(name)));
            expect(images.map((image) => image?.origin ?? null)).toEqual([
              'created',
              'foreign',
              null,
              'foreign',
              'overwritten',
            ]);
            const records = await store.lookUp(names.map((name) => key(name)));
            expect(images.map((image) => image?.version)).toEqual(records.map((record) => record?.version));
            expect(Uint8Array.from(images[4]?.value ?? [])).toEqual(bytes('after'));
          }
        },
      ));

    it('takes another migration’s record for a foreign one', () =>
      withFixture(harness.open([]), async ({ store }) => {
        const one = await begin(store, 1, 'one');
        const other = await begin(store, 1, 'one-more');
        await one.writer.write([putOf(harness, 'k')]);
        expect((await imageOf(one.control, 'k')).origin).toBe('created');
        expect((await imageOf(other.control, 'k')).origin).toBe('foreign');
      }));
  });

  describe('restoring', () => {
    it('puts back what was overwritten, makes again what was deleted, and may be repeated', () =>
      withFixture(harness.open(['a', 'b', 'kept'].map((name) => seedOf(harness, name))), async ({ store }) => {
        const before = await content(store);
        const begun = await begin(store);
        const restorations = [await change(begun, 'a', 'ours'), await change(begun, 'b', null)];
        expect(await content(store)).toEqual(plain({ a: 'ours', kept: 'kept' }));
        const { control } = begun;
        expect(await control.restore(restorations, first)).toEqual(['restored', 'restored']);
        expect(await content(store)).toEqual(before);
        expect(await control.restore(restorations, first)).toEqual(['untouched', 'untouched']);
        expect(await content(store)).toEqual(before);
        expect(await createdKeys(control)).toEqual([]);
      }));

    it('leaves untouched what was never changed', () =>
      withFixture(harness.open([seedOf(harness, 'a'), seedOf(harness, 'b')]), async ({ store }) => {
        const { control } = await begin(store);
        const before = await readAll(store, everything);
        const restorations: Restoration[] = [
          { undo: 'overwrite', image: await imageOf(control, 'a') },
          { undo: 'delete', image: await imageOf(control, 'b') },
        ];
        expect(await control.restore(restorations, first)).toEqual(['untouched', 'untouched']);
        expect(await readAll(store, everything)).toEqual(before);
      }));

    it('leaves alone what somebody changed, deleted or made anew since', () =>
      withFixture(
        harness.open(['changed', 'deleted', 'made-anew', 'never'].map((name) => seedOf(harness, name))),
        async ({ store, change: byApplication }) => {
          const begun = await begin(store);
          const never = await imageOf(begun.control, 'never');
          const restorations = [
            await change(begun, 'changed', 'ours'),
            await change(begun, 'deleted', 'ours'),
            await change(begun, 'made-anew', null),
            // Its image was taken, but the delete never came; then somebody else deleted it.
            { undo: 'delete' as const, image: never },
          ];
          await byApplication([
            { put: seedOf(harness, 'changed', 'theirs') },
            { delete: key('deleted') },
            { put: seedOf(harness, 'made-anew', 'theirs') },
            { delete: key('never') },
          ]);
          const before = await readAll(store, everything);
          expect(await begun.control.restore(restorations, first)).toEqual([
            'changed',
            'changed',
            'changed',
            'changed',
          ]);
          expect(await readAll(store, everything)).toEqual(before);
        },
      ));

    it('does not bring back what an application deleted, although the migration created the key again', () =>
      withFixture(harness.open([seedOf(harness, 'k', 'before')]), async ({ store, change: byApplication }) => {
        const begun = await begin(store);
        const restoration = await change(begun, 'k', 'first');
        await byApplication([{ delete: key('k') }]);
        const second = await nextAttempt(begun.control, 2);
        await second.writer.write([putOf(harness, 'k', 'second')]);
        expect(await begun.control.restore([restoration], fence(2, 1))).toEqual(['changed']);
        expect(await createdKeys(begun.control)).toEqual([key('k')]);
      }));

    it('does not bring back what it deleted and an application deleted too, with a tombstone', ({ skip }) =>
      withFixture(harness.open([seedOf(harness, 'k', 'before')]), async ({ store, putTombstone }) => {
        if (putTombstone === undefined) return skip('the store cannot hold tombstones');
        const begun = await begin(store);
        const restoration = await change(begun, 'k', null);
        await putTombstone(begun.migration, key('k'));
        expect(await begun.control.restore([restoration], first)).toEqual(['changed']);
        expect(await content(store)).toEqual([]);
      }));

    it('goes back through several attempts to what was there before the first', () =>
      withFixture(
        harness.open(['twice', 'gone-later', 'gone', 'gone-again'].map((name) => seedOf(harness, name, 'before'))),
        async ({ store }) => {
          const before = await content(store);
          const one = await begin(store);
          await one.writer.write([putOf(harness, 'new'), putOf(harness, 'new-gone')]);
          const firstImages = [
            await change(one, 'twice', 'first'),
            await change(one, 'gone-later', 'first'),
            await change(one, 'gone', null),
            await change(one, 'gone-again', null),
          ];
          const two = await nextAttempt(one.control, 2);
          await two.writer.write([putOf(harness, 'gone', 'second'), putOf(harness, 'gone-again', 'second')]);
          const secondImages = [
            await change(two, 'twice', 'second'),
            await change(two, 'gone-later', null),
            await change(two, 'new', 'second'),
            await change(two, 'new-gone', null),
          ];
          const three = await nextAttempt(one.control, 3);
          const thirdImages = [await change(three, 'gone-again', null)];
          expect(await content(store)).toEqual(plain({ gone: 'second', new: 'second', twice: 'second' }));
          const epoch = fence(3, 1);
          const { control } = one;
          expect(await control.restore(thirdImages, epoch)).toEqual(['untouched']);
          expect(await control.restore(secondImages, epoch)).toEqual(['restored', 'restored', 'removed', 'untouched']);
          expect(await control.restore(firstImages, epoch)).toEqual(['restored', 'restored', 'replaced', 'restored']);
          expect(await createdKeys(control)).toEqual([]);
          expect(await content(store)).toEqual(before);
        },
      ));

    it('stops at what somebody wrote between two attempts', () =>
      withFixture(harness.open([seedOf(harness, 'k', 'before')]), async ({ store, change: byApplication }) => {
        const one = await begin(store);
        const firstImage = await change(one, 'k', 'first');
        await byApplication([{ put: seedOf(harness, 'k', 'theirs') }]);
        const two = await nextAttempt(one.control, 2);
        const secondImage = await change(two, 'k', 'second');
        const epoch = fence(2, 1);
        expect(await one.control.restore([secondImage], epoch)).toEqual(['restored']);
        expect(await one.control.restore([firstImage], epoch)).toEqual(['changed']);
        expect(await content(store)).toEqual(plain({ k: 'theirs' }));
        expect(await createdKeys(one.control)).toEqual([]);
      }));

    it('goes on in another process where one was stopped', () =>
      withFixture(harness.open([seedOf(harness, 'a'), seedOf(harness, 'b')]), async ({ store, openAnother }) => {
        const before = await content(store);
        const begun = await begin(store);
        const restorations = [await change(begun, 'a', 'ours'), await change(begun, 'b', null)];
        await begun.control.restore(restorations.slice(0, 1), first);
        const other = ((await openAnother?.()) ?? store).control(begun.migration);
        await other.raiseEpoch(fence(1, 2));
        expect(await other.restore(restorations, fence(1, 2))).toEqual(['untouched', 'restored']);
        expect(await content(store)).toEqual(before);
      }));

    it('gives back what is left of a record’s time, and does not revive one whose time is over', ({ skip }) =>
      withFixture(
        harness.open(['a', 'b', 'long'].map((name) => ({ ...seedOf(harness, name), ttlMs: hourMs }))),
        async ({ store }) => {
          if (!store.capabilities.expiry) return skip('the store has no expiry');
          const begun = await begin(store);
          const [a, b, long] = [
            await change(begun, 'a', 'ours'),
            await change(begun, 'b', null),
            await change(begun, 'long', 'ours'),
          ];
          const over = ({ undo, image }: Restoration): Restoration => {
            return { undo, image: { ...image, expiresAtMs: harness.nowMs() - 1 } };
          };
          expect(await begun.control.restore([over(a), over(b), long], first)).toEqual([
            'expired',
            'expired',
            'restored',
          ]);
          const [record, ...others] = await readAll(store, everything);
          expect(others).toEqual([]);
          expect(record).toMatchObject({ key: key('long') });
          const slackMs = store.capabilities.expiryToleranceMs + 2 * traitsOf(harness).expiryPrecisionMs;
          expect(record?.expiresAtMs).toBeGreaterThanOrEqual((long.image.expiresAtMs ?? 0) - slackMs);
          expect(record?.expiresAtMs).toBeLessThanOrEqual((long.image.expiresAtMs ?? 0) + slackMs);
        },
      ));

    it('takes more images than a batch holds', () =>
      withFixture(harness.open([]), async ({ store, change: byApplication }) => {
        const { control, writer } = await begin(store);
        const size = store.capabilities.batchKeysMax;
        const names = Array.from({ length: size + 2 }, (_, i) => `n/${String(i).padStart(6, '0')}`);
        await byApplication(names.map((name) => ({ put: seedOf(harness, name, 'before') })));
        const before = await content(store);
        const restorations: Restoration[] = [];
        for (const part of [names.slice(0, size), names.slice(size)]) {
          const images = await control.readBefore(part.map((name) => key(name)));
          const changes = images.map((image, i): GuardedChange => {
            const { key: of, version } = image as BeforeImage;
            const guard = { key: of, expect: { version } };
            return i % 2 === 0
              ? { kind: 'delete', ...guard }
              : { kind: 'put', ...guard, value: bytes('ours'), expiresAtMs: null };
          });
          await writer.write(changes);
          for (const [i, image] of images.entries()) {
            restorations.push({ undo: i % 2 === 0 ? 'delete' : 'overwrite', image: image as BeforeImage });
          }
        }
        expect(new Set(await control.restore(restorations, first))).toEqual(new Set(['restored']));
        expect(await content(store)).toEqual(before);
      }));

    it('under another epoch is refused, and nothing is restored', ({ skip }) =>
      withFixture(harness.open([seedOf(harness, 'a'), seedOf(harness, 'b')]), async ({ store }) => {
        if (!store.capabilities.fencing) return skip('the target compares no fences');
        const begun = await begin(store);
        const restorations = [await change(begun, 'a', 'ours'), await change(begun, 'b', null)];
        await begun.control.raiseEpoch(fence(1, 2));
        await expectFenceLost(begun.control.restore(restorations, fence(1, 1)));
        await expectFenceLost(begun.control.restore([], fence(1, 3)));
        expect(await content(store)).toEqual(plain({ a: 'ours' }));
        expect(await begun.control.restore(restorations, fence(1, 2))).toEqual(['restored', 'restored']);
      }));

    it('leaves nothing of keyferry’s own once control keys are dropped, and then knows no deletion any more', () =>
      withFixture(harness.open([seedOf(harness, 'a'), seedOf(harness, 'b')]), async ({ store }) => {
        const begun = await begin(store);
        const a = await change(begun, 'a', null);
        const b = await change(begun, 'b', null);
        await begun.control.restore([a], first);
        await begun.control.dropControl(first);
        expect(await begun.control.readFence(firstChunk)).toBeNull();
        expect(await begun.control.restore([a, b], first)).toEqual(['untouched', 'changed']);
        expect(await content(store)).toEqual(plain({ a: 'a' }));
      }));
  });
}
