/**
 * Goal: a record that expires is known to, by the instant at which it does, and is gone after it.
 * Method: records with and without a time to live; the store's clock is moved where it can be.
 */
import { describe, expect, it } from 'vitest';
import { bytes, rangeOf, readAll, seedOf, traitsOf, withFixture, type ReadableHarness } from './harness.ts';

const hourMs = 3_600_000;

export function expirySuite(harness: ReadableHarness): void {
  const { key } = harness;
  const { expiryPrecisionMs } = traitsOf(harness);
  const everything = rangeOf(harness);
  const short = { key: key('short'), value: bytes('v'), ttlMs: hourMs };
  const long = { key: key('long'), value: bytes('v'), ttlMs: 100 * hourMs };

  describe('an expiry', () => {
    it('is the instant at which the record ends', async ({ skip }) => {
      const earliestMs = harness.nowMs();
      await withFixture(harness.open([short, long, seedOf(harness, 'permanent')]), async ({ store }) => {
        if (!store.capabilities.expiry) return skip('the store has no expiry');
        const latestMs = harness.nowMs();
        const records = await readAll(store, everything);
        expect(records).toHaveLength(3);
        for (const record of records) {
          const seeded = [short, long].find((each) => each.key === record.key);
          if (seeded === undefined) {
            expect(record.expiresAtMs).toBeNull();
          } else {
            expect(record.expiresAtMs).toBeGreaterThanOrEqual(earliestMs + seeded.ttlMs - expiryPrecisionMs);
            expect(record.expiresAtMs).toBeLessThanOrEqual(latestMs + seeded.ttlMs + expiryPrecisionMs);
          }
        }
      });
    });

    it('that is reached takes the record away and moves the head', ({ skip }) =>
      withFixture(harness.open([short, long]), async ({ store, passTime }) => {
        if (!store.capabilities.expiry || passTime === undefined)
          return skip('the clock is a real one, or nothing expires');
        const before = await store.head();
        await passTime(hourMs - 1);
        expect(await store.head()).toBe(before);
        expect((await readAll(store, everything)).map((record) => record.key)).toEqual([key('long'), key('short')]);
        await passTime(1);
        expect((await readAll(store, everything)).map((record) => record.key)).toEqual([key('long')]);
        expect(await store.head()).not.toBe(before);
      }));

    it('that is reached while a pinned view is open changes nothing in it', ({ skip }) =>
      withFixture(harness.open([short, long]), async ({ store, passTime }) => {
        if (!store.capabilities.expiry || !store.capabilities.pinnedView || passTime === undefined)
          return skip('the clock is a real one, or nothing expires');
        const view = await store.openView(everything);
        try {
          await passTime(2 * hourMs);
          const keys: string[] = [];
          for await (const page of view.scan(everything, { pageKeysMax: 1 }))
            keys.push(...page.records.map((r) => r.key));
          expect(keys.toSorted()).toEqual([key('long'), key('short')]);
        } finally {
          await view.close();
        }
      }));
  });
}
