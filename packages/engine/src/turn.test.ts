/**
 * Goal: of any number of hosts that share no state one works at a time, whoever waited knows how that ended, and nobody
 * tries again behind a failure. Method: commands side by side in virtual time, with a lock in memory beside the target.
 */
import {
  isKeyferryError,
  KeyferryError,
  type MigrationId,
  type Phase,
  type TargetLock,
  type TargetLockNote,
} from '@keyferry/core';
import { MemoryTargetLock } from '@keyferry/core/testing';
import { describe, expect, it } from 'vitest';
import { failureOf, Stage, type RunHooks } from '../testing/stage.ts';
import type { Engine, RunOptions, TurnsBefore } from './index.ts';
import { lockLeaseMs } from './lock.ts';
import { withSession } from './session.ts';
import { assertMayFollow, withTurn } from './turn.ts';

const migration = 'shop' as MigrationId;

/** A host: it works for so long, and ends as it is told; what it met comes back. */
interface Worker {
  readonly name: string;
  readonly workMs?: number;
  readonly failing?: Error;
  /** It asks whether it may follow, as a host whose state knows of nothing. */
  readonly refused?: boolean;
  readonly hooks?: RunHooks;
}

class Hosts {
  readonly stage = new Stage();
  readonly lock = new MemoryTargetLock();
  readonly working: string[] = [];
  most = 0;

  /** All of them at once. */
  run(...workers: readonly Worker[]): Promise<readonly PromiseSettledResult<TargetLockNote | null>[]> {
    return this.stage.run(() => Promise.allSettled(workers.map((worker) => this.start(worker))));
  }

  private start({
    name,
    workMs = 30_000,
    failing,
    refused = false,
    hooks = {},
  }: Worker): Promise<TargetLockNote | null> {
    return this.stage.startAs((engine, options) => {
      const { target } = engine;
      const withLock: Engine = { ...engine, target: lockedTarget(target, this.lock) };
      const named: RunOptions = { ...options, holder: name, lockTimeoutMs: hooks.lockTimeoutMs ?? 600_000 };
      const work = async ({ turn }: RunOptions, { last, waited }: TurnsBefore) => {
        if (refused) await assertMayFollow(withLock, this.stage.spec, { last, waited }, 'new', []);
        this.working.push(name);
        this.most = Math.max(this.most, this.working.length);
        await engine.clock.sleep(workMs, turn?.lostSignal);
        this.working.splice(this.working.indexOf(name), 1);
        if (turn?.lostSignal.aborted === true) throw new Error('the turn was lost');
        if (failing !== undefined) throw failing;
        return waited ? last : null;
      };
      return withTurn(withLock, this.stage.spec, named, work, () => 'done');
    }, hooks);
  }
}

function lockedTarget(target: Engine['target'], lock: MemoryTargetLock): Engine['target'] {
  return Object.assign(Object.create(target) as Engine['target'], { lock });
}

async function lastNote({ lock }: Hosts): Promise<TargetLockNote | null> {
  const note: TargetLockNote = { holder: 'look', command: 'look', lock: 'lck_look', acquiredAtMs: 0, end: null };
  const answer = await lock.acquire(migration, note);
  if (answer.kind !== 'acquired') return null;
  if (answer.previous !== null) await answer.held.release(answer.previous);
  return answer.previous;
}

describe('a turn', () => {
  it('is one host’s at a time, and tells each that waited whom it came after', async () => {
    const hosts = new Hosts();
    const results = await hosts.run({ name: 'a' }, { name: 'b' }, { name: 'c' });
    expect(hosts.most).toBe(1);
    const waitedFor = results.map((each) =>
      each.status === 'fulfilled' ? (each.value?.end?.outcome ?? null) : 'failed',
    );
    expect(waitedFor.filter((outcome) => outcome === 'done')).toHaveLength(2);
    expect(waitedFor.filter((outcome) => outcome === null)).toHaveLength(1);
    expect(hosts.stage.messages.filter(({ code }) => code === 'turn.waiting').length).toBeGreaterThanOrEqual(2);
  });

  it('is refused to whoever does not want to wait, and names who has it', async () => {
    const hosts = new Hosts();
    const [, second] = await hosts.run(
      { name: 'ada@one, pid 1 [x.1.2]' },
      { name: 'b', hooks: { lockTimeoutMs: 5000 } },
    );
    expect(second).toMatchObject({
      status: 'rejected',
      reason: { code: 'lease.elsewhere', details: { holder: 'ada@one, pid 1', store: 'new' } },
    });
  });

  it('outlives any work by its heartbeat, and is given back with the error that it ended in', async () => {
    const hosts = new Hosts();
    const failure = new Error('broken');
    const [first, second] = await hosts.run({ name: 'a', workMs: 10 * lockLeaseMs, failing: failure }, { name: 'b' });
    expect(first).toMatchObject({ status: 'rejected', reason: failure });
    expect(second).toMatchObject({ status: 'fulfilled', value: { holder: 'a', end: { outcome: 'unknown' } } });
  });

  it('leaves to those behind it what the one before it was, where it is turned away itself', async () => {
    const hosts = new Hosts();
    const failure = new KeyferryError('plan.stale', { plan: 'pln_1', migration, keys: [], keysTotal: 0 });
    const [, second, third] = await hosts.run(
      { name: 'a', failing: failure },
      { name: 'b', refused: true },
      { name: 'c', refused: true },
    );
    for (const waited of [second, third]) {
      expect(waited).toMatchObject({
        status: 'rejected',
        reason: { code: 'lease.unfinished', details: { holder: 'a', outcome: 'it ended with plan.stale' } },
      });
    }
  });

  it('of a command that was not for the migration as it is changes nothing of what the next one hears', async () => {
    const hosts = new Hosts();
    await hosts.run({ name: 'a' });
    const failing = new KeyferryError('phase.not-allowed', {
      migration,
      phase: 'new',
      command: 'finalize',
      next: 'keyferry plan shop',
    });
    await hosts.run({ name: 'b', failing });
    const [third] = await hosts.run({ name: 'c', workMs: 1000 }, { name: 'd' });
    expect(third).toMatchObject({ status: 'fulfilled' });
    expect(await lastNote(hosts)).toMatchObject({ holder: 'd', end: { outcome: 'done' } });
    await hosts.run({ name: 'e', failing });
    expect(await lastNote(hosts)).toMatchObject({ holder: 'd', end: { outcome: 'done' } });
  });

  it('that was taken away stops the work', async () => {
    const hosts = new Hosts();
    const running = hosts.stage.run(() =>
      Promise.allSettled([
        hosts.stage.startAs(async (engine, options) => {
          const target = lockedTarget(engine.target, hosts.lock);
          return withTurn(
            { ...engine, target },
            hosts.stage.spec,
            options,
            async ({ turn }) => {
              hosts.lock.expire(migration);
              await engine.clock.sleep(10 * lockLeaseMs, turn?.lostSignal);
              return turn?.lostSignal.aborted;
            },
            () => 'done',
          );
        }),
      ]),
    );
    expect(await running).toEqual([{ status: 'fulfilled', value: true }]);
  });

  it.each([
    { what: 'was taken away is why another epoch is met', taken: true, code: 'lease.lost' },
    { what: 'is still held explains no other epoch', taken: false, code: 'epoch.lost' },
  ])('that $what', async ({ taken, code }) => {
    const { stage, lock } = new Hosts();
    const met = new KeyferryError('epoch.lost', { migration, expected: '1.1', found: '2.1' });
    const failure = await stage.run((engine) =>
      failureOf(
        stage.as((_, options) =>
          withTurn(
            { ...engine, target: lockedTarget(engine.target, lock) },
            stage.spec,
            options,
            (within) =>
              withSession(engine, stage.spec, within, () => {
                if (taken) lock.expire(migration);
                return Promise.reject(met);
              }),
            () => 'done',
          ),
        ),
      ),
    );
    expect(failure).toMatchObject({ code });
  });

  describe('in a target that is out of reach', () => {
    /** Works through an outage, in virtual milliseconds. @returns whether the turn was lost meanwhile */
    const workThrough = (outageMs: number, workMs: number): Promise<{ lost: boolean; tookMs: number }> => {
      const { stage, lock } = new Hosts();
      return stage.as(async (engine, options) => {
        const beganAtMs = engine.clock.monotonicMs();
        const acquire: TargetLock['acquire'] = async (shop, note) => {
          const answer = await lock.acquire(shop, note);
          if (answer.kind === 'held') return answer;
          const { held } = answer;
          const renew = async (): Promise<boolean> => {
            if (engine.clock.monotonicMs() - beganAtMs > outageMs) return await held.renew();
            throw new KeyferryError('store.unreachable', { store: 'new', detail: 'no leader' });
          };
          return { ...answer, held: { renew, release: (end) => held.release(end) } };
        };
        const target = Object.assign(Object.create(engine.target) as Engine['target'], { lock: { acquire } });
        const work = async ({ turn }: RunOptions) => {
          await engine.clock.sleep(workMs, turn?.lostSignal);
          return turn?.lostSignal.aborted === true;
        };
        const lost = await withTurn({ ...engine, target }, stage.spec, options, work, () => 'done');
        return { lost, tookMs: engine.clock.monotonicMs() - beganAtMs };
      });
    };

    it('outlives minutes of that, and is given up after a quarter of an hour', async () => {
      expect(await workThrough(3 * 60_000, 5 * 60_000)).toMatchObject({ lost: false });
      expect(await workThrough(20 * 60_000, 20 * 60_000)).toMatchObject({ lost: true });
    });

    it('is waited for through minutes of that by whoever waits already, and by nobody who has just come', async () => {
      const { stage, lock } = new Hosts();
      const other: TargetLockNote = { holder: 'ada@one', command: 'apply', lock: 'lck_1', acquiredAtMs: 0, end: null };
      await lock.acquire(migration, other);
      const waitFrom = (outageFromMs: number, outageMs = 3 * 60_000) =>
        stage.as(async (engine, options) => {
          const beganAtMs = engine.clock.monotonicMs();
          const acquire: TargetLock['acquire'] = async (shop, note) => {
            const sinceMs = engine.clock.monotonicMs() - beganAtMs - outageFromMs;
            if (sinceMs < 0 || sinceMs > outageMs) return await lock.acquire(shop, note);
            throw new KeyferryError('store.no-leader', { store: 'new', detail: 'no leader' });
          };
          const target = Object.assign(Object.create(engine.target) as Engine['target'], { lock: { acquire } });
          const waiting = { ...options, lockTimeoutMs: 5 * 60_000 };
          const failure = await failureOf(
            withTurn(
              { ...engine, target },
              stage.spec,
              waiting,
              () => Promise.resolve(),
              () => 'done',
            ),
          );
          return { failure, tookMs: engine.clock.monotonicMs() - beganAtMs };
        });
      expect(await waitFrom(10_000)).toMatchObject({ failure: { code: 'lease.elsewhere' } });
      expect(await waitFrom(0)).toMatchObject({ failure: { code: 'store.no-leader' } });
      // Nor for longer than was asked for.
      const tooLong = await waitFrom(10_000, 60 * 60_000);
      expect(tooLong).toMatchObject({ failure: { code: 'store.no-leader' } });
      expect(tooLong.tookMs).toBeLessThan(5 * 60_000 + 20_000);
    });

    it('keeps nobody whose work has ended', async () => {
      expect(await workThrough(5 * 60_000, 60_000)).toEqual({
        lost: false,
        tookMs: expect.closeTo(60_000, -4) as number,
      });
    });
  });

  it('of a process that is known to be gone is taken over at once, and was not waited for', async () => {
    const hosts = new Hosts();
    const dead: TargetLockNote = { holder: 'dead', command: 'apply', lock: 'lck_dead', acquiredAtMs: 0, end: null };
    await hosts.lock.acquire(migration, dead);
    const [result] = await hosts.run({ name: 'next', hooks: { holderIsGone: ({ holder }) => holder === 'dead' } });
    expect(result).toEqual({ status: 'fulfilled', value: null });
  });

  it('is nothing where the target keeps no locks', async () => {
    const stage = new Stage();
    const found = await stage.as((engine, options) =>
      withTurn(
        engine,
        stage.spec,
        options,
        async ({ turn }, before) => [turn, before],
        () => 'done',
      ),
    );
    expect(found).toEqual([undefined, { last: null, waited: false }]);
  });
});

describe('after another host', () => {
  const note = (outcome: string | null): TargetLockNote => ({
    holder: 'ada@one, pid 1',
    command: 'apply',
    lock: 'lck_1',
    acquiredAtMs: 0,
    end: outcome === null ? null : { outcome, atMs: 1 },
  });
  const verdict = async (
    last: TargetLockNote | null,
    waited: boolean,
    phase: Phase,
    accept: string[] = [],
    begun = true,
  ) => {
    const stage = new Stage();
    if (begun) await stage.target.control(migration).raiseEpoch({ attempt: 1, token: 1 });
    return await stage.run((engine) => failureOf(assertMayFollow(engine, stage.spec, { last, waited }, phase, accept)));
  };

  it.each<{ outcome: string | null; phase: Phase; waited: boolean; follows: boolean }>([
    { outcome: 'done', phase: 'verified', waited: true, follows: true },
    { outcome: null, phase: 'applying', waited: true, follows: true },
    { outcome: 'run.interrupted', phase: 'applying', waited: true, follows: true },
    { outcome: 'run.stopped', phase: 'applying', waited: true, follows: true },
    { outcome: 'plan.stale', phase: 'applying', waited: true, follows: false },
    { outcome: 'plan.stale', phase: 'applying', waited: false, follows: true },
    { outcome: 'exit code 7', phase: 'applied', waited: true, follows: false },
    { outcome: 'done', phase: 'new', waited: true, follows: false },
    { outcome: 'done', phase: 'new', waited: false, follows: true },
    { outcome: null, phase: 'new', waited: true, follows: false },
    { outcome: null, phase: 'new', waited: false, follows: false },
    { outcome: 'store.no-leader', phase: 'new', waited: false, follows: false },
  ])('that ended with $outcome, waited for: $waited, a state that is $phase goes on: $follows', async (given) => {
    const failure = await verdict(note(given.outcome), given.waited, given.phase);
    const refusedAfter = isKeyferryError(failure, 'lease.unfinished') ? failure.details.holder : null;
    expect(refusedAfter).toBe(given.follows ? null : 'ada@one, pid 1');
  });

  it('that ended well is not said to have failed', async () => {
    const failure = await verdict(note('done'), true, 'new');
    const said = isKeyferryError(failure, 'lease.unfinished') ? failure.details.outcome : null;
    expect(said).toBe('what it was told ended well, and nothing is finalized');
  });

  it('that had not begun to write, or that a person has looked at, anybody goes on', async () => {
    expect(await verdict(note('plan.not-applyable'), false, 'new', [], false)).toBeNull();
    expect(await verdict(note('store.no-leader'), false, 'new', ['lease.unfinished'])).toBeNull();
    expect(await verdict(null, false, 'new')).toBeNull();
  });
});
