/**
 * Goal: the merge finds what a set comparison finds, whatever the page sizes, and notices a scan that breaks its order.
 * Method: generated key sets, cut into generated pages, against plain sets.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keyFromBytes, keyFromText, keyToBytes, type Key } from '../model/key.ts';
import { PackedPage } from '../model/packed-page.ts';
import type { RecordPage, StoredRecord, Unplaced, Version } from '../model/record.ts';
import { toTargetKey } from '../transform/prefix-rule.ts';
import { MergeJoin, type JoinVisitor } from './merge-join.ts';

const rule = { sourcePrefix: keyFromText('s/'), targetPrefix: keyFromText('t/') };
const record = (key: Key): StoredRecord => ({
  key,
  value: new Uint8Array(),
  version: '1' as Version,
  expiresAtMs: null,
});

class Found implements JoinVisitor {
  readonly sourceOnlyKeys: Key[] = [];
  readonly matchedKeys: Key[] = [];
  readonly targetOnlyKeys: Key[] = [];
  readonly skipped: Key[] = [];
  readonly unplacedKeys: Key[] = [];
  sourceOnly = (_source: StoredRecord, targetKey: Key): void => void this.sourceOnlyKeys.push(targetKey);
  matched = (_source: StoredRecord, target: StoredRecord): void => void this.matchedKeys.push(target.key);
  targetOnly = (target: StoredRecord): void => void this.targetOnlyKeys.push(target.key);
  notCarried = ({ key }: { key: Key }): void => void this.skipped.push(key);
  unplaced = (_entry: Unplaced, targetKey: Key): void => void this.unplacedKeys.push(targetKey);
}

function run(source: RecordPage[], target: RecordPage[]): Found {
  const found = new Found();
  const join = new MergeJoin(rule, found);
  for (let needs = join.step(); needs !== 'nothing'; needs = join.step()) {
    if (needs === 'source') join.offerSource(source.shift() ?? null);
    else join.offerTarget(target.shift() ?? null);
  }
  return found;
}

type MakePage = (records: readonly StoredRecord[]) => RecordPage;
const plainPage: MakePage = (records) => ({ records, notCarried: [] });
/** All keys one behind the other, in one block of bytes. */
const packedPage: MakePage = (records) => {
  const bytes = keyToBytes(records.map(({ key }) => key).join('') as Key);
  const spans = new Uint32Array(4 * records.length);
  let end = 0;
  for (const [i, { key }] of records.entries()) {
    spans[4 * i] = end;
    end += key.length;
    spans[4 * i + 1] = end;
  }
  return new PackedPage({
    bytes,
    spans,
    count: records.length,
    keyOf: (start, stop) => keyFromBytes(bytes.subarray(start, stop)),
    valueOf: (start, stop) => bytes.subarray(start, stop),
    versionOf: () => '1' as Version,
    expiresAtMsOf: () => null,
  });
};
const makers = [
  { name: 'plain pages', sourcePage: plainPage, targetPage: plainPage },
  { name: 'packed pages', sourcePage: packedPage, targetPage: packedPage },
  { name: 'a packed source', sourcePage: packedPage, targetPage: plainPage },
  { name: 'a packed target', sourcePage: plainPage, targetPage: packedPage },
];

/** Cuts into pages of generated sizes, empty pages among them. */
function pages(keys: readonly Key[], sizes: readonly number[], page: MakePage): RecordPage[] {
  const cut: RecordPage[] = [];
  let at = 0;
  for (let i = 0; at < keys.length; i += 1) {
    const size = sizes[i % sizes.length] ?? 1;
    cut.push(page(keys.slice(at, at + size).map(record)));
    at += size;
  }
  return cut;
}

const anyKeys = fc.uniqueArray(fc.uint8Array({ maxLength: 9 }).map(keyFromBytes), { maxLength: 40 });
const anySizes = fc.array(fc.nat(5), { minLength: 1, maxLength: 6 }).map((sizes) => [...sizes, 1]);

describe('MergeJoin', () => {
  it.each(makers)('law: finds what a comparison of sets finds, in $name', ({ sourcePage, targetPage }) =>
    fc.assert(
      fc.property(anyKeys, anyKeys, anySizes, anySizes, (a, b, sourceSizes, targetSizes) => {
        const source = a.map((rest) => `s/${rest}` as Key).toSorted();
        const target = b.map((rest) => `t/${rest}` as Key).toSorted();
        const found = run(pages(source, sourceSizes, sourcePage), pages(target, targetSizes, targetPage));
        const mapped = source.map((key) => toTargetKey(rule, key));
        expect(found.sourceOnlyKeys).toEqual(mapped.filter((key) => !target.includes(key)));
        expect(found.matchedKeys).toEqual(mapped.filter((key) => target.includes(key)));
        expect(found.targetOnlyKeys).toEqual(target.filter((key) => !mapped.includes(key)));
      }),
    ),
  );

  it('compares the whole keys of packed pages where some of the target lie beside its prefix', () => {
    const source = ['s/a', 's/c'].map((key) => record(key as Key));
    const target = ['t', 't.', 't/a', 't/b', 'u/c'].map((key) => record(key as Key));
    const found = run([packedPage(source)], [packedPage(target)]);
    expect(found).toMatchObject({
      sourceOnlyKeys: ['t/c'],
      matchedKeys: ['t/a'],
      targetOnlyKeys: ['t', 't.', 't/b', 'u/c'],
    });
  });

  it('hands out what a source cannot carry', () => {
    const page: RecordPage = { records: [], notCarried: [{ key: keyFromText('s/dir'), reason: 'dir.empty' }] };
    expect(run([page], []).skipped).toEqual(['s/dir']);
  });

  it.each([
    { name: 'within a page', source: [['s/b', 's/a']] },
    { name: 'from page to page', source: [['s/b'], ['s/a']] },
    { name: 'by a key that comes twice', source: [['s/a'], ['s/a']] },
  ])('stops at a scan that goes back $name', ({ source }) => {
    for (const page of [plainPage, packedPage]) {
      const cut = source.map((keys) => page(keys.map((key) => record(key as Key))));
      expect(() => run(cut, [])).toThrow('impossible');
    }
  });
});
