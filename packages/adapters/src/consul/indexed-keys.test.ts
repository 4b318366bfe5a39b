/** Goal: what is remembered of a store is what was seen. Method: a law over generated keys, against a Map. */
import * as fc from 'fast-check';
import { keyFromBytes, type Key } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { IndexedKeys } from './indexed-keys.ts';

const keys = fc
  .uniqueArray(fc.uint8Array({ minLength: 1, maxLength: 40 }).map(keyFromBytes), { maxLength: 200 })
  .map((all) => all.toSorted());

describe('keys with their numbers', () => {
  it('law: a walk beside other keys finds each, and leaves out none', () =>
    fc.assert(
      fc.property(keys, keys, (held, asked) => {
        const list = new IndexedKeys();
        for (const [nth, key] of held.entries()) list.add(key, nth);
        const walk = list.walk();
        const passed: Key[] = [];
        const found = asked.map((key) => walk.numberOf(key, (other) => passed.push(other)));
        walk.rest((other) => passed.push(other));
        const numbers = new Map(held.map((key, nth) => [key, nth]));
        expect(found).toEqual(asked.map((key) => numbers.get(key) ?? null));
        expect(passed).toEqual(held.filter((key) => !asked.includes(key)));
      }),
    ));

  it('takes none out of order', () => {
    const list = new IndexedKeys();
    list.add('b' as Key, 1);
    for (const late of ['a', 'b'] as Key[]) expect(() => list.add(late, 2)).toThrow('in order');
  });
});
