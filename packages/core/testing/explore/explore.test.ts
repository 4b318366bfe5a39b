/**
 * Goal: the online protocol is right on one key in every order of events: whatever two clients ask, wherever the
 * controller stands, goes back or gives up, whoever is late, every answer can be explained, and nothing is left over.
 * Method: every state of each scenario, to its end. KEYFERRY_EXPLORE=deep explores wider scenarios, for minutes.
 */
import { describe, expect, it } from 'vitest';
import { modes } from '../../src/index.ts';
import { explore, type Scenario } from './explore.ts';
import { again, back, forward } from './scenarios.ts';

interface Case extends Scenario {
  readonly name: string;
}

const basic = ['get', 'put', 'delete'] as const;
const comparing = ['get', 'compare', 'create', 'compare-delete', 'take'] as const;
const expiring = ['get', 'put-ttl', 'delete'] as const;
const byEpoch = { epochCompare: true, passesByEpoch: true };

const cases: readonly Case[] = [
  { name: 'forward: reads, puts, deletes', ...forward, operations: [2, 1], kinds: basic },
  { name: 'forward: comparisons', ...forward, operations: [2, 1], kinds: comparing },
  { name: 'forward: TTLs', ...forward, operations: [1, 1], kinds: expiring, initially: ['record', 'record-ttl'] },
  {
    name: 'forward: TTLs on the way of one client',
    ...forward,
    operations: [2, 0],
    kinds: expiring,
    initially: ['record-ttl'],
  },
  { name: 'forward: deletes of trees', ...forward, operations: [1, 1], kinds: ['get', 'put', 'delete-tree'] },
  { name: 'back from anywhere: deletes of trees', ...back, operations: [1, 1], kinds: ['put', 'delete-tree'] },
  { name: 'forward: barriers given up', ...forward, operations: [1, 1], kinds: basic, budget: { giveUps: 1 } },
  { name: 'forward: outcomes unknown', ...forward, operations: [1, 1], kinds: basic, budget: { unknowns: 1 } },
  { name: 'forward: a late starter', ...forward, operations: [1, 1], late: [1], kinds: basic },
  {
    name: 'forward: a lapsed instance',
    ...forward,
    operations: [1, 1],
    kinds: ['get', 'put'],
    budget: { lapses: 1 },
    initially: ['record'],
  },
  {
    name: 'forward: a target that compares epochs',
    ...forward,
    operations: [1, 1],
    kinds: basic,
    budget: { lapses: 1 },
    initially: ['record'],
    protocol: byEpoch,
  },
  { name: 'back from anywhere: reads, puts, deletes', ...back, operations: [1, 1], kinds: basic },
  { name: 'back from anywhere: comparisons', ...back, operations: [1, 1], kinds: comparing },
  { name: 'back from anywhere: TTLs', ...back, operations: [1, 1], kinds: expiring, initially: ['record'] },
  {
    name: 'back from anywhere: barriers given up',
    ...back,
    operations: [1, 1],
    kinds: ['put', 'delete'],
    budget: { giveUps: 1 },
  },
  { name: 'back from anywhere: a late starter', ...back, operations: [1, 1], late: [1], kinds: ['get', 'put'] },
  {
    name: 'back from anywhere: a lapsed instance',
    ...back,
    operations: [1, 1],
    kinds: ['get', 'put'],
    budget: { lapses: 1 },
    initially: ['record'],
    protocol: byEpoch,
  },
  {
    name: 'back from anywhere: a lapsed instance that holds its writes back',
    ...back,
    goals: ['apply', 'rollback'],
    operations: [1, 1],
    kinds: ['get', 'delete'],
    budget: { lapses: 1 },
    initially: ['record'],
  },
  { name: 'back and forward again', ...again, operations: [1, 1], kinds: basic, copiers: 2 },
];

/** Minutes each; run before the protocol changes, not on every change. */
const deepCases: readonly Case[] = [
  {
    name: 'back from anywhere: a lapsed instance that holds its writes back, TTLs',
    ...back,
    goals: ['apply', 'rollback'],
    operations: [1, 1],
    kinds: ['get', 'put-ttl'],
    budget: { lapses: 1 },
    initially: ['record'],
  },
  { name: 'forward: two and two', ...forward, operations: [2, 2], kinds: basic },
  {
    name: 'forward: TTLs and comparisons',
    ...forward,
    operations: [2, 1],
    kinds: [...comparing, 'put-ttl'],
    initially: ['record', 'record-ttl'],
  },
  { name: 'back from anywhere: two and one', ...back, operations: [2, 1], kinds: basic },
  { name: 'back from anywhere: two and one, comparisons', ...back, operations: [2, 1], kinds: comparing },
  {
    name: 'back from anywhere: barriers given up twice',
    ...back,
    operations: [1, 1],
    kinds: basic,
    budget: { giveUps: 2 },
  },
  {
    name: 'back and forward again: barriers given up',
    ...again,
    operations: [1, 1],
    kinds: basic,
    copiers: 2,
    budget: { giveUps: 1 },
  },
];
const isDeep = process.env['KEYFERRY_EXPLORE'] === 'deep';
const modesSeen = new Set<string>();

describe('in every order of events', () => {
  it.each(isDeep ? [...cases, ...deepCases] : cases)(
    '$name',
    (scenario) => {
      const { counterexample, states, ends, modesSeen: seen } = explore(scenario, { statesMax: 20_000_000 });
      expect(counterexample).toBeNull();
      expect(states).toBeGreaterThan(1000);
      expect(ends).toBeGreaterThan(0);
      for (const mode of seen) modesSeen.add(mode);
    },
    isDeep ? 3_600_000 : 120_000,
  );

  it('every mode of the ladder was met', () => {
    expect([...modesSeen].toSorted()).toEqual([...modes].toSorted());
  });
});
