/**
 * Goal: where instances of the application are registered, a hold lasts until they have acknowledged it and no longer; and
 * nobody's writes are held for one that is not there (SPEC R100 to R104).
 * Method: the real engine on memory stores (testing/stage.ts) and instances that renew, acknowledge or fall silent.
 */
import {
  keyFromText,
  type InstanceId,
  type KeyferryError,
  type RegistrationRecord,
  type SwitchEpoch,
} from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { bytes, failureOf, Stage } from '../../testing/stage.ts';

const replicate = { pauseMaxMs: 20_000, requestLifeMs: 8000 };
const leaseMs = 1000;
const everyMs = 200;

async function replicated(settings: object = {}) {
  const stage = new Stage({ spec: { strategy: 'replicate', replicate: { ...replicate, ...settings } } });
  stage.fillSource({ a: '1', b: '2' });
  await stage.replicate(await stage.plan());
  return stage;
}

interface Conduct {
  /** Of what it sees announced. */
  acknowledges: boolean;
  renews: boolean;
  /** Done before it acknowledges anything new. */
  before?: () => void;
}

/** Registers, and goes on as its conduct says at the time. */
function register(stage: Stage, name: string, conduct: Conduct = { acknowledges: true, renews: true }): Conduct {
  const { instances } = stage.primary;
  const instance = name as InstanceId;
  let own: RegistrationRecord = {
    instance,
    acknowledged: 0 as SwitchEpoch,
    renewals: 0,
    leaseMs,
    follows: 'primary',
    since: '2030-01-31T12:00:00.000Z',
    goneAt: null,
  };
  const live = async (isFirst: boolean): Promise<void> => {
    const there = await instances.readRegistration(instance);
    if (there !== null && there.value.goneAt !== null) return;
    if (conduct.renews || isFirst) {
      const epoch = stage.primary.record?.epoch ?? own.acknowledged;
      const isNew = epoch > own.acknowledged && conduct.acknowledges;
      if (isNew) conduct.before?.();
      own = { ...own, acknowledged: isNew ? epoch : own.acknowledged, renewals: own.renewals + 1 };
      await instances.writeRegistration(own, there?.version ?? 'absent');
    }
    stage.kernel.at(stage.kernel.nowMs + everyMs, () => void live(false));
  };
  void live(true);
  return conduct;
}

const put = (stage: Stage, name: string) => stage.source.put(keyFromText(`src/${name}`), bytes('late'));

describe('a cutover with instances that are registered', () => {
  it('goes on as soon as each of them has acknowledged it, with what they wrote until then', async () => {
    const stage = await replicated();
    register(stage, 'api-1', { acknowledges: true, renews: true, before: () => put(stage, 'last') });
    register(stage, 'api-2');
    const { heldMs } = await stage.cutOver();
    expect(heldMs).toBeLessThan(replicate.requestLifeMs / 4);
    expect(stage.targetValues()).toEqual({ a: '1', b: '2', last: 'late' });
    expect((await stage.status()).cutover).toMatchObject({ outcome: 'flipped', proof: 'acknowledgements' });
  });

  it('and so does the way back', async () => {
    const stage = await replicated();
    register(stage, 'api-1');
    await stage.cutOver();
    const { turnedBack } = await stage.rollBackReplicate();
    expect(turnedBack?.heldMs).toBeLessThan(replicate.requestLifeMs / 4);
    expect(stage.primary.record).toMatchObject({ primary: 'source', writes: 'open' });
  });

  it('is undone when somebody writes behind what was drained, for it was nobody who acknowledged', async () => {
    const stage = await replicated();
    register(stage, 'api-1');
    const failed = stage.cutOver({
      during: (message) => {
        if (message.code === 'cutover.step' && message.data.step === 'anchor') put(stage, 'stray');
      },
    });
    expect(await failureOf(failed)).toMatchObject({ code: 'cutover.undone' });
    expect((await stage.status()).cutover).toMatchObject({ undoneWhy: 'moved' });
    expect(stage.primary.record).toMatchObject({ primary: 'source', writes: 'open' });
  });

  it('is undone when one does not acknowledge it, and says who', async () => {
    const stage = await replicated();
    register(stage, 'api-1');
    const late = register(stage, 'api-2', { acknowledges: false, renews: true });
    expect(await failureOf(stage.cutOver())).toMatchObject({
      code: 'cutover.undone',
      details: { why: expect.stringContaining('api-2 has not acknowledged it') },
    });
    expect(stage.primary.record).toMatchObject({ primary: 'source', writes: 'open' });
    const { cutover } = await stage.status();
    expect(cutover).toMatchObject({ undoneWhy: 'unacknowledged', missing: [{ instance: 'api-2', why: 'behind' }] });
    late.acknowledges = true;
    expect((await stage.cutOver()).heldMs).toBeLessThan(replicate.requestLifeMs / 4);
  });

  it('is undone as soon as the one that is missing has lapsed, for others would wait in vain', async () => {
    const stage = await replicated();
    const dying = register(stage, 'api-1');
    const failed = stage.cutOver({
      during: ({ code }) => {
        if (code === 'cutover.held') dying.renews = false;
      },
    });
    const error = (await failureOf(failed)) as KeyferryError<'cutover.undone'>;
    expect(error.code).toBe('cutover.undone');
    expect(error.details.why).toContain('api-1 is silent for longer than its lease');
    expect(error.details.heldMs).toBeLessThan(replicate.pauseMaxMs / 2);
  });
});

describe('the roll call before it', () => {
  it('holds nothing while one has lapsed, until an operator names it gone and a request life has passed', async () => {
    const stage = await replicated();
    register(stage, 'api-1');
    const dead = register(stage, 'api-2');
    dead.renews = false;
    expect(await failureOf(stage.cutOver())).toMatchObject({
      code: 'cutover.instances-missing',
      details: { what: 'api-2 is silent for longer than its lease' },
    });
    expect(stage.primary.record).toBeNull();
    const startedAtMs = stage.kernel.nowMs;
    const { heldMs } = await stage.cutOver({ confirmGone: ['api-2'] });
    expect(stage.kernel.nowMs - startedAtMs).toBeGreaterThan(replicate.requestLifeMs);
    expect(heldMs).toBeLessThan(replicate.requestLifeMs / 4);
  });

  it('holds nothing with fewer than there must be', async () => {
    const stage = await replicated({ instances: { min: 2 } });
    register(stage, 'api-1');
    expect(await failureOf(stage.cutOver())).toMatchObject({ code: 'cutover.instances-missing' });
    expect(stage.primary.record).toBeNull();
    register(stage, 'api-2');
    expect((await stage.cutOver()).heldMs).toBeLessThan(replicate.requestLifeMs / 4);
  });

  it.each([
    { who: 'nobody is registered', settings: {}, registers: false },
    { who: 'not every writer registers', settings: { instances: 'none' }, registers: true },
  ])('leaves it to silence where $who', async ({ settings, registers }) => {
    const stage = await replicated(settings);
    if (registers) register(stage, 'api-1');
    const { heldMs } = await stage.cutOver();
    expect(heldMs).toBeGreaterThanOrEqual(replicate.requestLifeMs);
    expect((await stage.status()).cutover).toMatchObject({ proof: 'silence' });
  });

  it('leaves it to silence where the first one registers while writes are held', async () => {
    const stage = await replicated();
    const { heldMs } = await stage.cutOver({
      during: ({ code }) => {
        if (code === 'cutover.held') register(stage, 'api-1');
      },
    });
    expect(heldMs).toBeGreaterThanOrEqual(replicate.requestLifeMs);
  });

  it('refuses the name of one that is not registered before anything else', async () => {
    const stage = await replicated();
    register(stage, 'api-1');
    expect(await failureOf(stage.cutOver({ confirmGone: ['api-9'] }))).toMatchObject({ code: 'instance.unknown' });
    expect(stage.primary.record).toBeNull();
  });
});
