/**
 * Goal: after the state was lost, what the target holds is enough to go on, to go back, and to shut out whoever still
 * has the lost state. Method: the state is thrown away in each phase; adopted; then the next command.
 */
import { keyFromText, type ChunkId } from '@keyferry/core';
import { MemoryStateStore } from '@keyferry/core/testing';
import { describe, expect, it } from 'vitest';
import { bytes, failureOf, rule, Stage, type RunHooks } from '../testing/stage.ts';
import { adopt } from './adopt.ts';

type Plan = Awaited<ReturnType<Stage['plan']>>;

const adoptIn = (stage: Stage, plan: Plan, hooks: RunHooks) =>
  stage.as(
    (engine, options) => adopt(engine, stage.spec, plan.reader(), { ...options, appliedAs: 'shop.kfplan' }),
    hooks,
  );

async function begun(finished: boolean): Promise<{ stage: Stage; plan: Plan }> {
  const stage = new Stage();
  stage.fillSourceWith(45);
  stage.putTarget('own', 'x');
  const plan = await stage.plan();
  const during = ({ code }: { readonly code: string }, interrupt: () => void): void => {
    if (code === 'chunk.done' && !finished) interrupt();
  };
  await failureOf(stage.apply(plan, { during }));
  return { stage, plan };
}

describe('a state that was lost', () => {
  it.each([true, false])(
    'is adopted, and apply goes on to its end in the same attempt (finished: %s)',
    async (finished) => {
      const { stage, plan } = await begun(finished);
      const state = new MemoryStateStore();
      expect(await adoptIn(stage, plan, { state })).toMatchObject({ phase: 'applying', attempt: 1, chunks: 5 });
      const status = await stage.run(async () => (await state.read('migration', 'migrations', 'shop'))?.item);
      expect(status).toMatchObject({ phase: 'applying', attempt: 1, appliedAs: 'shop.kfplan' });
      expect(await stage.apply(plan, { state })).toMatchObject({
        outcome: 'done',
        resumed: true,
        counts: { written: 45 },
      });
      expect(await stage.finalize({ state })).toMatchObject({ marker: { attempt: 1 } });
    },
  );

  it('is adopted, and rollback removes what was created', async () => {
    const { stage, plan } = await begun(true);
    const state = new MemoryStateStore();
    await adoptIn(stage, plan, { state });
    expect(await stage.rollBack({ state })).toMatchObject({ counts: { removed: 45 } });
    expect(stage.targetValues()).toEqual({ own: 'x' });
  });

  it('shuts out whoever still has it: a worker, and a rollback', async () => {
    const { stage, plan } = await begun(false);
    const control = stage.target.control(stage.spec.migration);
    const chunk = 'c00004' as ChunkId;
    const claim = await control.claimChunk(chunk, { attempt: 1, token: 9 }, { attempt: 1, token: 1 });
    if (claim.kind !== 'claimed') throw new Error('the claim was to succeed');
    await adoptIn(stage, plan, { state: new MemoryStateStore() });
    const put = {
      kind: 'put',
      key: rule.targetPrefix,
      value: bytes('late'),
      expiresAtMs: null,
      expect: 'absent',
    } as const;
    expect(await failureOf(claim.writer.write([put]))).toMatchObject({ code: 'fence.lost' });
    expect(await failureOf(stage.rollBack())).toMatchObject({ code: 'epoch.lost' });
    expect(Object.keys(stage.targetValues()).length).toBeGreaterThan(1);
  });

  it('of a finalized migration is finalized, with its marker', async () => {
    const { stage, plan } = await begun(true);
    const { marker } = await stage.finalize();
    const state = new MemoryStateStore();
    expect(await adoptIn(stage, plan, { state })).toMatchObject({ phase: 'finalized' });
    expect(await failureOf(stage.rollBack({ state }))).toMatchObject({ code: 'migration.finalized' });
    await stage.reopen({ state });
    expect(marker.plan).toBe(plan.reader().plan.plan);
  });

  it('of a finalized migration is not adopted with another plan', async () => {
    const { stage } = await begun(true);
    const other = await stage.plan();
    await stage.finalize();
    expect(await failureOf(adoptIn(stage, other, { state: new MemoryStateStore() }))).toMatchObject({
      code: 'plan.mismatch',
    });
  });

  it('is not adopted over one that is there', async () => {
    const { stage, plan } = await begun(true);
    expect(await failureOf(adoptIn(stage, plan, {}))).toMatchObject({ code: 'state.not-empty' });
  });

  it('that never was cannot be adopted, and nothing is left behind', async () => {
    const stage = new Stage();
    stage.source.put(keyFromText('src/a'), bytes('x'));
    const plan = await stage.plan();
    expect(await failureOf(adoptIn(stage, plan, {}))).toMatchObject({ code: 'state.nothing-to-adopt' });
    expect(await stage.target.control(stage.spec.migration).readEpoch()).toBeNull();
    expect((await stage.status()).phase).toBe('new');
  });
});
