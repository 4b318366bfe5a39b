/**
 * Goal: a plan that no longer matches the stores is refused before the first write, and names each key that moved.
 * Method: one change between plan and apply for each way in which a planned key can move, with every row listed and
 * with none.
 */
import { keyFromText, type KeyferryError } from '@keyferry/core';
import { MemoryStore, type MemoryStoreOptions } from '@keyferry/core/testing';
import { describe, expect, it } from 'vitest';
import { bytes, failureOf, Stage } from '../testing/stage.ts';

const hourMs = 3_600_000;

/** a, b, c in the source; c equal in the target; t expires. */
function filled(createRowsMax = 1000, store: MemoryStoreOptions = {}): Stage {
  const limits = { chunkKeysMax: 10, chunkBytesMax: 1e6, createRowsMax };
  const stage = new Stage({ spec: { limits }, source: store, target: store });
  stage.fillSource({ a: '1', b: '2', c: '3' });
  stage.source.put(keyFromText('src/t'), bytes('short'), stage.kernel.nowMs + 60_000);
  stage.putTarget('c', '3');
  stage.putTarget('d', 'own');
  return stage;
}

interface Move {
  readonly name: string;
  readonly key: string;
  readonly move: (stage: Stage) => void;
}

const moves: readonly Move[] = [
  { name: 'a source record changed', key: 'dst/a', move: (s) => s.fillSource({ a: 'other' }) },
  { name: 'a source record went', key: 'dst/b', move: (s) => s.source.delete(keyFromText('src/b')) },
  { name: 'a source record came', key: 'dst/bb', move: (s) => s.fillSource({ bb: 'new' }) },
  { name: 'a target record came where one is to be created', key: 'dst/a', move: (s) => s.putTarget('a', 'own') },
  { name: 'the planned record came into the target by itself', key: 'dst/a', move: (s) => s.putTarget('a', '1') },
  { name: 'an equal target record changed', key: 'dst/c', move: (s) => s.putTarget('c', 'own') },
  { name: 'an equal target record went', key: 'dst/c', move: (s) => s.target.delete(keyFromText('dst/c')) },
  {
    name: 'a source record that expires changed its value',
    key: 'dst/t',
    move: (s) => s.source.put(keyFromText('src/t'), bytes('other'), s.kernel.nowMs + hourMs),
  },
];

describe('a plan is stale when', () => {
  it.each(moves)('$name', async ({ key, move }) => {
    const stage = filled();
    const plan = await stage.plan();
    move(stage);
    const before = stage.targetValues();
    const failure = (await failureOf(stage.apply(plan))) as KeyferryError<'plan.stale'>;
    expect(failure).toMatchObject({ code: 'plan.stale', details: { keysTotal: 1 } });
    expect(failure.details.keys.map((stale) => stale.key)).toEqual([{ text: key }]);
    expect(stage.targetValues()).toEqual(before);
    expect((await stage.status()).phase).toBe('new');
    expect(stage.source.openViews() + stage.target.openViews()).toBe(0);
  });

  it.each([0, 1])('any of these happened in a chunk that has %i of its creates listed', async (rows) => {
    for (const { move } of moves) {
      const stage = filled(rows);
      const plan = await stage.plan();
      move(stage);
      expect(await failureOf(stage.apply(plan))).toMatchObject({ code: 'plan.stale' });
    }
  });

  it.each(moves)('$name, past the limit of rows and while a TTL ended', async ({ move }) => {
    const stage = filled(0);
    const soonMs = stage.kernel.nowMs + 1000;
    stage.source.put(keyFromText('src/u'), bytes('ends'), soonMs);
    stage.source.put(keyFromText('src/v'), bytes('ends'), soonMs);
    stage.putTarget('v', 'ends', stage.kernel.nowMs + hourMs);
    const plan = await stage.plan();
    await stage.run(() => stage.kernel.sleep(2000));
    move(stage);
    expect(await failureOf(stage.apply(plan))).toMatchObject({ code: 'plan.stale' });
    expect((await stage.status()).phase).toBe('new');
  });

  it('an equal record that expires changed its value, past the limit of rows and while a TTL ended', async () => {
    const stage = filled(0);
    stage.source.put(keyFromText('src/u'), bytes('same'), stage.kernel.nowMs + hourMs);
    stage.putTarget('u', 'same', stage.kernel.nowMs + hourMs);
    const plan = await stage.plan();
    await stage.run(() => stage.kernel.sleep(61_000));
    stage.source.put(keyFromText('src/u'), bytes('other'), stage.kernel.nowMs + hourMs);
    const failure = (await failureOf(stage.apply(plan))) as KeyferryError<'plan.stale'>;
    expect(failure).toMatchObject({ code: 'plan.stale', details: { keys: [{ key: { text: 'dst/u' } }] } });
  });

  it('a store is another one that happens to stand at the same position', async () => {
    const stage = filled();
    const plan = await stage.plan();
    const other = new MemoryStore({ name: 'new', nowMs: () => stage.kernel.nowMs, identity: null });
    for (const name of ['c', 'x']) other.put(keyFromText(`dst/${name}`), bytes('another'));
    expect(await other.head()).toBe(plan.reader().plan.target.position);
    expect(await failureOf(stage.apply(plan, { target: other }))).toMatchObject({ code: 'plan.stale' });
  });
});

describe('a plan holds when', () => {
  it.each([1000, 2, 1, 0])('a source record reached the end of its time (%i rows)', async (rows) => {
    const stage = filled(rows);
    const plan = await stage.plan();
    await stage.run(() => stage.kernel.sleep(61_000));
    const applied = await stage.apply(plan);
    expect(applied).toMatchObject({ outcome: 'done', deviations: [], counts: { written: 2, equal: 1 } });
    expect(Object.keys(stage.targetValues()).toSorted()).toEqual(['a', 'b', 'c', 'd']);
  });

  it('keys beside the prefixes moved, or foreign ones under the target prefix', async () => {
    const stage = filled();
    const plan = await stage.plan();
    stage.source.put(keyFromText('elsewhere'), bytes('x'));
    stage.target.put(keyFromText('elsewhere'), bytes('x'));
    stage.putTarget('e', 'somebody else');
    expect(await stage.apply(plan)).toMatchObject({ outcome: 'done' });
  });

  it.each([1000, 0])('an equal record that expires reached the end of its time (%i rows)', async (rows) => {
    const stage = filled(rows);
    stage.source.put(keyFromText('src/u'), bytes('same'), stage.kernel.nowMs + 60_000);
    stage.putTarget('u', 'same', stage.kernel.nowMs + hourMs);
    const plan = await stage.plan();
    await stage.run(() => stage.kernel.sleep(61_000));
    expect(await stage.apply(plan)).toMatchObject({ outcome: 'done' });
  });

  it('a key went a little before the end that its store had estimated', async () => {
    const stage = filled();
    const plan = await stage.plan();
    await stage.run(() => stage.kernel.sleep(58_900));
    stage.source.delete(keyFromText('src/t'));
    expect(await stage.apply(plan)).toMatchObject({ outcome: 'done' });
  });

  it.each([
    { stores: 'say who they are', again: false },
    { stores: 'have no identity', options: { identity: null }, again: true },
    {
      stores: 'have none, and positions that are digests of their content',
      options: { identity: null, capabilities: { positionIsContent: true } },
      again: false,
    },
  ])('nothing moved; records are read again: $again, when the stores $stores', async ({ options, again }) => {
    const stage = filled(1000, options);
    const plan = await stage.plan();
    expect(await stage.apply(plan)).toMatchObject({ outcome: 'done' });
    expect(stage.messages.some(({ code }) => code === 'apply.checking')).toBe(again);
  });
});
