/**
 * Giving way: a tail that follows holds the migration's lock for as long as it runs, so whoever comes to cut over asks it to
 * pause, as `runs pause` does, and lets others go on afterwards.
 */
import { lockIsHeld, type MigrationId } from '@keyferry/core';
import type { Environment } from '../migration.ts';
import { requestControl } from '../run-control.ts';
import { locksScope, readItem, readMigration } from '../state-items.ts';

/** Runs `work`, which waits for the lock, while whoever holds it is paused. */
export async function whileOthersGiveWay<T>(
  env: Environment,
  migration: MigrationId,
  by: string,
  work: () => Promise<T>,
): Promise<T> {
  const lock = await readItem(env, 'lock', locksScope, migration);
  const entry = await readMigration(env, migration);
  const phase = entry?.item.phase;
  const follows = phase === 'replicating' || phase === 'cut-over';
  if (!follows || lock === null || !lockIsHeld(lock.item, env.clock.nowMs())) return await work();
  const { changed } = await requestControl(env, migration, { kind: 'pause' }, by);
  try {
    return await work();
  } finally {
    if (changed) await requestControl(env, migration, { kind: 'resume' }, by).catch(() => undefined);
  }
}
