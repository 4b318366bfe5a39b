/**
 * Goal: killed anywhere, failed anywhere, a migration of strategy `parallel` stands in the right phase, has the right way
 * back and has lost no write (SPEC R90 to R95).
 * Method: clients write through both balancers before every call; every call of a whole run is killed once before and once
 * after its effect, and the migration then ended, or led back, by another process.
 */
import {
  KeyferryError,
  parallelPhases,
  registryNamedMax,
  type ParallelPhase,
  type ParallelSettings,
  type RegistryDifference,
  type RegistryKind,
} from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { isKilled, type Fault, type RunHooks } from '../../../testing/parallel/gate.ts';
import { ParallelStage } from '../../../testing/parallel-stage.ts';
import { failureOf } from '../../../testing/stage.ts';

/** What a run of that kind calls, with nobody in its way. */
async function callsOf(
  run: (stage: ParallelStage) => Promise<unknown>,
  settings: Partial<ParallelSettings> = {},
): Promise<number> {
  const stage = new ParallelStage(settings);
  await run(stage);
  return stage.calls.length;
}

const faultsOf = (calls: number): readonly Fault[] =>
  Array.from({ length: calls }, (_, index) => index + 1).flatMap((call) => [
    { call, moment: 'before' },
    { call, moment: 'after' },
  ]);

const lacks = (kind: RegistryKind, count: number): readonly RegistryDifference[] =>
  Array.from({ length: count }, (_, i) => ({ kind, name: `${kind} ${i}`, what: 'is another' }));

/** As often as an export is tried. */
const thrice = <T>(each: T): T[] => [each, each, each];

const noLosses = { missing: [], refusedOutside: [] };
const lossesOf = (stage: ParallelStage, side: 'old' | 'fresh') => ({
  missing: stage.missingIn(side),
  refusedOutside: stage.refusedOutside,
});

async function soaked(hooks: RunHooks = {}): Promise<ParallelStage> {
  const stage = new ParallelStage();
  await stage.apply(await stage.plan(), hooks);
  return stage;
}

describe('applyParallel', () => {
  it('comes to the end of the soak, with every write in 3.x and evidence of each phase', async () => {
    const stage = new ParallelStage();
    const { state, soak } = await stage.apply(await stage.plan());
    expect(soak).toEqual({ kind: 'passed' });
    expect(state.phase).toBe('decommission');
    expect(state.passed.map(({ phase }) => phase)).toEqual(parallelPhases.slice(0, -1));
    expect(stage.missingIn('fresh')).toEqual([]);
    expect(stage.refusedOutside).toEqual([]);
    expect(stage.traffic).toEqual({ a: 'v3-rw', b: 'v3-rw' });
    expect((await stage.finalize()).state.course).toBe('over');
  });

  it.each([{ bulk: false }, { bulk: true }])(
    'goes on after a kill at any call, and loses no write (bulk $bulk)',
    { timeout: 120_000 },
    async ({ bulk }) => {
      const calls = await callsOf(async (stage) => stage.apply(await stage.plan()), { bulk });
      expect(calls).toBeGreaterThan(100);
      for (const kill of faultsOf(calls)) {
        const stage = new ParallelStage({ bulk });
        const plan = await stage.plan();
        const killed = await failureOf(stage.apply(plan, { kill }));
        const { state } = await stage.apply(plan);
        const found = { kill, wasKilled: isKilled(killed), phase: state.phase, ...lossesOf(stage, 'fresh') };
        expect(found).toEqual({ kill, wasKilled: true, phase: 'decommission', ...noLosses });
      }
    },
  );

  it('is led back after a kill at any call, with every write in 2.x and the balancers as they were', async () => {
    const calls = await callsOf(async (stage) => stage.apply(await stage.plan()));
    for (const kill of faultsOf(calls)) {
      const stage = new ParallelStage();
      await failureOf(stage.apply(await stage.plan(), { kill }));
      if ((await stage.course()) === null) continue; // before anything was begun
      const { state } = await stage.rollBack();
      const found = { kill, course: state.course, traffic: stage.traffic, ...lossesOf(stage, 'old') };
      expect(found).toEqual({ kill, course: 'rolled-back', traffic: { a: 'v2-rw', b: 'v2-rw' }, ...noLosses });
    }
  });

  it.each([
    { failing: 'new.import', phase: 'import' },
    { failing: 'new.compare', phase: 'compare' },
    { failing: 'old.besides', phase: 'export' },
    { failing: 'shift v2-ro', phase: 'freeze' },
    { failing: 'shift v3-ro', phase: 'read-on-3' },
  ] as const)('undoes the freeze when $failing fails', async ({ failing, phase }) => {
    const stage = new ParallelStage();
    // The plan asks for these too.
    const plan = await stage.plan();
    expect(await failureOf(stage.apply(plan, { failing }))).toMatchObject({
      code: 'parallel.undone',
      details: { phase },
    });
    expect(await stage.course()).toMatchObject({ course: 'rolled-back', phase });
    expect(stage.traffic).toEqual({ a: 'v2-rw', b: 'v2-rw' });
    expect([...stage.restored]).toEqual(['a', 'b']);
    expect(stage.missingIn('old')).toEqual([]);
  });

  it.each([
    { failing: 'adopt', phase: 'prepare', traffic: 'v2-rw' },
    { failing: 'shift v3-rw', phase: 'switch', traffic: 'v3-ro' },
    { failing: 'command', phase: 'smoke', traffic: 'v3-rw' },
  ] as const)('stays in $phase when $failing fails there, and goes on from it', async ({ failing, phase, traffic }) => {
    const stage = new ParallelStage({ smokeCommand: ['./smoke'] });
    const plan = await stage.plan();
    expect(await failureOf(stage.apply(plan, { failing }))).toMatchObject({ code: 'store.request-refused' });
    expect(await stage.course()).toMatchObject({
      course: 'forward',
      phase,
      failure: { code: 'store.request-refused' },
    });
    expect(stage.traffic).toEqual({ a: traffic, b: traffic });
    expect((await stage.apply(plan)).state.phase).toBe('decommission');
    expect(stage.missingIn('fresh')).toEqual([]);
  });

  it('undoes the freeze when somebody writes to 2.x past the balancers', async () => {
    const stage = new ParallelStage();
    const plan = await stage.plan();
    const onCall = (name: string): void => void (name === 'new.import' && stage.old.add('behind our back'));
    expect(await failureOf(stage.apply(plan, { onCall }))).toMatchObject({
      code: 'parallel.undone',
      details: { phase: 'compare' },
    });
  });

  it('undoes a freeze that lasts too long, also one that a dead process left', async () => {
    const stage = new ParallelStage({ freeze: { maxMs: 60_000, drainMs: 1000 } });
    const plan = await stage.plan();
    const slow = (name: string): void => void (name === 'new.import' && stage.advance(61_000));
    expect(await failureOf(stage.apply(plan, { onCall: slow }))).toMatchObject({ code: 'parallel.undone' });
    expect(stage.traffic).toEqual({ a: 'v2-rw', b: 'v2-rw' });
    const left = new ParallelStage({ freeze: { maxMs: 60_000, drainMs: 1000 } });
    const other = await left.plan();
    let kill: Fault | undefined;
    await left.apply(other, {
      onCall: (name) => void (name === 'new.import' && (kill ??= { call: left.calls.length, moment: 'after' })),
    });
    const killed = new ParallelStage({ freeze: { maxMs: 60_000, drainMs: 1000 } });
    const third = await killed.plan();
    expect(isKilled(await failureOf(killed.apply(third, kill === undefined ? {} : { kill })))).toBe(true);
    killed.advance(61_000);
    expect(await failureOf(killed.apply(third))).toMatchObject({
      code: 'parallel.undone',
      details: { phase: 'import' },
    });
    expect(killed.traffic).toEqual({ a: 'v2-rw', b: 'v2-rw' });
  });

  it.each([
    { name: 'is down', spoil: (stage: ParallelStage) => (stage.targetDown = true), code: 'store.unreachable' },
    { name: 'took a write', spoil: (stage: ParallelStage) => stage.fresh.add('early'), code: 'parallel.check-failed' },
  ])('moves nobody for a 3.x that $name while a person was waited for', async ({ spoil, code }) => {
    const stage = new ParallelStage({ confirm: ['freeze'] });
    const plan = await stage.plan();
    await failureOf(stage.apply(plan));
    spoil(stage);
    expect(await failureOf(stage.apply(plan, { confirm: ['freeze'] }))).toMatchObject({ code });
    expect(stage.calls.filter((name) => name.startsWith('shift'))).toEqual([]);
    expect(await stage.course()).toMatchObject({ course: 'forward', phase: 'freeze', beganAtMs: null, freeze: null });
    stage.targetDown = false;
    stage.fresh.clear();
    expect((await stage.apply(plan)).state.phase).toBe('decommission');
  });

  it('leads nobody to a 3.x that went down while a person was waited for, and undoes the freeze', async () => {
    const stage = new ParallelStage({ confirm: ['switch'] });
    const plan = await stage.plan();
    await failureOf(stage.apply(plan));
    stage.targetDown = true;
    expect(await failureOf(stage.apply(plan, { confirm: ['switch'] }))).toMatchObject({
      code: 'parallel.undone',
      details: { phase: 'switch' },
    });
    expect(stage.calls).not.toContain('shift v3-rw');
    expect(stage.traffic).toEqual({ a: 'v2-rw', b: 'v2-rw' });
    expect([...stage.restored]).toEqual(['a', 'b']);
  });

  it('goes on to the switch as soon as a balancer reaches 3.x', async () => {
    const stage = new ParallelStage({ confirm: ['switch'] });
    const plan = await stage.plan();
    await failureOf(stage.apply(plan));
    stage.unreached = 3;
    expect((await stage.apply(plan, { confirm: ['switch'] })).state.phase).toBe('decommission');
    expect(stage.unreached).toBe(0);
    expect(stage.traffic).toEqual({ a: 'v3-rw', b: 'v3-rw' });
  });

  it('leads nobody to a 3.x that a balancer does not reach', async () => {
    const stage = new ParallelStage({ confirm: ['switch'] });
    const plan = await stage.plan();
    await failureOf(stage.apply(plan));
    stage.unreached = Infinity;
    expect(await failureOf(stage.apply(plan, { confirm: ['switch'] }))).toMatchObject({
      code: 'parallel.undone',
      details: { phase: 'switch', why: expect.stringContaining('503') },
    });
    expect(stage.calls).not.toContain('shift v3-rw');
    expect(stage.traffic).toEqual({ a: 'v2-rw', b: 'v2-rw' });
  });

  it('undoes a freeze that lasts too long while 3.x is asked before the switch', async () => {
    const stage = new ParallelStage({ confirm: ['switch'], freeze: { maxMs: 60_000, drainMs: 1000 } });
    const plan = await stage.plan();
    await failureOf(stage.apply(plan));
    let isFirst = true;
    const onCall = (name: string): void => {
      if (name !== 'new.system' || !isFirst) return;
      isFirst = false;
      stage.advance(61_000);
    };
    expect(await failureOf(stage.apply(plan, { confirm: ['switch'], onCall }))).toMatchObject({
      code: 'parallel.undone',
      details: { phase: 'switch', why: expect.stringContaining('freeze.max') },
    });
    expect(stage.calls).not.toContain('shift v3-rw');
  });

  it('leads clients back through every balancer that can, where another one cannot', async () => {
    const stage = new ParallelStage();
    const plan = await stage.plan();
    let gone = true;
    const onCall = (name: string): void => {
      if (name !== 'shift v2-rw' || !gone) return;
      gone = false;
      throw new KeyferryError('balancer.refused', { balancer: 'a', detail: 'gone' });
    };
    const failing = 'new.import';
    expect(await failureOf(stage.apply(plan, { failing, onCall }))).toMatchObject({ code: 'balancer.refused' });
    expect(stage.traffic).toEqual({ a: 'v2-ro', b: 'v2-rw' });
    expect(await stage.course()).toMatchObject({ course: 'back', backStep: 'lead-back' });
    expect((await stage.rollBack()).state.course).toBe('rolled-back');
    expect(stage.traffic).toEqual({ a: 'v2-rw', b: 'v2-rw' });
  });

  it('undoes a freeze that a person let wait for too long, by whoever comes by', async () => {
    const stage = new ParallelStage({ confirm: ['switch'], freeze: { maxMs: 60_000, drainMs: 1000 } });
    const plan = await stage.plan();
    expect(await failureOf(stage.apply(plan))).toMatchObject({ code: 'parallel.unconfirmed' });
    stage.advance(61_000);
    expect(await failureOf(stage.apply(plan))).toMatchObject({ code: 'parallel.undone', details: { phase: 'switch' } });
    expect(stage.traffic).toEqual({ a: 'v2-rw', b: 'v2-rw' });
  });

  it('waits for a person where it was told to, before anything of that phase is done', async () => {
    const stage = new ParallelStage({ confirm: ['freeze', 'switch'] });
    const plan = await stage.plan();
    const confirms = async (confirm: readonly ParallelPhase[]) => failureOf(stage.apply(plan, { confirm }));
    expect(await confirms([])).toMatchObject({ code: 'parallel.unconfirmed', details: { phase: 'freeze' } });
    expect(stage.traffic).toEqual({ a: 'v2-rw', b: 'v2-rw' });
    expect(await confirms(['freeze'])).toMatchObject({ code: 'parallel.unconfirmed', details: { phase: 'switch' } });
    expect(stage.traffic).toEqual({ a: 'v3-ro', b: 'v3-ro' });
    const { state } = await stage.apply(plan, { confirm: ['switch'] });
    expect(state.confirmed.map(({ phase, by }) => [phase, by])).toEqual([
      ['freeze', 'ops@test'],
      ['switch', 'ops@test'],
    ]);
  });

  it('imports before the freeze what is there already, and inside it only what came since', async () => {
    const stage = new ParallelStage({ bulk: true });
    await stage.apply(await stage.plan());
    const at = (name: string): readonly number[] =>
      stage.calls.flatMap((each, index) => (each === name ? [index] : []));
    const freeze = stage.calls.indexOf('shift v2-ro');
    const within = ['new.import', 'new.compare', 'new.delta', 'new.compare-by-export'].map((name) =>
      at(name).map((index) => index > freeze),
    );
    expect(within).toEqual([[false], [false], [true], [true]]);
    expect(stage.missingIn('fresh')).toEqual([]);
  });

  it.each([
    { name: 'whole', lacking: [], proven: true },
    { name: 'whole at the second try', lacking: [lacks('content', 1)], proven: true },
    {
      name: 'without as many versions as are named',
      lacking: thrice(lacks('version', registryNamedMax)),
      proven: true,
    },
    {
      name: 'without more than are named',
      lacking: thrice(lacks('version', registryNamedMax + 1)),
      proven: false,
    },
    { name: 'without a content each time', lacking: thrice(lacks('content', 1)), proven: false },
    {
      name: 'without a content the last time alone',
      lacking: [lacks('version', 1), lacks('version', 1), lacks('content', 1)],
      proven: false,
    },
  ])('takes contents of an export before the freeze that is $name: $proven', async ({ lacking, proven }) => {
    const stage = new ParallelStage({ bulk: true });
    stage.lacking = [...lacking];
    await stage.plan();
    expect(stage.contentsOf).toEqual(proven ? ['archives/planned.zip'] : []);
    const plan = await stage.plan();
    [stage.lacking, stage.contentsOf] = [[...lacking], []];
    await stage.apply(plan);
    expect([...new Set(stage.contentsOf)]).toEqual(proven ? ['archives/foreseen.zip'] : []);
  });

  it('names in a plan what each export lacked, and counts what is not named', async () => {
    const stage = new ParallelStage();
    const more = registryNamedMax + 1;
    stage.lacking = [lacks('version', 3), lacks('version', more), lacks('version', 2)];
    expect((await stage.plan()).completeness).toMatchObject({
      complete: false,
      missing: lacks('version', 2),
      missingTotal: 2,
    });
    stage.lacking = thrice(lacks('version', more));
    expect((await stage.plan()).findings).toMatchObject([{ code: 'registry.incomplete', count: more }]);
  });

  it('tries a delta once: after a kill in it all is imported again, and 3.x is read whole', async () => {
    const stage = new ParallelStage({ bulk: true });
    const plan = await stage.plan();
    await stage.apply(plan);
    const call = stage.calls.indexOf('new.delta') + 1;
    for (const moment of ['before', 'after'] as const) {
      const killed = new ParallelStage({ bulk: true });
      const same = await killed.plan();
      expect(isKilled(await failureOf(killed.apply(same, { kill: { call, moment } })))).toBe(true);
      await killed.apply(same);
      const imports = killed.calls.filter((name) => /^new\.(import|delta|compare)/.test(name));
      expect({ moment, imports }).toEqual({ moment, imports: ['new.import', 'new.compare'] });
      expect(killed.missingIn('fresh')).toEqual([]);
    }
  });

  it.each([
    { name: 'what cannot be expressed as one', hooks: { refusedDelta: 'it is one of several' }, why: 'one of several' },
    { name: 'a base that 3.x did not hold as it was', hooks: { strayBefore: true }, why: 'differed' },
  ] as const)('does not try a delta of $name, says so, and imports all again', async ({ hooks, why }) => {
    const stage = new ParallelStage({ bulk: true });
    if ('refusedDelta' in hooks) stage.refusedDelta = hooks.refusedDelta;
    const plan = await stage.plan();
    let isFrozen = false;
    const stray = (name: string): void => {
      isFrozen ||= name === 'shift v2-ro';
      if (name === 'new.compare' && 'strayBefore' in hooks && !isFrozen) stage.fresh.add('stray');
      else stage.fresh.delete('stray');
    };
    await stage.apply(plan, { onCall: stray });
    expect(stage.calls.filter((name) => name === 'new.import')).toHaveLength(2);
    expect(stage.calls).not.toContain('new.compare-by-export');
    expect(await stage.evidence('import', 'way')).toMatchObject({ way: 'again', why: expect.stringContaining(why) });
    expect(stage.missingIn('fresh')).toEqual([]);
  });

  it('has the API judge what an export of 3.x does not show', async () => {
    const stage = new ParallelStage({ bulk: true });
    stage.exportLacks = true;
    await stage.apply(await stage.plan());
    const freeze = stage.calls.indexOf('shift v2-ro');
    const judged = stage.calls.slice(freeze).filter((name) => /^new\.(compare|export)/.test(name));
    expect(judged).toEqual(['new.compare-by-export', 'new.export', 'new.compare']);
    expect(stage.missingIn('fresh')).toEqual([]);
  });

  it('refuses another plan in the midst of one, an old plan, and one of another configuration', async () => {
    const stage = new ParallelStage();
    const plan = await stage.plan();
    const other = await stage.plan();
    const changed = failureOf(stage.apply(plan, { settings: { configDigest: 'edited' } }));
    expect(await changed).toMatchObject({ code: 'plan.mismatch' });
    const expired = failureOf(stage.apply({ ...plan, expiresAtMs: 1 }));
    expect(await expired).toMatchObject({ code: 'plan.expired' });
    await failureOf(stage.apply(plan, { failing: 'adopt' }));
    expect(await failureOf(stage.apply(other))).toMatchObject({ code: 'plan.other-in-progress' });
  });

  it('refuses a target that holds something', async () => {
    const stage = new ParallelStage();
    const plan = await stage.plan();
    stage.fresh.add('somebody else');
    expect(await failureOf(stage.apply(plan))).toMatchObject({
      code: 'parallel.check-failed',
      details: { phase: 'prepare' },
    });
    expect((await stage.plan()).findings).toMatchObject([{ code: 'registry.target-used' }]);
  });
});

describe('a soak', () => {
  it('ends an apply that does not follow it after one sample, and goes on with the next', async () => {
    const stage = new ParallelStage();
    const plan = await stage.plan();
    const { soak } = await stage.apply(plan, { follow: false });
    expect(soak?.kind).toBe('soaking');
    expect(await failureOf(stage.finalize())).toMatchObject({ code: 'parallel.not-soaked' });
    stage.advance(3000);
    expect((await stage.apply(plan, { follow: false })).soak).toEqual({ kind: 'passed' });
  });

  it('that saw 3.x down is not passed unless somebody accepts it', async () => {
    const stage = new ParallelStage();
    const plan = await stage.plan();
    await stage.apply(plan, { follow: false });
    stage.targetDown = true;
    stage.advance(3000);
    expect((await stage.apply(plan, { follow: false })).soak?.kind).toBe('breached');
    stage.targetDown = false;
    expect(await failureOf(stage.finalize())).toMatchObject({ code: 'parallel.not-soaked' });
    expect((await stage.finalize({ accept: ['soak.breached'] })).state.course).toBe('over');
  });
});

describe('rollBackParallel', () => {
  it('carries what 3.x accepted into 2.x before 2.x takes a write, killed at any call', async () => {
    const first = await soaked();
    await first.rollBack();
    expect(first.missingIn('old')).toEqual([]);
    const order = ['shift v3-ro', 'new.changes', 'old.replay', 'shift v2-rw', 'restore'];
    const seen = order.map((name) => first.calls.lastIndexOf(name));
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    for (const kill of faultsOf(first.calls.length)) {
      const stage = await soaked();
      await failureOf(stage.rollBack({ kill }));
      if ((await stage.course())?.course !== 'rolled-back') await stage.rollBack();
      const course = (await stage.course())?.course;
      expect({ kill, course, ...lossesOf(stage, 'old') }).toEqual({ kill, course: 'rolled-back', ...noLosses });
    }
  });

  it('changes nothing when 2.x cannot take what 3.x accepted, until that is accepted by name', async () => {
    const stage = await soaked();
    stage.unfit = [{ kind: 'branch', name: 'g/a', what: 'is a branch' }];
    expect(await failureOf(stage.rollBack())).toMatchObject({
      code: 'parallel.writes-stranded',
      details: { count: 1, changed: 'nothing was changed' },
    });
    expect(stage.traffic).toEqual({ a: 'v3-rw', b: 'v3-rw' });
    expect((await stage.rollBack({ accept: ['registry.writes-lost'] })).state.course).toBe('rolled-back');
    expect(stage.missingIn('old')).toEqual([]);
  });

  it('changes nothing when 3.x is down, and leads clients back where that is accepted', async () => {
    const stage = await soaked();
    stage.targetDown = true;
    expect(await failureOf(stage.rollBack())).toMatchObject({ code: 'parallel.target-silent' });
    expect(stage.traffic).toEqual({ a: 'v3-rw', b: 'v3-rw' });
    await stage.rollBack({ accept: ['registry.writes-lost'] });
    expect(stage.traffic).toEqual({ a: 'v2-rw', b: 'v2-rw' });
  });

  it('has no way back from a finished migration, and none from one that was led back', async () => {
    const stage = await soaked();
    await stage.finalize();
    expect(await failureOf(stage.rollBack())).toMatchObject({ code: 'phase.not-allowed' });
    const back = await soaked();
    await back.rollBack();
    expect(await failureOf(back.rollBack())).toMatchObject({ code: 'phase.not-allowed' });
  });
});
