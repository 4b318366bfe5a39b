/**
 * Goal: a campaign that was stopped goes on where it stood, and never counts what did not run.
 * Method: ranges and what is left of them as tables and a law; a file with a line cut off, as a kill leaves it.
 */
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { appendToLedger, rangesOf, readLedger, slicesLeft, type Slice } from './seed-ledger.ts';

const slice = (from: number, seeds: number, code = 'now'): Slice => ({
  code,
  from,
  seeds,
  histories: 4 * seeds,
  events: 1,
  elapsedMs: 1,
  failed: [],
});

describe('a ledger of seeds', () => {
  const folders: string[] = [];
  afterEach(() => {
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
  });
  const newFile = (): string => {
    const folder = mkdtempSync(join(tmpdir(), 'ledger-'));
    folders.push(folder);
    return join(folder, 'deeper', 'seeds.jsonl');
  };

  it('holds what ran of this code alone', () => {
    const file = newFile();
    expect(readLedger(file, 'now')).toEqual([]);
    for (const each of [slice(1, 50), slice(1, 500, 'before'), slice(51, 50)]) appendToLedger(file, each);
    expect(readLedger(file, 'now')).toEqual([slice(1, 50), slice(51, 50)]);
  });

  it('does not count a line that a kill cut off, nor lose the one after it', () => {
    const file = newFile();
    appendToLedger(file, slice(1, 50));
    appendFileSync(file, '{"code":"now","from":51,"se');
    expect(readLedger(file, 'now')).toEqual([slice(1, 50)]);
    appendFileSync(file, '\n');
    appendToLedger(file, slice(101, 50));
    expect(readLedger(file, 'now')).toEqual([slice(1, 50), slice(101, 50)]);
  });

  it('joins ranges that touch or overlap', () => {
    expect(rangesOf([slice(101, 50), slice(1, 50), slice(51, 10), slice(55, 3)])).toEqual([
      { from: 1, to: 60 },
      { from: 101, to: 150 },
    ]);
  });

  it('law: what ran and what is left are all that was wanted, and what is left did not run', () => {
    const slices = fc.array(
      fc.record({ from: fc.integer({ min: 1, max: 120 }), seeds: fc.integer({ min: 1, max: 30 }) }),
    );
    fc.assert(
      fc.property(
        slices,
        fc.integer({ min: 1, max: 60 }),
        fc.nat(80),
        fc.integer({ min: 1, max: 9 }),
        (ran, from, more, size) => {
          const seedsOf = (each: { from: number; seeds: number }) =>
            Array.from({ length: each.seeds }, (_, i) => each.from + i);
          const did = new Set(ran.flatMap(seedsOf));
          const left = slicesLeft({ from, to: from + more }, rangesOf(ran), size);
          const wanted = seedsOf({ from, seeds: more + 1 }).filter((seed) => !did.has(seed));
          expect(left.flatMap(seedsOf)).toEqual(wanted);
          expect(left.every(({ seeds }) => seeds <= size)).toBe(true);
        },
      ),
    );
  });
});
