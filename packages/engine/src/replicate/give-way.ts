/**
 * Giving way: a tail that follows holds the migration's lock for as long as it runs, so whoever comes to cut over asks it to
 * pause, as `runs pause` does, and lets others go on afterwards. If it dies before that, the pause ends by its age.
 */
import { lockIsHeld, type MigrationId, type RunControl } from '@keyferry/core';
import type { Environment } from '../migration.ts';
import { requestControl } from '../run-control.ts';
import { locksScope, readItem, readMigration } from '../state-items.ts';

const givingWay = 'giving way to ';
/** Longer than anybody waits for the lock. */
const pauseMaxMs = 120_000;

/**
 * Takes back a pause that was asked for by a command that died before it could. Called while the lock is held.
 * @returns the control as it is then
 */
export async function endStalePause(
  env: Environment,
  migration: MigrationId,
  control: RunControl,
  by: string,
): Promise<RunControl> {
  const { paused } = control;
  if (paused === null || !paused.by.startsWith(givingWay)) return control;
  if (env.clock.nowMs() - paused.atMs < pauseMaxMs) return control;
  return (await requestControl(env, migration, { kind: 'resume' }, by)).control;
}

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
  const { changed } = await requestControl(env, migration, { kind: 'pause' }, `${givingWay}${by}`);
  try {
    return await work();
  } finally {
    if (changed) await requestControl(env, migration, { kind: 'resume' }, by).catch(() => undefined);
  }
}
