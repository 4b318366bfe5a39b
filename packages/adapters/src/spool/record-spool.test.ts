/**
 * Goal: the spool on disk keeps what the port promises, whatever comes and however little memory it has for it.
 * Method: the contract, once as it is and once with runs so short that everything is spilled and merged; and a law against a
 * plain sort, over keys that share beginnings, are empty, end in zero bytes or come again.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compareKeys,
  keyFromText,
  type Key,
  type KeyRange,
  type NotCarried,
  type StoredRecord,
  type Version,
} from '@keyferry/core';
import { spoolContract } from '@keyferry/core/testing';
import { sortLimits, type SortLimits } from './entry-sort.ts';
import { diskScratch, RecordSpool } from './record-spool.ts';

const tiny: SortLimits = { runBytes: 150, mergeBytes: 500, largestBytes: 200, mergedRunsMax: 3, memoryBytes: 0 };
const everything = { start: '' as Key, end: null };

spoolContract('disk', () => diskScratch);
spoolContract('disk in many short runs', () => ({ openSpool: () => new RecordSpool(tiny) }));

const record = (key: string, value = new Uint8Array(1)): StoredRecord => ({
  key: key as Key,
  value,
  version: '1' as Version,
  expiresAtMs: null,
});

async function contentOf(spool: RecordSpool, pageKeysMax = 1000, range: KeyRange = everything) {
  const records: StoredRecord[] = [];
  const notCarried: NotCarried[] = [];
  for await (const page of spool.scan(range, { pageKeysMax })) {
    records.push(...page.records);
    notCarried.push(...page.notCarried);
  }
  return { records, notCarried };
}

const piece = fc.constantFrom('', 'a', '\0', '\0\0\0\0', 'same-in-many-of-them/', '\xff', '-', '/', 'abcd', 'abcdefgh');
const anyKey = fc.oneof(
  fc.array(piece, { maxLength: 4 }).map((pieces) => pieces.join('')),
  fc.uint8Array({ maxLength: 9 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
);
const anyLimits = fc.record({
  runBytes: fc.constantFrom(1, 64, 150, 700, sortLimits.runBytes),
  mergeBytes: fc.constantFrom(1, 100, 4096),
  largestBytes: fc.constantFrom(1, 200, sortLimits.largestBytes),
  mergedRunsMax: fc.constantFrom(2, 3, 256),
  memoryBytes: fc.constantFrom(0, 500, sortLimits.memoryBytes),
});

describe('a spool on disk', () => {
  it('law: sorts as a plain sort does, keeps the first of a key and tells the others, in runs of any length', () =>
    fc.assert(
      fc.asyncProperty(fc.array(anyKey, { maxLength: 150 }), anyLimits, fc.nat(9), async (keys, limits, longest) => {
        const spool = new RecordSpool(limits);
        const first = new Map<string, number>();
        const repeats: { key: string; place: number }[] = [];
        for (const [place, key] of keys.entries()) {
          spool.add(record(key, new Uint8Array((place * longest) % 97).fill(place)), place);
          if (first.has(key)) repeats.push({ key, place });
          else first.set(key, place);
        }
        const told: { key: string; place: number }[] = [];
        await spool.seal((key, place) => told.push({ key, place }));
        const { records } = await contentOf(spool, 7);
        spool.close();
        const wanted = [...first].toSorted(([a], [b]) => compareKeys(a as Key, b as Key));
        expect(records.map(({ key, value }) => [key, ...value])).toEqual(
          wanted.map(([key, place]) => [key, ...new Uint8Array((place * longest) % 97).fill(place)]),
        );
        const byKey = repeats.toSorted((a, b) => compareKeys(a.key as Key, b.key as Key) || a.place - b.place);
        expect(told).toEqual(byKey);
      }),
      { numRuns: 300 },
    ));

  it.each([
    { name: 'in order', keyOf: (i: number) => i },
    { name: 'backwards', keyOf: (i: number) => 3000 - i },
    { name: 'in any order', keyOf: (i: number) => (i * 7919) % 3001 },
  ])('sorts runs of several pages that come $name, between values of 1 MiB', async ({ keyOf }) => {
    const spool = new RecordSpool({ ...sortLimits, runBytes: 100_000 });
    const keys: string[] = [];
    for (let i = 0; i < 3000; i += 1) {
      const key = `/jobs/${String(keyOf(i)).padStart(5, '0')}`;
      keys.push(key);
      spool.add(record(key, new Uint8Array(i % 1000 === 7 ? 1024 * 1024 : 60).fill(i)));
    }
    await spool.seal();
    const { records } = await contentOf(spool);
    expect(records.map(({ key }) => key)).toEqual(keys.toSorted());
    expect(records.filter(({ value }) => value.length > 60)).toHaveLength(3);
    const part = { start: '/jobs/01000' as Key, end: '/jobs/01004' as Key };
    const within = keys.filter((key) => key >= part.start && key < part.end);
    expect((await contentOf(spool, 100, part)).records.map(({ key }) => key)).toEqual(within.toSorted());
    spool.close();
  });

  it('gives an entry that stands beside others the next key that is free', async () => {
    for (const limits of [sortLimits, tiny]) {
      const spool = new RecordSpool(limits);
      const beside = (detail: string) => spool.addBeside({ key: 'k' as Key, reason: 'key.not-text', detail });
      beside('first');
      spool.add(record('k\0'));
      spool.add(record('k'));
      beside('second');
      spool.add(record('l'));
      await spool.seal(() => expect.unreachable('none is repeated'));
      const { records, notCarried } = await contentOf(spool);
      expect(records.map(({ key }) => key)).toEqual(['k', 'k\0', 'l']);
      expect(notCarried.map(({ key, detail }) => [key, detail])).toEqual([
        ['k\0\0', 'first'],
        ['k\0\0\0', 'second'],
      ]);
      spool.close();
    }
  });

  it('keeps the place of a key at which nothing is', async () => {
    const spool = new RecordSpool();
    spool.addNothing('b' as Key);
    spool.add(record('b'));
    spool.add(record('a'));
    await spool.seal();
    expect((await contentOf(spool)).records.map(({ key }) => key)).toEqual(['a']);
    spool.close();
  });

  it('ends a page early when its values are large', async () => {
    const spool = diskScratch.openSpool();
    for (let i = 0; i < 12; i += 1) {
      const value = new Uint8Array(i % 3 === 0 ? 3_000_000 : 1);
      spool.add({ key: keyFromText(`/${i}`), value, version: '1' as Version, expiresAtMs: null });
    }
    await spool.seal();
    let pages = 0;
    for await (const page of spool.scan({ start: '' as Key, end: null }, { pageKeysMax: 1000 })) {
      pages += 1;
      expect(page.records.length).toBeLessThan(12);
    }
    expect(pages).toBeGreaterThan(1);
    spool.close();
  });
});
