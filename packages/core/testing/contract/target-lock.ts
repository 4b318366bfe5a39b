/**
 * The contract of ports/target-lock.ts: one holder at a time, whoever asks, and a word about the one before.
 */
import { describe, expect, it } from 'vitest';
import type { MigrationId, TargetLock, TargetLockNote } from '../../src/index.ts';
import { withFixture } from './harness.ts';

export interface TargetLockFixture {
  readonly lock: TargetLock;
  /** The same one as another process sees it. */
  readonly another: TargetLock;
  close(): Promise<void>;
}

/** Registers the suite: call it at the top level of a test file. Each fixture starts with locks that nobody ever held. */
export function targetLockContract(name: string, open: () => Promise<TargetLockFixture>): void {
  const migration = 'contract' as MigrationId;
  const leaseMs = 20_000;
  const noteOf = (holder: string): TargetLockNote => ({
    holder,
    command: `apply by ${holder}`,
    lock: `lck_${holder}`,
    acquiredAtMs: 1_700_000_000_000,
    end: null,
  });
  const ended = (note: TargetLockNote, outcome = 'done') => ({ ...note, end: { outcome, atMs: 1_700_000_001_000 } });
  const take = async (lock: TargetLock, note: TargetLockNote, of = migration) => {
    const answer = await lock.acquire(of, note, leaseMs);
    expect(answer.kind).toBe('acquired');
    if (answer.kind !== 'acquired') throw new Error('it is held');
    return answer;
  };

  describe(`${name} as a lock`, () => {
    it('is held by one, whose note the others read', () =>
      withFixture(open(), async ({ lock, another }) => {
        const { held, previous } = await take(lock, noteOf('a'));
        expect(previous).toBeNull();
        expect(await another.acquire(migration, noteOf('b'), leaseMs)).toMatchObject({ kind: 'held', by: noteOf('a') });
        expect(await lock.acquire(migration, noteOf('c'), leaseMs)).toMatchObject({ kind: 'held', by: noteOf('a') });
        expect(await held.renew()).toBe(true);
      }));

    it('is free once it was given back, and tells how that ended', () =>
      withFixture(open(), async ({ lock, another }) => {
        const { held } = await take(lock, noteOf('a'));
        await held.release(ended(noteOf('a'), 'store.no-leader'));
        const { held: next, previous } = await take(another, noteOf('b'));
        expect(previous).toEqual(ended(noteOf('a'), 'store.no-leader'));
        await held.release(ended(noteOf('a')));
        expect(await next.renew()).toBe(true);
        expect(await held.renew()).toBe(false);
      }));

    it('that many ask for at once goes to exactly one', () =>
      withFixture(open(), async ({ lock, another }) => {
        const asked = Array.from({ length: 8 }, (_, i) =>
          (i % 2 === 0 ? lock : another).acquire(migration, noteOf(`${i}`), leaseMs),
        );
        const answers = await Promise.all(asked);
        expect(answers.filter(({ kind }) => kind === 'acquired')).toHaveLength(1);
      }));

    it('is taken away from a holder that is known to be gone, which then knows that it lost it', () =>
      withFixture(open(), async ({ lock, another }) => {
        const { held } = await take(lock, noteOf('a'));
        const answer = await another.acquire(migration, noteOf('b'), leaseMs);
        if (answer.kind !== 'held') throw new Error('it is held by a');
        await answer.end();
        const { held: next, previous } = await take(another, noteOf('b'));
        expect(previous).toEqual(noteOf('a'));
        expect(await held.renew()).toBe(false);
        await held.release(ended(noteOf('a')));
        // Said twice, and late: it is about the holding that was met, not about the next one.
        await answer.end();
        expect(await next.renew()).toBe(true);
      }));

    it('of one migration is no other’s', () =>
      withFixture(open(), async ({ lock, another }) => {
        const { held } = await take(lock, noteOf('a'));
        const { held: other } = await take(another, noteOf('b'), 'contract-2' as MigrationId);
        expect([await held.renew(), await other.renew()]).toEqual([true, true]);
      }));
  });
}
