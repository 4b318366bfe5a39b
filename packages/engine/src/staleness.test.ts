/**
 * Goal: a plan that no longer matches the stores is refused before the first write, and names each key that moved.
 * Method: one change between plan and apply for each way in which a planned key can move, with every row listed and
 * with none.
 */
import { keyFromText, type KeyferryError } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { bytes, failureOf, Stage } from '../testing/stage.ts';

const hourMs = 3_600_000;

/** a, b, c in the source; c equal in the target; t expires. */
function filled(createRowsMax = 1000): Stage {
  const stage = new Stage({ spec: { limits: { chunkKeysMax: 10, chunkBytesMax: 1e6, createRowsMax } } });
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
    expect(failure.details.keys.map((stale) => stale.key)).toEqual([key]);
    expect(stage.targetValues()).toEqual(before);
    expect((await stage.status()).phase).toBe('new');
    expect(stage.source.openViews() + stage.target.openViews()).toBe(0);
  });

  it.each(moves)('$name, past the limit of rows', async ({ move }) => {
    const stage = filled(0);
    const plan = await stage.plan();
    move(stage);
    expect(await failureOf(stage.apply(plan))).toMatchObject({ code: 'plan.stale' });
  });
});

describe('a plan holds when', () => {
  it.each([1000, 0])('a source record reached the end of its time (%i rows)', async (rows) => {
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

  it('nothing moved: then no record is read again', async () => {
    const stage = filled();
    const plan = await stage.plan();
    await stage.apply(plan);
    expect(stage.messages.some(({ code }) => code === 'apply.checking')).toBe(false);
  });
});
