/**
 * Goal: a slice stops early enough for what is under way, and late enough to be worth its time.
 * Method: deadlines in virtual time, with requests of every slowness.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Stage } from '../../testing/stage.ts';
import { Deadline } from './deadline.ts';

/** When a deadline of so many milliseconds stops, if its slowest request takes so long. */
async function stopsAfterMs(remainingMs: number, slowestMs: number): Promise<number> {
  const stage = new Stage();
  return await stage.run(async ({ clock }) => {
    const fromMs = clock.monotonicMs();
    const deadline = new Deadline(clock, remainingMs);
    deadline.observe(slowestMs);
    await new Promise<void>((resolve) => {
      if (deadline.hasPassed) resolve();
      else deadline.signal.addEventListener('abort', () => resolve());
    });
    await deadline.close();
    return clock.monotonicMs() - fromMs;
  });
}

describe('a deadline', () => {
  it.each([
    { remainingMs: 60_000, slowestMs: 100, from: 57_000, to: 58_000 },
    { remainingMs: 20_000, slowestMs: 100, from: 18_500, to: 19_100 },
    { remainingMs: 900_000, slowestMs: 500, from: 896_000, to: 897_100 },
    { remainingMs: 2000, slowestMs: 100, from: 1400, to: 1600 },
  ])('of $remainingMs ms is used to more than nine tenths, but for short ones', async (each) => {
    const { remainingMs, slowestMs, from, to } = each;
    const stoppedMs = await stopsAfterMs(remainingMs, slowestMs);
    expect(stoppedMs).toBeGreaterThan(from);
    expect(stoppedMs).toBeLessThan(to);
  });

  it('law: what is left when it stops is twice the slowest request, or it stops at once', () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 100, max: 30_000 }),
        fc.integer({ min: 0, max: 20_000 }),
        async (left, slowest) => {
          const stoppedMs = await stopsAfterMs(left, slowest);
          return stoppedMs <= 260 || left - stoppedMs >= 2 * slowest - 10;
        },
      ),
      { numRuns: 30 },
    ));

  it('does not wait for work that takes longer, and hands out what came before it', async () => {
    const stage = new Stage();
    await stage.run(async ({ clock }) => {
      const deadline = new Deadline(clock, 5000);
      expect(await deadline.before(clock.sleep(100).then(() => 'came'))).toBe('came');
      expect(await deadline.before(clock.sleep(60_000).then(() => 'late'))).toBeNull();
      expect(await deadline.before(Promise.resolve('late'))).toBeNull();
      await deadline.close();
    });
  });
});
