/**
 * Goal: a key below a value is found, whatever stands between the two in byte order.
 * Method: the edges by hand, then a law against a plain search over sets of keys.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Key } from '../model/key.ts';
import { KeyFamily } from './key-family.ts';

function belowValues(keys: readonly string[]): readonly string[] {
  const family = new KeyFamily();
  return keys.filter((key) => {
    family.add(key as Key);
    return family.isBelowValue;
  });
}

describe('KeyFamily', () => {
  it.each([
    { name: 'right behind it', keys: ['/a', '/a/b'], below: ['/a/b'] },
    { name: 'behind its siblings', keys: ['/a', '/a-b', '/a-b/c', '/a.b', '/a/b'], below: ['/a-b/c', '/a/b'] },
    { name: 'two levels down', keys: ['/a', '/a/b/c', '/a0', '/a0/x'], below: ['/a/b/c', '/a0/x'] },
    { name: 'of several above it', keys: ['/a', '/a/b', '/a/b/c', '/a/d'], below: ['/a/b', '/a/b/c', '/a/d'] },
    { name: 'and none without a slash', keys: ['/a', '/ab', '/b', '/c/d'], below: [] },
  ])('finds a key $name', ({ keys, below }) => expect(belowValues(keys)).toEqual(below));

  it('law: finds what a search through all keys finds', () => {
    const anyKey = fc.array(fc.constantFrom('a', '/', '-', '0'), { minLength: 1, maxLength: 6 }).map((c) => c.join(''));
    fc.assert(
      fc.property(fc.uniqueArray(anyKey, { maxLength: 30 }), (keys) => {
        const sorted = keys.toSorted();
        expect(belowValues(sorted)).toEqual(sorted.filter((key) => sorted.some((each) => key.startsWith(`${each}/`))));
      }),
    );
  });
});
