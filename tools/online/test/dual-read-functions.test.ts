/**
 * Goal: functions lead applications through a dual-read as apply and cutover would, each within its own time, whoever of
 * them is killed where: nothing is lost, nothing comes back, and no writes stay held (SPEC R67, R68).
 * Method: the engine's slices and real instances of the client on the same memory stores, in virtual time; each instance
 * keeps a tally of its own keys, which is the oracle. A kill is an error out of the next message.
 */
import { keyFromText, type Message } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { bytes, crowdedStage } from './crowd.ts';
import { DualReadStage, requestLifeMs, silent } from './dual-read-stage.ts';

describe('functions', () => {
  it('lead applications from the source to settled, and the last one raises the epoch', async () => {
    const { stage, crowd } = await crowdedStage();
    await stage.submit();
    const dispatched = await stage.invoke('dispatch');
    expect(dispatched).toMatchObject({ outcome: 'more', next: 'backfill', online: { mode: 'migrating' } });
    expect(dispatched.online?.writesHeldMs).toBeGreaterThanOrEqual(0);
    await stage.clock.advance(500);
    expect(await stage.invoke('backfill')).toMatchObject({ outcome: 'done' });
    await stage.clock.advance(500);
    expect(await stage.invoke('dispatch')).toMatchObject({ next: 'verify', online: null });
    const verified = await stage.invoke('verify');
    expect(verified).toMatchObject({ outcome: 'done', verdict: 'agree', deviations: [], online: { mode: 'settled' } });
    expect(await stage.target.control(stage.spec.migration).readEpoch()).toEqual({ attempt: 1, token: 2 });
    // Called again, on its schedule: there is nothing left to do.
    expect(await stage.invoke('verify')).toMatchObject({ outcome: 'done', verdict: 'agree', online: null });
    expect(await stage.invoke('dispatch')).toMatchObject({ outcome: 'done', next: null });
    await stage.clock.advance(1000);
    expect(await stage.run('finalize')).toMatchObject({ online: { mode: 'normal' } });
    await crowd.end();
    expect(stage.valuesIn(stage.target)).toEqual(crowd.expected());
    expect(await stage.tombstones()).toEqual([]);
  });

  it('can be taken back from where they led to, with all that applications wrote', async () => {
    const { stage, crowd } = await crowdedStage();
    await stage.submit();
    for (const name of ['dispatch', 'backfill', 'verify'] as const) {
      await stage.invoke(name);
      await stage.clock.advance(700);
    }
    expect(await stage.mode()).toBe('settled');
    expect(await stage.run('rollback')).toMatchObject({ online: { mode: 'legacy' } });
    expect(await stage.invoke('backfill')).toMatchObject({ outcome: 'idle' });
    await crowd.end();
    expect(stage.valuesIn(stage.source)).toEqual(crowd.expected());
    expect(stage.valuesIn(stage.target)).toEqual({});
  });

  it('copy nothing while applications still write to the source', async () => {
    const { stage, crowd } = await crowdedStage();
    await stage.submit();
    // Taken up, and killed before applications were told anything.
    await expect(stage.invoke('dispatch', { during: dieAt(isAnnounced('draining')) })).rejects.toThrow('killed');
    expect(await stage.mode()).toBe('draining');
    expect(await stage.invoke('backfill')).toMatchObject({ outcome: 'waiting', chunksDone: 0 });
    expect(stage.target.snapshot().size).toBe(0);
    expect(await stage.invoke('dispatch')).toMatchObject({ next: 'backfill', online: { mode: 'migrating' } });
    await crowd.end();
  });

  it.each([
    { name: 'once draining is announced', function: 'dispatch', at: isAnnounced('draining') },
    { name: 'once migrating is announced', function: 'dispatch', at: isAnnounced('migrating') },
    { name: 'in the middle of a chunk', function: 'backfill', at: (m: Message) => m.code === 'chunk.done' },
    { name: 'while it compares', function: 'verify', at: (m: Message) => m.code === 'verify.progress' },
    { name: 'once settled is announced', function: 'verify', at: isAnnounced('settled') },
  ] as const)('that are killed $name are followed by the next ones', async ({ function: name, at }) => {
    const { stage, crowd } = await crowdedStage();
    await stage.submit();
    let killed = 0;
    const during = dieAt((message) => at(message) && (killed += 1) === 1);
    for (let tick = 0; tick < 12 && !(await isSettled(stage)); tick += 1) {
      for (const each of ['dispatch', 'backfill', 'verify'] as const) {
        await stage.invoke(each, each === name ? { during } : {}).catch(assertKilled);
      }
      await stage.clock.advance(30_000);
    }
    expect(killed).toBeGreaterThan(0);
    expect(await isSettled(stage)).toBe(true);
    await stage.run('finalize');
    await crowd.end();
    expect(stage.valuesIn(stage.target)).toEqual(crowd.expected());
  });

  it('hold no write where their time would not do for the barrier, and say how much they need', async () => {
    const { stage, crowd } = await crowdedStage();
    await stage.submit();
    const dispatched = await stage.invoke('dispatch', {}, 12_000);
    expect(dispatched).toMatchObject({ outcome: 'stopped', spans: [], online: null });
    expect(dispatched.why).toContain('give it a timeout of 15 s at least');
    expect(await stage.mode()).toBe('legacy');
    expect(await stage.invoke('dispatch')).toMatchObject({ online: { mode: 'migrating' } });
    await crowd.end();
  });

  it('have the time to outlive one that was named gone, before they hold writes', async () => {
    const { stage, crowd } = await crowdedStage();
    await stage.place().writeRegistration({ ...silent, goneAt: '2026-01-01T00:00:00.000Z' }, 'absent');
    await stage.submit();
    const dispatched = await stage.invoke('dispatch', {}, 18_000);
    expect(dispatched).toMatchObject({ outcome: 'stopped', online: null });
    expect(dispatched.why).toContain('give it a timeout of 20 s at least');
    const longer = await stage.invoke('dispatch');
    expect(longer).toMatchObject({ online: { mode: 'migrating' } });
    expect(longer.online?.writesHeldMs).toBeLessThan(requestLifeMs);
    await crowd.end();
  });

  it('give a barrier up that does not hold, and pause, so that no schedule holds writes again', async () => {
    const stage = new DualReadStage({ instancesMin: 1 });
    stage.source.put(keyFromText('app/0/01'), bytes('first'));
    await stage.submit(); // nobody registers
    const dispatched = await stage.invoke('dispatch');
    expect(dispatched).toMatchObject({ outcome: 'stopped', online: null });
    expect(dispatched.why).toContain('keyferry runs resume shop');
    expect(await stage.mode()).toBe('legacy');
    const announced = stage.messages.filter(({ code }) => code === 'mode.announced').length;
    expect(await stage.invoke('dispatch')).toMatchObject({ outcome: 'stopped' });
    expect(stage.messages.filter(({ code }) => code === 'mode.announced')).toHaveLength(announced);
  });

  it('stop at a stray write in the source, and lead nobody on', async () => {
    const { stage, crowd } = await crowdedStage();
    await stage.submit();
    await stage.invoke('dispatch');
    await stage.invoke('backfill');
    stage.source.put(keyFromText('app/stray'), bytes('x'));
    const verified = await stage.invoke('verify');
    expect(verified).toMatchObject({ verdict: 'differ', online: null });
    expect(verified.deviations.join()).toContain('1 keys of the source were written after it was frozen');
    expect(await stage.mode()).toBe('migrating');
    expect(await stage.invoke('verify')).toMatchObject({ outcome: 'done', verdict: 'differ', online: null });
    expect(await stage.mode()).toBe('migrating');
    await crowd.end();
  });

  it('go on from what a machine copied and verified meanwhile', async () => {
    const { stage, crowd } = await crowdedStage();
    await stage.submit();
    await stage.invoke('dispatch');
    expect(await stage.run('apply')).toMatchObject({ outcome: 'done', online: { mode: 'migrating' } });
    expect(await stage.invoke('dispatch')).toMatchObject({ next: 'verify' });
    expect(await stage.invoke('verify')).toMatchObject({ verification: 1, online: { mode: 'settled' } });
    await crowd.end();
  });

  it('compare nothing while a rollback is under way', async () => {
    const { stage, crowd } = await crowdedStage();
    await stage.submit();
    await stage.invoke('dispatch');
    await stage.invoke('backfill');
    const dies = dieAt(isAnnounced('draining'));
    await expect(stage.run('rollback', { during: dies })).rejects.toThrow('killed');
    expect(await stage.invoke('verify')).toMatchObject({ outcome: 'waiting', verdict: null, online: null });
    expect(await stage.run('rollback')).toMatchObject({ online: { mode: 'legacy' } });
    await crowd.end();
    expect(stage.valuesIn(stage.source)).toEqual(crowd.expected());
  });

  it('look again before they build on a verdict of long ago', async () => {
    const { stage, crowd } = await crowdedStage();
    await stage.submit();
    await stage.invoke('dispatch');
    await stage.invoke('backfill');
    const dies = dieAt(isAnnounced('settled'));
    await expect(stage.invoke('verify', { during: dies })).rejects.toThrow('killed');
    await stage.clock.advance(700_000);
    stage.source.put(keyFromText('app/stray'), bytes('x'));
    expect(await stage.invoke('verify')).toMatchObject({ verification: 2, verdict: 'differ', online: null });
    await crowd.end();
  });
});

function isAnnounced(mode: string): (message: Message) => boolean {
  return ({ code, data }) => code === 'mode.announced' && 'mode' in data && data.mode === mode;
}

function dieAt(isIt: (message: Message) => boolean): (message: Message) => void {
  return (message) => {
    if (isIt(message)) throw new Error('killed');
  };
}

function assertKilled(error: unknown): void {
  expect(error).toMatchObject({ message: 'killed' });
}

/** Settled, and the epoch raised behind its barrier. */
async function isSettled(stage: DualReadStage): Promise<boolean> {
  const epoch = await stage.target.control(stage.spec.migration).readEpoch();
  return (await stage.mode()) === 'settled' && (epoch?.token ?? 0) > 1;
}
