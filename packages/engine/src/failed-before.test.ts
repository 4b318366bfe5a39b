/**
 * Goal: records that the target refuses for good are not tried again by each restart of the command, and whatever may have
 * helped them, or has to be carried besides, makes it apply again. Method: an apply into a target that refuses long
 * records; then the question that the next command asks, before and behind one change at a time.
 */
import { keyFromText, type MigrationSpec } from '@keyferry/core';
import { MemoryStore } from '@keyferry/core/testing';
import { describe, expect, it } from 'vitest';
import { bytes, failureOf, Stage, type RunHooks } from '../testing/stage.ts';
import { assertNotFailedBefore } from './failed-before.ts';

const long = 'x'.repeat(50);

/** Planned for a target that takes everything, as one that has limits of its own which no plan knows. */
async function failed(
  spec: Partial<MigrationSpec> = {},
  hooks: (stage: Stage) => RunHooks = () => ({}),
): Promise<Stage> {
  const stage = new Stage({ spec });
  stage.fillSource({ good: '1', bad: long, secret: long });
  const target = new MemoryStore({ name: 'new', sharedWith: stage.target, capabilities: { recordBytesMax: 30 } });
  const applied = await stage.apply(await stage.plan(), { target, ...hooks(stage) });
  expect(applied).toMatchObject({ outcome: 'deviated', counts: { deadLetters: 2 } });
  return stage;
}

const next = (stage: Stage, spec: Partial<MigrationSpec> = {}) =>
  failureOf(stage.run((engine) => assertNotFailedBefore(engine, { ...stage.spec, ...spec })));

const again = { code: 'apply.failed-before' };

describe('an apply that ended with dead letters', () => {
  it('is answered by the same letters while nothing moved, however often it is asked, and none is tried', async () => {
    const stage = await failed({ isSensitive: (key) => key === keyFromText('dst/secret') });
    const before = stage.target.head();
    const reads = stage.messages.length;
    for (let n = 1; n <= 2; n += 1) {
      const error = await next(stage);
      expect(error).toMatchObject({ ...again, details: { migration: 'shop', source: 'old', recordsTotal: 2 } });
      expect((error as { details: { records: unknown } }).details.records).toEqual([
        { key: { text: 'dst/bad' }, reason: expect.stringContaining('30') },
        { key: { text: 'dst/secret' }, reason: null },
      ]);
    }
    expect(stage.messages.length).toBe(reads);
    expect(await stage.target.head()).toBe(await before);
  });

  it.each<{ name: string; change: (stage: Stage) => Partial<MigrationSpec> }>([
    {
      name: 'its record was mended',
      change: (stage) => {
        stage.fillSource({ bad: 'short' });
        return {};
      },
    },
    {
      name: 'its record is gone',
      change: (stage) => {
        stage.source.delete(keyFromText('src/bad'));
        return {};
      },
    },
    {
      name: 'somebody changed what the target has at its key',
      change: (stage) => {
        stage.target.put(keyFromText('dst/bad'), bytes('theirs'));
        return {};
      },
    },
    { name: 'the configuration is another', change: () => ({ configDigest: 'other' }) },
    { name: 'the rules are others', change: () => ({ rulesDigest: 'other' }) },
    { name: 'a part of the migration is asked for', change: () => ({ selection: { only: [], exclude: ['x'] } }) },
    { name: 'keyferry is another', change: () => ({ keyferryVersion: '0.2.0' }) },
    {
      name: 'its plan would have expired',
      change: (stage) => {
        stage.kernel.nowMs += stage.spec.planMaxAgeMs;
        return {};
      },
    },
  ])('is applied again once $name', async ({ change }) => {
    const stage = await failed();
    expect(await next(stage)).toMatchObject(again);
    expect(await next(stage, change(stage))).toBeNull();
  });

  it('is answered so too while others write beside its records, and write the same again', async () => {
    const stage = await failed();
    stage.fillSource({ late: '1', good: '2' });
    stage.fillSource({ bad: long });
    expect(await next(stage)).toMatchObject({ ...again, details: { recordsTotal: 2 } });
  });

  it('is answered so of a source that does not say which store it is, for as long as its records are there', async () => {
    const stage = await failed();
    const nobody = new MemoryStore({ name: 'old', identity: null, sharedWith: stage.source });
    const ask = () => failureOf(stage.run((engine) => assertNotFailedBefore(engine, stage.spec), { source: nobody }));
    expect(await ask()).toMatchObject(again);
    stage.fillSource({ secret: 'short' });
    expect(await ask()).toBeNull();
  });

  it('is applied again behind a retry, whatever came of that, and when all is written nothing is said of it', async () => {
    const stage = await failed();
    const target = new MemoryStore({ name: 'new', sharedWith: stage.target, capabilities: { recordBytesMax: 30 } });
    expect(await stage.retryLetters({ target })).toMatchObject({ outcome: 'deviated' });
    expect(await next(stage)).toBeNull();
    expect(await stage.retryLetters()).toMatchObject({ outcome: 'done' });
    expect(await next(stage)).toBeNull();
  });

  it('is answered of many letters with few looks, and by the rest of them only while the source stands', async () => {
    const names = Array.from({ length: 1000 }, (_, i) => `bad${String(i).padStart(4, '0')}`);
    const stage = new Stage();
    stage.fillSource(Object.fromEntries(names.map((name) => [name, long])));
    const target = new MemoryStore({ name: 'new', sharedWith: stage.target, capabilities: { recordBytesMax: 30 } });
    await stage.apply(await stage.plan(), { target });
    let views = 0;
    for (const store of [stage.source, stage.target]) {
      const openView = store.openView.bind(store);
      store.openView = (...range) => {
        views += 1;
        return openView(...range);
      };
    }
    expect(await next(stage)).toMatchObject({ ...again, details: { recordsTotal: 1000 } });
    expect(views).toBeLessThanOrEqual(200);
    stage.fillSource({ beside: '1' });
    expect(await next(stage)).toBeNull();
  });

  it('is applied again where more was missing than its letters', async () => {
    const stage = await failed({}, (within) => ({
      during: ({ code }) => {
        if (code === 'backfill.progress') within.target.delete(keyFromText('dst/good'));
      },
    }));
    expect(await next(stage)).toBeNull();
  });

  it('is applied again into a target that knows nothing of it any more', async () => {
    const stage = await failed();
    const target = new MemoryStore({ name: 'new' });
    expect(await failureOf(stage.run((engine) => assertNotFailedBefore(engine, stage.spec), { target }))).toBeNull();
  });
});
