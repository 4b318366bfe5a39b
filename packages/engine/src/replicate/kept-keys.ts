/** The target keys that a plan promised to keep: left out of everything that replication writes and compares. */
import { keyFromJson, type Key, type KeyJson, type MigrationId, type PlanReader } from '@keyferry/core';
import type { Environment } from '../migration.ts';
import { attemptScope, listItems, writeItem } from '../state-items.ts';

const pageKeys = 500;

/** From the plan's rows into the state, so that every later command knows them without the plan file. Harmless to repeat. */
export async function registerKeptKeys(
  env: Environment,
  migration: MigrationId,
  attempt: number,
  reader: PlanReader,
): Promise<void> {
  if (reader.plan.totals.actions.conflict.keys === 0) return;
  let keys: KeyJson[] = [];
  let page = 0;
  const write = async (): Promise<void> => {
    const id = String(page).padStart(6, '0');
    await writeItem(env, 'kept-keys', attemptScope(migration, attempt), id, { keys }, 'absent');
    page += 1;
    keys = [];
  };
  for await (const rows of reader.readChanges()) {
    for (const { action, targetKey } of rows) {
      if (action === 'conflict') keys.push(targetKey);
      if (keys.length === pageKeys) await write();
    }
  }
  if (keys.length > 0) await write();
}

export async function readKeptKeys(
  env: Environment,
  migration: MigrationId,
  attempt: number,
): Promise<ReadonlySet<Key>> {
  const kept = new Set<Key>();
  for await (const pages of listItems(env, 'kept-keys', attemptScope(migration, attempt))) {
    for (const { item } of pages) for (const key of item.keys) kept.add(keyFromJson(key));
  }
  return kept;
}
