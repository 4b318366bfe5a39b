/**
 * Goal: one run at a time, a lock that is always given back, and a run that stops when it lost its lock.
 * Method: two commands side by side in virtual time; faults planted in the state's next call.
 */
import {
  keyFromText,
  type LockState,
  type Message,
  type StateItems,
  type StateKind,
  type StateVersion,
  type StateWriteOutcome,
} from '@keyferry/core';
import { MemoryStateStore } from '@keyferry/core/testing';
import { describe, expect, it } from 'vitest';
import { failureOf, Stage, type RunHooks } from '../testing/stage.ts';
import { breakLock, listLocks, lockLeaseMs } from './lock.ts';
import { withSession } from './session.ts';

async function planned(count = 30): Promise<{ stage: Stage; apply: (hooks?: RunHooks) => Promise<unknown> }> {
  const stage = new Stage({ spec: { workers: 1 } });
  stage.fillSourceWith(count);
  const plan = await stage.plan();
  return { stage, apply: (hooks) => stage.startApply(plan, hooks) };
}

async function putLock(stage: Stage, leaseMs: number): Promise<LockState> {
  const { nowMs } = stage.kernel;
  const lock = {
    lock: 'lck_X',
    holder: 'ann@host, pid 7',
    run: 'run_X',
    command: 'apply',
    acquiredAtMs: nowMs,
    heartbeatAtMs: nowMs,
    leaseEndsAtMs: nowMs + leaseMs,
  } as LockState;
  await stage.state.write('lock', 'locks', stage.spec.migration, lock, 'absent');
  return lock;
}

describe('the lock of a migration', () => {
  it('keeps a second apply out while the first one runs, and names its holder', async () => {
    const { stage, apply } = await planned();
    const [first, second] = await stage.run(() => Promise.all([apply(), failureOf(apply())]));
    expect(first).toMatchObject({ outcome: 'done' });
    expect(second).toMatchObject({ code: 'lease.held' });
    expect(await stage.run((engine) => listLocks(engine))).toEqual([]);
  });

  it('is waited for as long as the caller says', async () => {
    const { stage, apply } = await planned();
    await putLock(stage, 5000);
    expect(await stage.run(() => failureOf(apply({ lockTimeoutMs: 2000 })))).toMatchObject({
      code: 'lease.held',
      details: { holder: 'ann@host, pid 7' },
    });
    expect(await stage.run(() => apply({ lockTimeoutMs: 20_000 }))).toMatchObject({ outcome: 'done' });
  });

  it('is taken over at once when its holder is known to be gone, and after its lease when nobody knows', async () => {
    const gone = await planned();
    await putLock(gone.stage, lockLeaseMs);
    expect(await gone.stage.run(() => gone.apply({ holderIsGone: () => true }))).toMatchObject({ outcome: 'done' });

    const unknown = await planned();
    await putLock(unknown.stage, lockLeaseMs);
    expect(await unknown.stage.run(() => failureOf(unknown.apply()))).toMatchObject({ code: 'lease.held' });
    await unknown.stage.run(() => unknown.stage.kernel.sleep(lockLeaseMs + 2001));
    expect(await unknown.stage.run(() => unknown.apply())).toMatchObject({ outcome: 'done' });
  });

  it('can be broken by its id', async () => {
    const { stage, apply } = await planned();
    await putLock(stage, lockLeaseMs);
    expect(await stage.run((engine) => failureOf(breakLock(engine, 'lck_Y')))).toMatchObject({
      code: 'lock.not-found',
    });
    await stage.run((engine) => breakLock(engine, 'lck_X'));
    expect(await stage.run(() => apply())).toMatchObject({ outcome: 'done' });
  });

  it('is given back after a failure', async () => {
    const { stage, apply } = await planned();
    stage.fillSource({ k0001: 'moved' });
    expect(await stage.run(() => failureOf(apply()))).toMatchObject({ code: 'plan.stale' });
    expect(await stage.run((engine) => listLocks(engine))).toEqual([]);
  });

  it.each(['before', 'after'] as const)(
    'does not turn success into failure when its release fails once (%s)',
    async (moment) => {
      const { stage, apply } = await planned();
      stage.state.failNext('remove', moment);
      expect(await stage.run(() => apply())).toMatchObject({ outcome: 'done' });
      expect(await stage.run((engine) => listLocks(engine))).toEqual([]);
    },
  );

  it('is asked for again when the state does not answer at first', async () => {
    const { stage, apply } = await planned();
    stage.state.failNext('read');
    expect(await stage.run(() => apply())).toMatchObject({ outcome: 'done' });
  });
});

describe('a run that may have lost its lock', () => {
  /** Sleeps, then wants to be certain. @returns when it was, in virtual milliseconds since it took the lock; or the error's code */
  const certainAfter = (sleepMs: number, outageMs: number, during?: (stage: Stage) => void) => {
    const stage = new Stage();
    const state = new Slow(stage);
    return stage.run(() =>
      stage.startAs(
        async (engine, options) => {
          const beganAtMs = engine.clock.monotonicMs();
          const work = withSession(engine, stage.spec, options, async ({ lock }) => {
            state.untilMs = stage.kernel.nowMs + outageMs;
            await engine.clock.sleep(sleepMs);
            during?.(stage);
            await lock.untilCertain(options.signal);
            return engine.clock.monotonicMs() - beganAtMs;
          });
          return await work.catch((error: unknown) => (error as { readonly code: string }).code);
        },
        { state },
      ),
    );
  };

  it('writes on within its lease, and behind that only once it was renewed', async () => {
    expect(await certainAfter(lockLeaseMs - 1000, lockLeaseMs + 5000)).toBeLessThan(lockLeaseMs);
    expect(await certainAfter(lockLeaseMs + 1000, lockLeaseMs + 5000)).toBeGreaterThanOrEqual(lockLeaseMs + 5000);
  });

  it('learns that it is lost', async () => {
    const takeAway = (stage: Stage): void => stage.state.database.scope('lock', 'locks').clear();
    expect(await certainAfter(lockLeaseMs + 1000, lockLeaseMs + 5000, takeAway)).toBe('lease.lost');
  });
});

describe('a run that lost its lock', () => {
  it('stops even when it only waits for a chunk that somebody else holds', async () => {
    const { stage, apply } = await planned(5);
    const state = new HeldChunk(stage);
    const during = ({ code }: Message): void => {
      if (code === 'apply.started') stage.kernel.at(stage.kernel.nowMs + 3000, () => state.takeLockAway());
    };
    const startedAtMs = stage.kernel.nowMs;
    expect(await stage.run(() => failureOf(apply({ during, state })))).toMatchObject({ code: 'lease.lost' });
    expect(stage.kernel.nowMs - startedAtMs).toBeLessThan(lockLeaseMs);
    expect(stage.target.snapshot().has(keyFromText('dst/k0000'))).toBe(false);
  });
});

/** A state that answers no write for a while. */
class Slow extends MemoryStateStore {
  /** By the wall clock. */
  untilMs = 0;
  private readonly stage: Stage;

  constructor(stage: Stage) {
    super({ database: stage.state.database });
    this.stage = stage;
  }

  override async write<K extends StateKind>(
    ...args: Parameters<MemoryStateStore['write']>
  ): Promise<StateWriteOutcome<K>> {
    const { kernel } = this.stage;
    if (kernel.nowMs < this.untilMs) await kernel.sleep(this.untilMs - kernel.nowMs);
    return (await super.write(...args)) as StateWriteOutcome<K>;
  }
}

/** A state in which a living worker of another run holds the first chunk for an hour. */
class HeldChunk extends MemoryStateStore {
  private readonly stage: Stage;

  constructor(stage: Stage) {
    super({ database: stage.state.database });
    this.stage = stage;
  }

  override write<K extends StateKind>(
    kind: K,
    scope: string,
    id: string,
    item: StateItems[K],
    expected: StateVersion | 'absent',
  ): Promise<StateWriteOutcome<K>> {
    const isFirst = kind === 'chunk' && id === 'c00000' && expected === 'absent';
    const leaseEndsAtMs = this.stage.kernel.nowMs + 3_600_000;
    const held = { ...item, phase: 'claimed', token: 1, worker: 'run_Y.w0', leaseEndsAtMs };
    return super.write(kind, scope, id, isFirst ? held : item, expected);
  }

  takeLockAway(): void {
    this.stage.state.database.scope('lock', 'locks').clear();
  }
}
