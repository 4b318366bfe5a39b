/**
 * Goal: what is asked of a run from outside reaches it, and holds: a paused run writes nothing more, a cancelled one
 * never goes on, another rate counts from the next look on; and nobody asked, nothing changes.
 * Method: the real apply on memory stores in virtual time, slow enough to be met half-way by requests through the state.
 */
import { unlimited, type Message } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { failureOf, Stage, type RunHooks } from '../testing/stage.ts';
import type { ControlRequest } from './run-control.ts';
import { lookEveryMs } from './run-watch.ts';

const count = 40;

/** About ten seconds of copying: many looks of the run at its control. */
async function slowRun(ratePerSecond = 4) {
  const stage = new Stage({
    spec: { workers: 2, runLimits: { ...unlimited, ratePerSecond, deadLettersMax: 0, functions: 1 } },
  });
  stage.fillSourceWith(count);
  const plan = await stage.plan();
  const written = (): number => Object.keys(stage.targetValues()).length;
  return { stage, plan, written };
}

/** Asks once, as soon as so many records are dealt with. */
function asking(stage: Stage, request: ControlRequest, after = 5): RunHooks {
  let asked = false;
  return {
    during: (message: Message) => {
      if (asked || message.code !== 'backfill.progress' || message.data.counts.written < after) return;
      asked = true;
      void stage.request(request);
    },
  };
}

describe('a pause', () => {
  it('stops the run at a checkpoint, and nothing is written until it is resumed', async () => {
    const { stage, plan, written } = await slowRun();
    const error = await failureOf(stage.apply(plan, asking(stage, { kind: 'pause' })));
    expect(error).toMatchObject({ code: 'run.stopped', details: { why: 'paused by ada@one' } });
    const stopped = written();
    expect(stopped).toBeGreaterThanOrEqual(5);
    expect(stopped).toBeLessThan(5 + 4 * ((lookEveryMs / 1000) * 2));
    // Exactly what was written is counted: the checkpoint is behind the last batch.
    expect(await stage.status()).toMatchObject({
      phase: 'applying',
      lock: null,
      counts: { written: stopped },
      step: { next: 'keyferry runs resume shop' },
    });

    expect(await failureOf(stage.apply(plan))).toMatchObject({ code: 'run.paused', details: { by: 'ada@one' } });
    expect(await failureOf(stage.retryLetters())).toMatchObject({ code: 'run.paused' });
    expect(written()).toBe(stopped);

    expect(await stage.run(() => stage.request({ kind: 'resume' }))).toMatchObject({
      changed: true,
      step: { next: 'keyferry apply shop.kfplan' },
    });
    expect(await stage.apply(plan)).toMatchObject({ outcome: 'done', resumed: true, counts: { written: count } });
  });

  it('that nobody asked for stops nothing', async () => {
    const { stage, plan } = await slowRun();
    expect(await stage.apply(plan)).toMatchObject({ outcome: 'done', resumed: false, counts: { written: count } });
  });

  it('that is taken back before the run looked stops nothing', async () => {
    const { stage, plan } = await slowRun();
    const during = (message: Message): void => {
      if (message.code !== 'backfill.progress' || message.data.counts.written !== 5) return;
      void stage.request({ kind: 'pause' }).then(() => stage.request({ kind: 'resume' }));
    };
    expect(await stage.apply(plan, { during })).toMatchObject({ outcome: 'done', counts: { written: count } });
  });

  it('is refused before anything was applied, and after everything was taken back', async () => {
    const { stage, plan } = await slowRun();
    const pause = () => failureOf(stage.run(() => stage.request({ kind: 'pause' })));
    expect(await pause()).toMatchObject({ code: 'phase.not-allowed', details: { phase: 'new' } });
    await failureOf(stage.apply(plan, { chunksMax: 1 }));
    await stage.rollBack();
    expect(await pause()).toMatchObject({ code: 'phase.not-allowed', details: { phase: 'rolled-back' } });
  });

  it('leaves the way back open, and no later attempt pauses for it', async () => {
    const { stage, plan, written } = await slowRun();
    await failureOf(stage.apply(plan, asking(stage, { kind: 'pause' })));
    await stage.rollBack();
    expect(written()).toBe(0);
    expect(await stage.apply(await stage.plan())).toMatchObject({ outcome: 'done', attempt: 2 });
  });

  it('is told as it was asked for first, and kept among the events', async () => {
    const { stage, plan } = await slowRun();
    await failureOf(stage.apply(plan, { chunksMax: 1 }));
    await stage.run(() => stage.request({ kind: 'pause' }, 'ada@one'));
    expect(await stage.run(() => stage.request({ kind: 'pause' }, 'bob@two'))).toMatchObject({
      changed: false,
      control: { paused: { by: 'ada@one' } },
    });
    const { entries } = await stage.state.list('event', 'shop', { after: null, itemsMax: 10 });
    const asked = entries.filter(({ item }) => item.type.startsWith('run.'));
    expect(asked.map(({ item }) => item.message)).toEqual(['shop was paused by ada@one']);
  });
});

describe('a cancel', () => {
  it('ends the run, and the attempt never goes on', async () => {
    const { stage, plan, written } = await slowRun();
    const cancelled = { code: 'run.cancelled', details: { by: 'ada@one' } };
    expect(await failureOf(stage.apply(plan, asking(stage, { kind: 'cancel' })))).toMatchObject(cancelled);
    const stopped = written();
    expect(await failureOf(stage.apply(plan))).toMatchObject(cancelled);
    for (const kind of ['pause', 'resume'] as const) {
      expect(await failureOf(stage.run(() => stage.request({ kind })))).toMatchObject(cancelled);
    }
    expect(written()).toBe(stopped);
    expect((await stage.status()).step).toEqual({
      next: 'keyferry plan shop --out shop.kfplan',
      wayBack: 'keyferry rollback shop',
    });
  });

  it('lets a new plan begin a new attempt, and rollback then takes back what both wrote', async () => {
    const { stage, plan, written } = await slowRun();
    await failureOf(stage.apply(plan, asking(stage, { kind: 'cancel' })));
    const stopped = written();
    const again = await stage.apply(await stage.plan());
    expect(again).toMatchObject({ outcome: 'done', attempt: 2, counts: { equal: stopped, written: count - stopped } });
    expect(await stage.rollBack()).toMatchObject({ written: count, counts: { removed: count }, left: 0 });
    expect(written()).toBe(0);
  });

  it('that nobody asked for leaves an attempt that another plan cannot take the place of', async () => {
    const { stage, plan } = await slowRun();
    await failureOf(stage.apply(plan, { chunksMax: 1 }));
    expect(await failureOf(stage.apply(await stage.plan()))).toMatchObject({ code: 'plan.other-in-progress' });
  });
});

describe('another throttle', () => {
  it('counts for the run under way, faster and slower', async () => {
    const timeWith = async (override: { readonly ratePerSecond: number } | null): Promise<number> => {
      const { stage, plan } = await slowRun();
      const startedAtMs = stage.kernel.nowMs;
      const hooks = override === null ? {} : asking(stage, { kind: 'throttle', override }, 1);
      expect(await stage.apply(plan, hooks)).toMatchObject({ outcome: 'done', counts: { written: count } });
      return stage.kernel.nowMs - startedAtMs;
    };
    const asConfigured = await timeWith(null);
    expect(await timeWith({ ratePerSecond: 40 })).toBeLessThan(asConfigured / 2);
    expect(await timeWith({ ratePerSecond: 1 })).toBeGreaterThan(asConfigured * 2);
  });

  it('is told by the run, holds for the next run of the attempt, and is taken back', async () => {
    const { stage, plan } = await slowRun();
    await failureOf(stage.apply(plan, { chunksMax: 1 }));
    await stage.run(() => stage.request({ kind: 'throttle', override: { targetP99Ms: 50 } }));
    await failureOf(stage.apply(plan, { chunksMax: 1 }));
    expect(stage.messages).toContainEqual({
      code: 'run.throttled',
      data: { by: 'ada@one', limits: { ratePerSecond: 4, targetP99Ms: 50, sourceP99Ms: null } },
    });
    await stage.apply(plan, asking(stage, { kind: 'throttle', override: null }, 21));
    expect(stage.messages).toContainEqual({
      code: 'run.unthrottled',
      data: { limits: { ratePerSecond: 4, targetP99Ms: null, sourceP99Ms: null } },
    });
  });
});

describe('a number of chunks', () => {
  it('is what a run takes on before it stops on purpose; the next one goes on', async () => {
    const { stage, plan, written } = await slowRun(1000);
    expect(await failureOf(stage.apply(plan, { chunksMax: 3 }))).toMatchObject({
      code: 'run.stopped',
      details: { why: 'after 3 chunks; 3 of 4 are done', next: 'keyferry apply shop.kfplan' },
    });
    expect(written()).toBe(30);
    expect(await stage.status()).toMatchObject({ phase: 'applying', chunksDone: 3, lock: null });
    // As many as are left: there is nothing to stop for.
    expect(await stage.apply(plan, { chunksMax: 1 })).toMatchObject({ outcome: 'done', counts: { written: count } });
  });
});
