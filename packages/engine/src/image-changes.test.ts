/**
 * Goal: where rules change keys, overwrites, deletes and retries go by what the records became: nothing that a source key
 * maps to is deleted, and a letter is settled by the record that it was written for.
 * Method: the whole flow on memory stores, with rules in the specification; the source moves while chunks are copied.
 */
import {
  compose,
  customRule,
  deletesOf,
  keyFromText,
  noCounts,
  renamePattern,
  renamePrefix,
  renameTemplate,
  scannedOf,
  selectKeys,
  type Transform,
} from '@keyferry/core';
import { MemoryStore } from '@keyferry/core/testing';
import { describe, expect, it } from 'vitest';
import { bytes, failureOf, Stage, textOf, type RunHooks, type StageOptions } from '../testing/stage.ts';
import type { MemoryPlan } from '../testing/sim/memory-plan.ts';

const policy = { onConflict: 'overwrite', prune: true, guards: { deleteShareMax: 1, deletesMax: 1000 } } as const;
const swap = renameTemplate('dst/{env}/{service}/{rest...}', 'dst/{service}/{env}/{rest}');
const intoNew = renamePrefix(keyFromText('dst/'), keyFromText('dst/new/'));
const onto = renamePattern('dst/x(.*)', 'dst/$1');
/** Fails on values that begin with `bad`. */
const refusesBad = customRule('./no-bad.ts', {
  transform: (record) =>
    textOf(record.value)?.startsWith('bad') === true ? { kind: 'failed', why: 'bad' } : { kind: 'kept', record },
  keepsKeys: true,
});

function stageWith(transform: Transform, spec: StageOptions['spec'] = policy): Stage {
  return new Stage({ spec: { ...spec, transform } });
}

const put = (stage: Stage, name: string, value: string): unknown =>
  stage.source.put(keyFromText(`src/${name}`), bytes(value));

/** Applies until the first chunk is done. */
async function applyOneChunk(stage: Stage, plan: MemoryPlan): Promise<void> {
  const during: RunHooks['during'] = ({ code }, interrupt) => {
    if (code === 'chunk.done') interrupt();
  };
  expect(await failureOf(stage.apply(plan, { during }))).toMatchObject({ code: 'run.interrupted' });
}

describe('prune and overwrite', () => {
  const target = { 'api/prod/a': 'before', 'prod/api/a': 'left over', 'web/prod/z': 'left over', other: '3' };

  it('go by the keys that the rules make, and are taken back by them', async () => {
    const stage = stageWith(swap);
    stage.fillSource({ 'prod/api/a': 'after', 'prod/web/b': '2', other: '3' });
    for (const [name, value] of Object.entries(target)) stage.putTarget(name, value);
    const archive = await stage.plan();
    expect(archive.reader().plan).toMatchObject({
      order: 'spilled',
      totals: { actions: { create: { keys: 1 }, overwrite: { keys: 1 }, delete: { keys: 2 }, equal: { keys: 1 } } },
    });
    expect(await stage.apply(archive)).toMatchObject({
      outcome: 'done',
      counts: { written: 1, overwritten: 1, deleted: 2, equal: 1 },
    });
    expect(stage.targetValues()).toEqual({ 'api/prod/a': 'after', 'web/prod/b': '2', other: '3' });
    expect(await stage.verifyApplied()).toMatchObject({ deviations: [], result: { verdict: 'agree', prunes: true } });
    await stage.rollBack();
    expect(stage.targetValues()).toEqual(target);
    expect(stage.scratch.open).toBe(0);
  });

  it.each([
    { name: 'sorted', transform: swap, at: (i: number) => `s${i % 5}/e${i % 7}/${i}` },
    { name: 'merged', transform: intoNew, at: (i: number) => `new/e${i % 7}/s${i % 5}/${i}` },
  ])('stand between the records of a $name image, and go on after each interruption', async ({ transform, at }) => {
    const stage = stageWith(transform);
    for (let i = 0; i < 60; i += 1) put(stage, `e${i % 7}/s${i % 5}/${i}`, `${i}`);
    for (let i = 0; i < 40; i += 1) stage.putTarget(`${at(i)}${i % 2 === 0 ? '' : ' stray'}`, 'before');
    const archive = await stage.plan();
    expect(archive.reader().plan.totals.actions).toMatchObject({ overwrite: { keys: 20 }, delete: { keys: 20 } });
    let runs = 0;
    for (let outcome = ''; outcome !== 'done'; runs += 1) {
      expect(runs).toBeLessThan(60);
      let settled = 0;
      const during: RunHooks['during'] = ({ code }, interrupt) => {
        if (code === 'backfill.progress' && (settled += 1) === 2) interrupt();
      };
      const ended = await stage.apply(archive, { during }).catch((error: unknown) => error);
      expect(ended).toMatchObject(ended instanceof Error ? { code: 'run.interrupted' } : { outcome: 'done' });
      outcome = ended instanceof Error ? '' : 'done';
    }
    expect(runs).toBeGreaterThan(2);
    const { counts } = await stage.status();
    expect(counts).toMatchObject({ written: 40, overwritten: 20, deleted: 20 });
    expect(Object.keys(stage.targetValues())).toHaveLength(60);
    expect(await stage.verifyApplied()).toMatchObject({ deviations: [], result: { verdict: 'agree' } });
  });

  it('leave alone what lies beside the keys that a rename leads to', async () => {
    const stage = stageWith(intoNew);
    stage.fillSource({ a: '1' });
    for (const name of ['beside', 'new/stray', 'zebra']) stage.putTarget(name, 'x');
    const archive = await stage.plan();
    expect(archive.reader().plan).toMatchObject({
      order: 'merged',
      totals: { targetOnly: 2, actions: { delete: { keys: 1 } } },
    });
    expect(await stage.apply(archive)).toMatchObject({ outcome: 'done' });
    expect(stage.targetValues()).toEqual({ beside: 'x', 'new/a': '1', zebra: 'x' });
  });

  it('see all of a target that holds far more than the image, which is not looked up then', async () => {
    const stage = stageWith(swap);
    stage.fillSource({ 'prod/api/a': '1' });
    for (let i = 0; i < 60; i += 1) stage.putTarget(`foreign/${i}`, 'x');
    const archive = await stage.plan();
    expect(archive.reader().plan).toMatchObject({
      targetRead: 'scanned',
      totals: { targetOnly: 0, actions: { delete: { keys: 60 } } },
    });
    expect(await stage.apply(archive)).toMatchObject({ outcome: 'done', counts: { written: 1, deleted: 60 } });
    expect(stage.targetValues()).toEqual({ 'api/prod/a': '1' });
    expect(await stage.verifyApplied()).toMatchObject({ deviations: [], result: { verdict: 'agree' } });
  });

  it('need a yes where a module drops records, whose keys in the target nobody can tell', async () => {
    const drops = customRule('./live.ts', {
      transform: (record) => (record.value.length === 0 ? { kind: 'dropped' } : { kind: 'kept', record }),
    });
    const stage = stageWith(drops);
    stage.fillSource({ a: '1', b: '' });
    stage.putTarget('b', 'carried once');
    const plan = await stage.plan();
    expect(plan.reader().plan.findings).toMatchObject([
      { code: 'prune.unproven', level: 'warning', detail: expect.stringContaining('left out 1 record') as unknown },
    ]);
    expect(await failureOf(stage.apply(plan))).toMatchObject({ code: 'plan.unaccepted' });
    expect(stage.targetValues()).toEqual({ b: 'carried once' });
  });

  it('delete no key that several source keys have come to want since the plan', async () => {
    const stage = stageWith(onto);
    stage.fillSourceWith(25);
    stage.putTarget('z', 'left over');
    const plan = await stage.plan();
    await applyOneChunk(stage, plan);
    put(stage, 'z', '1');
    put(stage, 'xz', '2');
    const applied = await stage.apply(plan);
    expect(applied).toMatchObject({
      outcome: 'deviated',
      counts: { written: 25, deleted: 0, deletesChanged: 1, deadLetters: 2 },
    });
    expect(deletesOf(applied.counts)).toBe(1);
    expect(stage.targetValues()).toMatchObject({ z: 'left over' });
  });
});

describe('a plan that would delete', () => {
  it.each([
    { name: 'collide in', late: { z: '1', xz: '2' }, what: 'src/xz and src/z would all become it', keys: 1 },
    { name: 'have got', late: { xz: '2' }, what: 'was to be deleted, and is in the source now', keys: 1 },
  ])('is stale when source keys $name its place', async ({ late, what, keys }) => {
    const stage = stageWith(onto);
    stage.fillSource({ a: '1' });
    stage.putTarget('z', 'left over');
    const plan = await stage.plan();
    for (const [name, value] of Object.entries(late)) put(stage, name, value);
    expect(await failureOf(stage.apply(plan))).toMatchObject({
      code: 'plan.stale',
      details: { keysTotal: keys, keys: [{ key: { text: 'dst/z' }, what }] },
    });
    expect(stage.targetValues()).toEqual({ z: 'left over' });
  });
});

describe('a retry of letters about what had no place', () => {
  const noPrune = { onConflict: 'keep-target' } as const;

  /** One chunk is copied, then the source moves, and the rest is copied. */
  async function deviated(transform: Transform, late: Readonly<Record<string, string>>): Promise<Stage> {
    const stage = stageWith(transform, noPrune);
    stage.fillSourceWith(25);
    const plan = await stage.plan();
    await applyOneChunk(stage, plan);
    for (const [name, value] of Object.entries(late)) put(stage, name, value);
    expect(await stage.apply(plan)).toMatchObject({ outcome: 'deviated' });
    return stage;
  }

  it.each([
    { name: 'merged', transform: refusesBad },
    { name: 'sorted', transform: compose([refusesBad, swap]) },
  ])('writes a record that the rules accept by now, of a $name image', async ({ transform }) => {
    const stage = await deviated(transform, { k0023: 'bad', k0024: 'bad' });
    put(stage, 'k0024', 'good');
    expect(await stage.retryLetters()).toMatchObject({
      outcome: 'deviated',
      tried: { written: 1, deadLetters: 1 },
      counts: { written: 24, deadLetters: 1 },
      stillDead: [{ targetKey: { text: 'dst/k0023' }, reason: 'rule.failed: module ./no-bad.ts says: bad' }],
    });
    expect(stage.targetValues()).toMatchObject({ k0024: 'good' });
    stage.source.delete(keyFromText('src/k0023'));
    expect(await stage.retryLetters()).toMatchObject({ tried: { notCarried: 1, deadLetters: 0 } });
    expect(await stage.deadLetters()).toEqual([]);
  });

  it('leaves one that becomes another key by now, and says which', async () => {
    const stage = await deviated(compose([refusesBad, swap]), { 'm/n/o': 'bad' });
    put(stage, 'm/n/o', 'good');
    expect(await stage.retryLetters()).toMatchObject({
      tried: { written: 0, deadLetters: 1 },
      stillDead: [{ reason: expect.stringContaining('it becomes dst/n/m/o by now') as unknown }],
    });
    expect(stage.targetValues()).not.toHaveProperty('n/m/o');
  });

  it('does not take the record that has its key for its own', async () => {
    const stage = await deviated(compose([refusesBad, onto]), { z: 'bad', xz: 'of another' });
    const before = await stage.status();
    expect(await stage.deadLetters()).toMatchObject([{ sourceKey: { text: 'src/z' } }]);
    expect(await stage.retryLetters()).toMatchObject({ tried: { written: 0, deadLetters: 1 } });
    expect((await stage.status()).counts).toEqual(before.counts);
  });

  it('writes what is left of several that would have got one key, and each is counted once', async () => {
    const stage = await deviated(onto, { z: '1', xz: '2' });
    const letters = await stage.deadLetters();
    expect(letters).toMatchObject([{ unplaced: { reason: 'key.collision', count: 2 } }]);
    const { counts } = await stage.status();
    expect(await stage.retryLetters()).toMatchObject({ tried: { deadLetters: 2 } });
    stage.source.delete(keyFromText('src/xz'));
    const retried = await stage.retryLetters();
    expect(retried).toMatchObject({ tried: { written: 1, notCarried: 1, deadLetters: 0 }, stillDead: [] });
    expect(scannedOf(retried.counts)).toBe(scannedOf(counts ?? noCounts));
    expect(stage.targetValues()).toMatchObject({ z: '1' });
    expect(await stage.deadLetters()).toEqual([]);
  });

  it('settles letters of records that the rules leave out by now', async () => {
    const leavesOutEmpty = customRule('./live.ts', {
      transform: (record) => (record.value.length === 0 ? { kind: 'dropped' } : { kind: 'kept', record }),
      keepsKeys: true,
    });
    const stage = await deviated(compose([selectKeys('all', () => true), leavesOutEmpty, refusesBad, swap]), {
      z: 'bad',
    });
    put(stage, 'z', '');
    expect(await stage.retryLetters()).toMatchObject({ tried: { notCarried: 1, deadLetters: 0 } });
  });

  it('writes a refused record by its key in the image', async () => {
    const stage = stageWith(swap, noPrune);
    for (let i = 0; i < 20; i += 1) put(stage, `e${i % 3}/s${i}/k`, i < 4 ? 'x'.repeat(200) : `${i}`);
    const plan = await stage.plan();
    const target = new MemoryStore({ name: 'new', sharedWith: stage.target, capabilities: { recordBytesMax: 100 } });
    expect(await stage.apply(plan, { target })).toMatchObject({ counts: { written: 16, deadLetters: 4 } });
    expect(await stage.retryLetters()).toMatchObject({
      outcome: 'done',
      tried: { written: 4, deadLetters: 0 },
      counts: { written: 20, deadLetters: 0 },
    });
  });
});
