/**
 * Goal: overwrites and deletes are exactly the planned ones, at the planned versions, and rollback takes them back.
 * Method: the real engine on memory stores; somebody writes between plan and apply, during apply, and before rollback.
 */
import { deletesOf, keyFromText, keyToJson, nothingRolledBack, scannedOf } from '@keyferry/core';
import { MemoryStore } from '@keyferry/core/testing';
import { describe, expect, it } from 'vitest';
import { bytes, failureOf, Stage, type StageOptions } from '../../testing/stage.ts';
import { attemptScope } from '../state-items.ts';

const policy = { onConflict: 'overwrite', prune: true, guards: { deleteShareMax: 1, deletesMax: 1000 } } as const;
function stageWith(spec: StageOptions['spec'] = {}, options: StageOptions = {}): Stage {
  return new Stage({ ...options, spec: { ...policy, ...spec } });
}

const target = { same: 's', older: 'before', stray: 'left over', 'stray/deep': 'too' };
const source = { same: 's', older: 'after', fresh: 'f' };

function filled(spec?: StageOptions['spec'], options?: StageOptions): Stage {
  const stage = stageWith(spec, options);
  stage.fillSource(source);
  for (const [name, value] of Object.entries(target)) stage.putTarget(name, value);
  return stage;
}

const codes = (plan: { readonly findings: readonly { readonly code: string }[] }) =>
  plan.findings.map(({ code }) => code);

describe('a plan that overwrites and prunes', () => {
  it('has a row for each overwrite and delete, with the version that is expected', async () => {
    const stage = filled();
    const archive = await stage.plan();
    const { plan } = archive.reader();
    expect(plan.totals.actions).toMatchObject({
      create: { keys: 1 },
      overwrite: { keys: 1 },
      delete: { keys: 2 },
      equal: { keys: 1 },
      conflict: { keys: 0 },
    });
    expect(plan.totals).toMatchObject({ scanned: 3, targetOnly: 0 });
    const rows = [];
    for await (const page of archive.reader().readChanges()) rows.push(...page);
    const versionOf = (name: string) => stage.target.snapshot().get(keyFromText(`dst/${name}`))?.version;
    expect(rows).toMatchObject([
      { action: 'create', targetKey: { text: 'dst/fresh' } },
      { action: 'overwrite', targetKey: { text: 'dst/older' }, target: { version: versionOf('older') } },
      { action: 'delete', sourceKey: null, targetKey: { text: 'dst/stray' }, target: { version: versionOf('stray') } },
      { action: 'delete', targetKey: { text: 'dst/stray/deep' }, target: { version: versionOf('stray/deep') } },
    ]);
    expect(codes(plan)).toEqual([]);
    expect(plan.applyable).toBe(true);
  });

  it('deletes nothing that the rules leave out, and nothing at all without prune', async () => {
    const kept = await filled({ inScope: (key) => !key.includes('deep') }).plan();
    expect(kept.reader().plan.totals).toMatchObject({ targetOnly: 1, actions: { delete: { keys: 1 } } });
    const all = await filled({ prune: false }).plan();
    expect(all.reader().plan.totals).toMatchObject({ targetOnly: 2, actions: { delete: { keys: 0 } } });
  });

  it.each([
    { name: 'a share of the target', guards: { deleteShareMax: 0.49, deletesMax: 1000 }, want: ['guard.deletes'] },
    { name: 'that very share', guards: { deleteShareMax: 0.5, deletesMax: 1000 }, want: ['guard.deletes'] },
    { name: 'a number of keys', guards: { deleteShareMax: 1, deletesMax: 1 }, want: ['guard.deletes'] },
    { name: 'that very number', guards: { deleteShareMax: 1, deletesMax: 2 }, want: [] },
  ])('past $name must be accepted, up to the guard not', async ({ guards, want }) => {
    const stage = filled({ guards });
    const plan = await stage.plan();
    expect(codes(plan.reader().plan)).toEqual(want);
    if (want.length === 0) return;
    expect(await failureOf(stage.apply(plan))).toMatchObject({ code: 'plan.unaccepted' });
    expect(stage.targetValues()).toEqual(target);
    expect(await stage.apply(plan, { accept: ['guard.deletes'] })).toMatchObject({ outcome: 'done' });
  });

  it('says count and share, also of the prefix that loses most', async () => {
    const plan = await filled({ guards: { deleteShareMax: 0.49, deletesMax: 1 } }).plan();
    const [finding] = plan.reader().plan.findings;
    expect(finding?.detail).toBe(
      '2 keys in all, guard 1; of the target 2 of 4 keys, 50 %, guard 49 %; under dst/stray/ 1 of 1 key, 100 %, guard 49 %',
    );
  });

  it('from an empty source is blocked', async () => {
    const stage = stageWith();
    stage.putTarget('a', '1');
    const { plan } = (await stage.plan()).reader();
    expect(codes(plan)).toContain('prune.source-empty');
    expect(plan.applyable).toBe(false);
  });

  it.each([{ hidesKeys: 'keys that begin with _' }, { pinnedView: false }])(
    'of a source that may not show all (%j) must be accepted',
    async (capabilities) => {
      const plan = await filled({}, { source: { capabilities } }).plan();
      expect(codes(plan.reader().plan)).toContain('prune.unproven');
    },
  );

  it('without before-images must be accepted, and says how many could not be restored', async () => {
    const { plan } = (await filled({ keepBefore: false }).plan()).reader();
    expect(plan.findings).toMatchObject([{ code: 'backup.none', count: 3, accept: true }]);
  });
});

describe('applying it', () => {
  it('makes the target what the source is, with counts that add up to the plan, and goes back bit for bit', async () => {
    const stage = filled();
    const plan = await stage.plan();
    const applied = await stage.apply(plan);
    expect(applied).toMatchObject({ outcome: 'done', deviations: [], verify: { targetOnly: 0, prunes: true } });
    expect(applied.counts).toMatchObject({ written: 1, overwritten: 1, equal: 1, deleted: 2 });
    expect(scannedOf(applied.counts)).toBe(applied.plan.totals.scanned);
    expect(deletesOf(applied.counts)).toBe(applied.plan.totals.actions.delete.keys);
    expect(stage.targetValues()).toEqual(source);
    const back = await stage.rollBack();
    expect(back).toMatchObject({ counts: { ...nothingRolledBack, removed: 1, restored: 3 }, left: 0, unrestorable: 0 });
    expect(stage.targetValues()).toEqual(target);
  });

  it('leaves no before-image in the state once it has gone back', async () => {
    const stage = filled();
    await stage.apply(await stage.plan());
    const scope = attemptScope('shop', 1);
    const listed = { after: null, itemsMax: 100 };
    expect((await stage.state.list('before', scope, listed)).entries).not.toEqual([]);
    await stage.rollBack();
    expect((await stage.state.list('before', scope, listed)).entries).toEqual([]);
  });

  it.each([
    [
      'an overwrite changed',
      (stage: Stage): void => stage.putTarget('older', 'theirs'),
      'dst/older',
      'changed in the target',
    ],
    [
      'an overwrite gone',
      (stage: Stage): void => void stage.target.delete(keyFromText('dst/older')),
      'dst/older',
      'gone',
    ],
    [
      'a delete changed',
      (stage: Stage): void => stage.putTarget('stray', 'theirs'),
      'dst/stray',
      'changed in the target',
    ],
    ['a delete gone', (stage: Stage): void => void stage.target.delete(keyFromText('dst/stray')), 'dst/stray', 'gone'],
    [
      'a delete in the source by now',
      (stage: Stage): void => stage.fillSource({ stray: 'x' }),
      'dst/stray',
      'was to be',
    ],
  ] as const)('is refused when the plan is stale: %s', async (_name, change, key, what) => {
    const stage = filled();
    const plan = await stage.plan();
    change(stage);
    const before = stage.targetValues();
    expect(await failureOf(stage.apply(plan))).toMatchObject({
      code: 'plan.stale',
      details: { keys: [{ key: { text: key }, what: expect.stringContaining(what) as unknown }], keysTotal: 1 },
    });
    expect(stage.targetValues()).toEqual(before);
  });

  it('is not stale for a new key in the target, and leaves it', async () => {
    const stage = filled();
    const plan = await stage.plan();
    stage.putTarget('newcomer', 'theirs');
    expect(await stage.apply(plan)).toMatchObject({ outcome: 'done', verify: { targetOnly: 1 } });
    expect(stage.targetValues()).toEqual({ ...source, newcomer: 'theirs' });
  });

  it('leaves what changed while it ran, names it, and is not as planned', async () => {
    const stage = filled();
    const plan = await stage.plan();
    const applied = await stage.apply(plan, {
      during: ({ code }) => {
        if (code !== 'apply.started') return;
        stage.putTarget('older', 'theirs');
        stage.putTarget('stray', 'theirs too');
        stage.target.delete(keyFromText('dst/stray/deep'));
      },
    });
    expect(applied.outcome).toBe('deviated');
    expect(applied.counts).toMatchObject({ written: 1, changed: 1, equal: 1, deletesGone: 1, deletesChanged: 1 });
    expect(scannedOf(applied.counts)).toBe(3);
    expect(deletesOf(applied.counts)).toBe(2);
    expect(applied.deviations).toContain(
      '2 keys to be overwritten or deleted met a change and were left: ' +
        'dst/older (changed in the target), dst/stray (changed in the target)',
    );
    expect(applied.met).toMatchObject([{ targetKey: { text: 'dst/older' } }, { targetKey: { text: 'dst/stray' } }]);
    expect(stage.targetValues()).toEqual({ ...source, older: 'theirs', stray: 'theirs too' });
    const back = await stage.rollBack();
    expect(stage.targetValues()).toEqual({ same: 's', older: 'theirs', stray: 'theirs too' });
    expect(back).toMatchObject({ counts: { removed: 1, restored: 0 }, left: 0 });
  });

  it('that was interrupted goes on where it was, also without the plan file of its first run', async () => {
    const stage = stageWith({ limits: { chunkKeysMax: 4, chunkBytesMax: 1e6, createRowsMax: 2 }, workers: 1 });
    for (let i = 0; i < 30; i += 1) {
      const name = `k${String(i).padStart(2, '0')}`;
      if (i % 3 !== 0) stage.fillSource({ [name]: `new ${i}` });
      if (i % 3 !== 1) stage.putTarget(name, `old ${i}`);
    }
    const before = stage.targetValues();
    const plan = await stage.plan();
    let chunks = 0;
    const stopped = await failureOf(
      stage.apply(plan, {
        during: ({ code }, interrupt) => {
          if (code === 'chunk.done') chunks += 1;
          if (chunks === 2) interrupt();
        },
      }),
    );
    expect(stopped).toMatchObject({ code: 'run.interrupted' });
    const applied = await stage.apply(plan);
    expect(applied).toMatchObject({ outcome: 'done', resumed: true, deviations: [] });
    expect(applied.counts).toMatchObject({ written: 10, overwritten: 10, deleted: 10 });
    await stage.rollBack();
    expect(stage.targetValues()).toEqual(before);
  });

  it('is not done while a planned delete is still there: verify names it', async () => {
    const stage = filled();
    await stage.apply(await stage.plan());
    // The target as it was, version by version: a store that said it had deleted.
    const lying = new MemoryStore({ name: 'new' });
    for (const [name, value] of Object.entries(target)) lying.put(keyFromText(`dst/${name}`), bytes(value));
    const { result, deviations } = await stage.verifyApplied({ target: lying });
    expect(deviations).toContain('4 keys differ between the sides');
    expect(result).toMatchObject({
      verdict: 'differ',
      targetOnly: 0,
      differences: [
        { key: { text: 'dst/fresh' }, what: 'missing in the target' },
        { key: { text: 'dst/older' }, what: 'value differs' },
        { key: { text: 'dst/stray' }, what: 'still in the target' },
        { key: { text: 'dst/stray/deep' }, what: 'still in the target' },
      ],
    });
  });

  it('finds its rows in the state, in items of bounded size, in chunks that deletes alone can fill', async () => {
    const limits = { chunkKeysMax: 1200, chunkBytesMax: 1e6, createRowsMax: 0 };
    const stage = stageWith({ limits, guards: { deleteShareMax: 1, deletesMax: 3000 } });
    stage.fillSource({ a: '1', z: '1' });
    for (let i = 0; i < 3000; i += 1) stage.putTarget(`k${i}`, 'left over');
    const plan = await stage.plan();
    expect(plan.reader().plan.chunks).toBe(3);
    expect(await stage.apply(plan)).toMatchObject({ outcome: 'done', counts: { written: 2, deleted: 3000 } });
    const { entries } = await stage.state.list('guards', attemptScope('shop', 1), { after: null, itemsMax: 100 });
    expect(entries.map(({ item }) => item.rows.length)).toEqual([500, 500, 199, 500, 500, 200, 500, 101]);
    expect(stage.targetValues()).toEqual({ a: '1', z: '1' });
  });

  it('spares what was to be deleted and is in the source by now, and says so', async () => {
    const stage = filled();
    const plan = await stage.plan();
    const applied = await stage.apply(plan, {
      during: ({ code }) => void (code === 'apply.started' && stage.fillSource({ stray: 'in the source now' })),
      source: new MemoryStore({ name: 'old', sharedWith: stage.source, capabilities: { pinnedView: false } }),
    });
    expect(applied).toMatchObject({ outcome: 'deviated', counts: { deleted: 1, deletesChanged: 1, kept: 1 } });
    expect(applied.met).toMatchObject([{ targetKey: { text: 'dst/stray' }, what: 'it is in the source by now' }]);
    expect(stage.targetValues()).toMatchObject({ stray: 'left over' });
  });
});

describe('going back', () => {
  it('leaves what somebody changed since, and counts it', async () => {
    const stage = filled();
    await stage.apply(await stage.plan());
    stage.putTarget('older', 'theirs');
    stage.putTarget('stray', 'anew');
    const back = await stage.rollBack();
    expect(back.counts).toEqual({ ...nothingRolledBack, removed: 1, restored: 1, notRestored: 2 });
    expect(back.left).toBe(2);
    expect(back.changedKeys).toEqual(['dst/older', 'dst/stray'].map((name) => keyToJson(keyFromText(name))));
    expect(stage.targetValues()).toEqual({ same: 's', older: 'theirs', stray: 'anew', 'stray/deep': 'too' });
  });

  it('does not revive a record whose own time is over', async () => {
    const stage = stageWith();
    stage.fillSource({ a: 'new', b: 'kept' });
    stage.putTarget('a', 'old', stage.kernel.nowMs + 60_000);
    stage.putTarget('gone', 'old', stage.kernel.nowMs + 60_000);
    await stage.apply(await stage.plan());
    await stage.run(({ clock }) => clock.sleep(120_000));
    const back = await stage.rollBack();
    expect(back.counts).toEqual({ ...nothingRolledBack, removed: 1, expired: 2 });
    expect(stage.targetValues()).toEqual({});
  });

  it('goes back over several plans to what was there before the first', async () => {
    const stage = filled();
    await stage.apply(await stage.plan());
    stage.fillSource({ older: 'after that', fresh: 'f2', third: '3' });
    stage.source.delete(keyFromText('src/same'));
    await stage.apply(await stage.plan());
    stage.source.delete(keyFromText('src/third'));
    stage.source.delete(keyFromText('src/fresh'));
    stage.fillSource({ stray: 'back by the source' });
    const applied = await stage.apply(await stage.plan());
    expect(applied).toMatchObject({ outcome: 'done', attempt: 3 });
    expect(stage.targetValues()).toEqual({ older: 'after that', stray: 'back by the source' });
    const back = await stage.rollBack();
    expect(stage.targetValues()).toEqual(target);
    expect(back.left).toBe(0);
  });

  it('that was interrupted is finished, and counts nothing twice', async () => {
    const stage = stageWith({ limits: { chunkKeysMax: 2, chunkBytesMax: 1e6, createRowsMax: 100 } });
    for (let i = 0; i < 12; i += 1) {
      stage.fillSource({ [`k${i}`]: `new ${i}` });
      stage.putTarget(`k${i}`, `old ${i}`);
    }
    const before = stage.targetValues();
    await stage.apply(await stage.plan());
    const stopped = await failureOf(
      stage.rollBack({ during: ({ code }, interrupt) => void (code === 'rollback.progress' && interrupt()) }),
    );
    expect(stopped).toMatchObject({ code: 'run.interrupted' });
    const back = await stage.rollBack();
    expect(back.counts).toEqual({ ...nothingRolledBack, restored: 12 });
    expect(stage.targetValues()).toEqual(before);
  });

  it('puts large values back, though no item of the state holds one whole', async () => {
    const stage = stageWith({}, { target: { capabilities: { recordBytesMax: null, batchBytesMax: 10_000_000 } } });
    const large = 'x'.repeat(700_000);
    stage.fillSource({ a: 'small', b: 'small' });
    stage.putTarget('a', large);
    stage.putTarget('b', large);
    await stage.apply(await stage.plan());
    const { entries } = await stage.state.list('before', attemptScope('shop', 1), { after: null, itemsMax: 100 });
    expect(entries.length).toBeGreaterThan(4);
    for (const { item } of entries) expect(JSON.stringify(item).length).toBeLessThan(256 * 1024);
    expect((await stage.rollBack()).counts).toMatchObject({ restored: 2 });
    expect(stage.targetValues()).toEqual({ a: large, b: large });
  });

  it('without before-images says first what it cannot bring back', async () => {
    const stage = filled({ keepBefore: false });
    await stage.apply(await stage.plan(), { accept: ['backup.none'] });
    expect((await stage.status()).unrestorable).toBe(3);
    const back = await stage.rollBack();
    expect(stage.messages.findIndex(({ code }) => code === 'rollback.unrestorable')).toBeLessThan(
      stage.messages.findIndex(({ code }) => code === 'rollback.progress'),
    );
    expect(back).toMatchObject({ unrestorable: 3, left: 3, counts: { removed: 1, restored: 0 } });
    expect(stage.targetValues()).toEqual({ same: 's', older: 'after' });
    expect((await stage.status()).unrestorable).toBe(0);
  });

  it('keeps an image before the record is changed: a lost write leaves it untouched', async () => {
    const stage = filled();
    const plan = await stage.plan();
    for (let i = 0; i < 100; i += 1) stage.target.failNext('write');
    expect(await failureOf(stage.apply(plan))).toMatchObject({ code: 'store.unreachable' });
    expect(stage.targetValues()).toEqual(target);
    const before = stage.target.revision();
    await stage.rollBack();
    expect(stage.targetValues()).toEqual(target);
    expect(stage.target.revision()).toBe(before);
  });
});
