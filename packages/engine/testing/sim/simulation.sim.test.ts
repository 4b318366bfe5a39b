/**
 * Goal: no order of crashes, stalls, lost answers, late requests, outages and applications' writes breaks a property
 * (violation.ts; SPEC I1 to I9).
 * Method: many seeds, each a whole migration of the real engine in virtual time. KEYFERRY_SIM_SEED=N runs one seed and
 * prints its trace, KEYFERRY_SIM_SEEDS=N runs so many.
 */
import { describe, expect, it } from 'vitest';
import { describeFailure, runSeed } from './run-seed.ts';

const only = process.env['KEYFERRY_SIM_SEED'];
const seedsMax = Number(process.env['KEYFERRY_SIM_SEEDS'] ?? 1000);
/** Seeds of one test: small enough to see which part of a long run failed. */
const seedsPerTest = 250;
const failuresShown = 5;

/** What a run of many seeds must have met: a fault that never happens tests nothing. */
const mustBeSeen = [
  'apply done',
  'apply deviated',
  'apply resumed',
  'apply overwrote',
  'apply deleted',
  'apply met a change',
  'apply crashed',
  'apply lease.held',
  'apply lease.lost',
  'apply plan.stale',
  'apply run.interrupted',
  'apply state.conflict',
  'apply store.position-compacted',
  'apply run.stopped',
  'apply run.paused',
  'apply run.cancelled',
  'apply dead-letters.over-budget',
  'pause returned',
  'retry done',
  'retry unfinished',
  'letter written',
  'run.throttled',
  'run.unthrottled',
  'packed batch written',
  'packed batch declined',
  'chunk.lost',
  'image.sorting',
  'lock broken',
  'rollback returned',
  'rollback restored',
  'rollback left a change',
  'rollback crashed',
  'finalized',
  'finalize crashed',
  'finalize resumed',
  'finalize finalize.not-proven',
  'store.retrying',
  'submit returned',
  'dispatch crashed',
  'dispatch lease.lost',
  'dispatch stopped',
  'backfill done',
  'backfill more',
  'backfill waiting',
  'backfill stopped',
  'backfill crashed',
  'verify more',
  'verify waiting',
  'verify crashed',
  'slice killed at its deadline',
  'functions verified',
];

describe.runIf(only !== undefined)('one seed', () => {
  it(`keeps every property in seed ${only}`, async () => {
    const result = await runSeed(Number(only), { keepTrace: true });
    process.stdout.write(`${result.trace.join('\n')}\n`);
    expect(result.violations).toEqual([]);
  });
});

describe.runIf(only === undefined)('simulation', () => {
  const seen = new Map<string, number>();
  const tests = Math.ceil(seedsMax / seedsPerTest);

  it.each(Array.from({ length: tests }, (_, i) => i * seedsPerTest + 1))(
    'keeps every property in the seeds from %i on',
    async (first) => {
      const failures: string[] = [];
      for (let seed = first; seed < first + seedsPerTest && seed <= seedsMax; seed += 1) {
        const result = await runSeed(seed);
        for (const [what, count] of result.seen) seen.set(what, (seen.get(what) ?? 0) + count);
        if (result.violations.length > 0) failures.push(describeFailure(result));
      }
      expect(failures.slice(0, failuresShown).join('\n')).toBe('');
    },
  );

  it.runIf(seedsMax >= 1000)('meets each kind of fault and each kind of end', () => {
    expect(mustBeSeen.filter((what) => !seen.has(what))).toEqual([]);
  });
});
