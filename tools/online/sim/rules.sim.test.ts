/**
 * Goal: the simulator finds what each rule of the online protocol is there for.
 * Method: one rule is switched off where it lives (online-rules.ts); among a fixed range of seeds one must show an
 * application something that one store could not have shown it, lose a write, or have the engine itself find the damage.
 */
import { describe, expect, it } from 'vitest';
import type { OnlineRules } from './online-rules.ts';
import { runOnlineSeed } from './run-online-seed.ts';

const seedsMax = 120;
/** What an application met, or the engine, which looks at both stores. That a run does not end would not be enough. */
const isDamage = (violation: string): boolean => /was told|in the end|source\.stray-write|an operation/.test(violation);

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
});
