/**
 * Goal: a seed that fails fails again, step by step the same.
 * Method: seeds run twice, others in between; every line of the trace is in the hash.
 */
import { describe, expect, it } from 'vitest';
import { runSeed } from './run-seed.ts';

describe('a seed', () => {
  it('gives the same trace each time it is run', async () => {
    const seeds = Array.from({ length: 25 }, (_, i) => i + 1);
    const first: string[] = [];
    for (const seed of seeds) first.push((await runSeed(seed)).traceHash);
    const second: string[] = [];
    for (const seed of seeds.toReversed()) second.push((await runSeed(seed)).traceHash);
    expect(second.toReversed()).toEqual(first);
    expect(new Set(first).size).toBe(seeds.length);
  });

  it('gives the same trace whether its lines are kept or not', async () => {
    const kept = await runSeed(7, { keepTrace: true });
    expect(kept.trace.length).toBeGreaterThan(20);
    expect((await runSeed(7)).traceHash).toBe(kept.traceHash);
  });
});
