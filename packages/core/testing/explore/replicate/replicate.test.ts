/**
 * Goal: a cutover by `replicate` is right on one key in every order of events: whatever two instances ask, whoever lapses, dies
 * or sleeps, and wherever a run is taken for dead, both stores are the same at each flip, nobody writes behind it, every
 * answer can be explained, and writes are never held without an end (SPEC R39, R40, R43, R45, R48, R100 to R105, R150, I16).
 * Method: every state of each scenario, to its end. KEYFERRY_EXPLORE=deep explores wider scenarios, for minutes.
 */
import { describe, expect, it } from 'vitest';
import { exploreReplicate, type ReplicateScenario } from './explore-replicate.ts';

interface Case extends ReplicateScenario {
  readonly name: string;
}

const there = { goals: ['cutover'] } as const;
const andBack = { goals: ['cutover', 'rollback'], lastAtAnyTime: true } as const;

const cases: readonly Case[] = [
  { name: 'there: reads, puts, deletes', ...there, operations: [1, 1], kinds: ['get', 'put', 'delete'] },
  { name: 'and back from anywhere', ...andBack, operations: [1, 1], kinds: ['get', 'put'] },
  { name: 'outcomes unknown', ...there, operations: [1, 1], kinds: ['put', 'delete'], budget: { unknowns: 1 } },
  { name: 'holds past their deadline', ...there, operations: [1, 1], kinds: ['get', 'put'], budget: { deadlines: 1 } },
  { name: 'an instance that lapses', ...there, operations: [1, 1], kinds: ['get', 'put'], budget: { lapses: 1 } },
  { name: 'an instance that starts late', ...there, operations: [1, 1], late: [1], kinds: ['get', 'put'] },
  { name: 'a run that is taken for dead', ...there, operations: [1, 1], kinds: ['put'], budget: { takeovers: 1 } },
  {
    name: 'a run that is taken for dead, and back',
    goals: ['cutover', 'rollback'],
    operations: [1, 0],
    kinds: ['put'],
    budget: { takeovers: 1 },
  },
  {
    name: 'a late write of the tail',
    ...there,
    operations: [2, 0],
    kinds: ['put', 'delete'],
    budget: { lateCarries: 1 },
  },
  { name: 'a change that the target refuses', ...there, operations: [1, 1], kinds: ['put'], budget: { refusals: 1 } },
  { name: 'nobody registers', ...andBack, operations: [1, 1], unregistered: [0, 1], kinds: ['get', 'put'] },
  {
    name: 'not everybody registers, and the configuration says so',
    ...andBack,
    operations: [1, 1],
    unregistered: [0],
    instances: 'none',
    kinds: ['get', 'put'],
  },
  {
    name: 'one registers while writes are held for those who never do',
    ...there,
    operations: [1, 1],
    unregistered: [0],
    late: [1],
    instances: 'none',
    kinds: ['put'],
  },
];

/** Minutes each; run before the protocol changes, not on every change. */
const deepCases: readonly Case[] = [
  { name: 'there: two and two', ...there, operations: [2, 2], kinds: ['get', 'put', 'delete'] },
  { name: 'and back: outcomes unknown', ...andBack, operations: [1, 1], kinds: ['put'], budget: { unknowns: 1 } },
  { name: 'and back: an instance that lapses', ...andBack, operations: [1, 1], kinds: ['put'], budget: { lapses: 1 } },
  {
    name: 'an instance that lapses, outcomes unknown',
    ...there,
    operations: [1, 1],
    kinds: ['put'],
    budget: { lapses: 1, unknowns: 1 },
  },
  {
    name: 'a run that is taken for dead, with a write of its tail on the way',
    ...there,
    operations: [2, 0],
    kinds: ['put'],
    budget: { takeovers: 1, lateCarries: 1 },
  },
];
const isDeep = process.env['KEYFERRY_EXPLORE'] === 'deep';

describe('a cutover, in every order of events', () => {
  it.each(isDeep ? [...cases, ...deepCases] : cases)(
    '$name',
    (scenario) => {
      const { counterexample, states, ends } = exploreReplicate(scenario, { statesMax: 20_000_000 });
      expect(counterexample).toBeNull();
      expect(states).toBeGreaterThan(500);
      expect(ends).toBeGreaterThan(0);
    },
    isDeep ? 3_600_000 : 120_000,
  );
});
