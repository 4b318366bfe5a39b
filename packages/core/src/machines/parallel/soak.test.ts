/** Goal: a soak passes only by observed time without a breach. Method: both sides of each limit, and a law over samples. */
import { array, assert, integer, property } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { breachesOf, noSoak, soakVerdict, withSample, type SoakLimits, type SoakSample } from './soak.ts';

const limits: SoakLimits = { lengthMs: 1000, errorShareMax: 0.01, p99MaxMs: 200, gapMaxMs: 400 };
const good: SoakSample = { atMs: 0, requests: 100, errors5xx: 1, errors4xx: 7, p99Ms: 200, ready: true, drift: [] };
const soaked = (...atMs: readonly number[]) =>
  atMs.reduce((soak, each) => withSample(soak, { ...good, atMs: each }, limits), noSoak);

describe('a soak', () => {
  it.each([
    { name: 'as many errors and as slow as allowed', sample: good, breaches: 0 },
    { name: 'one error more', sample: { ...good, errors5xx: 2 }, breaches: 1 },
    { name: 'one millisecond more', sample: { ...good, p99Ms: 201 }, breaches: 1 },
    { name: 'a balancer that does not say how slow', sample: { ...good, p99Ms: null }, breaches: 0 },
    { name: 'nobody asked, and nothing failed', sample: { ...good, requests: 0, errors5xx: 0 }, breaches: 0 },
    {
      name: '3.x is down and a balancer drifts',
      sample: { ...good, ready: false, drift: ['lb-1 differs'] },
      breaches: 2,
    },
  ])('$name', ({ sample, breaches }) => {
    expect(breachesOf(sample, limits)).toHaveLength(breaches);
  });

  it('passes once so much time was observed, and not a sample earlier', () => {
    expect(soakVerdict(soaked(0, 400, 800), limits, false)).toEqual({ kind: 'soaking', leftMs: 200 });
    expect(soakVerdict(soaked(0, 400, 800, 1000), limits, false)).toEqual({ kind: 'passed' });
  });

  it('does not count the time in which nobody looked', () => {
    expect(soakVerdict(soaked(0, 401, 5000), limits, false)).toEqual({ kind: 'soaking', leftMs: 1000 });
  });

  it('remembers a breach until it is accepted', () => {
    const breached = withSample(soaked(0, 400, 800), { ...good, atMs: 1000, ready: false }, limits);
    expect(soakVerdict(breached, limits, false).kind).toBe('breached');
    expect(soakVerdict(breached, limits, true).kind).toBe('passed');
  });

  it('law: however many samples, the state stays small and never claims more time than passed', () => {
    const instants = array(integer({ min: 0, max: 100_000 }), { minLength: 1, maxLength: 200 });
    assert(
      property(instants, (found) => {
        const sorted = found.toSorted((a, b) => a - b);
        const soak = soaked(...sorted);
        const passed = (sorted.at(-1) ?? 0) - (sorted[0] ?? 0);
        return soak.observedMs <= passed && soak.last.length <= 50 && soak.samples === found.length;
      }),
    );
  });
});
