/**
 * Goal: a migration never goes faster than it may, yields to a slow store, comes back, and never hangs.
 * Method: laws over generated senders and latencies in passed-in time; the edges of what is reported as cases.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { burstMs, slowestPerSecond, Throttle, unlimited, type ThrottleLimits } from './throttle.ts';

const limited = (limits: Partial<ThrottleLimits>): ThrottleLimits => ({ ...unlimited, ...limits });

/** Sends batches of the sizes given, each as soon as it may go and the sender is awake. */
function send(throttle: Throttle, batches: readonly { readonly keys: number; readonly idleMs: number }[]) {
  const sent: { readonly atMs: number; readonly keys: number }[] = [];
  let nowMs = 0;
  for (const { keys, idleMs } of batches) {
    nowMs += idleMs;
    for (let waitMs = throttle.take(keys, nowMs); waitMs > 0; waitMs = throttle.take(keys, nowMs)) nowMs += waitMs;
    sent.push({ atMs: nowMs, keys });
  }
  return sent;
}

const hundredOf = (keys: number) => Array.from({ length: 100 }, () => ({ keys, idleMs: 0 }));

/** Asks for batches of 10 and has each answered after `latencyMs` of what goes through, until `untilMs`. */
function run(throttle: Throttle, fromMs: number, untilMs: number, latencyMs: (perSecond: number) => number) {
  let nowMs = fromMs;
  let keys = 0;
  while (nowMs < untilMs) {
    const waitMs = throttle.take(10, nowMs);
    if (waitMs > 0) {
      nowMs += waitMs;
      continue;
    }
    keys += 10;
    nowMs += 5;
    throttle.sample('target', latencyMs(throttle.report(nowMs).perSecondMax ?? Infinity), nowMs);
  }
  return { nowMs, perSecond: (keys * 1000) / (nowMs - fromMs) };
}

const anyBatches = fc.array(
  fc.record({ keys: fc.integer({ min: 1, max: 500 }), idleMs: fc.oneof(fc.constant(0), fc.nat(5000)) }),
  { minLength: 1, maxLength: 60 },
);

describe('a rate', () => {
  it('law: is exceeded over no time by more than its burst and one batch', () =>
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5000 }), anyBatches, (ratePerSecond, batches) => {
        const sent = send(new Throttle(limited({ ratePerSecond }), 0), batches);
        for (const [i, first] of sent.entries()) {
          let keys = 0;
          for (const { atMs, keys: more } of sent.slice(i)) {
            const allowed = (ratePerSecond * (atMs - first.atMs + burstMs)) / 1000;
            expect(keys).toBeLessThanOrEqual(allowed + 1e-6); // before the last batch, which goes as a whole
            keys += more;
          }
        }
      }),
    ));

  it('law: is reached by whoever always has something to send', () =>
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: 200 }), (ratePerSecond, keys) => {
        const sent = send(new Throttle(limited({ ratePerSecond }), 0), hundredOf(keys));
        const lastMs = sent.at(-1)?.atMs ?? 0;
        // A wait is a whole number of milliseconds: at most one is lost with each batch.
        expect(lastMs).toBeLessThanOrEqual((99 * keys * 1000) / ratePerSecond + 100);
      }),
    ));

  it('does not hold back what there is no limit for', () => {
    const sent = send(new Throttle(unlimited, 0), hundredOf(1000));
    expect(sent.at(-1)?.atMs).toBe(0);
  });

  it('that is raised lets the next batch go at the new one, and one that is lowered makes it wait', () => {
    const throttle = new Throttle(limited({ ratePerSecond: 10 }), 0);
    throttle.take(10, 0);
    expect(throttle.take(1, 0)).toBe(1000);
    throttle.adjust(limited({ ratePerSecond: 1000 }), 0);
    expect(throttle.take(1, 0)).toBe(10);
    throttle.adjust(limited({ ratePerSecond: 1 }), 0);
    expect(throttle.take(1, 0)).toBe(10_000);
    throttle.adjust(unlimited, 0);
    expect(throttle.take(1, 0)).toBe(0);
  });

  it('keeps batches to what the burst holds', () => {
    const sizes = [null, 1000, 80, 0.5].map((ratePerSecond) =>
      new Throttle(limited({ ratePerSecond }), 0).batchKeysMax(125),
    );
    expect(sizes).toEqual([125, 125, 20, 1]);
  });
});

describe('latency of the target', () => {
  const targetP99Ms = 50;

  it('over its limit slows down by a share of what went through, and says so', () => {
    const throttle = new Throttle(limited({ targetP99Ms }), 0);
    const before = run(throttle, 0, 490, () => 10);
    expect(throttle.report(before.nowMs)).toMatchObject({ limitedBy: 'nothing', perSecondMax: null });
    const after = run(throttle, before.nowMs, 900, () => 80);
    const { perSecondMax, limitedBy, p99Ms } = throttle.report(after.nowMs);
    expect(perSecondMax).toBeLessThan(before.perSecond * 0.75);
    expect({ limitedBy, p99Ms }).toEqual({ limitedBy: 'target-latency', p99Ms: { target: 80, source: null } });
  });

  it('settles near the rate at which the target is as fast as it should be', () => {
    const throttle = new Throttle(limited({ targetP99Ms }), 0);
    // A target that takes 600 keys a second well and more badly.
    const knee = (perSecond: number): number => (perSecond > 600 ? 100 : 20);
    const settling = run(throttle, 0, 20_000, knee);
    const { perSecond } = run(throttle, settling.nowMs, 80_000, knee);
    expect(perSecond).toBeGreaterThan(300);
    expect(perSecond).toBeLessThan(800);
  });

  it('law: however slow the target, keys still go, and not faster than the slowest rate for long', () =>
    fc.assert(
      fc.property(fc.integer({ min: 51, max: 100_000 }), fc.constantFrom(null, 5, 2000), (latencyMs, ratePerSecond) => {
        const throttle = new Throttle(limited({ targetP99Ms, ratePerSecond }), 0);
        const settling = run(throttle, 0, 60_000, () => latencyMs);
        const { perSecond } = run(throttle, settling.nowMs, 120_000, () => latencyMs);
        const slowest = Math.min(slowestPerSecond, ratePerSecond ?? Infinity);
        expect(perSecond).toBeGreaterThan(slowest * 0.8);
        expect(perSecond).toBeLessThan(slowest * 1.2);
      }),
      { numRuns: 20 },
    ));

  it('law: once the target is fast again, the run comes back to the rate it may have', () =>
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60_000 }), fc.constantFrom(null, 500), (slowForMs, ratePerSecond) => {
        const throttle = new Throttle(limited({ targetP99Ms, ratePerSecond }), 0);
        const slow = run(throttle, 0, slowForMs, () => 200);
        const back = run(throttle, slow.nowMs, slow.nowMs + 300_000, () => 10);
        expect(throttle.report(back.nowMs).perSecondMax).toBe(ratePerSecond);
      }),
      { numRuns: 20 },
    ));

  it('falls by a share and rises in even steps', () => {
    const throttle = new Throttle(limited({ targetP99Ms }), 0);
    throttle.take(2000, 0);
    const rates = [200, 10, 10, 10, 10].map((latencyMs, i) => {
      const closesAtMs = (i + 1) * 2000;
      throttle.sample('target', latencyMs, closesAtMs);
      return throttle.report(closesAtMs).perSecondMax;
    });
    expect(rates).toEqual([700, 750, 800, 850, 900]);
  });

  it('is forgotten when its limit is taken away', () => {
    const throttle = new Throttle(limited({ targetP99Ms, ratePerSecond: 1000 }), 0);
    const { nowMs } = run(throttle, 0, 5000, () => 200);
    expect(throttle.report(nowMs).perSecondMax).toBeLessThan(1000);
    throttle.adjust(limited({ ratePerSecond: 1000 }), nowMs);
    expect(throttle.report(nowMs)).toMatchObject({ perSecondMax: 1000, p99Ms: { target: null } });
  });
});

describe('what limits', () => {
  it('is the source where that is slow, and the rate where that is lower than what latency allows', () => {
    const throttle = new Throttle(limited({ sourceP99Ms: 20, ratePerSecond: 1000 }), 0);
    throttle.take(1000, 0);
    throttle.take(1, 100);
    expect(throttle.report(100).limitedBy).toBe('rate');
    throttle.sample('source', 30, 2000);
    throttle.take(1000, 2000);
    throttle.take(1, 2001);
    expect(throttle.report(2001)).toMatchObject({ limitedBy: 'source-latency', p99Ms: { source: 30 } });
  });

  it('is nothing, a while after somebody had to wait', () => {
    const throttle = new Throttle(limited({ ratePerSecond: 10 }), 0);
    throttle.take(10, 0);
    throttle.take(1, 0);
    expect(throttle.report(1999).limitedBy).toBe('rate');
    expect(throttle.report(2000).limitedBy).toBe('nothing');
  });
});
