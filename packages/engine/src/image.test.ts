/**
 * Goal: what the rules make of a record is what is planned, written and verified, in whatever order its key comes to
 * stand; what they leave out is counted, and what they find no place for blocks the plan, with the keys of both sides.
 * Method: the whole flow on memory stores, with rules in the specification and pages of a few entries.
 */
import {
  compose,
  customRule,
  encodeBase64,
  keyFromText,
  KeyferryError,
  renamePattern,
  renamePrefix,
  renameTemplate,
  selectKeys,
  type PlanDocument,
  type Transform,
} from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { bytes, failureOf, Stage, textOf } from '../testing/stage.ts';

const secretsStay = selectKeys('exclude dst/secret/**', (key) => !key.startsWith('dst/secret/'));
const byPrefix = (prefix: string, to: string): Transform => renamePrefix(keyFromText(prefix), keyFromText(to));
/** Fails on values that begin with `bad`. */
const refusesBad = customRule('./no-bad.ts', {
  transform: (record) =>
    textOf(record.value)?.startsWith('bad') === true ? { kind: 'failed', why: 'bad' } : { kind: 'kept', record },
  inverse: (record) => ({ kind: 'kept', record }),
  keepsKeys: true,
});
const swap = renameTemplate('dst/{env}/{service}/{rest...}', 'dst/{service}/{env}/{rest}');

function stageWith(transform: Transform, values: Readonly<Record<string, string>>): Stage {
  const stage = new Stage({ spec: { transform } });
  stage.fillSource(values);
  return stage;
}

const three = { a: 'plain', 'secret/b': 'hidden', c: '' };

async function planOf(stage: Stage): Promise<PlanDocument> {
  return (await stage.plan()).reader().plan;
}

/** Every scanned entry is under one count. */
function expectSums({ totals }: PlanDocument): void {
  const sum = (counts: readonly number[]): number => counts.reduce((a, b) => a + b, 0);
  const actions = Object.values(totals.actions).map(({ keys }) => keys);
  expect(sum(actions) + sum(Object.values(totals.notCarried))).toBe(totals.scanned);
}

describe('rules', () => {
  it('decide what is written, and verify compares with that', async () => {
    const stage = stageWith(compose([secretsStay, encodeBase64()]), three);
    const applied = await stage.apply(await stage.plan());
    expect(applied).toMatchObject({ outcome: 'done', counts: { written: 2, notCarried: 1 } });
    expect(stage.targetValues()).toEqual({ a: 'cGxhaW4=', c: '' });
    expect(await stage.verifyApplied()).toMatchObject({ deviations: [], result: { verdict: 'agree' } });
  });

  it('find a target equal that holds what they would write', async () => {
    const stage = stageWith(compose([encodeBase64()]), three);
    stage.putTarget('a', 'cGxhaW4=');
    const plan = await planOf(stage);
    expect(plan.totals.actions).toMatchObject({ equal: { keys: 1 }, create: { keys: 2 } });
    expect(plan).toMatchObject({ rules: ['value to base64'], order: 'merged', wayBack: 'lossless' });
  });

  it('that leave a key out leave it out of what is scanned as well as counted', async () => {
    const plan = await planOf(stageWith(compose([secretsStay]), three));
    expect(plan.totals).toMatchObject({ scanned: 3, notCarried: { 'rule.excluded': 1 } });
  });

  it('make a plan stale when what they would write changes', async () => {
    const stage = stageWith(compose([encodeBase64()]), three);
    const plan = await stage.plan();
    stage.source.put(stage.spec.rule.sourcePrefix, bytes('late'));
    expect(await failureOf(stage.apply(plan))).toMatchObject({ code: 'plan.stale' });
  });
});

describe('rules that change keys', () => {
  const values = {
    'prod/api/a': '1',
    'prod/api/b/c': '2',
    'prod/web/a': '3',
    'test/api/a': '4',
    'test/web/z/z': '5',
    other: '6',
    é: '7',
  };
  const swapped = {
    'api/prod/a': '1',
    'api/prod/b/c': '2',
    'web/prod/a': '3',
    'api/test/a': '4',
    'web/test/z/z': '5',
    other: '6',
    é: '7',
  };

  it.each<{
    name: string;
    transform: Transform;
    want: Readonly<Record<string, string>>;
    order: string;
    wayBack: string;
  }>([
    { name: 'by template', transform: swap, want: swapped, order: 'spilled', wayBack: 'lossless' },
    {
      name: 'by template and back',
      transform: compose([swap, swap.inverse ?? swap]),
      want: values,
      order: 'spilled',
      wayBack: 'lossless',
    },
    {
      name: 'by pattern',
      transform: renamePattern('dst/(\\w+)/(\\w+)/(.*)', 'dst/$2/$1/$3'),
      want: swapped,
      order: 'spilled',
      wayBack: 'none',
    },
    {
      name: 'by a prefix that covers some',
      transform: byPrefix('dst/prod/', 'dst/zzz/'),
      want: {
        'zzz/api/a': '1',
        'zzz/api/b/c': '2',
        'zzz/web/a': '3',
        'test/api/a': '4',
        'test/web/z/z': '5',
        other: '6',
        é: '7',
      },
      order: 'spilled',
      wayBack: 'lossless',
    },
    {
      name: 'by a prefix that covers all',
      transform: byPrefix('dst/', 'dst/new/'),
      want: Object.fromEntries(Object.entries(values).map(([key, value]) => [`new/${key}`, value])),
      order: 'merged',
      wayBack: 'lossless',
    },
    {
      name: 'in a module',
      transform: customRule('./upper.ts', {
        transform: (record) => ({ kind: 'kept', record: { ...record, key: record.key.replace('/api', '/API') } }),
      }),
      want: {
        'prod/API/a': '1',
        'prod/API/b/c': '2',
        'prod/web/a': '3',
        'test/API/a': '4',
        'test/web/z/z': '5',
        other: '6',
        é: '7',
      },
      order: 'spilled',
      wayBack: 'none',
    },
  ])('$name are planned, applied, verified and rolled back', async ({ transform, want, order, wayBack }) => {
    const stage = stageWith(transform, values);
    stage.putTarget('left alone', 'x');
    const archive = await stage.plan();
    const { plan } = archive.reader();
    expect(plan).toMatchObject({ order, wayBack, applyable: true, totals: { targetOnly: 1, scanned: 7 } });
    expectSums(plan);
    expect(await stage.apply(archive)).toMatchObject({ outcome: 'done', counts: { written: 7 } });
    expect(stage.targetValues()).toEqual({ ...want, 'left alone': 'x' });
    expect(await stage.verifyApplied()).toMatchObject({ deviations: [], result: { verdict: 'agree', targetOnly: 1 } });
    expect(await planOf(stage)).toMatchObject({ totals: { actions: { create: { keys: 0 }, equal: { keys: 7 } } } });
    expect(await stage.rollBack()).toMatchObject({ counts: { removed: 7 } });
    expect(stage.targetValues()).toEqual({ 'left alone': 'x' });
    expect([stage.scratch.open, stage.scratch.opened > 0]).toEqual([0, order === 'spilled']);
    expect(stage.source.openViews() + stage.target.openViews()).toBe(0);
  });

  it('name the key of the source in each row, in the order of the target', async () => {
    const reader = (await stageWith(swap, values).plan()).reader();
    const rows: (readonly [unknown, unknown])[] = [];
    for await (const page of reader.readChanges()) {
      for (const { sourceKey, targetKey } of page) rows.push([sourceKey, targetKey]);
    }
    expect(rows).toEqual([
      [{ text: 'src/prod/api/a' }, { text: 'dst/api/prod/a' }],
      [{ text: 'src/prod/api/b/c' }, { text: 'dst/api/prod/b/c' }],
      [{ text: 'src/test/api/a' }, { text: 'dst/api/test/a' }],
      [{ text: 'src/other' }, { text: 'dst/other' }],
      [{ text: 'src/prod/web/a' }, { text: 'dst/web/prod/a' }],
      [{ text: 'src/test/web/z/z' }, { text: 'dst/web/test/z/z' }],
      [{ text: 'src/é' }, { text: 'dst/é' }],
    ]);
  });

  it('cover the target prefix with chunks of image keys, over many pages, and go on after an interruption', async () => {
    const stage = stageWith(swap, {});
    for (let i = 0; i < 60; i += 1) stage.source.put(keyFromText(`src/e${i % 7}/s${i % 5}/${i}`), bytes(`${i}`));
    const archive = await stage.plan();
    let chunks = 0;
    const stopped = failureOf(
      stage.apply(archive, {
        during: ({ code }, interrupt) => {
          if (code === 'chunk.done' && (chunks += 1) === 2) interrupt();
        },
      }),
    );
    expect(await stopped).toMatchObject({ code: 'run.interrupted' });
    expect(await stage.apply(archive)).toMatchObject({ outcome: 'done', resumed: true, counts: { written: 60 } });
    expect(Object.keys(stage.targetValues())).toHaveLength(60);
  });

  it('say that there is no way back for a record that their inverse would take elsewhere', async () => {
    const stage = stageWith(byPrefix('dst/v1/', 'dst/v2/'), { 'v1/a': '1', 'v2/b': '2' });
    expect(await planOf(stage)).toMatchObject({ applyable: true, wayBack: 'none', oneWay: 1 });
  });

  it('make a plan stale, with the key of the target named, when a record behind it changes', async () => {
    const stage = stageWith(swap, values);
    const plan = await stage.plan();
    stage.source.put(keyFromText('src/prod/api/a'), bytes('changed'));
    expect(await failureOf(stage.apply(plan))).toMatchObject({
      code: 'plan.stale',
      details: { keysTotal: 1, keys: [{ key: { text: 'dst/api/prod/a' }, what: 'changed in the source' }] },
    });
  });

  it('begin to sort anew when the source dropped the state that was being read', async () => {
    const stage = stageWith(swap, values);
    const compacted = new KeyferryError('store.position-compacted', { store: 'old', position: '1' });
    stage.source.failNext('scan', 'before', compacted);
    expect(await planOf(stage)).toMatchObject({ totals: { scanned: 7 } });
    expect([stage.scratch.open, stage.scratch.opened]).toEqual([0, 2]);
  });
});

describe('a target that holds far more than the image', () => {
  function crowded(transform: Transform): Stage {
    const stage = stageWith(transform, { 'prod/api/a': '1', 'prod/api/b': '2', other: '3' });
    for (let i = 0; i < 60; i += 1) stage.putTarget(`foreign/${i}`, 'x');
    return stage;
  }

  it('is looked up key by key when the image was sorted, to the same end', async () => {
    const stage = crowded(swap);
    stage.putTarget('api/prod/b', '2');
    const archive = await stage.plan();
    expect(archive.reader().plan).toMatchObject({
      targetRead: 'looked-up',
      totals: { targetOnly: 0, actions: { create: { keys: 2 }, equal: { keys: 1 } } },
    });
    expect(await stage.apply(archive)).toMatchObject({ outcome: 'done', counts: { written: 2, equal: 1 } });
    expect(await stage.verifyApplied()).toMatchObject({ deviations: [], result: { verdict: 'agree' } });
    stage.putTarget('api/prod/a', 'changed');
    expect(await stage.verifyApplied()).toMatchObject({
      result: { verdict: 'differ', differences: [{ key: { text: 'dst/api/prod/a' }, what: 'value differs' }] },
    });
    expect([stage.scratch.open, stage.target.openViews()]).toEqual([0, 0]);
  });

  it('makes a plan stale when one of those keys appears in it', async () => {
    const stage = crowded(swap);
    const plan = await stage.plan();
    stage.putTarget('api/prod/a', 'late');
    expect(await failureOf(stage.apply(plan))).toMatchObject({
      code: 'plan.stale',
      details: { keys: [{ key: { text: 'dst/api/prod/a' }, what: 'appeared in the target' }] },
    });
  });

  it.each([
    { name: 'the image is merged as it comes', transform: byPrefix('dst/', 'dst/new/'), foreign: 60 },
    { name: 'the target holds not that many more', transform: swap, foreign: 20 },
  ])('is scanned when $name', async ({ transform, foreign }) => {
    const stage = stageWith(transform, { 'prod/api/a': '1', other: '3' });
    for (let i = 0; i < foreign; i += 1) stage.putTarget(`foreign/${i}`, 'x');
    expect(await planOf(stage)).toMatchObject({ targetRead: 'scanned', totals: { targetOnly: foreign } });
  });
});

describe('what the rules find no place for', () => {
  it('blocks the plan where keys collide, with both source keys, and nothing is lost from the sums', async () => {
    const lower = renamePattern('dst/(?:VAT|vat)/(.*)', 'dst/vat/$1');
    const stage = stageWith(compose([secretsStay, lower]), {
      'VAT/a': '1',
      'vat/a': '1',
      'VAT/b': '2',
      'vat/b': '3',
      'vat/c': '4',
      'secret/x': '5',
    });
    const plan = await planOf(stage);
    expect(plan.totals).toMatchObject({
      scanned: 6,
      notCarried: { 'rule.excluded': 1 },
      actions: { create: { keys: 1 }, blocked: { keys: 4 } },
    });
    expectSums(plan);
    expect(plan.applyable).toBe(false);
    expect(plan.findings).toEqual([
      {
        code: 'key.collision',
        level: 'blocking',
        accept: false,
        count: 4,
        keys: [{ text: 'dst/vat/a' }, { text: 'dst/vat/b' }],
        cases: [
          {
            key: { text: 'dst/vat/a' },
            sourceKeys: [{ text: 'src/VAT/a' }, { text: 'src/vat/a' }],
            count: 2,
            detail: 'src/VAT/a and src/vat/a would all become it',
          },
          {
            key: { text: 'dst/vat/b' },
            sourceKeys: [{ text: 'src/VAT/b' }, { text: 'src/vat/b' }],
            count: 2,
            detail: 'src/VAT/b and src/vat/b would all become it',
          },
        ],
        detail: '4 source keys would become 2 keys of the target',
        fix: expect.stringContaining('exclude') as unknown,
      },
    ]);
  });

  it('counts a collision of all keys as one place, with the first few named', async () => {
    const stage = stageWith(renamePattern('.*', 'dst/one'), {});
    stage.fillSourceWith(50);
    const plan = await planOf(stage);
    expect(plan.totals.actions.blocked.keys).toBe(50);
    expectSums(plan);
    expect(plan.findings).toMatchObject([
      {
        count: 50,
        detail: '50 source keys would become 1 key of the target',
        cases: [{ detail: 'src/k0000, src/k0001, src/k0002 and 47 more would all become it' }],
      },
    ]);
  });

  it.each([
    { name: 'merged', transform: refusesBad },
    { name: 'spilled', transform: compose([refusesBad, swap]) },
  ])('is each record that a rule cannot be applied to, of an image that is $name', async ({ name, transform }) => {
    const stage = stageWith(transform, { a: 'bad', b: 'good', c: 'bad', d: 'good' });
    const plan = await planOf(stage);
    expect(plan).toMatchObject({ order: name, applyable: false });
    expect(plan.totals).toMatchObject({ scanned: 4, actions: { create: { keys: 2 }, blocked: { keys: 2 } } });
    expectSums(plan);
    expect(plan.findings).toMatchObject([
      {
        code: 'rule.failed',
        level: 'blocking',
        count: 2,
        cases: [
          { key: { text: 'src/a' }, detail: 'module ./no-bad.ts says: bad' },
          { key: { text: 'src/c' }, detail: 'module ./no-bad.ts says: bad' },
        ],
      },
    ]);
    expect(await failureOf(stage.apply(await stage.plan()))).toMatchObject({ code: 'plan.not-applyable' });
    expect(stage.targetValues()).toEqual({});
  });

  it('is what would leave the prefix of the target', async () => {
    const stage = stageWith(byPrefix('dst/out/', 'elsewhere/'), { 'out/a': '1', b: '2' });
    const plan = await planOf(stage);
    expectSums(plan);
    expect(plan.findings).toMatchObject([
      {
        code: 'key.outside-prefix',
        count: 1,
        cases: [{ key: { text: 'src/out/a' }, detail: 'becomes elsewhere/a, which is not under dst/' }],
      },
    ]);
  });

  it('keeps apart what stands at one place: a record, one left out, and one that failed', async () => {
    const onto = compose([
      selectKeys('exclude dst/c', (key) => key !== 'dst/c'),
      refusesBad,
      renamePattern('dst/x(.)', 'dst/$1'),
    ]);
    const stage = stageWith(onto, { c: 'left out', d: 'bad', xc: 'onto c', xd: 'onto d' });
    const plan = await planOf(stage);
    expect(plan.totals).toMatchObject({
      scanned: 4,
      notCarried: { 'rule.excluded': 1 },
      actions: { create: { keys: 2 }, blocked: { keys: 1 } },
    });
  });

  it('makes a plan stale when it came after it, and nothing is written', async () => {
    const stage = stageWith(compose([refusesBad, renamePattern('dst/x(.)', 'dst/$1')]), { a: '1', xb: '2', c: '3' });
    const plan = await stage.plan();
    stage.source.put(keyFromText('src/xa'), bytes('4'));
    stage.source.put(keyFromText('src/c'), bytes('bad'));
    expect(await failureOf(stage.apply(plan))).toMatchObject({
      code: 'plan.stale',
      details: {
        keysTotal: 2,
        keys: [
          { key: { text: 'dst/a' }, what: 'src/a and src/xa would all become it' },
          { key: { text: 'src/c' }, what: 'module ./no-bad.ts says: bad' },
        ],
      },
    });
    expect(stage.targetValues()).toEqual({});
  });

  it.each([
    { name: 'merged', transform: refusesBad },
    { name: 'spilled', transform: compose([refusesBad, swap]) },
  ])('is a dead letter when it comes while a $name image is copied, and verify names it', async ({ transform }) => {
    const stage = stageWith(transform, {});
    stage.fillSourceWith(25);
    const archive = await stage.plan();
    let done = 0;
    const stopped = failureOf(
      stage.apply(archive, {
        during: ({ code }, interrupt) => {
          if (code === 'chunk.done' && (done += 1) === 1) interrupt();
        },
      }),
    );
    expect(await stopped).toMatchObject({ code: 'run.interrupted' });
    stage.source.put(keyFromText('src/k0024'), bytes('bad'));
    const applied = await stage.apply(archive);
    expect(applied).toMatchObject({
      outcome: 'deviated',
      counts: { written: 24, deadLetters: 1 },
      verify: {
        verdict: 'differ',
        differences: [{ key: { text: 'src/k0024' }, what: 'the rules find no place for it' }],
      },
    });
    expect(await stage.deadLetters()).toMatchObject([
      {
        sourceKey: { text: 'src/k0024' },
        targetKey: { text: 'dst/k0024' },
        reason: 'rule.failed: module ./no-bad.ts says: bad',
      },
    ]);
    expect(Object.keys(stage.targetValues())).toHaveLength(24);
  });
});
