/**
 * Goal: a function that the log of a store calls acknowledges what is carried, and nothing else; what it carries, and from
 * where, is no matter of what it was called with (SPEC R140 to R142).
 * Method: the real engine on memory stores in virtual time (testing/stage.ts); calls beside each other, and beside people.
 * Whole courses under faults, in which nobody calls but the log, are in testing/sim/woken-tail.sim.test.ts.
 */
import { keyFromText, type FeedNotice } from '@keyferry/core';
import { MemoryStore } from '@keyferry/core/testing';
import { describe, expect, it } from 'vitest';
import { crashAt, following, replicate } from '../../testing/following.ts';
import { bytes, Stage } from '../../testing/stage.ts';
import type { Engine } from '../migration.ts';
import { withSession, type RunOptions } from '../session.ts';

/** What the log of a store tells of `work`. */
function noticesOf(store: MemoryStore, work: () => void): readonly FeedNotice[] {
  const before = store.revision();
  work();
  return store.feed.noticesAfter(before);
}

const forwardRecord = (stage: Stage) => stage.target.tail(stage.spec.migration).readTail('forward');

describe('a function that a log calls', () => {
  it('carries from the stored position, whatever the notices tell of, and acknowledges them', async () => {
    const { stage, put, remove } = await following();
    const notices = noticesOf(stage.source, () => {
      put('a', 'newer');
      remove('b');
      put('d', '4');
    });
    // The last alone: those before it were lost on the way.
    const slice = await stage.wokenTailSlice(notices.slice(-1));
    expect(slice).toMatchObject({ outcome: 'done', tail: 'forward', carried: { puts: 2, deletes: 1 }, left: [] });
    expect(stage.targetValues()).toEqual({ a: 'newer', c: '3', d: '4' });
  });

  it('acknowledges at once what came twice, late or out of order, and claims nothing for it', async () => {
    const { stage, put } = await following();
    const notices = noticesOf(stage.source, () => ['1', '2', '3'].forEach((value) => put('a', value)));
    await stage.wokenTailSlice(notices);
    const claimed = await forwardRecord(stage);
    for (const again of [notices, notices.toReversed(), notices.slice(0, 1)]) {
      expect(await stage.wokenTailSlice(again)).toMatchObject({ outcome: 'done', tail: null, left: [] });
    }
    expect(await forwardRecord(stage)).toEqual(claimed);
  });

  it('leaves what another one has not carried yet, and acknowledges it once it has', async () => {
    const { stage, put } = await following();
    const notices = noticesOf(stage.source, () => put('a', 'newer'));
    const hold = (engine: Engine, options: RunOptions) =>
      withSession(engine, stage.spec, options, () => engine.clock.sleep(30_000));
    const [, slice] = await stage.kernel.run(() =>
      Promise.all([stage.startAs(hold), stage.startWokenTailSlice(notices)]),
    );
    expect(slice).toMatchObject({ outcome: 'waiting', left: notices });
    expect(await stage.wokenTailSlice(notices)).toMatchObject({ outcome: 'done', left: [] });
    expect(stage.targetValues()).toMatchObject({ a: 'newer' });
  });

  it('of two at once carries in one, and leaves nothing that the other one carried', async () => {
    const { stage, put } = await following();
    const notices = noticesOf(stage.source, () => put('a', 'newer'));
    const call = () => stage.startWokenTailSlice(notices);
    const slices = await stage.kernel.run(() => Promise.all([call(), call()]));
    expect(slices.map(({ outcome }) => outcome).toSorted()).toEqual(['done', 'waiting']);
    expect(slices.map(({ left }) => left)).toEqual([[], []]);
    expect(stage.targetValues()).toMatchObject({ a: 'newer' });
  });

  it('leaves what its time did not suffice for', async () => {
    const { stage, put } = await following();
    const notices = noticesOf(stage.source, () => put('a', 'newer'));
    expect(await stage.wokenTailSlice(notices, {}, 1)).toMatchObject({ outcome: 'more', left: notices });
    expect(await stage.wokenTailSlice(notices)).toMatchObject({ outcome: 'done', left: [] });
  });

  it('leaves everything while somebody has paused it, and is in no hurry to say so', async () => {
    const { stage, put } = await following();
    const notices = noticesOf(stage.source, () => put('a', 'newer'));
    await stage.kernel.run(() => stage.request({ kind: 'pause' }));
    const calledAtMs = stage.kernel.nowMs;
    expect(await stage.wokenTailSlice(notices)).toMatchObject({ outcome: 'stopped', left: notices });
    expect(stage.kernel.nowMs - calledAtMs).toBeGreaterThanOrEqual(10_000);
    await stage.kernel.run(() => stage.request({ kind: 'resume' }));
    expect(await stage.wokenTailSlice(notices)).toMatchObject({ outcome: 'done', left: [] });
    expect(stage.targetValues()).toMatchObject({ a: 'newer' });
  });

  it('fails where a store is out of reach, so that all of it comes again', async () => {
    const { stage, put } = await following();
    const notices = noticesOf(stage.source, () => put('a', 'newer'));
    for (let i = 0; i < 50; i += 1) stage.source.failNext('feedUnread');
    await expect(stage.wokenTailSlice(notices)).rejects.toMatchObject({ code: 'store.unreachable' });
    expect(stage.targetValues()).toMatchObject({ a: '1' });
  });

  it('acknowledges what comes before anything is applied, and leaves what an apply at work has to carry', async () => {
    const stage = new Stage({ spec: { strategy: 'replicate', replicate } });
    stage.fillSource({ a: '1', b: '2' });
    const early = stage.source.feed.noticesAfter(0);
    expect(await stage.wokenTailSlice(early)).toMatchObject({ outcome: 'idle', left: [] });
    const plan = await stage.plan();
    const calls: ReturnType<Stage['startWokenTailSlice']>[] = [];
    let late: readonly FeedNotice[] = [];
    await stage.replicate(plan, {
      during: ({ code }) => {
        if (code !== 'chunk.done') return;
        late = noticesOf(stage.source, () => stage.source.put(keyFromText('src/a'), bytes('newer'), null));
        calls.push(stage.startWokenTailSlice(late, {}, 1), stage.startWokenTailSlice(late));
      },
    });
    const [hasty, patient] = await stage.kernel.run(() => Promise.all(calls));
    expect(hasty?.left).toEqual(late);
    // It has seen, without the lock, that apply's own tail had come that far.
    expect(patient).toMatchObject({ outcome: 'waiting', left: [] });
    expect(stage.targetValues()).toMatchObject({ a: 'newer', b: '2' });
  });

  it('is called for nothing by the log of the store that does not lead', async () => {
    const { stage, put } = await following();
    put('a', 'newer');
    await stage.tailSlice();
    await stage.cutOver();
    const carriedBack = noticesOf(stage.source, () => put('stray', 'x'));
    expect(await stage.wokenTailSlice(carriedBack)).toMatchObject({ outcome: 'done', tail: null, left: [] });
    const written = noticesOf(stage.target, () => stage.target.put(keyFromText('dst/e'), bytes('5'), null));
    const slice = await stage.wokenTailSlice(written);
    expect(slice).toMatchObject({ outcome: 'done', tail: 'reverse', carried: { puts: 1 }, left: [] });
    expect(stage.sourceValues()).toMatchObject({ a: 'newer', e: '5' });
  });

  it('leaves what a cutover that died holds up, which may come to be undone', async () => {
    const { stage, put } = await following();
    await stage.kernel.run(() => {
      void stage.startCutOver(crashAt('cutover.held'));
      return stage.kernel.sleep(60_000);
    });
    expect(stage.primary.record).toMatchObject({ primary: 'source', writes: 'held' });
    const notices = noticesOf(stage.source, () => put('a', 'newer'));
    const slice = await stage.wokenTailSlice(notices);
    expect(slice).toMatchObject({ outcome: 'idle', phase: 'cutting-over', left: notices });
  });

  it('is a tick like any other where the store that is followed has no log that calls', async () => {
    const { stage, put } = await following();
    const { feed } = stage.source;
    const silent = Object.assign(Object.create(stage.source) as MemoryStore, {
      feed: Object.assign(Object.create(feed) as typeof feed, { unread: undefined }),
    });
    put('a', 'newer');
    const notices = [{ log: 'of another table', number: '1', keys: {} }];
    expect(await stage.wokenTailSlice(notices, { source: silent })).toMatchObject({ outcome: 'done', left: [] });
    expect(stage.targetValues()).toMatchObject({ a: 'newer' });
  });
});
