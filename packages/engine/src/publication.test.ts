/**
 * Goal: a target that is written whole or not at all is published once all is put, and before anything is proven.
 * Method: the real engine on a memory store that is written once, with publications that fail and answers that get lost.
 */
import { isKeyferryError } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { failureOf, Stage } from '../testing/stage.ts';

const stageWith = (keys: number): Stage => {
  const stage = new Stage({ target: { writtenOnce: true } });
  stage.fillSourceWith(keys);
  return stage;
};

describe('a target that is written once', () => {
  it('is there when apply has ended, and not before', async () => {
    const stage = stageWith(35);
    const plan = await stage.plan();
    let before = 0;
    const applied = await stage.apply(plan, {
      during: ({ code }) => {
        if (code === 'chunk.done') before += Number(stage.target.wasPublished());
      },
    });
    expect(applied).toMatchObject({ outcome: 'done', counts: { written: 35 } });
    expect(before).toBe(0);
    expect(stage.target.wasPublished()).toBe(true);
    expect((await stage.verifyApplied()).deviations).toEqual([]);
  });

  it.each(['before', 'after'] as const)('is published although a request was lost %s its effect', async (moment) => {
    const stage = stageWith(5);
    const plan = await stage.plan();
    stage.target.failNext('publish', moment);
    expect(await stage.apply(plan)).toMatchObject({ outcome: 'done' });
    expect(stage.target.wasPublished()).toBe(true);
  });

  it('is published by the next apply when the first one was stopped before it, and verify says that it was not', async () => {
    const stage = stageWith(35);
    const plan = await stage.plan();
    const stopped = await failureOf(
      stage.apply(plan, { during: ({ code }, interrupt) => void (code === 'chunk.done' && interrupt()) }),
    );
    expect(isKeyferryError(stopped, 'run.interrupted')).toBe(true);
    expect(stage.target.wasPublished()).toBe(false);
    const { deviations } = await stage.verifyApplied();
    expect(deviations).toContainEqual(expect.stringContaining('was not published'));
    expect(await stage.apply(plan)).toMatchObject({ outcome: 'done', resumed: true, counts: { written: 35 } });
    expect(stage.target.wasPublished()).toBe(true);
  });
});
