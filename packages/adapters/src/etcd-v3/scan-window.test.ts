/**
 * Goal: windows lose no key and repeat none, and keep the counting that they are there to avoid small.
 * Method: a sorted array answers as etcd does; a law over generated keys, then shapes of keys known to be awkward.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Key, KeyRange } from '@keyferry/core';
import { ScanWindow } from './scan-window.ts';

/** Reads `range` of `keys` through windows; `counted` is what the server would have walked. */
function readThrough(keys: readonly string[], range: KeyRange, pageKeysMax: number) {
  const window = new ScanWindow(range, pageKeysMax);
  const read: string[] = [];
  let counted = 0;
  let requests = 0;
  for (let asked = window.next(); asked !== null; asked = window.next()) {
    const from = lowerBound(keys, asked.range.start);
    const to = asked.range.end === null ? keys.length : Math.max(from, lowerBound(keys, asked.range.end));
    const page = keys.slice(from, Math.min(to, from + asked.limit));
    expect(asked.limit).toBeLessThanOrEqual(pageKeysMax);
    read.push(...page);
    counted += to - from;
    requests += 1;
    window.take({
      first: (page[0] ?? null) as Key | null,
      last: (page.at(-1) ?? null) as Key | null,
      records: page.length,
      bytes: page.length * 100,
      more: to - from > page.length,
      count: to - from,
    });
  }
  return { read, counted, requests };
}

function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((keys[middle] as string) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

const anyKeys = fc
  .uniqueArray(fc.array(fc.constantFrom('\0', 'a', 'b', '/', '\xfe', '\xff'), { minLength: 1, maxLength: 8 }), {
    selector: (units) => units.join(''),
    maxLength: 300,
  })
  .map((all) => all.map((units) => units.join('')).toSorted());

describe('ScanWindow', () => {
  it('law: each key of the range once, in order, whatever the keys and the page size', () =>
    fc.assert(
      fc.property(anyKeys, fc.integer({ min: 1, max: 9 }), fc.nat(299), fc.nat(300), (keys, pageKeysMax, from, to) => {
        const start = (keys[from] ?? '') as Key;
        const end = (keys[to] ?? null) as Key | null;
        const { read } = readThrough(keys, { start, end }, pageKeysMax);
        expect(read).toEqual(keys.filter((key) => key >= start && (end === null || key < end)));
      }),
    ));

  const count = 100_000;
  const shapes = {
    'counted with leading zeros': (i: number) => `app/${String(i).padStart(8, '0')}`,
    'counted without': (i: number) => `app/${i}`,
    hashed: (i: number) => `/reg/${((i * 2_654_435_761) % 2 ** 32).toString(16).padStart(8, '0')}`,
    binary: (i: number) => String.fromCharCode(i % 251, (i * 7) % 256, (i >> 8) % 256, i % 256, i >> 16),
    'in small folders with long tails': (i: number) => `/t/${Math.floor(i / 10)}/${'tail/'.repeat(20)}${i % 10}`,
    'far apart behind long names': (i: number) => `/${'x'.repeat(100)}/${i % 20}/${'y'.repeat(100)}/${i}`,
  };
  it.each(Object.entries(shapes))('stays near to one request a page, and counts little, with keys %s', (_, shape) => {
    const keys = Array.from({ length: count }, (__, i) => shape(i)).toSorted();
    const { read, counted, requests } = readThrough(keys, { start: '' as Key, end: null }, 500);
    expect(read).toEqual(keys);
    expect(requests).toBeLessThan((1.8 * count) / 500);
    // The first page counts the whole range. Asking each page to its end would count 100 times the keys.
    expect(counted / count).toBeLessThan(40);
  });

  it('asks for fewer where values are large, and for more again where they are small', () => {
    const window = new ScanWindow({ start: '' as Key, end: null }, 1000);
    const limitAfter = (bytesEach: number): number | undefined => {
      const records = window.next()?.limit ?? 0;
      const last = `k${String(window.next()?.range.start.length)}` as Key;
      window.take({ first: last, last, records, bytes: records * bytesEach, more: true, count: 2000 });
      return window.next()?.limit;
    };
    expect(window.next()?.limit).toBe(128);
    expect(limitAfter(1_000_000)).toBe(8);
    expect(limitAfter(100_000_000)).toBe(1);
    expect(limitAfter(10)).toBe(8);
    expect(limitAfter(10)).toBe(64);
    expect(limitAfter(10)).toBe(512);
    expect(limitAfter(10)).toBe(1000);
  });
});
