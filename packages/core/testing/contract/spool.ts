/**
 * The contract of ports/spool.ts: a spool gives back what was put into it, in byte order, each entry exactly once however
 * it is divided.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  keyForDisplay,
  keyFromText,
  prefixRange,
  type Key,
  type KeyRange,
  type NotCarried,
  type RecordPage,
  type Scratch,
  type Spool,
  type StoredRecord,
  type Version,
} from '../../src/index.ts';
import { anyKey, anyRecord } from '../arbitraries.ts';

const everything: KeyRange = { start: '' as Key, end: null };
const anyNotCarried: fc.Arbitrary<NotCarried> = fc.record({
  key: anyKey,
  reason: fc.constantFrom('dir.empty', 'dir.with-children', 'ttl.expired'),
});
const anyEntries = fc.uniqueArray(fc.oneof(anyRecord, anyNotCarried), { selector: ({ key }) => key, maxLength: 30 });

async function pagesOf(spool: Spool, range: KeyRange, pageKeysMax: number): Promise<RecordPage[]> {
  const pages: RecordPage[] = [];
  for await (const page of spool.scan(range, { pageKeysMax })) pages.push(page);
  return pages;
}

/** The values as plain bytes: what kind of array holds them does not matter. */
const plain = (records: readonly StoredRecord[]) =>
  records.map((record) => ({ ...record, value: Uint8Array.from(record.value) }));
const ascending = <T extends { readonly key: Key }>(entries: readonly T[]): T[] =>
  entries.toSorted((a, b) => (a.key < b.key ? -1 : 1));

const record = (key: Key, bytes: number): StoredRecord => ({
  key,
  value: new Uint8Array(bytes).fill(7),
  version: '1' as Version,
  expiresAtMs: null,
});

/** Registers the suite: call it at the top level of a test file. */
export function spoolContract(name: string, openScratch: () => Scratch): void {
  async function spoolOf(entries: readonly (StoredRecord | NotCarried)[]): Promise<Spool> {
    const spool = openScratch().openSpool();
    for (const entry of entries) {
      if ('reason' in entry) spool.addNotCarried(entry);
      else spool.add(entry);
    }
    await spool.seal((key) => expect.unreachable(`${keyForDisplay(key)} is there once`));
    return spool;
  }

  describe(`${name} as a spool`, () => {
    it('law: returns every entry once, ascending, over any division into ranges', async () => {
      await fc.assert(
        fc.asyncProperty(anyEntries, fc.array(anyKey), fc.integer({ min: 1, max: 7 }), async (entries, cuts, size) => {
          const spool = await spoolOf(entries);
          const starts = ['' as Key, ...cuts.toSorted()];
          const pages: RecordPage[] = [];
          for (const [i, start] of starts.entries()) {
            pages.push(...(await pagesOf(spool, { start, end: starts[i + 1] ?? null }, size)));
          }
          spool.close();
          const carried = entries.filter((entry): entry is StoredRecord => !('reason' in entry));
          const others = entries.filter((entry): entry is NotCarried => 'reason' in entry);
          expect(plain(pages.flatMap(({ records }) => records))).toEqual(plain(ascending(carried)));
          expect(pages.flatMap(({ notCarried }) => notCarried)).toEqual(ascending(others));
          for (const page of pages) expect(page.records.length + page.notCarried.length).toBeLessThanOrEqual(size);
        }),
        { numRuns: 60 },
      );
    });

    it('keeps the first of several entries with one key, and tells the others', async () => {
      const spool = openScratch().openSpool();
      const [key, above] = [keyFromText('/a'), keyFromText('/b')];
      spool.addNotCarried({ key: above, reason: 'dir.empty' });
      spool.add(record(key, 1));
      spool.add(record(above, 3));
      spool.add(record(key, 2));
      spool.addNotCarried({ key, reason: 'dir.empty' });
      const repeated: Key[] = [];
      await spool.seal((each) => repeated.push(each));
      expect(repeated).toEqual([key, key, above]);
      const [page] = await pagesOf(spool, everything, 10);
      expect(page?.records.map(({ value }) => value.length)).toEqual([1]);
      expect(page?.notCarried).toEqual([{ key: above, reason: 'dir.empty' }]);
      spool.close();
    });

    it('keeps what is said of an entry that is not carried', async () => {
      const spool = openScratch().openSpool();
      const entries: readonly NotCarried[] = [
        { key: keyFromText('/a'), reason: 'item.unmapped', detail: 'its value is a number' },
        { key: keyFromText('/b'), reason: 'item.unmapped' },
      ];
      for (const entry of entries) spool.addNotCarried(entry);
      await spool.seal();
      expect((await pagesOf(spool, everything, 10)).flatMap(({ notCarried }) => notCarried)).toEqual(entries);
      spool.close();
    });

    it('is not moved by what happens to the bytes of a value afterwards', async () => {
      const spool = openScratch().openSpool();
      const entry = record(keyFromText('/a'), 3);
      spool.add(entry);
      entry.value.fill(0);
      await spool.seal();
      const [page] = await pagesOf(spool, everything, 10);
      expect([...(page?.records[0]?.value ?? [])]).toEqual([7, 7, 7]);
      spool.close();
    });

    it('loses nothing when its values are large', async () => {
      const entries = Array.from({ length: 12 }, (_, i) => record(keyFromText(`/é${i}`), i % 3 === 0 ? 3_000_000 : 1));
      const spool = await spoolOf(entries);
      const pages = await pagesOf(spool, everything, 1000);
      expect(pages.flatMap(({ records }) => records.map(({ key }) => key))).toEqual(
        ascending(entries).map((entry) => entry.key),
      );
      spool.close();
    });

    it('serves scans that run beside each other and are given up midway', async () => {
      const spool = await spoolOf(Array.from({ length: 50 }, (_, i) => record(keyFromText(`/k${i}`), 3)));
      const one = spool.scan(everything, { pageKeysMax: 7 })[Symbol.asyncIterator]();
      await one.next();
      const others = await Promise.all([pagesOf(spool, everything, 3), pagesOf(spool, everything, 50)]);
      for (const pages of others) expect(pages.flatMap(({ records }) => records)).toHaveLength(50);
      await one.return?.();
      expect(await pagesOf(spool, prefixRange(keyFromText('/x')), 3)).toEqual([]);
      spool.close();
      spool.close();
      await expect(pagesOf(spool, everything, 3)).rejects.toMatchObject({ code: 'internal.invariant' });
    });

    it('is read only once it is sealed, and takes nothing after that', async () => {
      const spool = openScratch().openSpool();
      spool.add(record(keyFromText('/a'), 1));
      await expect(pagesOf(spool, everything, 3)).rejects.toMatchObject({ code: 'internal.invariant' });
      await spool.seal();
      expect(() => spool.add(record(keyFromText('/b'), 1))).toThrow('a sealed spool takes no more entries');
      spool.close();
    });
  });
}
