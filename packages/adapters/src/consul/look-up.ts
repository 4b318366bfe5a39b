/**
 * Single entries by their keys, as they are now, in one state of the store.
 *
 *     get all ──some are absent──► get the others, check that those are absent ──holds──► done
 *                                              └──────────── does not ──────────────────► once more
 *
 * A transaction in which a key is absent is refused as a whole and names it. The second one proves that the absent keys
 * are so in the same state as the others; it also tells a key that the token may not read, which a `get` alone takes for
 * an absent one [measured, 1.8.7].
 */
import { type Key } from '@keyferry/core';
import type { ConsulApi } from './api.ts';
import { operationsMax } from './capabilities.ts';
import type { ConsulEntry } from './entry.ts';
import { unfitKey } from './key-form.ts';

/**
 * One for each key, in order; null: nothing is there. Keys that Consul cannot hold are absent. Up to 64 of them are of one
 * state of the store.
 * @param expectedAbsent a guess, which saves a request where it is right
 */
export async function lookUp(
  api: ConsulApi,
  keys: readonly Key[],
  expectedAbsent: ReadonlySet<Key> = nothing,
): Promise<readonly (ConsulEntry | null)[]> {
  const found = new Map<Key, ConsulEntry>();
  const asked = keys.filter((key) => unfitKey(key) === null);
  for (let at = 0; at < asked.length; at += operationsMax) {
    for (const entry of await lookUpSome(api, asked.slice(at, at + operationsMax), expectedAbsent))
      found.set(entry.key, entry);
  }
  return keys.map((key) => found.get(key) ?? null);
}

/** Values up to the limit fit into one answer; nothing here is bounded by the size of a request. */
async function lookUpSome(
  api: ConsulApi,
  keys: readonly Key[],
  expectedAbsent: ReadonlySet<Key>,
): Promise<readonly ConsulEntry[]> {
  const { operations } = api;
  let absent = expectedAbsent;
  for (;;) {
    const asked = keys.map((key) => (absent.has(key) ? operations.checkAbsent(key) : operations.get(key)));
    const answer = await api.readTransaction(asked);
    if (answer.kind === 'done') return answer.entries;
    const moved = keys.filter((_, at) => answer.failed.has(at));
    // What was to be there is absent, and what was to be absent is there by now.
    absent = new Set(keys.filter((key) => absent.has(key) !== moved.includes(key)));
  }
}

const nothing: ReadonlySet<Key> = new Set();
