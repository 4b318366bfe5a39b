/**
 * Goal: a failure is brought down to the faults that it needs, and to no fewer.
 * Method: failures that need known faults, some of them together, some one of several.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Faults, shrinkFaults } from './faults.ts';

const failsWith =
  (...needed: readonly number[]) =>
  async (kept: ReadonlySet<number>): Promise<boolean> =>
    needed.every((number) => kept.has(number));

describe('faults of a run', () => {
  it('happen, all or those that are kept, and are counted either way', () => {
    const all = new Faults();
    expect([all.happens(), all.happens(), all.count]).toEqual([true, true, 2]);
    const some = new Faults(new Set([1]));
    expect([some.happens(), some.happens(), some.happens(), some.count]).toEqual([false, true, false, 3]);
  });

  it('are none where it fails without any', async () => {
    expect(await shrinkFaults(50, failsWith())).toEqual(new Set());
  });

  it('law: are those that a failure needs', async () => {
    const needed = fc.uniqueArray(fc.nat(99), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(needed, async (numbers) => {
        expect(await shrinkFaults(100, failsWith(...numbers))).toEqual(new Set(numbers));
      }),
    );
  });

  it('are enough for one cause where there are two', async () => {
    const fails = async (kept: ReadonlySet<number>): Promise<boolean> =>
      (kept.has(3) && kept.has(40)) || (kept.has(7) && kept.has(8));
    const kept = await shrinkFaults(64, fails);
    expect(await fails(kept)).toBe(true);
    expect(kept.size).toBe(2);
  });
});
