/** `--confirm-gone` where a command waits for no instance would be a promise that nobody hears: it is refused. */
import type { MigrationSpec } from '@keyferry/core';
import { usageError } from './usage-error.ts';

/** Asked before anything is written. @throws {KeyferryError} `usage.invalid` */
export function assertInstances(
  { migration, strategy, online }: MigrationSpec,
  command: 'apply' | 'finalize' | 'rollback',
  confirmGone: readonly string[] | undefined,
): void {
  if (confirmGone === undefined || confirmGone.length === 0) return;
  const registers =
    strategy === 'replicate' ? command === 'rollback' : online !== undefined && online.followedBy !== 'time';
  if (registers) return;
  throw usageError(
    `--confirm-gone names an instance of an application, and ${command} waits for none of ${migration}`,
    `leave it out; who is registered:   keyferry status ${migration}`,
  );
}
