/**
 * Goal: a scan loses no record, repeats none and keeps its order, whatever the keys, values, page sizes and ranges.
 * Method: awkward keys by hand, then a law over generated ones; what is read is compared with what was written.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  keyAfter,
  prefixRange,
  type Key,
  type KeyRange,
  type ReadableStore,
  type RecordPage,
  type StoredRecord,
} from '../../src/index.ts';
import { anyLeafNames } from '../arbitraries.ts';
import {
  bytes,
  contentOf,
  rangeOf,
  readAll,
  seedOf,
  sortedByKey,
  traitsOf,
  withFixture,
  type ReadableHarness,
} from './harness.ts';

/** In byte order `-` and `.` stand before `/`, digits after it; U+FF5A before U+1F600, though not in UTF-16. */
const awkwardNames = [
  'a-b',
  'a.b',
  'a/b',
  'a/b-c',
  'a/b.c',
  'a/c/d',
  'a0',
  'A',
  'b',
  'ba',
  'é',
  'ｚ',
  '😀',
  'x y',
  '~',
  '%2F',
];

export function scanSuite(harness: ReadableHarness): void {
  const { key } = harness;
  const traits = traitsOf(harness);
  const everything = rangeOf(harness);
  const awkward = awkwardNames.map((name) => seedOf(harness, name));

  describe('a scan', () => {
    it.each([1, 7, 1000])('returns each record once, in pages of at most %i', (pageKeysMax) =>
      withFixture(harness.open(awkward), async ({ store }) => {
        const pages = await readPages(store, everything, pageKeysMax);
        const records = pages.flatMap((page) => page.records);
        expectContent(store, records, awkward);
        for (const page of pages) expect(page.records.length).toBeLessThanOrEqual(pageKeysMax);
      }),
    );

    it('gives each record a version, and none an expiry that has none', () =>
      withFixture(harness.open(awkward), async ({ store }) => {
        for (const { version, expiresAtMs } of await readAll(store, everything)) {
          expect(version).toEqual(expect.any(String));
          expect(version).not.toBe('');
          expect(expiresAtMs).toBeNull();
        }
      }));

    it('splits at any key into adjoining ranges that hold each record once', () =>
      withFixture(harness.open(awkward), async ({ store }) => {
        for (const { key: at } of awkward) {
          for (const split of [at, keyAfter(at)]) {
            const below = await readAll(store, { start: everything.start, end: split }, 7);
            const above = await readAll(store, { start: split, end: everything.end }, 7);
            for (const record of below) expect(record.key < split).toBe(true);
            for (const record of above) expect(record.key >= split).toBe(true);
            expectContent(store, [...below, ...above], awkward);
          }
        }
      }));

    it('crosses page borders at a thousand records', () => {
      const many = Array.from({ length: 1001 }, (_, i) =>
        seedOf(harness, `many/${String(i).padStart(5, '0')}`, `${i}`),
      );
      return withFixture(harness.open(many), async ({ store }) => {
        for (const pageKeysMax of [333, 1000, 5000]) {
          expectContent(store, await readAll(store, everything, pageKeysMax), many);
        }
      });
    });

    it.each([
      { name: 'empty', value: new Uint8Array() },
      { name: 'of several lines', value: bytes('a\n\tb\r\n') },
      { name: 'of unicode text', value: bytes('Grüße, 日本, 😀, \u2028') },
      { name: 'of 60,000 bytes', value: bytes('x'.repeat(60_000)) },
    ])('keeps a value that is $name', ({ value }) =>
      withFixture(harness.open([{ key: key('k'), value, ttlMs: null }]), async ({ store }) => {
        expect(contentOf(await readAll(store, everything))).toEqual([{ key: key('k'), value }]);
      }),
    );

    it.runIf(traits.binaryValues)('keeps a value of any bytes', () => {
      const value = Uint8Array.from({ length: 256 }, (_, i) => i);
      return withFixture(harness.open([{ key: key('k'), value, ttlMs: null }]), async ({ store }) => {
        expect(contentOf(await readAll(store, everything))).toEqual([{ key: key('k'), value }]);
      });
    });

    it.runIf(traits.binaryKeys)('keeps keys of any bytes in their order', () => {
      const tails = ['\x00', '\x00\x00', '\x7f', '\x80', '\xc3', '\xc3\x28', '\xfe', '\xff', '\xff\x00'];
      const records = tails.map((tail) => ({ key: (key('k') + tail) as Key, value: bytes('v'), ttlMs: null }));
      return withFixture(harness.open(records), async ({ store }) => {
        expectContent(store, await readAll(store, everything, 2), records);
      });
    });

    it.runIf(traits.parentKeys)('returns a key and the keys that begin with it and a slash', () => {
      const family = ['a', 'a/b', 'a/b/c', 'a-'].map((name) => seedOf(harness, name));
      return withFixture(harness.open(family), async ({ store }) => {
        expectContent(store, await readAll(store, everything, 1), family);
      });
    });

    it('of an empty store, or of an empty range, has no records', () =>
      withFixture(harness.open([]), async ({ store }) => {
        expect(await readAll(store, everything)).toEqual([]);
        expect(await readAll(store, { start: key('a'), end: key('a') })).toEqual([]);
      }));

    it('of a range without records has none, though there are some on both sides', () =>
      withFixture(harness.open([seedOf(harness, 'a'), seedOf(harness, 'c')]), async ({ store }) => {
        expect(await readAll(store, { start: key('b'), end: key('c') })).toEqual([]);
      }));

    it('of a prefix leaves out siblings whose names begin alike', () => {
      const siblings = ['app/x', 'app/y/z', 'app-1', 'application/x', 'apt'].map((name) => seedOf(harness, name));
      return withFixture(harness.open(siblings), async ({ store }) => {
        expectContent(store, await readAll(store, prefixRange(key('app/'))), siblings.slice(0, 2));
        expectContent(store, await readAll(store, prefixRange(key('app'))), siblings.slice(0, 4));
        expectContent(store, await readAll(store, prefixRange(key('application/'))), siblings.slice(3, 4));
      });
    });

    it('law: returns what was written, each record once, in byte order', async () => {
      const scenario = fc.tuple(anyLeafNames, fc.integer({ min: 1, max: 8 }));
      await fc.assert(
        fc.asyncProperty(scenario, ([names, pageKeysMax]) => {
          const records = names.map((name) => seedOf(harness, name));
          return withFixture(harness.open(records), async ({ store }) => {
            expectContent(store, await readAll(store, everything, pageKeysMax), records);
          });
        }),
        { numRuns: traits.lawRuns, endOnFailure: true },
      );
    });
  });
}

async function readPages(store: ReadableStore, range: KeyRange, pageKeysMax: number): Promise<RecordPage[]> {
  const view = await store.openView(range);
  try {
    const pages: RecordPage[] = [];
    for await (const page of view.scan(range, { pageKeysMax })) pages.push(page);
    return pages;
  } finally {
    await view.close();
  }
}

/** Stores without an order owe the same records, in any order. */
function expectContent(
  store: ReadableStore,
  records: readonly StoredRecord[],
  written: readonly { readonly key: Key; readonly value: Uint8Array }[],
): void {
  const seen = store.capabilities.orderedScan ? records : sortedByKey(records);
  expect(seen.map((record) => ({ key: record.key, value: Uint8Array.from(record.value) }))).toEqual(
    sortedByKey(written).map((record) => ({ key: record.key, value: Uint8Array.from(record.value) })),
  );
}
