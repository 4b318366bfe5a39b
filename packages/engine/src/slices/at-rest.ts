/**
 * Whether functions stand still. The lock says nothing of them: slices that copy or compare hold none (SPEC R63), so
 * whoever needs the state of one moment has to know that they were paused, and that none still has a chunk.
 *
 * One that was frozen before it took anything may still wake up and claim: in the state that it was called for, where the
 * fence of the target shuts it out once somebody goes on elsewhere.
 */
import { clockSkewMs, KeyferryError, standingOf, type MigrationState } from '@keyferry/core';
import type { Environment } from '../migration.ts';
import { readControl } from '../run-control.ts';
import { attemptScope, currentId, listItems, readItem } from '../state-items.ts';

/** @throws {KeyferryError} `functions.at-work` */
export async function assertFunctionsRest(env: Environment, state: MigrationState): Promise<void> {
  const { migration, attempt, runner } = state;
  if (runner !== 'functions' || !(await mayWork(env, state))) return;
  if (standingOf(await readControl(env, migration, state)) === 'going') {
    const fix = `pause them first:   keyferry runs pause ${migration}`;
    throw new KeyferryError('functions.at-work', { migration, what: 'they were not paused', fix });
  }
  const held = await chunksHeld(env, attemptScope(migration, attempt));
  if (held === 0) return;
  const what = held === 1 ? 'one still has its chunk' : `they still have ${held} chunks`;
  const fix = 'wait half a minute, by when they have heard of the pause or their leases have ended, and repeat it';
  throw new KeyferryError('functions.at-work', { migration, what, fix });
}

/** Copying, or comparing. */
async function mayWork(env: Environment, { migration, attempt, phase }: MigrationState): Promise<boolean> {
  if (phase !== 'applied') return phase === 'applying';
  const verification = await readItem(env, 'verification', attemptScope(migration, attempt), currentId);
  return (verification?.item.ended ?? null) === null;
}

async function chunksHeld(env: Environment, scope: string): Promise<number> {
  const nowMs = env.clock.nowMs();
  let held = 0;
  for (const kind of ['chunk', 'check'] as const) {
    for await (const entries of listItems(env, kind, scope)) {
      for (const { item } of entries) {
        if (item.leaseEndsAtMs !== null && item.leaseEndsAtMs + clockSkewMs >= nowMs) held += 1;
      }
    }
  }
  return held;
}
