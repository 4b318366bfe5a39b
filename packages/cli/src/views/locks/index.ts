/** Locks: who writes which migration, since when, and whether the holder still shows signs of life. */
import { lockIsHeld, type LockState } from '@keyferry/core';
import { holderForPeople } from '../../lock-holder.ts';
import { columns } from '../layout/columns.ts';
import { stepLines } from '../layout/commands.ts';
import { durationText } from '../layout/numbers.ts';
import { lockJson, sinceText } from '../status/index.ts';
import { envelope, type View, type ViewContext } from '../view.ts';

export interface MigrationLock {
  readonly migration: string;
  readonly lock: LockState;
}

export const locksView: View<readonly MigrationLock[]> = {
  human: (locks, context) =>
    locks.length === 0 ? 'no locks\n' : locks.map((each) => lockHuman(each, context)).join('\n'),
  json: (locks, warnings) =>
    envelope('keyferry.locks', warnings, {
      locks: locks.map(({ migration, lock }) => ({ migration, ...lockJson(lock) })),
    }),
};

export interface BrokenLock extends MigrationLock {
  readonly reason: string;
}

export const brokenLockView: View<BrokenLock> = {
  human: ({ migration, lock, reason }, context) =>
    [
      `Broke ${lock.lock} of ${migration}, held by ${holderForPeople(lock.holder)} (${reason}).`,
      'If that run still lives, it stops at its next heartbeat; its writes are fenced off.',
      ...stepLines(`keyferry status ${migration}`, null, context),
      '',
    ].join('\n'),
  json: ({ migration, lock, reason }, warnings) =>
    envelope('keyferry.lock-broken', warnings, { migration, reason, ...lockJson(lock) }),
};

function lockHuman({ migration, lock }: MigrationLock, context: ViewContext): string {
  const { palette, nowMs } = context;
  const beat = durationText(Math.max(0, nowMs - lock.heartbeatAtMs));
  const gone = context.holderIsGone(lock.holder);
  const hold = gone ? 'its process has ended' : lockIsHeld(lock, nowMs) ? 'held' : 'its lease has ended';
  return [
    `${palette.strong(lock.lock)}   ${migration}   ${hold}`,
    ...columns(
      [
        ['  holder', holderForPeople(lock.holder)],
        ['  run', lock.run],
        ['  command', lock.command],
        ['  since', sinceText(lock.acquiredAtMs)],
        ['  heartbeat', `${beat} ago`],
      ],
      [{ align: 'left' }, { align: 'left' }],
    ),
    '',
  ].join('\n');
}
