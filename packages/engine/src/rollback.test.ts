/**
 * Goal: a rollback that fails half-way can be run again, and one that has ended shuts out everything before it.
 * Method: faults planted in the target's next calls; a writer of the attempt that is held on to past the rollback.
 */
import { keyFromText, type ChunkId } from '@keyferry/core';
import { MemoryStateStore, MemoryStore } from '@keyferry/core/testing';
import { describe, expect, it } from 'vitest';
import { bytes, failureOf, rule, Stage } from '../testing/stage.ts';
import { readEvents } from './events.ts';
import { triesMax } from './retry.ts';

async function applied(): Promise<Stage> {
  const stage = new Stage();
  stage.fillSourceWith(25);
  stage.putTarget('own', 'x');
  await stage.apply(await stage.plan());
  return stage;
}

describe('a rollback', () => {
  it.each(['raiseEpoch', 'removeCreated', 'dropControl'] as const)(
    'that fails for good in %s ends well when it is run again',
    async (operation) => {
      const stage = await applied();
      for (let i = 0; i < triesMax; i += 1) stage.target.failNext(operation);
      expect(await failureOf(stage.rollBack())).toMatchObject({ code: 'store.unreachable' });
      expect(await stage.status()).toMatchObject({ phase: 'rolling-back', step: { next: 'keyferry rollback shop' } });
      await stage.rollBack();
      expect(stage.targetValues()).toEqual({ own: 'x' });
      expect((await stage.status()).phase).toBe('rolled-back');
    },
  );

  it('says how many keys it left, unless an earlier one was interrupted and may have removed more than it counted', async () => {
    const stage = await applied();
    for (let i = 0; i < triesMax; i += 1) stage.target.failNext('dropControl');
    await failureOf(stage.rollBack());
    expect(await stage.rollBack()).toMatchObject({ left: null });
    expect(await (await applied()).rollBack()).toMatchObject({ left: 0 });
  });

  it('keeps in the state how many it left', async () => {
    const stage = await applied();
    stage.putTarget('k0007', 'theirs');
    expect(await stage.rollBack()).toMatchObject({ left: 1 });
    expect((await stage.status()).state?.rolledBack).toMatchObject({ removed: 24, left: 1 });
    const events = await stage.run((engine) => readEvents(engine, stage.spec.migration, 10));
    expect(events.map(({ message }) => message)).toContain('rolled back: 24 removed, 0 put back, 1 left');
  });

  it('goes by what was written and not by what the configuration says today', async () => {
    const stage = await applied();
    const spec = { rule: { ...rule, targetPrefix: keyFromText('elsewhere/') } };
    expect(await stage.rollBack({ spec })).toMatchObject({ counts: { removed: 25 }, left: 0 });
    expect(stage.targetValues()).toEqual({ own: 'x' });
  });

  it('refuses a target that is another one, and can still be run on the right one', async () => {
    const stage = await applied();
    const target = new MemoryStore({ name: 'another cluster' });
    expect(await failureOf(stage.rollBack({ target }))).toMatchObject({ code: 'plan.mismatch' });
    expect(await stage.rollBack()).toMatchObject({ counts: { removed: 25 } });
  });

  it('undoes every attempt since the last rollback, under each of their prefixes', async () => {
    const stage = await applied();
    const spec = { rule: { ...rule, targetPrefix: keyFromText('second/') } };
    await stage.apply(await stage.plan({ spec }), { spec });
    expect(await stage.rollBack()).toMatchObject({ counts: { removed: 50 }, written: 50, left: 0 });
    expect(stage.target.snapshot().size).toBe(1);
  });

  it('after an attempt that its state never knew, which the plan told of, does not say of how many it removed', async () => {
    const stage = await applied();
    const state = new MemoryStateStore();
    stage.source.put(keyFromText('src/later'), bytes('x'));
    const plan = await stage.plan({ state });
    const detail = expect.stringContaining('the target holds attempt 1, this state knows none') as string;
    expect(plan.reader().plan.findings).toMatchObject([{ code: 'attempt.unknown', level: 'warning', detail }]);
    await stage.apply(plan, { state });
    expect((await stage.plan({ state })).reader().plan.findings).toEqual([]);
    expect(await stage.rollBack({ state })).toMatchObject({ counts: { removed: 26 }, written: null, left: null });
  });

  it('of an attempt that its state never knew and that was rolled back, knows of how many it removed', async () => {
    const stage = await applied();
    await stage.rollBack();
    const state = new MemoryStateStore();
    const plan = await stage.plan({ state });
    expect(plan.reader().plan.findings).toEqual([]);
    await stage.apply(plan, { state });
    expect(await stage.rollBack({ state })).toMatchObject({ counts: { removed: 25 }, written: 25, left: 0 });
  });

  it('changes nothing when a run with another state has applied since', async () => {
    const stage = await applied();
    const other = new MemoryStateStore();
    stage.source.put(keyFromText('src/later'), bytes('x'));
    await stage.apply(await stage.plan(), { state: other });
    expect(await failureOf(stage.rollBack())).toMatchObject({ code: 'epoch.lost' });
    expect((await stage.status()).phase).toBe('verified');
  });

  it('stops between two pages when it is told to, and goes on later', async () => {
    const stage = new Stage();
    stage.fillSourceWith(2500);
    await stage.apply(await stage.plan());
    const interrupted = stage.rollBack({
      during: ({ code }, interrupt) => {
        if (code === 'rollback.progress') interrupt();
      },
    });
    expect(await failureOf(interrupted)).toMatchObject({ code: 'run.interrupted' });
    expect(await stage.rollBack()).toMatchObject({ counts: { removed: 2500 } });
    expect(stage.targetValues()).toEqual({});
  });

  it('keeps an apply out until it has ended', async () => {
    const stage = new Stage();
    stage.fillSourceWith(5);
    const plan = await stage.plan();
    await stage.apply(plan);
    for (let i = 0; i < triesMax; i += 1) stage.target.failNext('removeCreated');
    await failureOf(stage.rollBack());
    expect(await failureOf(stage.apply(plan))).toMatchObject({ code: 'phase.not-allowed' });
  });

  it('shuts out a worker of the attempt that wakes up after it', async () => {
    const stage = await applied();
    const control = stage.target.control(stage.spec.migration);
    const chunk = 'c00000' as ChunkId;
    const claim = await control.claimChunk(chunk, { attempt: 1, token: 9 }, { attempt: 1, token: 1 });
    if (claim.kind !== 'claimed') throw new Error('the claim was to succeed');
    await stage.rollBack();
    const put = {
      kind: 'put',
      key: rule.targetPrefix,
      value: bytes('late'),
      expiresAtMs: null,
      expect: 'absent',
    } as const;
    expect(await failureOf(claim.writer.write([put]))).toMatchObject({ code: 'fence.lost' });
    expect(await control.claimChunk(chunk, { attempt: 1, token: 10 }, { attempt: 1, token: 1 })).toMatchObject({
      kind: 'refused',
    });
    expect(stage.targetValues()).toEqual({ own: 'x' });
  });

  it('needs no second one, and says so', async () => {
    const stage = await applied();
    await stage.rollBack();
    expect(await failureOf(stage.rollBack())).toMatchObject({ code: 'phase.not-allowed' });
  });
});
