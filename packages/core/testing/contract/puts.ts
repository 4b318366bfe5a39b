/**
 * Goal: a put changes a key only as its guard allows, and says what it found; a repeat is harmless and known as one.
 * Method: every state that a key can be in, against both guards; the store is read after each write.
 */
import { describe, expect, it } from 'vitest';
import type { StoredRecord, TargetStore, Version } from '../../src/index.ts';
import { bytes, contentOf, rangeOf, readAll, seedOf, traitsOf, withFixture, type TargetHarness } from './harness.ts';
import { begin, besideOthers, kindsOf, putOf } from './target-steps.ts';

const hourMs = 3_600_000;

export function guardedPutSuite(harness: TargetHarness): void {
  const itBeside = besideOthers(harness);
  const { key } = harness;
  const { expiryPrecisionMs, binaryValues } = traitsOf(harness);
  const everything = rangeOf(harness);
  const readOne = async (store: TargetStore): Promise<StoredRecord | undefined> =>
    (await readAll(store, everything)).find((record) => record.key === key('k'));

  describe('a put that expects nothing there', () => {
    it('writes an absent key and tells its version', () =>
      withFixture(harness.open([]), async ({ store }) => {
        const { writer } = await begin(store);
        const [outcome] = await writer.write([putOf(harness, 'k', 'v')]);
        const record = await readOne(store);
        expect(outcome).toEqual({ kind: 'written', version: record?.version });
        expect(record).toMatchObject({ expiresAtMs: null });
        expect(contentOf(await readAll(store, everything))).toEqual([{ key: key('k'), value: bytes('v') }]);
      }));

    it('keeps empty values, and those of any bytes', () =>
      withFixture(harness.open([]), async ({ store }) => {
        const { writer } = await begin(store);
        const any = binaryValues ? Uint8Array.from({ length: 256 }, (_, i) => 255 - i) : bytes('ä');
        const puts = [putOf(harness, 'any'), putOf(harness, 'empty', '')].map((put) =>
          put.value.length > 0 ? { ...put, value: any } : put,
        );
        expect(kindsOf(await writer.write(puts))).toEqual(['written', 'written']);
        expect(contentOf(await readAll(store, everything))).toEqual(
          contentOf(puts.map((put) => ({ ...put, ttlMs: null }))),
        );
      }));

    it('is already written when the same attempt repeats it', () =>
      withFixture(harness.open([]), async ({ store }) => {
        const { writer } = await begin(store);
        const [first] = await writer.write([putOf(harness, 'k', 'v')]);
        const before = await readOne(store);
        const [again] = await writer.write([putOf(harness, 'k', 'v')]);
        expect(again).toEqual({ kind: 'already-written', version: before?.version });
        expect(first).toMatchObject({ kind: 'written', version: before?.version });
        expect(await readOne(store)).toEqual(before);
      }));

    it('is present and not equal when the same attempt repeats it with another value', () =>
      withFixture(harness.open([]), async ({ store }) => {
        const { writer } = await begin(store);
        await writer.write([putOf(harness, 'k', 'v')]);
        expect(await writer.write([putOf(harness, 'k', 'other')])).toMatchObject([{ kind: 'present', equal: false }]);
        expect((await readOne(store))?.value).toEqual(bytes('v'));
      }));

    itBeside('finds an application’s record present, equal or not, and leaves it', () =>
      withFixture(harness.open([seedOf(harness, 'k', 'v'), seedOf(harness, 'other', 'theirs')]), async ({ store }) => {
        const { writer } = await begin(store);
        const before = await readAll(store, everything);
        const version = (name: string) => before.find((record) => record.key === key(name))?.version;
        expect(await writer.write([putOf(harness, 'k', 'v'), putOf(harness, 'other', 'ours')])).toEqual([
          { kind: 'present', version: version('k'), equal: true },
          { kind: 'present', version: version('other'), equal: false },
        ]);
        expect(await readAll(store, everything)).toEqual(before);
      }),
    );

    itBeside('finds present what an application changed since this attempt wrote it', () =>
      withFixture(harness.open([]), async ({ store, change }) => {
        const { writer } = await begin(store);
        await writer.write([putOf(harness, 'k', 'v')]);
        await change([{ put: seedOf(harness, 'k', 'newer') }]);
        const [outcome] = await writer.write([putOf(harness, 'k', 'v')]);
        expect(outcome).toMatchObject({ kind: 'present', equal: false });
        expect((await readOne(store))?.value).toEqual(bytes('newer'));
      }),
    );

    it('leaves a tombstoned key alone', ({ skip }) =>
      withFixture(harness.open([]), async ({ store, putTombstone }) => {
        if (putTombstone === undefined) return skip('the store cannot hold tombstones');
        const { writer, migration } = await begin(store);
        await putTombstone(migration, key('k'));
        expect(await writer.write([putOf(harness, 'k')])).toEqual([{ kind: 'tombstoned' }]);
        expect(await readAll(store, everything)).toEqual([]);
      }));

    it('does not resurrect what it wrote and an application deleted with a tombstone', ({ skip }) =>
      withFixture(harness.open([]), async ({ store, putTombstone }) => {
        if (putTombstone === undefined) return skip('the store cannot hold tombstones');
        const { writer, migration } = await begin(store);
        await writer.write([putOf(harness, 'k')]);
        await putTombstone(migration, key('k'));
        expect(await writer.write([putOf(harness, 'k')])).toEqual([{ kind: 'tombstoned' }]);
        expect(await readAll(store, everything)).toEqual([]);
      }));
  });

  describe('a put that expects a version', () => {
    itBeside('overwrites the record of that version', () =>
      withFixture(harness.open([seedOf(harness, 'k', 'before')]), async ({ store }) => {
        const { writer } = await begin(store);
        const version = (await readOne(store))?.version as Version;
        const [outcome] = await writer.write([{ ...putOf(harness, 'k', 'after'), expect: { version } }]);
        const record = await readOne(store);
        expect(outcome).toEqual({ kind: 'written', version: record?.version });
        expect(record?.value).toEqual(bytes('after'));
        expect(record?.version).not.toBe(version);
      }),
    );

    itBeside('is already written when the same attempt repeats it', () =>
      withFixture(harness.open([seedOf(harness, 'k', 'before')]), async ({ store }) => {
        const { writer } = await begin(store);
        const put = {
          ...putOf(harness, 'k', 'after'),
          expect: { version: (await readOne(store))?.version as Version },
        };
        await writer.write([put]);
        const before = await readOne(store);
        expect(await writer.write([put])).toEqual([{ kind: 'already-written', version: before?.version }]);
        expect(await readOne(store)).toEqual(before);
      }),
    );

    itBeside('leaves any other version alone, and says whether that is what it wanted', () =>
      withFixture(harness.open([seedOf(harness, 'k', 'before')]), async ({ store, change }) => {
        const { writer } = await begin(store);
        const version = (await readOne(store))?.version as Version;
        for (const [theirs, equal] of [
          ['theirs', false],
          ['after', true],
        ] as const) {
          await change([{ put: seedOf(harness, 'k', theirs) }]);
          const before = await readOne(store);
          const outcomes = await writer.write([{ ...putOf(harness, 'k', 'after'), expect: { version } }]);
          expect(outcomes).toEqual([{ kind: 'present', version: before?.version, equal }]);
          expect(await readOne(store)).toEqual(before);
        }
      }),
    );

    itBeside('misses a record that is gone, and does not create it', () =>
      withFixture(harness.open([seedOf(harness, 'k', 'before')]), async ({ store, change }) => {
        const { writer } = await begin(store);
        const version = (await readOne(store))?.version as Version;
        await change([{ delete: key('k') }]);
        const outcomes = await writer.write([{ ...putOf(harness, 'k', 'after'), expect: { version } }]);
        expect(outcomes).toEqual([{ kind: 'missing' }]);
        expect(await readAll(store, everything)).toEqual([]);
      }),
    );
  });

  describe('a put with an expiry', () => {
    it('gets the deadline that was asked for, or a little more', ({ skip }) =>
      withFixture(harness.open([]), async ({ store }) => {
        if (!store.capabilities.expiry) return skip('the store has no expiry');
        const { writer } = await begin(store);
        const names = ['k1', 'k2', 'k3'];
        const wanted = names.map((_, i) => harness.nowMs() + hourMs * (i + 1) + 137 * i);
        const puts = names.map((name, i) => ({ ...putOf(harness, name), expiresAtMs: wanted[i] as number }));
        expect(kindsOf(await writer.write(puts))).toEqual(['written', 'written', 'written']);
        const records = await readAll(store, everything);
        expect(records).toHaveLength(3);
        for (const [i, record] of records.entries()) {
          const slackMs = store.capabilities.expiryToleranceMs + expiryPrecisionMs;
          expect(record.expiresAtMs).toBeGreaterThanOrEqual((wanted[i] as number) - expiryPrecisionMs);
          expect(record.expiresAtMs).toBeLessThanOrEqual((wanted[i] as number) + slackMs);
        }
        expect(kindsOf(await writer.write(puts))).toEqual(['already-written', 'already-written', 'already-written']);
        expect((await readAll(store, everything)).map(({ version }) => version)).toEqual(
          records.map(({ version }) => version),
        );
      }));

    itBeside('does not equal a permanent record of the same value, nor the other way round', ({ skip }) => {
      const theirs = [{ ...seedOf(harness, 'expiring', 'v'), ttlMs: hourMs }, seedOf(harness, 'permanent', 'v')];
      return withFixture(harness.open(theirs), async ({ store }) => {
        if (!store.capabilities.expiry) return skip('the store has no expiry');
        const { writer } = await begin(store);
        const expiresAtMs = harness.nowMs() + hourMs;
        const outcomes = await writer.write([
          putOf(harness, 'expiring', 'v'),
          { ...putOf(harness, 'permanent', 'v'), expiresAtMs },
        ]);
        for (const outcome of outcomes) expect(outcome).toMatchObject({ kind: 'present', equal: false });
        const [same] = await writer.write([{ ...putOf(harness, 'expiring', 'v'), expiresAtMs }]);
        expect(same).toMatchObject({ kind: 'present', equal: true });
      });
    });
  });
}
