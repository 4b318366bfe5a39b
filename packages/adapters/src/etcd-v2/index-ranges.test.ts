/** Goal: a set of indexes is a set, whatever the order of its making. Method: laws against a plain Set, and its text. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IndexRanges } from './index-ranges.ts';

const setOf = (indexes: readonly number[]): IndexRanges => {
  const set = new IndexRanges();
  for (const index of indexes) set.add(index);
  return set;
};

describe('IndexRanges', () => {
  it.each([
    { indexes: [], text: '' },
    { indexes: [7], text: '7' },
    { indexes: [3, 1, 2, 5, 9, 8, 5], text: '1-3,5,8-9' },
  ])('of $indexes is the text $text', ({ indexes, text }) => {
    expect(setOf(indexes).toText()).toBe(text);
    expect(IndexRanges.fromText(text)?.toText()).toBe(text);
  });

  it.each(['x', '1-', '-1', '1,,2', '1;2', '1e3'])('is not read from %j', (text) =>
    expect(IndexRanges.fromText(text)).toBeNull(),
  );

  it('law: holds what was added, also through its text and a union', () =>
    fc.assert(
      fc.property(fc.array(fc.nat(30)), fc.array(fc.nat(30)), (a, b) => {
        const union = IndexRanges.fromText(setOf(a).toText()) as IndexRanges;
        expect(union.isEmpty).toBe(a.length === 0);
        union.has(0); // merged before more is added
        union.addAll(setOf(b));
        const plain = new Set([...a, ...b]);
        for (let index = 0; index <= 31; index += 1) expect(union.has(index)).toBe(plain.has(index));
      }),
    ));
});
