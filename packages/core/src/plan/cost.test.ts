/**
 * Goal: the costs of a plan are those that can be worked out by hand from what DynamoDB, Lambda and Step Functions bill.
 * Method: the canonical million keys, then what is billed and what is not, then laws over sizes.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { costOf, stateWrites, type CostedThing, type CostedWork, type CostEstimate, type CostRow } from './cost.ts';
import { listPrices } from './prices.ts';

const million: CostedWork = {
  sharedState: true,
  source: null,
  target: null,
  sourceRead: { keys: 1_000_000, bytes: 500_000_000 },
  targetRead: { keys: 1_000_000, bytes: 500_000_000 },
  changes: { keys: 1_000_000, bytes: 500_000_000, itemUnits: 1_000_000 },
  keptBytes: 0,
  changesListed: 0,
  transactions: 10_310,
  chunks: 100,
  workers: 2,
  functions: 1,
  ratePerSecond: null,
  scanMs: 50_000,
};
const table = { itemOverheadBytes: 10, writes: 'transactions' } as const;
const costs = (work: CostedWork): CostEstimate | null => costOf(work, listPrices);
const rowsOf = (work: CostedWork, what: CostedThing, when?: CostRow['when']) =>
  (costs(work)?.rows ?? []).filter((row) => row.what === what && (when ?? row.when) === row.when);

describe('a million keys of half a kilobyte', () => {
  it('cost less than a tenth of a cent in shared state', () => {
    const [writes] = rowsOf(million, 'state writes', 'always');
    // Four for each of 100 chunks and ten for the run; a heartbeat each 5 s of some 200 s; none waits for a checkpoint.
    expect(writes?.units).toBe(10 + 400 + Math.floor((50_000 + 103_100 + 50_000) / 5000));
    expect(writes?.dollars).toBeCloseTo(0.000_28, 5);
  });

  it('cost twice as much to write in transactions as one by one, and a little for marks, both shown', () => {
    const rows = rowsOf({ ...million, target: table }, 'target writes');
    expect(rows.map(({ when }) => when)).toEqual(['configured', 'other']);
    const [transactions, single] = rows.map(({ units }) => units);
    // Of each transaction: fence 2, epoch 2, a mark of 97 entries of 83 bytes 16.
    expect(transactions).toBe(2_000_000 + 10_310 * 20);
    expect(single).toBe(1_000_000 + 10_310 * 20);
    expect(rows[0]?.dollars).toBeCloseTo(1.38, 2);
    // Single writes look first: a read unit each.
    expect(rows[1]?.dollars).toBeCloseTo(0.754 + 0.125, 2);
  });

  it('sum up what is configured, and what functions would come to', () => {
    const work = { ...million, target: { ...table, writes: 'single' } } as const;
    const estimate = costs(work);
    const sum = (...when: readonly string[]) =>
      (estimate?.rows ?? []).filter((row) => when.includes(row.when)).reduce((all, { dollars }) => all + dollars, 0);
    expect(estimate?.machines.dollars).toBeCloseTo(sum('always', 'configured'), 10);
    expect(estimate?.functions?.dollars).toBeCloseTo(sum('always', 'configured', 'functions'), 10);
    expect(estimate?.prices).toBe(listPrices);
  });

  it('are read from a table in units of four kilobytes, three times in all', () => {
    const [reads] = rowsOf({ ...million, source: table }, 'source reads');
    expect(reads?.units).toBe(3 * Math.ceil((500_000_000 + 10_000_000) / 4096));
  });
});

describe('for a million keys', () => {
  it('a plan of a tenth of them says ten times what it costs itself', () => {
    const work = { ...million, sourceRead: { keys: 100_000, bytes: 50_000_000 } };
    const estimate = costs(work);
    for (const { dollars, dollarsPerMillionKeys } of [
      ...(estimate?.rows ?? []),
      ...(estimate === null ? [] : [estimate.machines]),
    ]) {
      expect(dollarsPerMillionKeys).toBeCloseTo(dollars * 10, 10);
    }
  });

  it('a plan without keys says nothing', () => {
    expect(costs({ ...million, sourceRead: { keys: 0, bytes: 0 } })?.machines.dollarsPerMillionKeys).toBeNull();
  });
});

describe('functions', () => {
  it('are paid for a vCPU and the share of their time that is not spent on records', () => {
    const [row] = rowsOf(million, 'functions');
    expect(row?.units).toBe(Math.ceil(((50 + 103.1 + 50) / 0.9) * 1.769));
    expect(row?.dollars).toBeCloseTo((400 * 13.3334) / 1e6, 3);
  });

  it('are paid for while they wait for their share of a rate', () => {
    const limited = { ...million, ratePerSecond: 1000 };
    const [one] = rowsOf(limited, 'functions');
    const [eight] = rowsOf({ ...limited, functions: 8 }, 'functions');
    expect(one?.units).toBe(Math.ceil(((1000 + 50) / 0.9) * 1.769));
    expect(eight?.units).toBe(Math.ceil(((8000 + 50) / 0.9) * 1.769));
  });

  it('are not slower for a rate that they do not reach', () => {
    const fast = { ...million, ratePerSecond: 1_000_000 };
    expect(rowsOf(fast, 'functions')).toEqual(rowsOf(million, 'functions'));
  });

  it('get the rows of a plan by way of the state, which bills for their bytes', () => {
    const [without] = rowsOf(million, 'state writes', 'functions');
    const [with100k] = rowsOf({ ...million, changesListed: 100_000 }, 'state writes', 'functions');
    expect((with100k?.units ?? 0) - (without?.units ?? 0)).toBe(2 * Math.ceil((100_000 * 30) / 1024));
  });
});

it('before-images are paid for by the kilobyte', () => {
  const [without] = rowsOf(million, 'state writes', 'always');
  const [kept] = rowsOf({ ...million, keptBytes: 10_000_000 }, 'state writes', 'always');
  expect((kept?.units ?? 0) - (without?.units ?? 0)).toBe(Math.ceil(10_000_000 / 1024));
});

it('prices are those that were given', () => {
  const prices = { ...listPrices, perMillion: { ...listPrices.perMillion, writeUnits: 6.25 } };
  const [row] = rowsOf(million, 'state writes', 'always');
  expect(costOf(million, prices)?.rows[0]?.dollars).toBeCloseTo((row?.dollars ?? 0) * 10, 10);
});

it('nothing that is billed by use is no cost', () => {
  expect(costs({ ...million, sharedState: false })).toBeNull();
});

it('a target alone is billed without state and functions', () => {
  const estimate = costs({ ...million, sharedState: false, target: table });
  expect(new Set(estimate?.rows.map(({ what }) => what))).toEqual(new Set(['target reads', 'target writes']));
  expect(estimate?.functions).toBeNull();
});

it('nothing to write costs no write', () => {
  const idle = { ...million, target: table, changes: { keys: 0, bytes: 0, itemUnits: 0 }, transactions: 0 };
  expect(rowsOf(idle, 'target writes').map(({ units }) => units)).toEqual([0, 0]);
});

describe('state writes', () => {
  // Measured by `npm run bench -- state-writes` on two cores: 100,000 keys of 126 bytes, ten chunks, 200 transactions.
  it.each([
    { workers: 1, measured: 50, scanMs: 6000 },
    { workers: 4, measured: 55, scanMs: 6000 },
    { workers: 16, measured: 82, scanMs: 10_000 },
  ])('of $workers workers are within 20 % of the $measured that were measured', ({ workers, measured, scanMs }) => {
    const estimated = stateWrites({ ...million, chunks: 10, transactions: 200, workers, scanMs });
    expect(Math.abs(estimated / measured - 1)).toBeLessThan(0.2);
  });

  it('law: are fewer than one for a thousand records of full chunks, whatever the number of workers', () => {
    fc.assert(
      fc.property(fc.integer({ min: 10, max: 100_000 }), fc.integer({ min: 1, max: 64 }), (chunks, workers) => {
        const work = { ...million, chunks, workers, transactions: chunks * 103, scanMs: chunks * 500 };
        expect(stateWrites(work)).toBeLessThanOrEqual(chunks * 10 + workers * chunks);
        expect(stateWrites(work)).toBeGreaterThanOrEqual(4 * chunks);
      }),
    );
  });
});
