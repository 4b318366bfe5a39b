/**
 * Goal: a migration never goes faster than it may, yields to a slow store, comes back, and never hangs.
 * Method: laws over generated senders and latencies in passed-in time; the edges of what is reported as cases.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  burstMs,
  evenBurstMs,
  slowestPerSecond,
  startPerSecond,
  Throttle,
  unlimited,
  type ThrottleLimits,
} from './throttle.ts';

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

  it('lets a run begin slowly, in small batches, and doubles it until an answer is late', () => {
    const throttle = new Throttle(limited({ targetP99Ms }), 0);
    expect(throttle.report(0).perSecondMax).toBe(startPerSecond);
    expect(throttle.batchKeysMax(125)).toBe((startPerSecond * evenBurstMs) / 1000);
    const before = run(throttle, 0, 3000, () => 10);
    const reached = throttle.report(before.nowMs).perSecondMax ?? 0;
    expect(reached).toBeGreaterThan(startPerSecond * 4);
    throttle.sample('target', 51, before.nowMs);
    const after = throttle.report(before.nowMs);
    expect(after.perSecondMax).toBeLessThan(reached * 0.71);
    expect(after.limitedBy).toBe('target-latency');
    const risen = run(throttle, before.nowMs, before.nowMs + 1000, () => 10);
    expect(throttle.report(risen.nowMs).perSecondMax).toBeLessThan((after.perSecondMax ?? 0) * 2);
  });

  it('is slowed down by late answers at the very start as by others, and goes on doubling', () => {
    const throttle = new Throttle(limited({ targetP99Ms }), 0);
    for (const atMs of [100, 200, 300]) throttle.sample('target', 200, atMs);
    const low = throttle.report(300).perSecondMax ?? 0;
    expect(low).toBeLessThan(startPerSecond * 0.35);
    const back = run(throttle, 300, 6000, () => 10);
    expect(throttle.report(back.nowMs).perSecondMax).toBeGreaterThan(startPerSecond * 4);
  });

  it('slows down once for answers that come late together', () => {
    const throttle = new Throttle(limited({ targetP99Ms }), 0);
    const { nowMs } = run(throttle, 0, 3000, () => 10);
    for (const latencyMs of [60, 70, 80]) throttle.sample('target', latencyMs, nowMs);
    const once = throttle.report(nowMs).perSecondMax;
    for (const latencyMs of [60, 70, 80]) throttle.sample('target', latencyMs, nowMs + 99);
    expect(throttle.report(nowMs + 99).perSecondMax).toBe(once);
    throttle.sample('target', 60, nowMs + 100);
    expect(throttle.report(nowMs + 100).perSecondMax).toBeLessThan(once ?? 0);
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

  it('law: answers in time make up for one late answer in a hundred, whatever the rate', () =>
    fc.assert(
      fc.property(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 11, max: 40 })), (perThousand) => {
        const throttle = new Throttle(limited({ targetP99Ms }), 0);
        run(throttle, 0, 3000, () => 10);
        throttle.sample('target', 60, 3000);
        const first = throttle.report(3000).perSecondMax ?? 0;
        let nowMs = 3000;
        for (let sample = 1; sample <= 1000; sample += 1) {
          nowMs += 5;
          while (throttle.take(10, nowMs) === 0); // whoever is not held back learns nothing
          const isLate = Math.floor((sample * perThousand) / 1000) > Math.floor(((sample - 1) * perThousand) / 1000);
          throttle.sample('target', isLate ? 60 : 10, nowMs);
        }
        const last = throttle.report(nowMs).perSecondMax ?? 0;
        expect(Math.sign(last - first)).toBe(perThousand < 10 ? 1 : -1);
      }),
    ));

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
        const asked = 2000; // batches of 10, each answered after 5 ms
        expect(throttle.report(back.nowMs).perSecondMax).toBeGreaterThanOrEqual(
          Math.min(ratePerSecond ?? asked, asked),
        );
      }),
      { numRuns: 20 },
    ));

  it('is no reason to go faster while nothing is held back', () => {
    const throttle = new Throttle(limited({ targetP99Ms }), 0);
    for (let nowMs = 0; nowMs < 10_000; nowMs += 100) {
      throttle.take(1, nowMs);
      throttle.sample('target', 10, nowMs);
    }
    expect(throttle.report(10_000)).toMatchObject({ limitedBy: 'nothing', perSecondMax: startPerSecond });
  });

  it('with another limit is looked for anew, from the rate that was reached', () => {
    const throttle = new Throttle(limited({ targetP99Ms }), 0);
    const slow = run(throttle, 0, 20_000, () => 200);
    throttle.adjust(limited({ targetP99Ms: 500 }), slow.nowMs);
    expect(throttle.report(slow.nowMs).perSecondMax).toBeLessThan(slowestPerSecond * 2);
    const back = run(throttle, slow.nowMs, slow.nowMs + 30_000, () => 200);
    expect(throttle.report(back.nowMs).perSecondMax).toBeGreaterThan(startPerSecond);
  });

  it('leaves the rate to the other side when only its own limit is taken away', () => {
    const throttle = new Throttle(limited({ targetP99Ms, sourceP99Ms: 100 }), 0);
    const { nowMs } = run(throttle, 0, 5000, () => 200);
    const slow = throttle.report(nowMs).perSecondMax;
    expect(slow).toBeLessThan(startPerSecond);
    throttle.adjust(limited({ sourceP99Ms: 100 }), nowMs);
    expect(throttle.report(nowMs).perSecondMax).toBe(slow);
    while (throttle.take(10, nowMs) === 0); // held back
    throttle.sample('source', 10, nowMs + 50);
    expect(throttle.report(nowMs + 50).perSecondMax).toBeGreaterThan(slow ?? 0);
  });

  it('is forgotten when its limit is taken away', () => {
    const throttle = new Throttle(limited({ targetP99Ms, ratePerSecond: 1000 }), 0);
    const { nowMs } = run(throttle, 0, 5000, () => 200);
    expect(throttle.report(nowMs).perSecondMax).toBeLessThan(1000);
    throttle.adjust(limited({ ratePerSecond: 1000 }), nowMs);
    expect(throttle.report(nowMs)).toMatchObject({ perSecondMax: 1000, p99Ms: { target: null } });
  });
});

describe('latency of the source', () => {
  it('is learnt from few pages as soon as from many batches', () => {
    const throttle = new Throttle(limited({ sourceP99Ms: 100 }), 0);
    const pageKeys = 1000;
    let nowMs = 0;
    for (let keys = 0; nowMs < 20_000; keys += 10) {
      if (keys % pageKeys === 0) throttle.sample('source', 10, nowMs);
      for (let waitMs = throttle.take(10, nowMs); waitMs > 0; waitMs = throttle.take(10, nowMs)) nowMs += waitMs;
      nowMs += 1; // it takes no more than 10,000 a second
    }
    expect(throttle.report(nowMs).perSecondMax).toBeGreaterThan(startPerSecond * 16);
  });
});

describe('what limits', () => {
  it('is the source where that is slow, and the rate where that is lower than what latency allows', () => {
    const throttle = new Throttle(limited({ sourceP99Ms: 20, ratePerSecond: 150 }), 0);
    throttle.take(1000, 0);
    throttle.take(1, 100);
    expect(throttle.report(100).limitedBy).toBe('rate');
    throttle.sample('source', 30, 2000);
    throttle.take(1000, 20_000);
    throttle.take(1, 20_001);
    expect(throttle.report(20_001)).toMatchObject({ limitedBy: 'source-latency', p99Ms: { source: 30 } });
  });

  it('is nothing, a while after somebody had to wait', () => {
    const throttle = new Throttle(limited({ ratePerSecond: 10 }), 0);
    throttle.take(10, 0);
    throttle.take(1, 0);
    expect(throttle.report(1999).limitedBy).toBe('rate');
    expect(throttle.report(2000).limitedBy).toBe('nothing');
  });
});
