/**
 * Goal: a replication that a function carries on each minute loses no change between two invocations, whoever of them is
 * killed or called at once, and gives way to whoever comes to cut over (SPEC R69).
 * Method: the real engine on memory stores in virtual time (testing/stage.ts); the application writes between invocations
 * and within them.
 */
import { keyFromText } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { dieAt, following, replicate } from '../../testing/following.ts';
import { bytes, Stage } from '../../testing/stage.ts';

const minuteMs = 60_000;

describe('a function that follows', () => {
  it('carries what changed since the last one, and ends', async () => {
    const { stage, put, remove } = await following();
    put('a', 'newer');
    remove('b');
    put('d', '4');
    expect(await stage.tailSlice()).toMatchObject({
      outcome: 'done',
      tail: 'forward',
      carried: { puts: 2, deletes: 1 },
      refusedTotal: 0,
    });
    expect(stage.targetValues()).toEqual({ a: 'newer', c: '3', d: '4' });
    expect(await stage.tailSlice()).toMatchObject({ outcome: 'done', carried: { puts: 0, deletes: 0 } });
    expect((await stage.status()).lock).toBeNull();
  });

  it('is no more than its schedule behind, minute after minute', async () => {
    const { stage, put } = await following();
    for (let minute = 0; minute < 5; minute += 1) {
      const startedAtMs = stage.kernel.nowMs;
      for (let i = 0; i < 20; i += 1) put(`m${minute}-${i}`, 'x');
      expect(await stage.tailSlice()).toMatchObject({ outcome: 'done', carried: { puts: 20 } });
      expect(stage.targetValues()).toEqual(stage.sourceValues());
      await stage.kernel.run(() => stage.kernel.sleep(minuteMs - (stage.kernel.nowMs - startedAtMs)));
    }
  });

  it('that was killed is followed by one that goes on, and none is lost', async () => {
    const { stage, put, remove } = await following();
    for (let i = 0; i < 50; i += 1) put(`k${i}`, 'first');
    await expect(stage.tailSlice(dieAt('tail.progress'))).rejects.toThrow('killed');
    remove('k7');
    put('k8', 'second');
    await stage.kernel.run(() => stage.kernel.sleep(minuteMs));
    expect(await stage.tailSlice()).toMatchObject({ outcome: 'done', tail: 'forward' });
    expect(stage.targetValues()).toEqual(stage.sourceValues());
  });

  it('leaves it to the one that has it already', async () => {
    const { stage, put } = await following();
    put('a', 'newer');
    const [one, two] = await stage.kernel.run(() => Promise.all([stage.startTailSlice({}), stage.startTailSlice({})]));
    expect([one.outcome, two.outcome].toSorted()).toEqual(['done', 'waiting']);
    expect(stage.targetValues()).toMatchObject({ a: 'newer' });
  });

  it('compares both sides where the position was lost, and says so', async () => {
    const { stage, put } = await following();
    put('a', 'newer');
    stage.source.compact();
    expect(await stage.tailSlice()).toMatchObject({ outcome: 'done', carried: { reconciled: 1 } });
    expect(stage.targetValues()).toEqual({ a: 'newer', b: '2', c: '3' });
  });

  it('deletes no more than the plan allows where the position was lost, and leaves that to a person', async () => {
    const { stage, remove } = await following();
    remove('b');
    stage.source.compact();
    const stopped = await stage.tailSlice();
    expect(stopped.outcome).toBe('stopped');
    expect(stopped.why).toContain('would delete 1 of 3 keys');
    expect(stage.targetValues()).toMatchObject({ b: '2' });
  });

  it('does nothing before apply has copied and proven, and after a pause', async () => {
    const stage = new Stage({ spec: { strategy: 'replicate', replicate } });
    stage.fillSource({ a: '1' });
    expect(await stage.tailSlice()).toMatchObject({ outcome: 'idle', why: 'no plan was applied yet' });
    const plan = await stage.plan();
    await stage.replicate(plan);
    await stage.kernel.run(() => stage.request({ kind: 'pause' }));
    expect(await stage.tailSlice()).toMatchObject({ outcome: 'stopped', why: 'paused by ada@one' });
    await stage.kernel.run(() => stage.request({ kind: 'resume' }));
    expect(await stage.tailSlice()).toMatchObject({ outcome: 'done' });
  });

  it('refuses a feed whose image lies on one machine, and a target that fences nobody off', async () => {
    const { stage } = await following();
    const { feed } = stage.source;
    const imageOnly = Object.assign(Object.create(stage.source) as typeof stage.source, {
      feed: Object.assign(Object.create(feed) as typeof feed, {
        capabilities: { ...feed.capabilities, kind: 'state' },
      }),
    });
    const refused = await stage.tailSlice({ source: imageOnly });
    expect(refused).toMatchObject({ outcome: 'stopped', tail: null });
    expect(refused.why).toContain('which lies on one machine');
    expect(refused.why).toContain('apply --follow');
    const plain = stage.target;
    const unfenced = Object.assign(Object.create(plain) as typeof plain, {
      tail: (...args: Parameters<typeof plain.tail>) => {
        const control = plain.tail(...args);
        return Object.assign(Object.create(control) as typeof control, {
          capabilities: { ...control.capabilities, fencing: false },
        });
      },
    });
    expect((await stage.tailSlice({ target: unfenced })).why).toContain('cannot refuse what a function');
  });

  it('carries the other way after a cutover, so that going back loses nothing', async () => {
    const { stage, put } = await following();
    put('a', 'newer');
    await stage.tailSlice();
    await stage.cutOver();
    stage.target.put(keyFromText('dst/e'), bytes('5'), null);
    expect(await stage.tailSlice()).toMatchObject({ outcome: 'done', tail: 'reverse', carried: { puts: 1 } });
    expect(stage.sourceValues()).toMatchObject({ a: 'newer', e: '5' });
    await stage.rollBackReplicate();
    expect(stage.sourceValues()).toMatchObject({ a: 'newer', e: '5' });
    expect(await stage.tailSlice()).toMatchObject({ outcome: 'idle' });
  });
});
