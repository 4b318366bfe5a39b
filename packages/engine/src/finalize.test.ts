/**
 * Goal: a migration is finalized only when both sides are proven equal once more; a kill at any step leaves one that is
 * either as it was or can go on; and nothing reaches behind it. Method: the real engine on memory stores, which die
 * before or after each write that finalize makes.
 */
import { keyFromText, KeyferryError, type ChunkId, type StateKind, type StateStore } from '@keyferry/core';
import { MemoryStateStore } from '@keyferry/core/testing';
import { describe, expect, it } from 'vitest';
import { bytes, failureOf, rule, Stage } from '../testing/stage.ts';
import { readEvents } from './events.ts';
import { alreadyDone } from './finalize.ts';
import { triesMax } from './retry.ts';

async function verified(): Promise<Stage> {
  const stage = new Stage();
  stage.fillSourceWith(25);
  stage.putTarget('own', 'x');
  await stage.apply(await stage.plan());
  return stage;
}

const controlOf = (stage: Stage) => stage.target.control(stage.spec.migration);

async function createdIn(stage: Stage): Promise<number> {
  let count = 0;
  const everything = { start: keyFromText(''), end: null };
  for await (const page of controlOf(stage).listCreated(everything, { pageKeysMax: 100 })) count += page.length;
  return count;
}

/** The process ends at its `at`-th write of the migration's own item, before it takes effect or after. */
function dyingState(state: MemoryStateStore, at: number, moment: 'before' | 'after'): StateStore {
  let writes = 0;
  const dead = new KeyferryError('state.unusable', { where: 'test', detail: 'the process is gone' });
  return {
    read: (kind, scope, id) => state.read(kind, scope, id),
    list: (kind, scope, page) => state.list(kind, scope, page),
    remove: (kind, scope, id, expected) => state.remove(kind, scope, id, expected),
    close: () => state.close(),
    write: async <K extends StateKind>(...call: Parameters<StateStore['write']>) => {
      const isTheOne = call[0] === 'migration' && (writes += 1) === at;
      if (isTheOne && moment === 'before') throw dead;
      const outcome = await state.write(...call);
      if (isTheOne) throw dead;
      return outcome as Awaited<ReturnType<typeof state.write<K>>>;
    },
  };
}

describe('finalize', () => {
  it('writes a marker that says what was proven, and leaves nothing else of its own but the epoch', async () => {
    const stage = await verified();
    const { marker, resumed } = await stage.finalize();
    expect(resumed).toBe(false);
    expect(marker).toMatchObject({
      format: 'keyferry.done',
      migration: 'shop',
      by: 'ops@test',
      attempt: 1,
      counts: { written: 25 },
      source: { store: 'old', prefix: { text: 'src/' }, digest: { count: 25 } },
    });
    expect(marker.source.digest).toEqual(marker.target.digest);
    expect(JSON.parse((await controlOf(stage).readDone()) ?? '')).toEqual(marker);
    expect(await createdIn(stage)).toBe(0);
    expect(await controlOf(stage).readFence('c00000' as ChunkId)).toBeNull();
    expect(await controlOf(stage).readEpoch()).toEqual({ attempt: 1, token: 2 });
    expect(await stage.status()).toMatchObject({
      phase: 'finalized',
      state: { done: marker },
      step: { next: 'keyferry report shop', wayBack: null },
    });
    expect(Object.keys(stage.targetValues())).toHaveLength(26);
  });

  it('is refused before verify, and says what comes first', async () => {
    const stage = new Stage();
    stage.fillSourceWith(5);
    expect(await failureOf(stage.finalize())).toMatchObject({ code: 'phase.not-allowed' });
    stage.target.failNext('write');
    await stage.apply(await stage.plan());
    stage.putTarget('k0001', 'other');
    await stage.verifyApplied();
    expect((await stage.status()).phase).toBe('applied');
    expect(await failureOf(stage.finalize())).toMatchObject({ code: 'phase.not-allowed' });
  });

  it.each([
    { name: 'a target record', move: (stage: Stage) => stage.putTarget('k0003', 'other'), what: '1 key differs' },
    {
      name: 'a source record',
      move: (stage: Stage) => void stage.source.put(keyFromText('src/k0003'), bytes('other')),
      what: 'the source is not as the plan saw it',
    },
  ])('refuses when $name moved since, and the way back is still open', async ({ move, what }) => {
    const stage = await verified();
    move(stage);
    const failure = (await failureOf(stage.finalize())) as KeyferryError<'finalize.not-proven'>;
    expect(failure.code).toBe('finalize.not-proven');
    expect(failure.details.what.join()).toContain(what);
    expect(await controlOf(stage).readDone()).toBeNull();
    expect((await stage.status()).phase).toBe('applied');
    expect((await stage.rollBack()).counts.removed).toBeGreaterThanOrEqual(24);
  });

  it('refuses while members of the source are apart', async () => {
    let apart = false;
    const member = (name: string, raftIndex: bigint) => ({ member: name, raftIndex, raftTerm: 1n });
    const stage = new Stage({ source: { members: () => [member('a', 10n), member('b', apart ? 2n : 10n)] } });
    stage.fillSourceWith(3);
    await stage.apply(await stage.plan());
    apart = true;
    const failure = (await failureOf(stage.finalize())) as KeyferryError<'finalize.not-proven'>;
    expect(failure.details.what.join()).toContain('raft indexes');
    expect((await stage.status()).phase).toBe('applied');
  });

  it('refuses another target than the one that was written to', async () => {
    const stage = await verified();
    const { target } = new Stage({ target: { name: 'elsewhere' } });
    expect(await failureOf(stage.finalize({ target }))).toMatchObject({ code: 'plan.mismatch' });
    expect(await target.control(stage.spec.migration).readEpoch()).toBeNull();
  });

  it.each([
    { at: 1, moment: 'before', phase: 'verified', marks: 25, again: null },
    { at: 1, moment: 'after', phase: 'verified', marks: 25, again: null },
    { at: 2, moment: 'before', phase: 'verified', marks: 25, again: null },
    { at: 2, moment: 'after', phase: 'finalizing', marks: 25, again: null },
    { at: 3, moment: 'before', phase: 'finalizing', marks: 0, again: null },
    { at: 3, moment: 'after', phase: 'finalized', marks: 0, again: 'migration.finalized' },
  ] as const)(
    'that dies $moment its write $at of the state ends well when it is run again',
    async ({ at, moment, phase, marks, again }) => {
      const stage = await verified();
      const died = await failureOf(stage.finalize({ state: dyingState(stage.state, at, moment) }));
      expect(died).toMatchObject({ code: 'state.unusable' });
      expect((await stage.status()).phase).toBe(phase);
      expect(await createdIn(stage)).toBe(marks);
      const failure = (await failureOf(stage.finalize({ holderIsGone: () => true }))) as KeyferryError | null;
      expect(failure?.code ?? null).toBe(again);
      expect((await stage.status()).phase).toBe('finalized');
      expect(await createdIn(stage)).toBe(0);
    },
  );

  it('that was killed before its proof can still be rolled back, and after it no more', async () => {
    const early = await verified();
    await failureOf(early.finalize({ state: dyingState(early.state, 2, 'before') }));
    expect(await early.rollBack()).toMatchObject({ counts: { removed: 25 } });
    const late = await verified();
    await failureOf(late.finalize({ state: dyingState(late.state, 2, 'after') }));
    expect(await failureOf(late.rollBack())).toMatchObject({
      code: 'phase.not-allowed',
      details: { next: 'keyferry finalize shop' },
    });
  });

  it.each(['raiseEpoch', 'writeDone', 'dropControl'] as const)(
    'that fails for good in %s ends well when it is run again',
    async (operation) => {
      const stage = await verified();
      for (let i = 0; i < triesMax; i += 1) stage.target.failNext(operation);
      expect(await failureOf(stage.finalize())).toMatchObject({ code: 'store.unreachable' });
      await stage.finalize();
      expect((await stage.status()).phase).toBe('finalized');
    },
  );

  it('that was proven asks for no second proof: applications may write by then', async () => {
    const stage = await verified();
    for (let i = 0; i < triesMax; i += 1) stage.target.failNext('writeDone');
    await failureOf(stage.finalize());
    stage.putTarget('k0001', 'written by its application');
    const { marker, resumed } = await stage.finalize();
    expect(resumed).toBe(true);
    expect(marker.source.digest.count).toBe(25);
  });

  it('shuts out a worker of the migration that wakes up after it', async () => {
    const stage = await verified();
    const chunk = 'c00000' as ChunkId;
    const claim = await controlOf(stage).claimChunk(chunk, { attempt: 1, token: 9 }, { attempt: 1, token: 1 });
    if (claim.kind !== 'claimed') throw new Error('the claim was to succeed');
    await stage.finalize();
    const put = {
      kind: 'put',
      key: rule.targetPrefix,
      value: bytes('late'),
      expiresAtMs: null,
      expect: 'absent',
    } as const;
    expect(await failureOf(claim.writer.write([put]))).toMatchObject({ code: 'fence.lost' });
  });
});

describe('after finalize', () => {
  it('rollback and finalize are refused with who ended it, and apply says that it is done', async () => {
    const stage = await verified();
    const { marker } = await stage.finalize();
    for (const command of [() => stage.rollBack(), () => stage.finalize()]) {
      expect(await failureOf(command())).toMatchObject({
        code: 'migration.finalized',
        details: { by: 'ops@test', at: marker.finalizedAt },
      });
    }
    expect(Object.keys(stage.targetValues())).toHaveLength(26);
    const { migration } = stage.spec;
    expect(await stage.run((engine) => alreadyDone(engine, migration, null))).toEqual(marker);
    expect(await stage.run((engine) => alreadyDone(engine, migration, marker.plan))).toEqual(marker);
    expect(await stage.run((engine) => alreadyDone(engine, migration, 'pln_other' as typeof marker.plan))).toBeNull();
  });

  it('whoever applies another plan hears that it is over, and is not asked to accept what that plan warns of', async () => {
    const stage = new Stage({ target: { capabilities: { expiry: false } } });
    stage.fillSource({ a: '1' });
    const plan = await stage.plan();
    stage.source.put(keyFromText('src/b'), bytes('1'), stage.kernel.nowMs + 3_600_000);
    const other = await stage.plan();
    stage.source.delete(keyFromText('src/b'));
    expect(await failureOf(stage.apply(other))).toMatchObject({ code: 'plan.unaccepted' });
    expect(await stage.apply(plan)).toMatchObject({ outcome: 'done' });
    await stage.finalize();
    expect(await failureOf(stage.apply(other))).toMatchObject({ code: 'migration.finalized' });
  });

  it('a new plan is blocked by the marker, with this state and with one that knows nothing', async () => {
    const stage = await verified();
    await stage.finalize();
    for (const state of [stage.state, new MemoryStateStore()]) {
      const { plan } = (await stage.plan({ state })).reader();
      expect(plan.applyable).toBe(false);
      expect(plan.findings).toMatchObject([{ code: 'done.already', level: 'blocking' }]);
      expect(plan.findings[0]?.detail).toContain('ops@test');
    }
  });

  it('a planner who may not see the marker is told so, and apply does not pass it over', async () => {
    const stage = await verified();
    await stage.finalize();
    const denied = new KeyferryError('store.permission-denied', { store: 'new', detail: 'read' });
    stage.target.failNext('readDone', 'before', denied);
    const plan = await stage.plan({ state: new MemoryStateStore() });
    expect(plan.reader().plan).toMatchObject({
      applyable: true,
      findings: [{ code: 'done.unseen', level: 'warning' }],
    });
    const failure = await failureOf(stage.apply(plan, { state: new MemoryStateStore() }));
    expect(failure).toMatchObject({ code: 'plan.not-applyable' });
  });

  it('a plan from before it is not applied by another state', async () => {
    const stage = await verified();
    const plan = await stage.plan();
    await stage.finalize();
    const failure = await failureOf(stage.apply(plan, { state: new MemoryStateStore() }));
    expect(failure).toMatchObject({ code: 'plan.not-applyable', details: { findings: ['done.already'] } });
  });

  it('reopening takes the marker away, and what was finalized is no longer rolled back', async () => {
    const stage = await verified();
    await stage.finalize();
    await stage.reopen();
    expect(await controlOf(stage).readDone()).toBeNull();
    expect(await stage.status()).toMatchObject({ phase: 'reopened', step: { wayBack: null } });
    expect(await failureOf(stage.rollBack())).toMatchObject({ code: 'phase.not-allowed' });
    stage.source.put(keyFromText('src/later'), bytes('x'));
    expect(await stage.apply(await stage.plan())).toMatchObject({ attempt: 2, counts: { written: 1, equal: 25 } });
    expect(await stage.rollBack()).toMatchObject({ counts: { removed: 1 }, written: 1 });
  });

  it('is reopened by a host whose state knows nothing of it, as the one that has it may be gone', async () => {
    const stage = await verified();
    await stage.finalize();
    const elsewhere = { state: new MemoryStateStore() };
    expect(await stage.reopen(elsewhere)).toMatchObject({ marker: { by: 'ops@test' } });
    expect(await controlOf(stage).readDone()).toBeNull();
    expect(await failureOf(stage.reopen(elsewhere))).toMatchObject({ code: 'phase.not-allowed' });
    expect(await stage.apply(await stage.plan(), elsewhere)).toMatchObject({ outcome: 'done', counts: { equal: 25 } });
  });

  it('reopening on another target changes nothing', async () => {
    const stage = await verified();
    await stage.finalize();
    const { target } = new Stage({ target: { name: 'elsewhere' } });
    expect(await failureOf(stage.reopen({ target }))).toMatchObject({ code: 'epoch.lost' });
    expect((await stage.status()).phase).toBe('finalized');
  });

  it('the history says who ended it', async () => {
    const stage = await verified();
    await stage.finalize();
    await stage.reopen();
    const events = await stage.run((engine) => readEvents(engine, stage.spec.migration, 10));
    const by = 'ops@test';
    const what = events.filter((event) => event.by === by).map(({ type }) => type);
    expect(what.toSorted()).toEqual(['finalized', 'reopened']);
  });
});
