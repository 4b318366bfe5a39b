/** Goal: no migration begins before those that it comes after. Method: examples, and generated orders. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { migrationOrder } from './migration-order.ts';

describe('the order of migrations', () => {
  it.each([
    [{}, []],
    [{ jm: [], pm: [], auth: [] }, ['jm', 'pm', 'auth']],
    [{ jm: ['auth'], pm: [], auth: [] }, ['pm', 'auth', 'jm']],
    [{ a: ['b', 'c'], b: ['c'], c: [] }, ['c', 'b', 'a']],
  ])('of %j is %j', (after, want) => expect(migrationOrder(after)).toEqual(want));

  it('law: has each once, behind all that it comes after', () =>
    fc.assert(
      fc.property(
        // Each may come after any of those with a lower number, so there is no circle; names are shuffled.
        fc.array(fc.array(fc.nat()), { maxLength: 12 }).chain((wants) => {
          const entries = wants.map((numbers, at) => {
            const before = at === 0 ? [] : [...new Set(numbers.map((number) => `m${number % at}`))];
            return [`m${at}`, before] as const;
          });
          return fc.shuffledSubarray(entries, { minLength: entries.length });
        }),
        (entries) => {
          const order = migrationOrder(Object.fromEntries(entries));
          expect(order.toSorted()).toEqual(entries.map(([name]) => name).toSorted());
          for (const [name, before] of entries) {
            for (const each of before) expect(order.indexOf(each)).toBeLessThan(order.indexOf(name));
          }
        },
      ),
    ));

  it('refuses a circle', () => {
    expect(() => migrationOrder({ a: ['b'], b: ['a'] })).toThrow('none of a, b can come first');
  });
});
