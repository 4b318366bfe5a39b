/**
 * Goal: the engine's dual-read walks applications from one store to the other and back without losing or bringing back
 * anything, whoever is killed where.
 * Method: real instances of the client and the engine's commands on the same memory stores, in virtual time. Each instance
 * keeps a tally of its own keys, which is the oracle.
 */
import { keyFromText, type Message, type MessageCode, type OnlineSource } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { bytes, crowdedStage } from './crowd.ts';
import { DualReadStage, requestLifeMs, silent } from './dual-read-stage.ts';

describe('dual-read', () => {
  it('brings every record and every change to the target, and leaves nothing of its own there', async () => {
    const { stage, crowd } = await crowdedStage();
    expect(await stage.run('apply')).toMatchObject({ outcome: 'done', online: { mode: 'migrating' } });
    await stage.clock.advance(2000);
    expect(await stage.run('cutover')).toMatchObject({ online: { mode: 'settled', writesHeldMs: null } });
    await stage.clock.advance(2000);
    expect(await stage.run('finalize')).toMatchObject({ online: { mode: 'normal' } });
    await stage.clock.advance(2000);
    await crowd.end();
    expect(stage.valuesIn(stage.target)).toEqual(crowd.expected());
    expect(await stage.tombstones()).toEqual([]);
    expect(await stage.target.control(stage.spec.migration).readDone()).toContain('keyferry.done');
    expect(stage.source.openViews() + stage.target.openViews()).toBe(0);
  });

  it.each(['apply', 'cutover'] as const)('goes back after %s with all that applications wrote', async (upTo) => {
    const { stage, crowd } = await crowdedStage();
    await stage.run('apply');
    await stage.clock.advance(3000);
    if (upTo === 'cutover') await stage.run('cutover');
    await stage.clock.advance(3000);
    const rolledBack = await stage.run('rollback');
    expect(rolledBack).toMatchObject({ online: { mode: 'legacy' }, drained: { put: expect.any(Number) as number } });
    await stage.clock.advance(2000);
    await crowd.end();
    expect(stage.valuesIn(stage.source)).toEqual(crowd.expected());
    expect(stage.valuesIn(stage.target)).toEqual({});
    expect(await stage.tombstones()).toEqual([]);
  });

  it('goes forward again after it went back', async () => {
    const { stage, crowd } = await crowdedStage();
    await stage.run('apply');
    await stage.clock.advance(1000);
    await stage.run('rollback');
    await stage.clock.advance(1000);
    for (const command of ['apply', 'cutover', 'finalize'] as const) await stage.run(command);
    await crowd.end();
    expect(stage.valuesIn(stage.target)).toEqual(crowd.expected());
  });

  it('publishes where watches and numbers cross over, anew for each way forward', async () => {
    const { stage, crowd } = await crowdedStage();
    const published = async () => {
      const { frozenAt = null, watchFrom = null, indexOffset = null } = (await stage.place().read())?.value ?? {};
      return { frozenAt, watchFrom, indexOffset };
    };
    const assertGrows = ({ frozenAt, watchFrom, indexOffset }: Awaited<ReturnType<typeof published>>): void => {
      expect(Number(frozenAt)).toBeGreaterThan(0);
      // The first version that an application can make in the target is above every one of the source.
      expect(Number(watchFrom) + 1 + Number(indexOffset)).toBeGreaterThan(Number(frozenAt));
    };
    await stage.run('apply');
    const first = await published();
    assertGrows(first);
    await stage.clock.advance(2000);
    await stage.run('cutover');
    expect(await published()).toEqual(first);
    await stage.run('rollback');
    expect(await published()).toEqual({ frozenAt: null, watchFrom: null, indexOffset: first.indexOffset });
    await stage.clock.advance(2000);
    await stage.run('apply');
    const second = await published();
    assertGrows(second);
    expect(Number(second.indexOffset)).toBeGreaterThanOrEqual(Number(first.indexOffset));
    await crowd.end();
  });

  // Every kind of moment at which a controller of that command can die; another one is then started.
  const moments: readonly (readonly ['forward' | 'back', MessageCode, number])[] = [
    ['forward', 'mode.announced', 1],
    ['forward', 'mode.announced', 2],
    ['forward', 'barrier.waiting', 1],
    ['forward', 'chunk.claimed', 2],
    ['forward', 'chunk.done', 1],
    ['forward', 'verify.progress', 1],
    ['forward', 'mode.announced', 3],
    ['forward', 'mode.announced', 4],
    ['back', 'mode.announced', 1],
    ['back', 'drain.progress', 1],
    ['back', 'mode.announced', 2],
    ['back', 'rollback.progress', 1],
    ['back', 'mode.announced', 3],
  ];
  it.each(moments)(
    'is followed by another controller when it dies on its way %s at %s no. %i',
    async (way, code, nth) => {
      const { stage, crowd } = await crowdedStage();
      let seen = 0;
      const dieOnce = ({ code: found }: Message): void => {
        if (found !== code) return;
        seen += 1;
        if (seen === nth) throw new RangeError('killed');
      };
      const commands = way === 'forward' ? (['apply', 'cutover', 'finalize'] as const) : (['rollback'] as const);
      if (way === 'back') {
        await stage.run('apply');
        await stage.run('cutover');
        await stage.clock.advance(3000);
      }
      for (const command of commands) {
        const failure = await stage.failureOf(command, { during: dieOnce });
        await stage.clock.advance(500);
        if (failure !== null) await stage.run(command);
      }
      expect(seen).toBeGreaterThanOrEqual(nth);
      await stage.clock.advance(1000);
      await crowd.end();
      expect(stage.valuesIn(way === 'forward' ? stage.target : stage.source)).toEqual(crowd.expected());
    },
  );

  it('outlives what a controller that died on its way back had asked of the source', async () => {
    const stage = new DualReadStage({ instancesMin: 1 });
    const app = await stage.clock.until(stage.openClient('app'));
    await stage.run('apply');
    await stage.clock.until(app.put('app/new', '1'));
    const whole = stage.source.onlineSource();
    let asked = 0;
    const ask: OnlineSource['ask'] = async (key, request) => {
      if (request.kind !== 'write') return await whole.ask(key, request);
      asked += 1;
      void stage.clock.sleep(requestLifeMs - 1).then(() => whole.ask(key, request));
      throw new RangeError('killed');
    };
    const source = Object.assign(Object.create(whole) as OnlineSource, { ask });
    expect(await stage.failureOf('rollback', { source })).toBe('RangeError: killed');
    await stage.run('rollback');
    await stage.clock.until(app.delete('app/new'));
    await stage.clock.advance(2 * requestLifeMs);
    expect([asked, stage.valuesIn(stage.source)]).toEqual([1, {}]);
    await stage.clock.until(app.close());
  });

  it('gives the first barrier up when too few instances come, and writes go on in the source', async () => {
    const stage = new DualReadStage({ instancesMin: 2 });
    const only = await stage.clock.until(stage.openClient('only'));
    expect(await stage.failureOf('apply')).toBe('barrier.timed-out');
    expect(await stage.mode()).toBe('legacy');
    await stage.clock.until(only.put('app/a', '1'));
    expect(stage.valuesIn(stage.source)).toEqual({ 'app/a': '1' });
    const second = await stage.clock.until(stage.openClient('second'));
    expect(await stage.run('apply')).toMatchObject({ online: { mode: 'migrating' }, counts: { written: 1 } });
    for (const client of [only, second]) await stage.clock.until(client.close());
  });

  it('waits for an instance that fell silent until somebody names it gone, and then for one request life', async () => {
    const stage = new DualReadStage({ instancesMin: 1 });
    const alive = await stage.clock.until(stage.openClient('alive'));
    await stage.place().writeRegistration(silent, 'absent');
    expect(await stage.failureOf('apply')).toBe('barrier.timed-out');
    expect(await stage.failureOf('apply', { confirmGone: ['nobody'] })).toBe('instance.unknown');
    const beforeMs = stage.clock.monotonicMs();
    expect(await stage.run('apply', { confirmGone: ['silent.1'] })).toMatchObject({ online: { mode: 'migrating' } });
    expect(stage.clock.monotonicMs() - beforeMs).toBeGreaterThan(5000);
    await stage.clock.until(alive.close());
  });

  it('waits one request life by its own clock for an instance that a machine whose clock is behind named gone', async () => {
    const stage = new DualReadStage({ instancesMin: 1 });
    const alive = await stage.clock.until(stage.openClient('alive'));
    const named = { ...silent, goneAt: new Date(stage.clock.nowMs() - 3_600_000).toISOString() };
    await stage.place().writeRegistration(named, 'absent');
    const beforeMs = stage.clock.monotonicMs();
    expect(await stage.run('apply')).toMatchObject({ online: { mode: 'migrating' } });
    expect(stage.clock.monotonicMs() - beforeMs).toBeGreaterThan(5000);
    await stage.clock.until(alive.close());
  });

  it('outlives one that was named gone before it holds writes, however short a barrier may take', async () => {
    const stage = new DualReadStage({ instancesMin: 1, barrierTimeoutMs: 1000 });
    const alive = await stage.clock.until(stage.openClient('alive'));
    await stage.place().writeRegistration(silent, 'absent');
    expect(await stage.failureOf('apply')).toBe('barrier.timed-out');
    const beforeMs = stage.clock.monotonicMs();
    const applied = await stage.run('apply', { confirmGone: [silent.instance] });
    expect(stage.clock.monotonicMs() - beforeMs).toBeGreaterThan(requestLifeMs);
    expect(applied).toMatchObject({ online: { mode: 'migrating' } });
    expect(applied.online.writesHeldMs).toBeLessThan(1000);
    expect(await stage.run('rollback')).toMatchObject({ online: { mode: 'legacy' } });
    await stage.clock.until(alive.close());
  });

  it('lets writes go again when it is told to stop while they are held', async () => {
    const stage = new DualReadStage({ instancesMin: 2, barrierTimeoutMs: 600_000 });
    const only = await stage.clock.until(stage.openClient('only'));
    const stopAtBarrier = ({ code }: Message, interrupt: () => void): void => {
      if (code === 'barrier.waiting') interrupt();
    };
    expect(await stage.failureOf('apply', { during: stopAtBarrier })).toBe('run.interrupted');
    expect(await stage.mode()).toBe('legacy');
    await stage.clock.until(only.put('app/a', '1'));
    await stage.clock.until(only.close());
  });

  it.each([
    { name: 'a put', write: (stage: DualReadStage) => void stage.source.put(keyFromText('app/stray'), bytes('x')) },
    {
      name: 'a put over a copied key',
      write: (stage: DualReadStage) => void stage.source.put(keyFromText('app/0/01'), bytes('x')),
    },
    { name: 'a delete', write: (stage: DualReadStage) => void stage.source.delete(keyFromText('app/0/01')) },
  ])('finds a stray write in the source before it settles: $name', async ({ write }) => {
    const stage = new DualReadStage({ instancesMin: 1 });
    stage.source.put(keyFromText('app/0/01'), bytes('first'));
    const client = await stage.clock.until(stage.openClient('app'));
    await stage.run('apply');
    write(stage);
    const strays = stage.valuesIn(stage.source);
    expect(await stage.failureOf('cutover')).toBe('source.stray-write');
    expect(await stage.mode()).toBe('migrating');
    await stage.run('rollback');
    expect(stage.valuesIn(stage.source)).toEqual(strays);
    await stage.clock.until(client.close());
  });

  it('begins with an empty target only', async () => {
    const stage = new DualReadStage({ instancesMin: 1 });
    const client = await stage.clock.until(stage.openClient('app'));
    stage.target.put(keyFromText('app/foreign'), bytes('x'));
    expect(await stage.failureOf('apply')).toBe('plan.not-applyable');
    expect(await stage.mode()).toBe('legacy');
    await stage.clock.until(client.close());
  });

  it('keeps what is left of a TTL on the way there and back, and a comparison with the source holds on', async () => {
    const stage = new DualReadStage({ instancesMin: 1 });
    const client = await stage.clock.until(stage.openClient('app'));
    await stage.clock.until(client.put('app/kept', 'one'));
    const before = await stage.clock.until(client.get('app/kept'));
    await stage.run('apply');
    await stage.clock.until(client.put('app/session', 's', { ttlMs: 60_000 }));
    const swap = client.compareAndSwap('app/kept', before?.token ?? null, 'two');
    expect(await stage.clock.until(swap)).toMatchObject({ kind: 'written' });
    await stage.run('rollback');
    const leftMs = (stage.source.snapshot().get(keyFromText('app/session'))?.expiresAtMs ?? 0) - stage.clock.nowMs();
    expect(leftMs).toBeGreaterThan(30_000);
    expect(leftMs).toBeLessThanOrEqual(60_000);
    expect(stage.valuesIn(stage.source)).toMatchObject({ 'app/kept': 'two' });
    await stage.clock.until(client.close());
  });

  it('has no way back once normal was announced, and none forward while it goes back', async () => {
    const stage = new DualReadStage({ instancesMin: 1 });
    const client = await stage.clock.until(stage.openClient('app'));
    expect(await stage.failureOf('cutover')).toBe('phase.not-allowed');
    for (const command of ['apply', 'cutover', 'finalize'] as const) await stage.run(command);
    expect(await stage.failureOf('rollback')).toBe('migration.finalized');
    expect(await stage.failureOf('apply')).toBe('phase.not-allowed');
    await stage.clock.until(client.close());
  });

  it('plans what it takes, and refuses a pair of stores that cannot do it by name', async () => {
    const stage = new DualReadStage();
    const { plan } = (await stage.clock.until(stage.makePlan())).reader();
    expect(plan).toMatchObject({ applyable: true, online: { instancesMin: 2, writePauseMaxMs: 10_000 } });
    expect(plan.online?.modes.map(({ mode }) => mode)).toEqual(['draining', 'migrating', 'settled', 'normal']);
    expect(plan.findings).toMatchObject([{ code: 'online.too-few', count: 2 }]);
    const unable = (await stage.clock.until(stage.makePlan({ isSourceUnable: true }))).reader().plan;
    expect(unable.applyable).toBe(false);
    expect(unable.findings[0]).toMatchObject({
      code: 'online.unable',
      detail: expect.stringContaining('store old') as string,
    });
  });

  it('does not cut over while a record is missing that the target refused', async () => {
    const stage = new DualReadStage({ instancesMin: 1 });
    const client = await stage.clock.until(stage.openClient('app'));
    await stage.clock.until(stage.makePlan());
    await stage.clock.until(client.put('app/large', 'x'.repeat(200_000)));
    expect(await stage.run('apply')).toMatchObject({ outcome: 'deviated', counts: { deadLetters: 1 } });
    expect(await stage.failureOf('cutover')).toBe('cutover.not-proven');
    expect(await stage.mode()).toBe('migrating');
    await stage.clock.until(client.put('app/large', 'small'));
    expect(await stage.run('cutover')).toMatchObject({ online: { mode: 'settled' } });
    await stage.clock.until(client.close());
  });
});
