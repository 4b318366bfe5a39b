/**
 * Goal: the simulator finds what each rule of the online protocol is there for.
 * Method: one rule is switched off where it lives (online-rules.ts); among a fixed range of seeds one must show an
 * application something that one store could not have shown it, lose a write, or have the engine itself find the damage.
 * One of them is brought down to the faults that it needs.
 */
import { describe, expect, it } from 'vitest';
import type { OnlineRules } from './online-rules.ts';
import { shrinkSeed } from './replay.ts';
import { runOnlineSeed } from './run-online-seed.ts';

const seedsMax = 120;
/** What an application met, or the engine, which looks at both stores. That a run does not end would not be enough. */
const isDamage = (violation: string): boolean => /was told|in the end|source\.stray-write|an operation/.test(violation);
/** Behind a rollback: it would hide the source's records from whoever begins anew (R25). */
const isLeftBehind = (violation: string): boolean => violation.includes('the target still holds');

describe('an online migration without its rule', () => {
  it.each<keyof OnlineRules>([
    'absentGuard',
    'tombstoneGuard',
    'tombstoneOfDelete',
    'tombstoneOfTtl',
    'barrier',
    'requestLife',
    'drain',
  ])(
    '%s is found out',
    async (rule) => {
      let found: number | null = null;
      for (let seed = 1; seed <= seedsMax && found === null; seed += 1) {
        const { violations } = await runOnlineSeed({ seed, rules: { [rule]: false } });
        if (violations.some(isDamage)) found = seed;
      }
      expect(found).not.toBeNull();
    },
    600_000,
  );

  it.each<keyof OnlineRules>(['treeInBoth', 'counterCompared', 'tombstoneOfDelete', 'drain'])(
    '%s is found out by who uses trees',
    async (rule) => {
      let found: number | null = null;
      for (let seed = 1; seed <= seedsMax && found === null; seed += 1) {
        const { violations } = await runOnlineSeed({ seed, work: 'trees', rules: { [rule]: false } });
        if (violations.some(isDamage)) found = seed;
      }
      expect(found).not.toBeNull();
    },
    600_000,
  );

  // What is rare is looked for from near where it is.
  it.each<{ readonly rule: keyof OnlineRules; readonly from: number }>([
    { rule: 'copyBehindFreeze', from: 1 },
    { rule: 'settleByProof', from: 15 },
    { rule: 'fences', from: 74 },
    { rule: 'tombstoneGuard', from: 1 },
    { rule: 'drain', from: 1 },
  ])(
    '$rule is found out where functions copy',
    async ({ rule, from }) => {
      let found: number | null = null;
      for (let seed = from; seed < from + seedsMax && found === null; seed += 1) {
        const { violations } = await runOnlineSeed({ seed, by: 'functions', rules: { [rule]: false } });
        if (violations.some((each) => isDamage(each) || isLeftBehind(each))) found = seed;
      }
      expect(found).not.toBeNull();
    },
    600_000,
  );

  it('is found out by a few faults, which alone do it again', async () => {
    const rules = { requestLife: false };
    let seed = 20; // the one of 19 takes fifty faults in a row
    while ((await runOnlineSeed({ seed, rules })).violations.length === 0) seed += 1;
    const shrunk = await shrinkSeed({ seed, rules });
    expect(shrunk?.result.violations).not.toEqual([]);
    expect(shrunk?.faults.size).toBeLessThan(Math.min(10, shrunk?.drawn ?? 0));
    const { faults = null } = shrunk ?? {};
    const again = await runOnlineSeed({ seed, rules, faults });
    expect(again.violations).toEqual(shrunk?.result.violations);
    // The rule is what it takes: with it, the same faults do no harm.
    expect((await runOnlineSeed({ seed, faults })).violations).toEqual([]);
  }, 600_000);
});
