/**
 * Goal: what a user sees of an offline migration from plan to rollback, when nothing or one thing goes wrong.
 * Method: the real engine on memory stores (testing/stage.ts). What many faults at once do is the simulator's.
 */
import { keyFromText, KeyferryError, noCounts, nothingRolledBack, scannedOf, type ChunkCounts } from '@keyferry/core';
import { MemoryStateStore, MemoryStore } from '@keyferry/core/testing';
import { describe, expect, it } from 'vitest';
import { bytes, failureOf, Stage } from '../../testing/stage.ts';

const counts = (changed: Partial<ChunkCounts>): ChunkCounts => ({ ...noCounts, ...changed });

describe('plan, apply, verify, rollback', () => {
  it('copies every record, proves it, and goes back to exactly what was there', async () => {
    const stage = new Stage();
    stage.fillSource({ a: '1', 'a-b': '2', 'a/b': '3', é: '4' });
    stage.putTarget('z-own', 'was here');
    const plan = await stage.plan();
    expect(stage.targetValues()).toEqual({ 'z-own': 'was here' });

    const applied = await stage.apply(plan);
    expect(applied).toMatchObject({ outcome: 'done', attempt: 1, resumed: false, deviations: [] });
    expect(applied.counts).toEqual(counts({ written: 4 }));
    expect(applied.verify).toMatchObject({ verdict: 'agree', targetOnly: 1, differencesTotal: 0 });
    expect(Object.keys(stage.targetValues())).toHaveLength(5);
    expect((await stage.verify())?.verdict).toBe('agree');
    expect((await stage.status()).phase).toBe('verified');

    const back = await stage.rollBack();
    expect(back.counts).toEqual({ ...nothingRolledBack, removed: 4 });
    expect(back.written).toBe(4);
    expect(stage.targetValues()).toEqual({ 'z-own': 'was here' });
    expect((await stage.status()).phase).toBe('rolled-back');
    expect(stage.source.openViews() + stage.target.openViews()).toBe(0);
  });

  it('leaves the epoch behind after a rollback, so that the next attempt has a higher number', async () => {
    const stage = new Stage();
    stage.fillSource({ a: '1' });
    const plan = await stage.plan();
    await stage.apply(plan);
    await stage.rollBack();
    const again = await stage.apply(plan);
    expect(again).toMatchObject({ attempt: 2, outcome: 'done', resumed: false });
  });

  it('does not use an attempt number again when the state was lost', async () => {
    const stage = new Stage();
    stage.fillSource({ a: '1' });
    await stage.apply(await stage.plan());
    const state = new MemoryStateStore();
    const again = await stage.apply(await stage.plan(), { state });
    expect(again).toMatchObject({ attempt: 2, outcome: 'done', counts: counts({ equal: 1 }) });
  });

  it('leaves a record that somebody changed after the copy, and says which', async () => {
    const stage = new Stage();
    stage.fillSource({ a: '1', b: '2' });
    await stage.apply(await stage.plan());
    stage.putTarget('a', 'newer');
    const back = await stage.rollBack();
    expect(stage.targetValues()).toEqual({ a: 'newer' });
    expect(back.counts.removed).toBe(1);
  });

  it('refuses a rollback when nothing was applied', async () => {
    const stage = new Stage();
    expect(await failureOf(stage.rollBack())).toMatchObject({ code: 'phase.not-allowed' });
  });
});

describe('the sizes of a migration', () => {
  it.each([0, 1, 999, 1000, 1001, 2500])('copies %i records, each once', async (count) => {
    const stage = new Stage({ spec: { limits: { chunkKeysMax: 5000, chunkBytesMax: 1e9, createRowsMax: 10 } } });
    stage.fillSourceWith(count);
    const applied = await stage.apply(await stage.plan());
    expect(applied.outcome).toBe('done');
    expect(applied.counts).toEqual(counts({ written: count }));
    expect(scannedOf(applied.counts)).toBe(applied.plan.totals.scanned);
    expect(Object.keys(stage.targetValues())).toHaveLength(count);
    expect(stage.target.revision()).toBe(count);
  });

  it.each([9, 10, 11, 20, 21])('cuts %i records into chunks of ten', async (count) => {
    const stage = new Stage();
    stage.fillSourceWith(count);
    const { plan } = (await stage.plan()).reader();
    expect(plan.chunks).toBe(Math.ceil(count / 10));
  });
});

describe('a target that is not empty', () => {
  it('keeps its values where the policy says so, and admits exactly these differences', async () => {
    const stage = new Stage();
    stage.fillSource({ a: '1', b: '2', c: '3' });
    stage.putTarget('a', '1');
    stage.putTarget('b', 'own');
    const applied = await stage.apply(await stage.plan());
    expect(applied).toMatchObject({ outcome: 'done', counts: counts({ written: 1, equal: 1, kept: 1 }) });
    expect(applied.verify).toMatchObject({ verdict: 'agree', kept: 1 });
    expect(stage.targetValues()).toEqual({ a: '1', b: 'own', c: '3' });
    await stage.rollBack();
    expect(stage.targetValues()).toEqual({ a: '1', b: 'own' });
  });

  it('blocks the plan where conflicts are to fail', async () => {
    const stage = new Stage({ spec: { onConflict: 'fail' } });
    stage.fillSource({ a: '1' });
    stage.putTarget('a', 'own');
    const plan = await stage.plan();
    expect(plan.reader().plan.applyable).toBe(false);
    expect(await failureOf(stage.apply(plan))).toMatchObject({
      code: 'plan.not-applyable',
      details: { findings: ['conflict.found'] },
    });
    expect(stage.targetValues()).toEqual({ a: 'own' });
  });

  it('refuses to begin when records came after a plan that required an empty target', async () => {
    const stage = new Stage({ spec: { requireEmpty: 'prefix' } });
    stage.fillSource({ a: '1' });
    const plan = await stage.plan();
    stage.putTarget('later', 'x');
    expect(await failureOf(stage.apply(plan))).toMatchObject({ code: 'plan.not-applyable' });
  });
});

describe('a plan that cannot be applied', () => {
  it('is blocked by a record over the limit of the target, and names the key', async () => {
    const stage = new Stage({ target: { capabilities: { recordBytesMax: 20 } } });
    stage.fillSource({ small: 'x', big: 'x'.repeat(30) });
    const plan = await stage.plan();
    const [found] = plan.reader().plan.findings;
    expect(found).toMatchObject({ code: 'value.too-large', count: 1, keys: [{ text: 'dst/big' }] });
    expect(await failureOf(stage.apply(plan))).toMatchObject({ code: 'plan.not-applyable' });
  });

  it('is refused after its time, unless it was begun before', async () => {
    const stage = new Stage({ spec: { planMaxAgeMs: 60_000 } });
    stage.fillSourceWith(30);
    const plan = await stage.plan();
    const late = await stage.plan();
    const stopped = stage.apply(plan, {
      during: ({ code }, interrupt) => {
        if (code === 'chunk.done') interrupt();
      },
    });
    expect(await failureOf(stopped)).toMatchObject({ code: 'run.interrupted' });
    await stage.run(() => stage.kernel.sleep(60_000));
    expect(await failureOf(stage.apply(late))).toBeInstanceOf(KeyferryError);
    expect(await stage.apply(plan)).toMatchObject({ outcome: 'done', resumed: true });
    expect(await failureOf(stage.apply(late))).toMatchObject({ code: 'plan.expired' });
  });

  it('is refused when the configuration is another one', async () => {
    const stage = new Stage();
    const plan = await stage.plan();
    const other = { ...plan.reader(), plan: { ...plan.reader().plan, configDigest: 'another' } };
    expect(await failureOf(stage.apply(other))).toMatchObject({ code: 'plan.mismatch' });
  });

  it('is refused while another plan is in the middle of it', async () => {
    const stage = new Stage();
    stage.fillSourceWith(30);
    const [first, second] = [await stage.plan(), await stage.plan()];
    await failureOf(stage.apply(first, { during: (_message, interrupt) => interrupt() }));
    expect(await failureOf(stage.apply(second))).toMatchObject({ code: 'plan.other-in-progress' });
  });

  it('needs warnings accepted by name', async () => {
    const stage = new Stage({ target: { capabilities: { expiry: false } } });
    stage.source.put(keyFromText('src/a'), bytes('1'), stage.kernel.nowMs + 3_600_000);
    const plan = await stage.plan();
    expect(await failureOf(stage.apply(plan))).toMatchObject({
      code: 'plan.unaccepted',
      details: { findings: ['ttl.dropped'] },
    });
  });
});

describe('an interrupted apply', () => {
  it('goes on where it stopped, in the same attempt, and writes no key twice', async () => {
    const stage = new Stage();
    stage.fillSourceWith(55);
    const plan = await stage.plan();
    let done = 0;
    const stopped = stage.apply(plan, {
      during: ({ code }, interrupt) => {
        done += Number(code === 'chunk.done');
        if (done === 2) interrupt();
      },
    });
    expect(await failureOf(stopped)).toMatchObject({ code: 'run.interrupted', details: { signal: 'SIGINT' } });
    const status = await stage.status();
    expect(status).toMatchObject({ phase: 'applying', lock: null, chunksTotal: 6 });
    expect(status.chunksDone).toBeGreaterThanOrEqual(2);
    expect(status.chunksDone).toBeLessThan(6);

    const applied = await stage.apply(plan);
    expect(applied).toMatchObject({ attempt: 1, resumed: true, outcome: 'done', counts: counts({ written: 55 }) });
    expect(stage.target.revision()).toBe(55);
    expect(stage.source.openViews() + stage.target.openViews()).toBe(0);
  });

  it('can be repeated after its end, and finds nothing to do', async () => {
    const stage = new Stage();
    stage.fillSourceWith(12);
    const plan = await stage.plan();
    await stage.apply(plan);
    expect(await stage.apply(plan)).toMatchObject({ outcome: 'done', resumed: true, counts: counts({ written: 12 }) });
    expect(stage.target.revision()).toBe(12);
  });

  it('can be rolled back from the middle', async () => {
    const stage = new Stage();
    stage.fillSourceWith(40);
    stage.putTarget('own', 'x');
    const plan = await stage.plan();
    const stopped = stage.apply(plan, {
      during: ({ code }, interrupt) => {
        if (code === 'chunk.done') interrupt();
      },
    });
    await failureOf(stopped);
    await stage.rollBack();
    expect(stage.targetValues()).toEqual({ own: 'x' });
  });
});

describe('a run that comes to its end and deviates', () => {
  it('says so when the source changed while it was copied', async () => {
    const stage = new Stage({ spec: { workers: 1 } });
    stage.fillSourceWith(30);
    let changed = false;
    const applied = await stage.apply(await stage.plan(), {
      during: ({ code }) => {
        if (code !== 'chunk.done' || changed) return;
        changed = true;
        stage.fillSource({ k0003: 'changed behind our back' });
      },
    });
    expect(applied.outcome).toBe('deviated');
    expect(applied.deviations).toContain('the source is not as the plan saw it');
    expect(applied.verify.differences).toEqual([{ key: { text: 'dst/k0003' }, what: 'value differs' }]);
  });

  it('says so when a key was deleted in the target meanwhile, and does not bring it back', async () => {
    const stage = new Stage({ spec: { workers: 1 } });
    stage.fillSourceWith(30);
    const key = keyFromText('dst/k0025');
    const applied = await stage.apply(await stage.plan(), {
      during: ({ code }) => {
        if (code === 'chunk.claimed') stage.target.putTombstone(stage.spec.migration, key);
      },
    });
    expect(applied).toMatchObject({ outcome: 'deviated', counts: counts({ written: 29, tombstoned: 1 }) });
    expect(stage.target.snapshot().has(key)).toBe(false);
  });

  it('keeps what an application wrote to a key that was not copied yet', async () => {
    const stage = new Stage({ spec: { workers: 1 } });
    stage.fillSourceWith(30);
    let wrote = false;
    const applied = await stage.apply(await stage.plan(), {
      during: ({ code }) => {
        if (code !== 'chunk.done' || wrote) return;
        wrote = true;
        stage.putTarget('k0025', 'newer');
      },
    });
    expect(applied).toMatchObject({ outcome: 'deviated', counts: counts({ written: 29, kept: 1 }) });
    expect(stage.targetValues()['k0025']).toBe('newer');
  });

  it('keeps a record that the target refuses as a dead letter, and copies the others', async () => {
    const stage = new Stage();
    stage.fillSource({ a: '1', b: 'x'.repeat(50), c: '3' });
    const plan = await stage.plan();
    const narrow = new MemoryStore({ name: 'new', sharedWith: stage.target, capabilities: { recordBytesMax: 30 } });
    const applied = await stage.apply(plan, { target: narrow });
    expect(applied).toMatchObject({ outcome: 'deviated', counts: counts({ written: 2, deadLetters: 1 }) });
    expect(await stage.deadLetters()).toMatchObject([
      { sourceKey: { text: 'src/b' }, targetKey: { text: 'dst/b' }, reason: '55 bytes, at most 30' },
    ]);
  });
});
