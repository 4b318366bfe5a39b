/**
 * Conditional writes of state, with the one answer to a lost answer: a conflict whose current item equals what was
 * written means that this very write won.
 */
import {
  canonicalJson,
  KeyferryError,
  stateFormat,
  type StateEntry,
  type StateItems,
  type StateKind,
  type StatePage,
  type StateVersion,
} from '@keyferry/core';
import type { Environment } from './migration.ts';
import { withRetry } from './retry.ts';

/** Items of a scope in one listing. */
const listItemsMax = 500;

export type StateChange<K extends StateKind> =
  | { readonly kind: 'written'; readonly version: StateVersion }
  | { readonly kind: 'lost'; readonly current: StateEntry<K> | null };

export async function writeItem<K extends StateKind>(
  env: Environment,
  kind: K,
  scope: string,
  id: string,
  item: StateItems[K],
  expected: StateVersion | 'absent',
): Promise<StateChange<K>> {
  const outcome = await withRetry(env, `state ${kind} ${id}`, () => env.state.write(kind, scope, id, item, expected));
  if (outcome.kind === 'written') return outcome;
  const { current } = outcome;
  return current !== null && canonicalJson(current.item) === canonicalJson(item)
    ? { kind: 'written', version: current.version }
    : { kind: 'lost', current };
}

/** @throws {KeyferryError} `state.conflict` when somebody else changed the item since. */
export async function writeItemOrFail<K extends StateKind>(
  env: Environment,
  kind: K,
  scope: string,
  id: string,
  item: StateItems[K],
  expected: StateVersion | 'absent',
): Promise<StateVersion> {
  const change = await writeItem(env, kind, scope, id, item, expected);
  if (change.kind === 'lost') throw new KeyferryError('state.conflict', { what: `${kind} ${id}` });
  return change.version;
}

/**
 * The migration's own item, which speaks for all of its items.
 * @throws {KeyferryError} `state.newer`: a newer keyferry wrote them.
 */
export async function readMigration(env: Environment, migration: string): Promise<StateEntry<'migration'> | null> {
  const entry = await readItem(env, 'migration', migrationsScope, migration);
  const found = entry?.item.format ?? stateFormat;
  if (found <= stateFormat) return entry;
  throw new KeyferryError('state.newer', { where: migration, found: String(found), known: String(stateFormat) });
}

/** As it is now; null: nobody wrote it. */
export function readItem<K extends StateKind>(
  env: Environment,
  kind: K,
  scope: string,
  id: string,
): Promise<StateEntry<K> | null> {
  return withRetry(env, `state ${kind} ${id}`, () => env.state.read(kind, scope, id));
}

export async function* listItems<K extends StateKind>(
  env: Environment,
  kind: K,
  scope: string,
  from: { readonly after: string | null; readonly itemsMax: number } = { after: null, itemsMax: listItemsMax },
): AsyncGenerator<readonly StateEntry<K>[]> {
  const { itemsMax } = from;
  let { after } = from;
  for (;;) {
    const page: { readonly after: string | null; readonly itemsMax: number } = { after, itemsMax };
    const { entries, next }: StatePage<K> = await withRetry(env, `state ${kind}`, () =>
      env.state.list(kind, scope, page),
    );
    yield entries;
    if (next === null) return;
    after = next;
  }
}

/** Where items live; see `StateItems`. */
export const migrationsScope = 'migrations';
export const locksScope = 'locks';
/** The one item of its kind in its scope. */
export const currentId = 'current';
export const attemptScope = (migration: string, attempt: number): string =>
  `${migration}/${String(attempt).padStart(10, '0')}`;
