/**
 * The contract of ports/store.ts for writing: guarded puts and deletes, batches, fences and epoch, going back. Whatever a target's
 * capabilities claim is tested; a target that claims no fencing is not asked about it.
 */
import { describe, expect, it } from 'vitest';
import { batchSuite } from './batches.ts';
import { guardedDeleteSuite } from './deletes.ts';
import { doneSuite } from './done.ts';
import { epochSuite } from './epoch.ts';
import { fenceSuite } from './fences.ts';
import { bytes, rangeOf, readAll, seedOf, withFixture, type TargetHarness } from './harness.ts';
import { guardedPutSuite } from './puts.ts';
import { restoreSuite } from './restore.ts';
import { readingSuites } from './source.ts';
import { begin, putOf } from './target-steps.ts';
import { undoSuite } from './undo.ts';

/** Registers the suite: call it at the top level of a test file. */
export function targetContract(name: string, harness: TargetHarness): void {
  const everything = rangeOf(harness);

  describe(`${name} as a target`, () => {
    readingSuites(harness);
    guardedPutSuite(harness);
    guardedDeleteSuite(harness);
    batchSuite(harness);
    fenceSuite(harness);
    epochSuite(harness);
    undoSuite(harness);
    restoreSuite(harness);
    doneSuite(harness);

    describe('records', () => {
      it('are counted in a range and in the whole store, up to a maximum', () =>
        withFixture(
          harness.open(['a/1', 'a/2', 'a/3', 'b'].map((each) => seedOf(harness, each))),
          async ({ store }) => {
            const under = { start: harness.key('a/'), end: harness.key('a0') };
            expect(await store.countRecords(under, 1000)).toBe(3);
            expect(await store.countRecords(under, 3)).toBe(3);
            expect(await store.countRecords(under, 2)).toBe(2);
            expect(await store.countRecords(null, 1000)).toBe(4);
            expect(await store.countRecords({ start: harness.key('c'), end: everything.end }, 1000)).toBe(0);
          },
        ));

      it("never include keyferry's own", () =>
        withFixture(harness.open([]), async ({ store, putTombstone }) => {
          const { writer, control, migration } = await begin(store);
          await writer.write([putOf(harness, 'a'), putOf(harness, 'b')]);
          await putTombstone?.(migration, harness.key('gone'));
          expect((await control.readEpoch())?.attempt).toBe(1);
          for (const range of [everything, { start: '' as typeof everything.start, end: null }]) {
            const keys = (await readAll(store, range)).map(({ key }) => key);
            expect(keys).toEqual([harness.key('a'), harness.key('b')]);
          }
          expect(await store.countRecords(null, 1000)).toBe(2);
          expect(await store.countRecords({ start: '' as typeof everything.start, end: null }, 1000)).toBe(2);
        }));

      it('with the empty key are written where the store takes it, refused where not', () =>
        withFixture(harness.open([]), async ({ store }) => {
          const { writer } = await begin(store);
          const put = { ...putOf(harness, 'a'), key: '' as typeof everything.start, value: bytes('v') };
          const [outcome] = await writer.write([put]);
          expect(outcome?.kind).toBe(store.capabilities.emptyKeys ? 'written' : 'refused');
          expect(await store.countRecords(null, 10)).toBe(store.capabilities.emptyKeys ? 1 : 0);
        }));
    });
  });
}
