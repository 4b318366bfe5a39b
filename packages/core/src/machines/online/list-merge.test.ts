/**
 * Goal: a merged list holds for each key what a read of that key would have found (SPEC R33).
 * Method: a law against reads key by key, over all ways in which a key can lie in the two stores.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keyFromText, type Key } from '../../model/key.ts';
import { mergeList, targetEntries } from './list-merge.ts';

const places = fc.uniqueArray(
  fc.record({
    name: fc.stringMatching(/^[a-c]{1,3}$/),
    target: fc.boolean(),
    tombstone: fc.boolean(),
    source: fc.boolean(),
  }),
  { selector: ({ name }) => name, maxLength: 20 },
);

describe('a merged list', () => {
  it('law: is what single reads of all keys would have found', () =>
    fc.assert(
      fc.property(places, (unsorted) => {
        const sorted = unsorted.toSorted((a, b) => (a.name < b.name ? -1 : 1));
        const listed = (where: 'target' | 'source') =>
          sorted.filter((place) => place[where]).map(({ name }) => ({ key: keyFromText(name), from: where }));
        const tombstones: Key[] = sorted.filter(({ tombstone }) => tombstone).map(({ name }) => keyFromText(name));
        const merged = mergeList(targetEntries(listed('target'), tombstones), listed('source'));
        const read = sorted.flatMap(({ name, target, tombstone, source }) => {
          const from = target ? 'target' : tombstone || !source ? null : 'source';
          return from === null ? [] : [{ key: keyFromText(name), from }];
        });
        expect(merged).toEqual(read);
      }),
    ));

  it('stops at a source that is not in order', () => {
    const record = (name: string) => ({ key: keyFromText(name) });
    expect(() => mergeList([], [record('b'), record('a')])).toThrow(
      expect.objectContaining({ code: 'internal.invariant' }),
    );
  });
});
