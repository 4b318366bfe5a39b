/**
 * Goal: what a comparison finds does not depend on whether the records of both sides lie in packed pages.
 * Method: a law over sets that share most of their records, joined once from plain pages and once from packed ones.
 */
import { MergeJoin, PackedPage, type Key, type RecordPage, type StoredRecord, type Version } from '@keyferry/core';
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { Stage } from '../testing/stage.ts';
import { Comparison } from './comparison.ts';

const prefix = 'p/' as Key;

const anySide = fc.record({
  value: fc.constantFrom('', 'a', 'b', 'abcdefgh'),
  expiresAtMs: fc.constantFrom(null, null, null, 1e15),
});
/** By name: what both sides have, or one of them. */
const anySets = fc.uniqueArray(
  fc.record({
    name: fc.string({ unit: fc.constantFrom('a', 'b', '\x7f', '\xe9'), maxLength: 4 }),
    source: fc.option(anySide),
    target: fc.option(anySide),
    alike: fc.boolean(),
  }),
  { selector: ({ name }) => name },
);

function packed(records: readonly StoredRecord[]): PackedPage {
  const bytes = Buffer.concat(records.flatMap(({ key, value }) => [Buffer.from(key, 'latin1'), value]));
  const spans = new Uint32Array(4 * records.length);
  let at = 0;
  for (const [i, { key, value }] of records.entries()) {
    const keyEnd = at + key.length;
    spans.set([at, keyEnd, keyEnd, keyEnd + value.length], 4 * i);
    at = keyEnd + value.length;
  }
  return new PackedPage({
    bytes,
    spans,
    count: records.length,
    keyOf: (start, end) => bytes.toString('latin1', start, end) as Key,
    valueOf: (start, end) => bytes.subarray(start, end),
    versionOf: () => '1' as Version,
    expiresAtMsOf: (index) => records[index]?.expiresAtMs ?? null,
  });
}

const plain = (records: readonly StoredRecord[]): RecordPage => ({ records, notCarried: [] });

it('law: packed pages are compared as plain ones are', async () => {
  const stage = new Stage();
  stage.fillSource({ a: '1' });
  const { plan } = (await stage.plan()).reader();
  const engine = await stage.run(async (each) => each);
  fc.assert(
    fc.property(anySets, (sets) => {
      const sorted = sets.toSorted((a, b) => (a.name < b.name ? -1 : 1));
      const side = (which: 'source' | 'target'): StoredRecord[] =>
        sorted.flatMap(({ name, source, target, alike }) => {
          const found = alike ? source : which === 'source' ? source : target;
          if (found === null) return [];
          const value = Buffer.from(found.value);
          return [{ key: `${prefix}${name}` as Key, value, version: '1' as Version, expiresAtMs: found.expiresAtMs }];
        });
      const compared = (pageOf: (records: readonly StoredRecord[]) => RecordPage) => {
        const comparison = new Comparison(plan, engine);
        const join = new MergeJoin({ sourcePrefix: prefix, targetPrefix: prefix }, comparison);
        const pages = { source: [pageOf(side('source')), null], target: [pageOf(side('target')), null] };
        for (let needs = join.step(); needs !== 'nothing'; needs = join.step()) {
          if (needs === 'source') join.offerSource(pages.source.shift() ?? null);
          else join.offerTarget(pages.target.shift() ?? null);
        }
        return comparison.part();
      };
      expect(compared(packed)).toEqual(compared(plain));
    }),
  );
});
