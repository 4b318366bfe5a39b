/**
 * Goal: a run that fails in its hold, or that slept before it, leaves nobody held and nobody led elsewhere (SPEC R150).
 * Method: the real engine on memory stores; a store fails, or another command moves the switch, between two steps.
 */
import { KeyferryError, type SwitchEpoch, type SwitchVersion } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { failureOf, Stage, type RunHooks } from '../../testing/stage.ts';

const replicate = { pauseMaxMs: 10_000, requestLifeMs: 2000 };

async function replicated(): Promise<Stage> {
  const stage = new Stage({ spec: { strategy: 'replicate', replicate } });
  stage.fillSource({ a: '1', b: '2' });
  await stage.replicate(await stage.plan());
  return stage;
}

/** Runs `act` before the first step of a kind. */
function before(step: string, act: () => void): Pick<RunHooks, 'during'> {
  let isOver = false;
  return {
    during: ({ code, data }) => {
      if (isOver || code !== 'cutover.step' || (data as { readonly step: string }).step !== step) return;
      isOver = true;
      act();
    },
  };
}

describe('a hold', () => {
  it('is ended by the run that failed in it, and the next one cuts over', async () => {
    const stage = await replicated();
    const denied = new KeyferryError('store.permission-denied', { store: 'target', detail: 'planted' });
    const failed = stage.cutOver(before('fence', () => stage.target.failNext('raiseEpoch', 'before', denied)));
    expect(await failureOf(failed)).toMatchObject({ code: 'store.permission-denied' });
    expect(stage.primary.record).toMatchObject({ primary: 'source', writes: 'open', deadlineAt: null });
    expect(await stage.status()).toMatchObject({
      phase: 'replicating',
      cutover: { to: 'target', outcome: 'undone', undoneWhy: 'failed', endedAtMs: expect.any(Number) as number },
      step: { next: 'keyferry cutover shop', wayBack: 'keyferry rollback shop' },
    });
    await stage.cutOver();
    expect(stage.primary.record).toMatchObject({ primary: 'target', writes: 'open' });
  });

  it('is not called undone where the flip was made and its answer lost: the next one ends what it began', async () => {
    const stage = await replicated();
    const { primary } = stage;
    const write = primary.write.bind(primary);
    primary.write = async (record, expected) => {
      const outcome = await write(record, expected);
      if (record.primary === 'source') return outcome;
      throw new KeyferryError('store.permission-denied', { store: 'target', detail: 'planted' });
    };
    expect(await failureOf(stage.cutOver())).toMatchObject({ code: 'store.permission-denied' });
    expect(primary.record).toMatchObject({ primary: 'target', writes: 'open' });
    expect(await stage.status()).toMatchObject({ phase: 'cutting-over', cutover: { outcome: 'under-way' } });
    primary.write = write;
    expect(await stage.cutOver()).toMatchObject({ heldMs: 0 });
    expect((await stage.status()).phase).toBe('cut-over');
  });

  it('is ended also where no announcement of it was ever answered, although it was made', async () => {
    const stage = await replicated();
    const { primary } = stage;
    const write = primary.write.bind(primary);
    primary.write = async (record, expected) => {
      const outcome = await write(record, expected);
      if (record.writes === 'open') return outcome;
      expect(primary.record).toMatchObject({ primary: 'source', writes: 'held' });
      throw new KeyferryError('store.timeout', { store: 'target', detail: 'planted' });
    };
    expect(await failureOf(stage.cutOver())).toMatchObject({ code: 'store.timeout' });
    expect(primary.record).toMatchObject({ primary: 'source', writes: 'open', deadlineAt: null });
    primary.write = write;
    await stage.cutOver();
    expect(primary.record).toMatchObject({ primary: 'target', writes: 'open' });
  });

  it.each([
    { name: 'a hold', primary: 'target', writes: 'held' },
    { name: 'a flip', primary: 'target', writes: 'open' },
  ] as const)('is not begun over $name of another command that came while its run slept', async (theirs) => {
    const stage = await replicated();
    const { primary, writes } = theirs;
    const moved = {
      migration: stage.spec.migration,
      epoch: 7 as SwitchEpoch,
      primary,
      writes,
      announcedAt: 'then',
      deadlineAt: null,
    };
    const version = 'absent' as SwitchVersion | 'absent';
    const failed = stage.cutOver(before('hold', () => void stage.primary.write(moved, version)));
    expect(await failureOf(failed)).toMatchObject({ code: 'switch.taken' });
    expect(stage.primary.record).toEqual(moved);
  });
});
