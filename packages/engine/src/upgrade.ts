/**
 * Upgrade: brings the items of every migration to today's format, each by a conditional write, under the migration's
 * lock. The migration's own item, which says the format, comes last: a run that was killed is run again.
 */
import { stateFormat, stateUpgrades, upgradeItem, type MigrationId, type StateUpgrade } from '@keyferry/core';
import { KeyferryError } from '@keyferry/core';
import type { Environment } from './migration.ts';
import { withSession, type RunOptions } from './session.ts';
import { itemsOf, partsOf } from './state-contents.ts';
import { listItems, migrationsScope, writeItemOrFail } from './state-items.ts';

export interface UpgradedMigration {
  readonly migration: MigrationId;
  readonly from: number;
  readonly to: number;
  /** Items that were written anew. */
  readonly items: number;
}

/**
 * @param path for tests; what was released otherwise
 * @throws {KeyferryError} `state.newer`; `lease.held` while a run works on an item of an older format
 */
export async function upgradeState(
  env: Environment,
  options: RunOptions,
  path: readonly StateUpgrade[] = stateUpgrades,
): Promise<readonly UpgradedMigration[]> {
  const to = path.length + 1;
  const results: UpgradedMigration[] = [];
  for await (const entries of listItems(env, 'migration', migrationsScope)) {
    for (const { item } of entries) {
      const { migration, format: from = stateFormat } = item;
      if (from > to) throw new KeyferryError('state.newer', { where: migration, found: `${from}`, known: `${to}` });
      const items = from === to ? 0 : await upgradeMigration(env, migration, from, options, path);
      results.push({ migration, from, to, items });
    }
  }
  return results;
}

async function upgradeMigration(
  env: Environment,
  migration: MigrationId,
  from: number,
  options: RunOptions,
  path: readonly StateUpgrade[],
): Promise<number> {
  return withSession(env, { migration }, options, async (session) => {
    const { state } = session;
    if (state === null) return 0;
    let items = 0;
    for await (const { kind, scope, entry } of itemsOf(env, partsOf(migration, state.attempt))) {
      session.lock.assertHeld();
      await writeItemOrFail(env, kind, scope, entry.id, upgradeItem(kind, entry.item, from, path), entry.version);
      items += 1;
    }
    await session.write({ ...upgradeItem('migration', state, from, path), format: path.length + 1 });
    return items + 1;
  });
}
