/**
 * Giving way: a tail that follows holds the migration's lock for as long as it runs, so whoever comes to cut over asks it to
 * pause, as `runs pause` does, and lets others go on afterwards. If it dies before that, the pause ends by its age.
 */
import { lockIsHeld, type LockId, type MigrationId, type RunControl } from '@keyferry/core';
import type { Environment } from '../migration.ts';
import { requestControl } from '../run-control.ts';
import { locksScope, readItem, readMigration } from '../state-items.ts';

const givingWay = 'giving way to ';
const lookEveryMs = 500;
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

/**
 * Runs `work`, which waits for the lock, while whoever holds it is paused. Who holds it and does not follow yet, because it
 * still copies or was not proven, is asked as soon as it does.
 */
export async function whileOthersGiveWay<T>(
  env: Environment,
  migration: MigrationId,
  by: string,
  work: () => Promise<T>,
): Promise<T> {
  const lock = await readItem(env, 'lock', locksScope, migration);
  if (lock === null || !lockIsHeld(lock.item, env.clock.nowMs())) return await work();
  const over = new AbortController();
  const asked = askOnceItFollows(env, migration, by, lock.item.lock, over.signal);
  asked.catch(() => undefined); // who waits for the lock meets a state that fails, and says so
  try {
    return await work();
  } finally {
    over.abort();
    if (await asked.catch(() => false))
      await requestControl(env, migration, { kind: 'resume' }, by).catch(() => undefined);
  }
}

/** @returns whether it was asked, and has to be let go on afterwards */
async function askOnceItFollows(
  env: Environment,
  migration: MigrationId,
  by: string,
  held: LockId,
  signal: AbortSignal,
): Promise<boolean> {
  while (!signal.aborted) {
    const phase = (await readMigration(env, migration))?.item.phase;
    if (phase === 'replicating' || phase === 'cut-over')
      return (await requestControl(env, migration, { kind: 'pause' }, `${givingWay}${by}`)).changed;
    await env.clock.sleep(lookEveryMs, signal);
    const lock = await readItem(env, 'lock', locksScope, migration);
    if (lock?.item.lock !== held) return false;
  }
  return false;
}
