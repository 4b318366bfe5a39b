/**
 * Goal: the merge finds what a set comparison finds, whatever the page sizes, and notices a scan that breaks its order.
 * Method: generated key sets, cut into generated pages, against plain sets.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keyFromBytes, keyFromText, type Key } from '../model/key.ts';
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

/** Cuts into pages of generated sizes, empty pages among them. */
function pages(keys: readonly Key[], sizes: readonly number[]): RecordPage[] {
  const cut: RecordPage[] = [];
  let at = 0;
  for (let i = 0; at < keys.length; i += 1) {
    const size = sizes[i % sizes.length] ?? 1;
    cut.push({ records: keys.slice(at, at + size).map(record), notCarried: [] });
    at += size;
  }
  return cut;
}

const anyKeys = fc.uniqueArray(fc.uint8Array({ maxLength: 3 }).map(keyFromBytes), { maxLength: 40 });
const anySizes = fc.array(fc.nat(5), { minLength: 1, maxLength: 6 }).map((sizes) => [...sizes, 1]);

describe('MergeJoin', () => {
  it('law: finds what a comparison of sets finds', () =>
    fc.assert(
      fc.property(anyKeys, anyKeys, anySizes, anySizes, (a, b, sourceSizes, targetSizes) => {
        const source = a.map((rest) => `s/${rest}` as Key).toSorted();
        const target = b.map((rest) => `t/${rest}` as Key).toSorted();
        const found = run(pages(source, sourceSizes), pages(target, targetSizes));
        const mapped = source.map((key) => toTargetKey(rule, key));
        expect(found.sourceOnlyKeys).toEqual(mapped.filter((key) => !target.includes(key)));
        expect(found.matchedKeys).toEqual(mapped.filter((key) => target.includes(key)));
        expect(found.targetOnlyKeys).toEqual(target.filter((key) => !mapped.includes(key)));
      }),
    ));

  it('hands out what a source cannot carry', () => {
    const page: RecordPage = { records: [], notCarried: [{ key: keyFromText('s/dir'), reason: 'dir.empty' }] };
    expect(run([page], []).skipped).toEqual(['s/dir']);
  });

  it.each([
    { name: 'within a page', source: [['s/b', 's/a']] },
    { name: 'from page to page', source: [['s/b'], ['s/a']] },
    { name: 'by a key that comes twice', source: [['s/a'], ['s/a']] },
  ])('stops at a scan that goes back $name', ({ source }) => {
    const cut = source.map((keys) => ({ records: keys.map((key) => record(key as Key)), notCarried: [] }));
    expect(() => run(cut, [])).toThrow('impossible');
  });
});
