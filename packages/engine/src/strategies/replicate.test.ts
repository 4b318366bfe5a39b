/**
 * Goal: what a user sees of a replication from plan to finalize or rollback, while an application writes.
 * Method: the real engine on memory stores (testing/stage.ts); the application writes between two steps, where a message
 * says that they are. What many faults at once do is the simulator's.
 */
import { keyFromText, prefixRange, type Message } from '@keyferry/core';
import { MemoryStore } from '@keyferry/core/testing';
import { describe, expect, it } from 'vitest';
import { bytes, failureOf, Stage, type RunHooks, type StageOptions } from '../../testing/stage.ts';

const replicate = { pauseMaxMs: 10_000, requestLifeMs: 2000 };

function stageOf(options: StageOptions = {}): Stage {
  return new Stage({ ...options, spec: { strategy: 'replicate', replicate, ...options.spec } });
}

/** Writes as an application does, in the source or in the target. */
function writes(stage: Stage, where: 'source' | 'target' = 'source') {
  const [store, prefix] = where === 'source' ? [stage.source, 'src/'] : ([stage.target, 'dst/'] as const);
  return {
    put: (name: string, value: string, ttlMs: number | null = null) =>
      store.put(keyFromText(prefix + name), bytes(value), ttlMs === null ? null : stage.kernel.nowMs + ttlMs),
    delete: (name: string) => store.delete(keyFromText(prefix + name)),
    deleteUnder: (name: string) => store.deleteRange(prefixRange(keyFromText(prefix + name))),
  };
}

/** Runs `act` at the first message of a code, or at the nth. */
function at(code: Message['code'], act: () => void, nth = 1): Pick<RunHooks, 'during'> {
  let seen = 0;
  return {
    during: (message) => {
      if (message.code !== code) return;
      seen += 1;
      if (seen === nth) act();
    },
  };
}

describe('replication', () => {
  it('copies what is there, carries what changes meanwhile, and proves it', async () => {
    const stage = stageOf();
    stage.fillSourceWith(60);
    const plan = await stage.plan();
    expect(plan.reader().plan).toMatchObject({ applyable: true, replicate: { ...replicate, freeze: { kind: 'key' } } });
    const app = writes(stage);
    const result = await stage.replicate(plan, {
      ...at('chunk.done', () => {
        app.put('k0000', 'changed');
        app.delete('k0001');
        app.put('new', 'one');
        app.put('k0059', 'changed before it was copied');
        app.delete('k0058');
      }),
    });
    expect(result).toMatchObject({ outcome: 'proven', tail: 'forward', differencesTotal: 0, refusedTotal: 0 });
    expect(stage.targetValues()).toEqual(stage.sourceValues());
    expect(stage.targetValues()).toMatchObject({ k0000: 'changed', new: 'one', k0059: 'changed before it was copied' });
    expect((await stage.status()).phase).toBe('replicating');
    expect(stage.source.openViews() + stage.target.openViews()).toBe(0);
  });

  it('carries what changed while nobody ran it', async () => {
    const stage = stageOf();
    stage.fillSource({ a: '1', b: '2', c: '3' });
    const plan = await stage.plan();
    await stage.replicate(plan);
    const app = writes(stage);
    app.put('a', 'newer');
    app.delete('b');
    app.put('d', '4');
    app.delete('d');
    const again = await stage.replicate(plan);
    expect(again).toMatchObject({ resumed: true, outcome: 'proven' });
    expect(stage.targetValues()).toEqual({ a: 'newer', c: '3' });
  });

  it('follows until it is told to stop, and says how far behind it is', async () => {
    const stage = stageOf();
    stage.fillSource({ a: '1' });
    const plan = await stage.plan();
    let generations = 0;
    const stopped = stage.replicate(plan, {
      follow: true,
      during: ({ code }, interrupt) => {
        if (code !== 'tail.generation') return;
        generations += 1;
        writes(stage).put('a', `after generation ${generations}`);
        if (generations === 3) interrupt();
      },
    });
    expect(await failureOf(stopped)).toMatchObject({ code: 'run.interrupted' });
    expect(stage.messages.findLast(({ code }) => code === 'tail.progress')).toMatchObject({
      data: { tail: 'forward', lag: { ms: expect.any(Number) } },
    });
    await stage.replicate(plan);
    expect(stage.targetValues()).toEqual({ a: 'after generation 3' });
  });

  it('is not begun where the target holds what is no copy', async () => {
    const stage = stageOf();
    stage.fillSource({ a: '1' });
    stage.putTarget('own', 'x');
    const plan = await stage.plan();
    expect(plan.reader().plan.findings).toMatchObject([{ code: 'replicate.foreign', count: 1 }]);
    expect(await failureOf(stage.replicate(plan))).toMatchObject({ code: 'plan.not-applyable' });
  });

  it('is not begun where something came to the target since the plan', async () => {
    const stage = stageOf();
    stage.fillSource({ a: '1' });
    const plan = await stage.plan();
    stage.putTarget('b', 'x');
    expect(await failureOf(stage.replicate(plan))).toMatchObject({ code: 'plan.stale', details: { keysTotal: 1 } });
    expect(stage.targetValues()).toEqual({ b: 'x' });
  });

  it('leaves out the keys that the plan promised to keep, whatever the source does with them', async () => {
    const stage = stageOf();
    stage.fillSource({ a: '1', b: '2' });
    stage.putTarget('b', 'own');
    const plan = await stage.plan();
    await stage.replicate(plan);
    const app = writes(stage);
    app.put('b', 'newer');
    app.put('a', 'newer');
    const again = await stage.replicate(plan);
    expect(again).toMatchObject({ outcome: 'proven', carried: { leftOut: 1 } });
    expect(stage.targetValues()).toEqual({ a: 'newer', b: 'own' });
    app.delete('b');
    await stage.replicate(plan);
    expect(stage.targetValues()).toEqual({ a: 'newer', b: 'own' });
  });

  it('says what differs and does not move, until an apply finds that it was made right', async () => {
    const stage = stageOf();
    stage.fillSource({ a: '1', b: '2' });
    const plan = await stage.plan();
    await stage.replicate(plan);
    stage.putTarget('a', 'somebody else');
    expect(await stage.replicate(plan)).toMatchObject({ outcome: 'differs', differencesTotal: 1 });
    const differs = { total: 1, named: [{ key: { text: 'dst/a' }, what: 'value differs' }] };
    const step = { next: 'keyferry apply shop.kfplan', wayBack: 'keyferry rollback shop' };
    expect(await stage.status()).toMatchObject({ phase: 'applied', tails: [{ differs }], step });
    writes(stage).put('a', '1');
    expect(await stage.replicate(plan)).toMatchObject({ outcome: 'proven' });
    expect(await stage.status()).toMatchObject({ phase: 'replicating', tails: [{ differs: null }] });
  });

  it('is not led to its end by a verify, which proves nothing of sides that move', async () => {
    const stage = stageOf();
    stage.fillSource({ a: '1' });
    const plan = await stage.plan();
    await stage.replicate(plan);
    stage.putTarget('a', 'somebody else');
    await stage.replicate(plan);
    stage.putTarget('a', '1');
    expect(await stage.verifyApplied()).toMatchObject({ deviations: [] });
    expect((await stage.status()).phase).toBe('applied');
    // As verifies of earlier releases left it.
    await stage.verifyApplied({ spec: { strategy: 'offline' } });
    expect((await stage.status()).phase).toBe('verified');
    const refused = { code: 'phase.not-allowed', details: { next: 'keyferry apply shop.kfplan' } };
    expect(await failureOf(stage.finalizeReplicate())).toMatchObject(refused);
    expect(await failureOf(stage.cutOver())).toMatchObject(refused);
    expect(await stage.replicate(plan)).toMatchObject({ outcome: 'proven' });
    expect(await stage.cutOver()).toMatchObject({ strays: [] });
  });

  it('is not led to its end by dead letters that were written after all', async () => {
    const stage = stageOf();
    stage.fillSource({ a: '1', bad: 'x'.repeat(50) });
    const target = new MemoryStore({ name: 'new', sharedWith: stage.target, capabilities: { recordBytesMax: 30 } });
    const plan = await stage.plan();
    const begun = await stage.replicate(plan, { target });
    expect(begun).toMatchObject({ outcome: 'differs', counts: { deadLetters: 1 } });
    expect(await stage.retryLetters()).toMatchObject({ outcome: 'done', tried: { written: 1 } });
    expect((await stage.status()).phase).toBe('applied');
    expect(await stage.replicate(plan)).toMatchObject({ outcome: 'proven' });
    expect((await stage.status()).phase).toBe('replicating');
  });

  it('keeps a record with a TTL until the source lets it end', async () => {
    const stage = stageOf();
    writes(stage).put('session', 'x', 60_000);
    const plan = await stage.plan();
    await stage.replicate(plan);
    expect(stage.target.snapshot().get(keyFromText('dst/session'))?.expiresAtMs).toBeNull();
    writes(stage).put('session', 'x', 600_000);
    await stage.run(() => stage.kernel.sleep(120_000));
    await stage.replicate(plan);
    expect(stage.targetValues()).toEqual({ session: 'x' });
    await stage.run(() => stage.kernel.sleep(600_000));
    await stage.replicate(plan);
    expect(stage.targetValues()).toEqual({});
  });

  it('names a record that the target cannot take, and is not cut over with it', async () => {
    const stage = stageOf({ target: { capabilities: { recordBytesMax: 100 } } });
    stage.fillSource({ a: '1' });
    const plan = await stage.plan();
    await stage.replicate(plan);
    writes(stage).put('large', 'x'.repeat(200));
    const result = await stage.replicate(plan);
    expect(result).toMatchObject({ outcome: 'differs', refusedTotal: 1, refused: [{ key: { text: 'dst/large' } }] });
    writes(stage).delete('large');
    expect(await stage.replicate(plan)).toMatchObject({ outcome: 'proven', refusedTotal: 0 });
  });
});

describe('a range that goes at once', () => {
  it('takes with it what was copied, and what a worker was about to copy', async () => {
    const stage = stageOf({ spec: { workers: 1 } });
    stage.fillSourceWith(60);
    const plan = await stage.plan();
    const app = writes(stage);
    await stage.replicate(plan, {
      ...at('chunk.done', () => {
        app.deleteUnder('k000');
        app.deleteUnder('k004');
        app.put('k0045', 'anew');
      }),
    });
    expect(stage.targetValues()).toEqual(stage.sourceValues());
    expect(stage.targetValues()['k0045']).toBe('anew');
  });
});

describe('a position that was lost', () => {
  /** What shows no one state of itself is looked at key by key before anything is deleted. */
  const views = [{ pinnedView: true }, { pinnedView: false }] as const;

  it.each(views)('is made up for by a comparison, deletes included, with $pinnedView', async (capabilities) => {
    const guards = { deleteShareMax: 0.5, deletesMax: 1000 };
    const stage = stageOf({ spec: { guards }, source: { capabilities } });
    stage.fillSource({ a: '1', b: '2', c: '3' });
    const plan = await stage.plan();
    await stage.replicate(plan);
    const app = writes(stage);
    app.delete('b');
    app.put('a', 'newer');
    stage.source.compact();
    app.put('c', 'newer');
    const result = await stage.replicate(plan);
    expect(result).toMatchObject({ outcome: 'proven', carried: { reconciled: 1 } });
    expect(stage.targetValues()).toEqual({ a: 'newer', c: 'newer' });
  });

  it.each(views)('is made up for on the way back too, with $pinnedView', async (capabilities) => {
    const guards = { deleteShareMax: 0.5, deletesMax: 1000 };
    const stage = stageOf({ spec: { guards }, source: { capabilities }, target: { capabilities } });
    stage.fillSource({ a: '1', b: '2', c: '3', d: '4' });
    const plan = await stage.plan();
    await stage.replicate(plan);
    await stage.cutOver();
    const app = writes(stage, 'target');
    app.delete('b');
    app.put('a', 'newer');
    stage.target.compact();
    app.put('e', 'born there');
    expect(await stage.replicate(plan)).toMatchObject({ outcome: 'proven', carried: { reconciled: 1 } });
    const now = { a: 'newer', c: '3', d: '4', e: 'born there' };
    expect(stage.sourceValues()).toEqual(now);
    app.delete('c');
    stage.target.compact();
    app.put('d', 'last');
    // A rollback compares as well, and only then leads back.
    await stage.rollBackReplicate();
    expect(stage.sourceValues()).toEqual({ a: 'newer', d: 'last', e: 'born there' });
    expect(stage.targetValues()).toEqual({});
  });

  it('deletes nothing of a source that shows no one state that is there when it is looked at by itself', async () => {
    const stage = stageOf({
      spec: { guards: { deleteShareMax: 0.5, deletesMax: 1000 } },
      source: { capabilities: { pinnedView: false } },
    });
    stage.fillSource({ a: '1', b: '2', c: '3' });
    const plan = await stage.plan();
    await stage.replicate(plan);
    const app = writes(stage);
    app.delete('a');
    app.delete('b');
    stage.source.compact();
    app.put('c', 'newer');
    // The scan has passed the place of `a` when that comes back.
    const openView = stage.source.openView.bind(stage.source);
    const close = async (view: Awaited<ReturnType<typeof openView>>) => {
      stage.source.openView = openView;
      app.put('a', 'back');
      await view.close();
    };
    const result = await stage.replicate(plan, {
      ...at('tail.lost', () => {
        stage.source.openView = async (range) => {
          const view = await openView(range);
          return { ...view, close: () => close(view) };
        };
      }),
    });
    expect(result).toMatchObject({ outcome: 'proven', carried: { reconciled: 1, deletes: 1 } });
    expect(stage.targetValues()).toEqual({ a: 'back', c: 'newer' });
  });

  it('deletes nothing past the guard unless that was accepted, and nothing for an empty source', async () => {
    const stage = stageOf({ spec: { guards: { deleteShareMax: 0.1, deletesMax: 1000 } } });
    stage.fillSource({ a: '1', b: '2', c: '3' });
    const plan = await stage.plan();
    await stage.replicate(plan);
    const app = writes(stage);
    app.delete('b');
    stage.source.compact();
    app.put('a', 'newer');
    expect(await failureOf(stage.replicate(plan))).toMatchObject({
      code: 'tail.deletes-guarded',
      details: { deletes: 1 },
    });
    expect(Object.keys(stage.targetValues())).toEqual(['a', 'b', 'c']);
    expect(await stage.replicate(plan, { accept: ['guard.deletes'] })).toMatchObject({ outcome: 'proven' });
    expect(stage.targetValues()).toEqual({ a: 'newer', c: '3' });
    app.delete('a');
    app.delete('c');
    stage.source.compact();
    const emptied = stage.replicate(plan, { accept: ['guard.deletes'] });
    expect(await failureOf(emptied)).toMatchObject({ code: 'tail.deletes-guarded' });
    expect(stage.targetValues()).toEqual({ a: 'newer', c: '3' });
  });
});

describe('cutover', () => {
  async function replicated(options: StageOptions = {}) {
    const stage = stageOf(options);
    stage.fillSource({ a: '1', b: '2' });
    const plan = await stage.plan();
    await stage.replicate(plan);
    return { stage, plan };
  }

  it('holds writes, drains what came before that, and leads applications to the target', async () => {
    const { stage } = await replicated();
    const app = writes(stage);
    app.put('a', 'before the cutover');
    const result = await stage.cutOver({
      ...at('cutover.held', () => {
        expect(stage.primary.record).toMatchObject({ primary: 'source', writes: 'held' });
        app.put('b', 'a request that was on its way');
      }),
    });
    expect(result.heldMs).toBeGreaterThanOrEqual(replicate.requestLifeMs);
    expect(result.heldMs).toBeLessThan(replicate.pauseMaxMs);
    expect(result).toMatchObject({ strays: [], compared: 1 });
    expect(stage.primary.record).toMatchObject({ primary: 'target', writes: 'open', epoch: 2 });
    expect(stage.targetValues()).toEqual({ a: 'before the cutover', b: 'a request that was on its way' });
    expect((await stage.status()).phase).toBe('cut-over');
  });

  it('grants ends to the records that have them in the source', async () => {
    const { stage } = await replicated();
    writes(stage).put('session', 'x', 600_000);
    writes(stage).put('old', 'y', 900_000);
    await stage.cutOver();
    const record = stage.target.snapshot().get(keyFromText('dst/session'));
    const inSource = stage.source.snapshot().get(keyFromText('src/session'));
    expect(record?.expiresAtMs).toBe(inSource?.expiresAtMs);
  });

  it('is undone when somebody goes on writing, and leaves the source in charge', async () => {
    const { stage, plan } = await replicated();
    const app = writes(stage);
    let held = false;
    const write = (): void => {
      app.put('a', `at ${stage.kernel.nowMs}`);
      if (held) stage.kernel.at(stage.kernel.nowMs + 500, write);
    };
    const failed = stage.cutOver({
      during: ({ code }) => {
        if (code === 'cutover.held') {
          held = true;
          write();
        }
        if (code === 'cutover.ended') held = false;
      },
    });
    expect(await failureOf(failed)).toMatchObject({ code: 'cutover.undone', details: { primary: 'source' } });
    expect(stage.primary.record).toMatchObject({ primary: 'source', writes: 'open', epoch: 2 });
    expect((await stage.status()).phase).toBe('replicating');
    expect(await stage.replicate(plan)).toMatchObject({ outcome: 'proven' });
    expect(stage.targetValues()).toEqual(stage.sourceValues());
    await stage.cutOver();
    expect(stage.primary.record).toMatchObject({ primary: 'target', writes: 'open' });
  });

  it('is undone when somebody writes after the tail was shut out', async () => {
    const { stage, plan } = await replicated();
    const app = writes(stage);
    const failed = stage.cutOver({
      during: (message) => {
        if (message.code === 'cutover.step' && message.data.step === 'anchor') app.put('a', 'too late');
      },
    });
    expect(await failureOf(failed)).toMatchObject({
      code: 'cutover.undone',
      details: { why: expect.stringContaining('wrote') },
    });
    expect(stage.primary.record).toMatchObject({ primary: 'source', writes: 'open' });
    await stage.replicate(plan);
    expect(stage.targetValues()['a']).toBe('too late');
  });

  it('is undone when the target is another one, which a feed never tells', async () => {
    const { stage } = await replicated();
    const failed = stage.cutOver({
      during: (message) => {
        if (message.code === 'tail.generation') writes(stage).put('a', 'newer');
        if (message.code === 'cutover.step' && message.data.step === 'compare') stage.putTarget('a', 'somebody else');
      },
    });
    expect(await failureOf(failed)).toMatchObject({
      code: 'cutover.undone',
      details: { why: expect.stringContaining('dst/a') },
    });
    expect(stage.primary.record).toMatchObject({ primary: 'source', writes: 'open' });
  });

  it('does not begin while the target differs', async () => {
    const { stage } = await replicated();
    stage.putTarget('a', 'somebody else');
    expect(await failureOf(stage.cutOver())).toMatchObject({ code: 'cutover.not-ready' });
    expect(stage.primary.record).toBeNull();
    expect((await stage.status()).phase).toBe('replicating');
  });

  it('tells who wrote to the former primary after the flip', async () => {
    const { stage } = await replicated();
    const result = await stage.cutOver({
      during: ({ code }) => {
        if (code === 'cutover.ended') writes(stage).put('b', 'did not follow');
      },
    });
    expect(result.strays).toEqual([{ text: 'src/b' }]);
  });
});

describe('after a cutover', () => {
  async function cutOver() {
    const stage = stageOf();
    stage.fillSource({ a: '1', b: '2' });
    const plan = await stage.plan();
    await stage.replicate(plan);
    await stage.cutOver();
    return { stage, plan, app: writes(stage, 'target') };
  }

  it('the source follows the target', async () => {
    const { stage, plan, app } = await cutOver();
    app.put('a', 'in the target');
    app.delete('b');
    app.put('c', '3');
    const result = await stage.replicate(plan);
    expect(result).toMatchObject({ tail: 'reverse', outcome: 'proven' });
    expect(stage.sourceValues()).toEqual({ a: 'in the target', c: '3' });
  });

  it('a rollback loses nothing and leaves nothing of the migration', async () => {
    const { stage, app } = await cutOver();
    app.put('a', 'in the target');
    app.delete('b');
    const result = await stage.rollBackReplicate({
      ...at('cutover.held', () => app.put('late', 'on its way')),
    });
    expect(result).toMatchObject({ turnedBack: { strays: [] }, counts: { removed: 2, changed: 0 } });
    expect(stage.primary.record).toMatchObject({ primary: 'source', writes: 'open' });
    expect(stage.sourceValues()).toEqual({ a: 'in the target', late: 'on its way' });
    expect(stage.targetValues()).toEqual({});
    expect((await stage.status()).phase).toBe('rolled-back');
  });

  it('goes forward again after that', async () => {
    const { stage, app } = await cutOver();
    app.put('a', 'in the target');
    await stage.rollBackReplicate();
    const plan = await stage.plan();
    expect(await stage.replicate(plan)).toMatchObject({ outcome: 'proven', attempt: 2 });
    await stage.cutOver();
    expect(stage.primary.record).toMatchObject({ primary: 'target', writes: 'open' });
    expect(stage.targetValues()).toEqual({ a: 'in the target', b: '2' });
  });

  it('finalize ends the reverse tail and the way back', async () => {
    const { stage, plan, app } = await cutOver();
    app.put('a', 'in the target');
    await stage.replicate(plan);
    const { marker } = await stage.finalizeReplicate();
    expect(marker).toMatchObject({ migration: 'shop', by: 'ops@test' });
    expect((await stage.status()).phase).toBe('finalized');
    expect(await failureOf(stage.rollBackReplicate())).toMatchObject({ code: 'migration.finalized' });
    expect(stage.target.tombstones(stage.spec.migration).size).toBe(0);
    const tails = [stage.target.tail(stage.spec.migration), stage.source.tail(stage.spec.migration)];
    for (const tail of tails)
      for (const name of ['forward', 'reverse'] as const) expect(await tail.readTail(name)).toBeNull();
  });

  it('nothing can be finalized before it', async () => {
    const stage = stageOf();
    stage.fillSource({ a: '1' });
    await stage.replicate(await stage.plan());
    expect(await failureOf(stage.finalizeReplicate())).toMatchObject({ code: 'phase.not-allowed' });
  });
});

describe('a rollback before a cutover', () => {
  it('takes the copies away, also of what the source changed or deleted since', async () => {
    const stage = stageOf();
    stage.fillSource({ a: '1', b: '2', c: '3', keep: '4' });
    stage.putTarget('keep', 'own');
    const plan = await stage.plan();
    await stage.replicate(plan);
    const app = writes(stage);
    app.put('a', 'newer');
    app.delete('b');
    stage.putTarget('stray', 'somebody else');
    const result = await stage.rollBackReplicate();
    expect(result).toMatchObject({ counts: { removed: 3, changed: 1 }, changedKeys: [{ text: 'dst/stray' }] });
    expect(stage.targetValues()).toEqual({ keep: 'own', stray: 'somebody else' });
    expect(stage.sourceValues()).toEqual({ a: 'newer', c: '3', keep: '4' });
  });
});
