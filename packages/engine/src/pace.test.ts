/**
 * Goal: a throttle holds all workers of a run together to its limits, and costs it nothing else: no lease, no lock, no
 * late stop. Method: the real apply on memory stores, in virtual time, which the throttle alone makes pass.
 */
import { unlimited, type Message } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { failureOf, Stage } from '../testing/stage.ts';
import { Pace } from './pace.ts';

const limits = (ratePerSecond: number) => ({ ...unlimited, ratePerSecond, deadLettersMax: 0, functions: 1 });

async function planned(count: number, workers: number, ratePerSecond: number) {
  const stage = new Stage({ spec: { workers, runLimits: limits(ratePerSecond) } });
  stage.fillSourceWith(count);
  const plan = await stage.plan();
  const startedAtMs = stage.kernel.nowMs;
  return { stage, plan, elapsedMs: () => stage.kernel.nowMs - startedAtMs };
}
const codesOf = (messages: readonly Message[]): readonly string[] => messages.map(({ code }) => code);

describe('a rate', () => {
  it.each([1, 4])('holds %i workers together to it', async (workers) => {
    const { stage, plan, elapsedMs } = await planned(200, workers, 20);
    expect(await stage.apply(plan)).toMatchObject({ outcome: 'done', counts: { written: 200 } });
    expect(elapsedMs()).toBeGreaterThanOrEqual(9_500);
    expect(elapsedMs()).toBeLessThan(12_000);
  });

  it('that makes a worker wait for longer than its lease breaks neither lease nor lock', async () => {
    const { stage, plan, elapsedMs } = await planned(12, 2, 0.02);
    expect(await stage.apply(plan)).toMatchObject({ outcome: 'done', counts: { written: 12 } });
    expect(elapsedMs()).toBeGreaterThan(500_000);
    expect(codesOf(stage.messages)).not.toContain('chunk.lost');
  });

  it('ends its wait at once on an interrupt, and writes nothing more', async () => {
    const { stage, plan, elapsedMs } = await planned(10, 1, 0.01);
    const during = (message: Message, interrupt: () => void): void => {
      if (message.code === 'backfill.progress') interrupt();
    };
    expect(await failureOf(stage.apply(plan, { during }))).toMatchObject({ code: 'run.interrupted' });
    expect(elapsedMs()).toBeLessThan(5000);
    expect(Object.keys(stage.targetValues())).toHaveLength(1);
  });

  it('says how far the run is while it waits, and what it waits for', async () => {
    const { stage, plan } = await planned(30, 1, 2);
    await stage.apply(plan);
    const paces = stage.messages.flatMap((message) => (message.code === 'backfill.progress' ? [message.data] : []));
    expect(paces.map(({ counts }) => counts.written)).toEqual(Array.from({ length: 30 }, (_, i) => i + 1));
    expect(paces.filter(({ pace }) => pace.limitedBy === 'rate').length).toBeGreaterThan(20);
  });

  it('does not let a record be written that ended while its worker waited', async () => {
    const stage = new Stage({ spec: { workers: 1, runLimits: limits(1) } });
    stage.fillSource({ a: '1', b: '2', c: '3', d: '4' });
    const { nowMs } = stage.kernel;
    stage.source.put('src/z' as never, new Uint8Array([1]), nowMs + 2500);
    const plan = await stage.plan();
    expect(await stage.apply(plan)).toMatchObject({ counts: { written: 4, notCarried: 1 } });
    expect(Object.keys(stage.targetValues())).toEqual(['a', 'b', 'c', 'd']);
  });
});

describe('the latency of a call', () => {
  it('is that of its answer, good or bad', async () => {
    const stage = new Stage();
    await stage.run(async ({ clock }) => {
      const pace = new Pace(clock, { ...unlimited, targetP99Ms: 50 });
      const slow = (): Promise<void> => pace.timed('target', () => clock.sleep(3000));
      const failing = (): Promise<never> =>
        pace.timed('target', async () => {
          await clock.sleep(4000);
          throw new TypeError('no answer');
        });
      await slow();
      expect(pace.report()).toMatchObject({ perSecondMax: 140, p99Ms: { target: 3000 } });
      expect(await failureOf(failing())).toBeInstanceOf(TypeError);
      expect(pace.report()).toMatchObject({ p99Ms: { target: 4000 } });
    });
  });
});
