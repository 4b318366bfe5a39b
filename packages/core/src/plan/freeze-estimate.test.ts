/**
 * Goal: the length of a freeze is said of what was measured, and what nobody measured is marked and not said to be nothing.
 * Method: facts as a plan gathers them, one changed at a time.
 */
import { describe, expect, it } from 'vitest';
import { estimateFreeze, type FreezeFacts, type FreezePart } from './freeze-estimate.ts';

const counts = {
  group: 10,
  artifact: 100,
  version: 1000,
  content: 1000,
  globalRule: 0,
  groupRule: 0,
  artifactRule: 0,
  comment: 0,
  branch: 0,
};
const measured: FreezeFacts = {
  walk: { requests: 1200, tookMs: 2400 },
  exportMs: 800,
  besidesMs: 600,
  counts,
  balancers: 2,
  rehearsed: null,
  bulk: false,
};
const estimate = (facts: Partial<FreezeFacts> = {}) => estimateFreeze({ ...measured, ...facts });
const partOf = (facts: Partial<FreezeFacts>, phase: FreezePart['phases'][number]): FreezePart => {
  const found = estimate(facts).parts.find(({ phases }) => phases.includes(phase));
  if (found === undefined) throw new TypeError(`no part of ${phase}`);
  return found;
};

describe('the estimate of a freeze', () => {
  it('is the sum of its parts, each of phases that follow one another', () => {
    const { totalMs, parts } = estimate();
    expect(totalMs).toBe(parts.reduce((sum, { ms }) => sum + ms, 0));
    expect(parts.flatMap(({ phases }) => phases)).toEqual([
      'freeze',
      'baseline',
      'export',
      'import',
      'compare',
      'read-on-3',
      'switch',
    ]);
  });

  it('rests on what was measured of 2.x, and says what is assumed', () => {
    expect(partOf({}, 'baseline')).toMatchObject({ basis: 'measured' });
    expect(partOf({}, 'baseline').ms).toBeGreaterThanOrEqual(2400);
    expect(partOf({}, 'export')).toMatchObject({ basis: 'measured' });
    expect(partOf({}, 'import')).toMatchObject({ basis: 'assumed' });
    const slower = { walk: { requests: 1200, tookMs: 24_000 } };
    expect(partOf(slower, 'compare').ms).toBeGreaterThan(partOf({}, 'compare').ms * 5);
  });

  it('assumes a walk and an export where the archive was given, and does not say that they take no time', () => {
    const given = { walk: null, exportMs: null };
    for (const phase of ['baseline', 'export', 'compare'] as const) {
      expect(partOf(given, phase)).toMatchObject({ basis: 'assumed' });
      expect(partOf(given, phase).ms).toBeGreaterThan(1000);
    }
  });

  it('takes import and comparison of a rehearsal, in proportion to the versions', () => {
    const rehearsed = { importMs: 3000, compareMs: 5000, versions: 500 };
    expect(partOf({ rehearsed }, 'import')).toMatchObject({ basis: 'rehearsed', ms: 6000 });
    expect(partOf({ rehearsed }, 'compare')).toMatchObject({ basis: 'rehearsed', ms: 10_000 });
  });

  it('is shorter with an import before the freeze', () => {
    expect(estimate({ bulk: true }).totalMs).toBeLessThan(estimate().totalMs * 0.75);
    expect(estimate({ bulk: true }).way).toBe('delta');
  });
});
