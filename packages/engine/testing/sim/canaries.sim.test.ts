/**
 * Goal: the simulator finds what each rule is there for. A rule whose absence it cannot see is not tested at all.
 * Method: one rule of the memory store is switched off; among a fixed range of seeds one must break the property that
 * the rule guards. So with the state that only says that it has kept a before-image.
 */
import type { ProtocolRules } from '@keyferry/core/testing';
import { describe, expect, it } from 'vitest';
import { runSeed } from './run-seed.ts';
import type { Property } from './violation.ts';

/** The rarest of them shows in one seed of four hundred, first beyond 1,600. */
const seedsMax = 3000;

interface Canary {
  readonly rule: keyof ProtocolRules;
  readonly property: Property;
}

async function firstSeedThatBreaks(property: Property, options: Parameters<typeof runSeed>[1]): Promise<number | null> {
  for (let seed = 1; seed <= seedsMax; seed += 1) {
    const { violations } = await runSeed(seed, options);
    if (violations.some((violation) => violation.property === property)) return seed;
  }
  return null;
}

describe('without its rule', () => {
  it.each<Canary>([
    { rule: 'absentGuard', property: 'overwritten' },
    { rule: 'versionGuard', property: 'overwritten' },
    { rule: 'versionGuard', property: 'deleted' },
    { rule: 'restoreGuard', property: 'rollback' },
    { rule: 'tombstoneGuard', property: 'resurrected' },
    { rule: 'fence', property: 'stale-fence' },
    { rule: 'epoch', property: 'stale-epoch' },
    { rule: 'epoch', property: 'rollback' },
    { rule: 'conditionalState', property: 'state-order' },
    { rule: 'conditionalState', property: 'counts' },
  ])('$rule, a seed breaks the property "$property"', async ({ rule, property }) => {
    expect(await firstSeedThatBreaks(property, { rules: { [rule]: false } })).not.toBeNull();
  });
});

describe('without before-images', () => {
  it.each<Property>(['unkept', 'overwritten'])('a seed breaks the property "%s"', async (property) => {
    expect(await firstSeedThatBreaks(property, { losesImages: true })).not.toBeNull();
  });
});
