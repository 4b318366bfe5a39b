/**
 * The contract of ports/change-feed.ts for writing: one owner, the last one to claim; the position with the effect or
 * after it; tombstones by the forward tail alone; and a repeat that is harmless. What a store does not claim is not asked.
 */
import { describe, expect, it } from 'vitest';
import type {
  Fence,
  MigrationId,
  Position,
  TailChange,
  TailControl,
  TailName,
  TailWriter,
  TargetStore,
} from '../../src/index.ts';
import {
  bytes,
  rangeOf,
  readAll,
  seedOf,
  traitsOf,
  withFixture,
  type TargetFixture,
  type TargetHarness,
} from './harness.ts';
import { begin, claim, expectFenceLost, fence, kindsOf, putOf } from './target-steps.ts';

const migration = 'contract' as MigrationId;
const one = fence(1, 1);
const at = (text: string): Position => text as Position;

/** Registers the suite: call it at the top level of a test file. */
export function tailContract(kind: string, harness: TargetHarness): void {
  const everything = rangeOf(harness);
  const { key } = harness;
  const put = (name: string, value = name): TailChange => ({
    kind: 'put',
    key: key(name),
    value: bytes(value),
    expiresAtMs: null,
  });
  const gone = (name: string): TailChange => ({ kind: 'delete', key: key(name) });
  const contents = async (store: TargetStore): Promise<string[]> =>
    (await readAll(store, everything)).map(
      (record) => `${record.key.slice(everything.start.length)}=${new TextDecoder().decode(record.value)}`,
    );

  describe(`${kind} as what a tail writes to`, () => {
    it('remembers nothing of a tail before its first claim', () =>
      withTail(harness, [], async ({ tail }) => {
        expect(await tail.readTail('forward')).toBeNull();
      }));

    it('puts over what is there, deletes, and stores the position', () =>
      withTail(harness, ['a', 'b'], async ({ store, tail }) => {
        const { writer, position } = await claimTail(tail, one);
        expect(position).toBeNull();
        const outcomes = await writer.apply([put('a', '1'), gone('b'), put('c', '2')], at('p1'));
        expect(kindsOf(outcomes)).toEqual(['written', 'deleted', 'written']);
        expect(await contents(store)).toEqual(['a=1', 'c=2']);
        const [a] = await store.lookUp([key('a')]);
        expect(outcomes[0]).toEqual({ kind: 'written', version: a?.version });
        expect(await tail.readTail('forward')).toEqual({ fence: one, position: 'p1' });
      }));

    it('keeps the stored position where none is given, and stores one without changes', () =>
      withTail(harness, [], async ({ tail }) => {
        const { writer } = await claimTail(tail, one);
        await writer.apply([], at('p1'));
        expect(await tail.readTail('forward')).toMatchObject({ position: 'p1' });
        await writer.apply([put('a')], null);
        expect(await tail.readTail('forward')).toMatchObject({ position: 'p1' });
        await writer.apply([], at('a position, of any length '.repeat(20)));
        expect((await tail.readTail('forward'))?.position).toHaveLength(26 * 20);
      }));

    it('takes as many changes at once as it says', () =>
      withTail(harness, [], async ({ store, tail }) => {
        const { writer } = await claimTail(tail, one);
        const names = Array.from({ length: tail.capabilities.changesMax }, (_, i) => `k${String(i).padStart(5, '0')}`);
        const outcomes = await writer.apply(
          names.map((each) => put(each)),
          at('p1'),
        );
        expect(new Set(kindsOf(outcomes))).toEqual(new Set(['written']));
        expect(await contents(store)).toEqual(names.map((each) => `${each}=${each}`));
        const deleted = await writer.apply(
          names.map((each) => gone(each)),
          at('p2'),
        );
        expect(new Set(kindsOf(deleted))).toEqual(new Set(['deleted']));
        expect(await contents(store)).toEqual([]);
      }));

    it('hands the position to the next owner, and shuts the former one out', ({ skip }) =>
      withTail(harness, [], async ({ store, tail, openAnother }) => {
        if (!tail.capabilities.fencing) return skip('the store does not fence');
        const former = (await claimTail(tail, one)).writer;
        await former.apply([put('a', 'former')], at('p1'));
        const other = ((await openAnother?.()) ?? store).tail?.(migration) ?? tail;
        const next = await claimTail(other, fence(1, 2));
        expect(next.position).toBe('p1');
        await expectFenceLost(former.apply([put('a', 'late')], at('p2')));
        await next.writer.apply([put('b', 'next')], at('p3'));
        await expectFenceLost(former.apply([gone('b')], at('p2')));
        expect(await contents(store)).toEqual(['a=former', 'b=next']);
        expect(await tail.readTail('forward')).toEqual({ fence: fence(1, 2), position: 'p3' });
      }));

    it('refuses a claim that raises nothing, or is of another epoch', () =>
      withTail(harness, [], async ({ tail }) => {
        await claimTail(tail, fence(1, 3));
        for (const again of [fence(1, 3), fence(1, 2)]) {
          expect(await tail.claimTail('forward', again, one)).toEqual({
            kind: 'refused',
            fence: fence(1, 3),
            epoch: one,
          });
        }
        expect(await tail.claimTail('forward', fence(2, 1), fence(2, 1))).toMatchObject({
          kind: 'refused',
          epoch: one,
        });
        expect(await tail.readTail('forward')).toMatchObject({ fence: fence(1, 3) });
      }));

    it('is shut out when the epoch is raised', ({ skip }) =>
      withTail(harness, [], async ({ store, tail }) => {
        if (!tail.capabilities.fencing) return skip('the store does not fence');
        const { writer } = await claimTail(tail, one);
        await writer.apply([put('a')], at('p1'));
        expect(await store.control(migration).raiseEpoch(fence(1, 2))).toEqual({ kind: 'raised' });
        await expectFenceLost(writer.apply([gone('a')], at('p2')));
        expect(await contents(store)).toEqual(['a=a']);
        expect(await tail.readTail('forward')).toMatchObject({ position: 'p1' });
      }));

    it('has two tails that know nothing of each other', () =>
      withTail(harness, [], async ({ tail }) => {
        const forward = await claimTail(tail, one);
        await forward.writer.apply([put('a')], at('p1'));
        const reverse = await claimTail(tail, one, 'reverse');
        expect(reverse.position).toBeNull();
        await reverse.writer.apply([put('b')], at('r1'));
        await forward.writer.apply([put('c')], at('p2'));
        expect(await tail.readTail('forward')).toMatchObject({ position: 'p2' });
        expect(await tail.readTail('reverse')).toMatchObject({ position: 'r1' });
      }));

    it('keeps backfill from what the forward tail deleted, and lets it put what the tail put anew', () =>
      withTail(harness, ['there'], async ({ store, tail, backfill }) => {
        const { writer } = await claimTail(tail, one);
        await writer.apply([gone('there'), gone('never-copied')], at('p1'));
        const copies = [putOf(harness, 'there'), putOf(harness, 'never-copied'), putOf(harness, 'other')];
        expect(kindsOf(await backfill.write(copies))).toEqual(['tombstoned', 'tombstoned', 'written']);
        await writer.apply([put('there', 'anew')], at('p2'));
        expect(kindsOf(await backfill.write(copies.slice(0, 1)))).toEqual(['present']);
        expect(await contents(store)).toEqual(['other=other', 'there=anew']);
      }));

    it('keeps backfill from nothing that the reverse tail deleted', () =>
      withTail(harness, ['there'], async ({ tail, backfill }) => {
        const { writer } = await claimTail(tail, one, 'reverse');
        await writer.apply([gone('there')], at('r1'));
        expect(kindsOf(await backfill.write([putOf(harness, 'there')]))).toEqual(['written']);
      }));

    it('says of a record that it can never take, and takes the others', ({ skip }) =>
      withTail(harness, [], async ({ store, tail }) => {
        const { recordBytesMax } = store.capabilities;
        if (recordBytesMax === null) return skip('the store takes any record');
        const { writer } = await claimTail(tail, one);
        const large: TailChange = {
          kind: 'put',
          key: key('large'),
          value: new Uint8Array(recordBytesMax + 1),
          expiresAtMs: null,
        };
        const outcomes = await writer.apply([put('a'), large, put('z')], at('p1'));
        expect(kindsOf(outcomes)).toEqual(['written', 'refused', 'written']);
        expect(await contents(store)).toEqual(['a=a', 'z=z']);
        expect(await tail.readTail('forward')).toMatchObject({ position: 'p1' });
      }));

    it('gives a record its end', ({ skip }) =>
      withTail(harness, [], async ({ store, tail }) => {
        if (!store.capabilities.expiry) return skip('records have no end there');
        const { writer } = await claimTail(tail, one);
        const expiresAtMs = harness.nowMs() + 600_000;
        await writer.apply([{ kind: 'put', key: key('a'), value: bytes('a'), expiresAtMs }, put('b')], at('p1'));
        const [a, b] = await store.lookUp([key('a'), key('b')]);
        const tolerance = store.capabilities.expiryToleranceMs + traitsOf(harness).expiryPrecisionMs + 2000;
        expect(Math.abs((a?.expiresAtMs ?? 0) - expiresAtMs)).toBeLessThanOrEqual(tolerance);
        expect(b?.expiresAtMs).toBeNull();
        await writer.apply([put('a')], at('p2'));
        expect((await store.lookUp([key('a')]))[0]?.expiresAtMs).toBeNull();
      }));

    it("drops a tail's record with the other control keys", () =>
      withTail(harness, [], async ({ store, tail }) => {
        const { writer } = await claimTail(tail, one);
        await writer.apply([put('a'), gone('b')], at('p1'));
        await store.control(migration).dropControl(one);
        expect(await tail.readTail('forward')).toBeNull();
        expect(await contents(store)).toEqual(['a=a']);
        const next = await claim(store.control(migration), fence(1, 9), one);
        expect(kindsOf(await next.write([putOf(harness, 'b')]))).toEqual(['written']);
      }));
  });

  async function claimTail(
    tail: TailControl,
    withFence: Fence,
    which: TailName = 'forward',
  ): Promise<{ readonly writer: TailWriter; readonly position: Position | null }> {
    const outcome = await tail.claimTail(which, withFence, one);
    if (outcome.kind !== 'claimed') throw new Error(`the claim of the ${which} tail was refused`);
    return outcome;
  }
}

async function withTail(
  harness: TargetHarness,
  names: readonly string[],
  body: (
    fixture: TargetFixture & {
      readonly tail: TailControl;
      readonly backfill: Awaited<ReturnType<typeof begin>>['writer'];
    },
  ) => Promise<void>,
): Promise<void> {
  await withFixture(harness.open(names.map((each) => seedOf(harness, each))), async (fixture) => {
    const tail = fixture.store.tail?.(migration);
    if (tail === undefined) throw new Error('no tail can write to the store');
    const { writer: backfill } = await begin(fixture.store);
    await body({ ...fixture, tail, backfill });
  });
}
