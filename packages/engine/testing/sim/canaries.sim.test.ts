/**
 * Goal: the simulator finds what each rule is there for. A rule whose absence it cannot see is not tested at all.
 * Method: one rule of the memory store is switched off; among a fixed range of seeds one must break the property that
 * the rule guards. `versionGuard` has no canary: no plan of the strategy `offline` overwrites yet.
 */
import type { ProtocolRules } from '@keyferry/core/testing';
import { describe, expect, it } from 'vitest';
import { runSeed } from './run-seed.ts';
import type { Property } from './violation.ts';

const seedsMax = 500;

interface Canary {
  readonly rule: keyof ProtocolRules;
  readonly property: Property;
}

async function firstSeedThatBreaks({ rule, property }: Canary): Promise<number | null> {
  for (let seed = 1; seed <= seedsMax; seed += 1) {
    const { violations } = await runSeed(seed, { rules: { [rule]: false } });
    if (violations.some((violation) => violation.property === property)) return seed;
  }
  return null;
}

describe('without its rule', () => {
  it.each<Canary>([
    { rule: 'absentGuard', property: 'overwritten' },
    { rule: 'tombstoneGuard', property: 'resurrected' },
    { rule: 'fence', property: 'stale-fence' },
    { rule: 'epoch', property: 'stale-epoch' },
    { rule: 'epoch', property: 'rollback' },
    { rule: 'conditionalState', property: 'state-order' },
    { rule: 'conditionalState', property: 'counts' },
  ])('$rule, a seed breaks the property "$property"', async (canary) => {
    expect(await firstSeedThatBreaks(canary)).not.toBeNull();
  });
});
