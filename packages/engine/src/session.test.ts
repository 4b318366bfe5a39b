/**
 * Goal: a run that lost its place in the state writes nothing, and whatever happens leaves nothing open behind it.
 * Method: one event between two calls of the state: another start after the state was thrown away, lost answers.
 */
import type { StateItems, StateKind, StateVersion, StateWriteOutcome } from '@keyferry/core';
import { MemoryStateStore } from '@keyferry/core/testing';
import { describe, expect, it } from 'vitest';
import { failureOf, Stage } from '../testing/stage.ts';
import { triesMax } from './retry.ts';
import { attemptScope } from './state-items.ts';

/** Right after a run has written where the migration stands, somebody throws the state away and another run starts. */
class ForgottenState extends MemoryStateStore {
  private readonly stage: Stage;
  private forgotten = false;

  constructor(stage: Stage) {
    super({ database: stage.state.database });
    this.stage = stage;
  }

  override async write<K extends StateKind>(
    kind: K,
    scope: string,
    id: string,
    item: StateItems[K],
    expected: StateVersion | 'absent',
  ): Promise<StateWriteOutcome<K>> {
    const outcome = await super.write(kind, scope, id, item, expected);
    if (kind !== 'migration' || this.forgotten) return outcome;
    this.forgotten = true;
    this.database.scopes.clear();
    await super.write(kind, scope, id, { ...item, run: 'run_Other' }, 'absent');
    await this.stage.target.control(this.stage.spec.migration).raiseEpoch({ attempt: 1, token: 1 });
    return outcome;
  }
}

describe('a run whose state was thrown away while it began', () => {
  it('does not work in the attempt of the run that began after that', async () => {
    const stage = new Stage();
    stage.fillSourceWith(15);
    const state = new ForgottenState(stage);
    // Its lock went with the state.
    expect(await failureOf(stage.apply(await stage.plan(), { state }))).toMatchObject({ code: 'lease.lost' });
    expect(stage.targetValues()).toEqual({});
    const chunks = await stage.state.list('chunk-plan', attemptScope(stage.spec.migration, 1), {
      after: null,
      itemsMax: 10,
    });
    expect(chunks.entries).toEqual([]);
    expect(stage.source.openViews() + stage.target.openViews()).toBe(0);
  });
});

describe('answers of the state that are lost', () => {
  it.each([1, 2, 3, 5, 8])('cost a repeat each, and nothing else (%i in a row)', async (lost) => {
    const stage = new Stage();
    stage.fillSourceWith(25);
    const plan = await stage.plan();
    for (let i = 0; i < lost; i += 1) {
      stage.state.failNext('write', 'after');
      stage.state.failNext('read', 'after');
      stage.state.failNext('list', 'after');
    }
    expect(await stage.apply(plan)).toMatchObject({ outcome: 'done', counts: { written: 25 } });
    expect(stage.target.revision()).toBe(25);
  });

  it('leave no view open when a resume gives up on them', async () => {
    const stage = new Stage();
    stage.fillSourceWith(25);
    const plan = await stage.plan();
    await failureOf(stage.apply(plan, { during: (_message, interrupt) => interrupt() }));
    for (let i = 0; i < triesMax; i += 1) stage.state.failNext('list');
    expect(await failureOf(stage.apply(plan))).toMatchObject({ code: 'store.unreachable' });
    expect(stage.source.openViews() + stage.target.openViews()).toBe(0);
  });
});

describe('a run that is told to stop while a store is out of reach', () => {
  it('was stopped: the call would have been repeated', async () => {
    const stage = new Stage({ spec: { workers: 1 } });
    stage.fillSourceWith(25);
    const plan = await stage.plan();
    stage.target.failNext('write');
    stage.target.failNext('write');
    const stopped = stage.apply(plan, { during: ({ code }, interrupt) => code === 'store.retrying' && interrupt() });
    const error = await failureOf(stopped);
    expect(error).toMatchObject({ code: 'run.interrupted', details: { signal: 'SIGINT' } });
    expect((error as Error).cause).toMatchObject({ code: 'store.unreachable' });
    expect(await stage.apply(plan)).toMatchObject({ outcome: 'done', resumed: true, counts: { written: 25 } });
  });
});
