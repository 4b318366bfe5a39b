/** Goal: a mark says what its batch wrote, and nothing more. Method: open and closed marks, read back from their text. */
import { describe, expect, it } from 'vitest';
import type { Key } from '@keyferry/core';
import { IndexRanges } from './index-ranges.ts';
import { closedMarkText, MarkSet, openMarkText, recordHash, type WriteKind } from './marks.ts';

const record = (name: string, value = name, expiresAtMs: number | null = null) => ({
  key: name as Key,
  value: Buffer.from(value),
  expiresAtMs,
});
const open = (...kinds: readonly (readonly [ReturnType<typeof record>, WriteKind])[]): string =>
  openMarkText(new Map(kinds.map(([each, kind]) => [recordHash(each), kind])));

/** Of one mark that stands at `index`. */
function setOf(text: string, index: number): MarkSet {
  const marks = new MarkSet();
  marks.addText(text, index);
  return marks;
}

describe('an open mark', () => {
  const marks = setOf(open([record('a'), 'created'], [record('b'), 'replaced']), 10);

  it.each([
    { name: 'what its batch meant to create', found: record('a'), index: 11, kind: 'created' },
    { name: 'what its batch meant to replace', found: record('b'), index: 11, kind: 'replaced' },
    { name: 'no record that is as old as it', found: record('a'), index: 10, kind: null },
    { name: 'no other value', found: record('a', 'other'), index: 11, kind: null },
    { name: 'no other key of the same value', found: record('c', 'a'), index: 11, kind: null },
    { name: 'none that ends where it was to stay', found: record('a', 'a', 1), index: 11, kind: null },
  ])('vouches for $name', ({ found, index, kind }) => expect(marks.kindOf(found, index)).toBe(kind));
});

describe('a closed mark', () => {
  const ranges = (text: string): IndexRanges => IndexRanges.fromText(text) as IndexRanges;
  const marks = setOf(closedMarkText(ranges('4-6'), ranges('8')), 3);

  it.each([
    { index: 3, kind: null },
    { index: 4, kind: 'created' },
    { index: 6, kind: 'created' },
    { index: 7, kind: null },
    { index: 8, kind: 'replaced' },
  ])('says of index $index: $kind, whatever stands there', ({ index, kind }) =>
    expect(marks.kindOf(record('any', 'thing'), index)).toBe(kind),
  );
});

it.each(['', 'x', '{}', '{"open":1}', '{"open":{"created":1}}', '{"created":"1","replaced":"x"}', '[]', 'null'])(
  '%j is no mark',
  (text) => expect(new MarkSet().addText(text, 1)).toBe(false),
);
