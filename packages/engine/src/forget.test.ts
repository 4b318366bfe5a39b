/**
 * Goal: forgetting removes all of one migration and nothing of another, loses nothing unsaid, and leaves the target such
 * that a later start is safe. Method: migrations in each phase, forgotten; a removal that fails half-way.
 */
import { keyFromText, type MigrationId } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { failureOf, Stage, type RunHooks } from '../testing/stage.ts';
import { forget, lossesOf } from './forget.ts';
import { triesMax } from './retry.ts';
import { withSession } from './session.ts';

const migration = 'shop' as MigrationId;

const forgetIn = (stage: Stage, accept: readonly string[] = [], hooks: RunHooks = {}) =>
  stage.as((engine, options) => forget(engine, migration, { ...options, accept }), hooks);

function itemsLeft(stage: Stage): readonly string[] {
  return [...stage.state.database.scopes].flatMap(([name, items]) => [...items.keys()].map((id) => `${name} ${id}`));
}

async function verified(): Promise<Stage> {
  const stage = new Stage();
  stage.fillSourceWith(25);
  await stage.apply(await stage.plan());
  return stage;
}

describe('forget', () => {
  it('names what is lost and removes nothing until that is accepted', async () => {
    const stage = await verified();
    const before = itemsLeft(stage).length;
    expect(await failureOf(forgetIn(stage))).toMatchObject({
      code: 'forget.unaccepted',
      details: { findings: ['forget.way-back'] },
    });
    expect(itemsLeft(stage)).toHaveLength(before);
    expect(await forgetIn(stage, ['forget.way-back'])).toMatchObject({ phase: 'verified', items: before });
    expect(itemsLeft(stage)).toEqual([]);
  });

  it('of a migration that was rolled back or finalized loses its history alone', async () => {
    for (const end of ['rollBack', 'finalize'] as const) {
      const stage = await verified();
      await stage[end]();
      await forgetIn(stage);
      expect(itemsLeft(stage)).toEqual([]);
    }
  });

  it('in the middle of an apply asks for both losses by name', async () => {
    const stage = new Stage();
    stage.fillSourceWith(25);
    const during = ({ code }: { readonly code: string }, interrupt: () => void): void => {
      if (code === 'chunk.done') interrupt();
    };
    await failureOf(stage.apply(await stage.plan(), { during }));
    expect(await failureOf(forgetIn(stage, ['forget.way-back']))).toMatchObject({
      details: { findings: ['forget.strands-data'] },
    });
    await forgetIn(stage, ['forget.way-back', 'forget.strands-data']);
    expect((await stage.status()).phase).toBe('new');
  });

  it('is refused while a run holds the lock', async () => {
    const stage = await verified();
    const states: unknown[] = [];
    await stage.as(async (engine, options) => {
      await withSession(engine, stage.spec, options, async () => {
        states.push(await failureOf(forget(engine, migration, { ...options, accept: ['forget.way-back'] })));
      });
    });
    expect(states).toMatchObject([{ code: 'lease.held' }]);
  });

  it('that fails half-way is run again', async () => {
    const stage = await verified();
    let removals = 0;
    const { state } = stage;
    const dying = {
      read: state.read.bind(state),
      write: state.write.bind(state),
      list: state.list.bind(state),
      close: () => state.close(),
      remove: (async (...call: Parameters<typeof state.remove>) => {
        removals += 1;
        if (removals === 5) for (let i = 0; i < triesMax; i += 1) state.failNext('remove');
        return state.remove(...call);
      }) as typeof state.remove,
    };
    expect(await failureOf(forgetIn(stage, ['forget.way-back'], { state: dying }))).not.toBeNull();
    expect((await stage.status()).phase).toBe('verified');
    await forgetIn(stage, ['forget.way-back'], { holderIsGone: () => true });
    expect(itemsLeft(stage)).toEqual([]);
  });

  it('of nothing says so', async () => {
    expect(await failureOf(forgetIn(new Stage()))).toMatchObject({ code: 'state.unknown-migration' });
  });

  it('leaves other migrations alone, and the attempt number is not used again', async () => {
    const stage = await verified();
    const spec = {
      migration: 'shop-2' as MigrationId,
      rule: { sourcePrefix: keyFromText('src/'), targetPrefix: keyFromText('dst-2/') },
    };
    await stage.apply(await stage.plan({ spec }), { spec });
    const others = itemsLeft(stage).filter((item) => item.includes('shop-2'));
    await forgetIn(stage, ['forget.way-back']);
    expect(itemsLeft(stage)).toEqual(others);
    stage.source.put(keyFromText('src/later'), new Uint8Array([1]));
    expect(await stage.apply(await stage.plan())).toMatchObject({ attempt: 2 });
  });

  it('has an answer for each phase', () => {
    const asks = Object.entries(lossesOf).flatMap(([phase, losses]) => (losses.length > 0 ? [phase] : []));
    const inOrder = ['applied', 'applying', 'cut-over', 'cutting-over', 'finalizing', 'replicating'];
    expect(asks.toSorted()).toEqual([...inOrder, 'rolling-back', 'turning-back', 'verified']);
  });
});
