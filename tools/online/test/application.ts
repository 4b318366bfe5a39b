/**
 * An application whose records move from etcd v2 to etcd v3 under it: what its instances do all the time, what they must find,
 * and what the controller of a test does to the target, with etcd's own client.
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientWatch, OnlineClient } from '@keyferry/client';
import type { ControlledTarget } from '@keyferry/client/testing';
import { keyToText, originText, type Clock, type Position } from '@keyferry/core';
import type { Etcd3 } from 'etcd3';

export const clock: Clock = { nowMs: () => Date.now(), monotonicMs: () => performance.now(), sleep: (ms) => sleep(ms) };
export const migration = 'proof';
export const control = `_keyferry/${migration}/`;
export const countKey = '/app/count';

const keysEach = 12;

/** What one instance did: its own keys as they must be, and how often it counted up. */
export interface Tally {
  readonly own: Map<string, string>;
  /** The highest number that a record of its own had (`indexOf`); null: not looked at, for a rollback takes them back. */
  index: number | null;
  /** What it did to them, in order. */
  readonly changes: string[];
  counted: number;
  operations: number;
}

export const newTally = (): Tally => ({ own: new Map(), index: null, changes: [], counted: 0, operations: 0 });

/**
 * One round of an instance: a write or delete of a key of its own, a read, at times a list, and one try to count up.
 * @throws what it found and should not have
 */
export async function work(
  client: OnlineClient,
  prefix: string,
  round: number,
  tally: Tally,
  counter = countKey,
): Promise<void> {
  const key = `${prefix}${round % keysEach}`;
  const value = `round ${round}`;
  if (round % 5 === 3) {
    const previous = await client.deleteAndGet(key);
    assert.equal(textOf(previous), tally.own.get(key) ?? null);
    tally.own.delete(key);
    if (previous !== null) tally.changes.push(`${key} gone`);
  } else {
    await client.put(key, value);
    tally.own.set(key, value);
    tally.changes.push(`${key} ${value}`);
  }
  const found = await client.get(key);
  assert.equal(textOf(found), tally.own.get(key) ?? null);
  if (found !== null && tally.index !== null) {
    const index = client.indexOf(found.token) ?? 0;
    assert.ok(index > tally.index, `${key}: index ${index} after ${tally.index}`);
    assert.deepEqual(client.tokenAt(index), found.token);
    tally.index = index;
  }
  if (round % 7 === 0) {
    const listed = new Map<string, string | null>();
    for await (const page of client.list(prefix)) for (const each of page) listed.set(each.key, textOf(each));
    assert.deepEqual(listed, tally.own);
  }
  const count = await client.get(counter);
  const next = String(Number(textOf(count) ?? '0') + 1);
  const swap = await client.compareAndSwap(counter, count?.token ?? null, next);
  if (swap.kind === 'written') tally.counted += 1;
  tally.operations += 1;
}

/** Shows what is watched, in the words of a tally, until the watch is closed. */
export async function collect(watch: ClientWatch, shown: string[]): Promise<void> {
  for await (const page of watch) {
    for (const change of page) shown.push(`${change.key} ${change.kind === 'put' ? textOf(change) : 'gone'}`);
  }
}

/** Watches give each key an order, and none to two of them. */
export const byKey = (changes: readonly string[]): readonly string[] =>
  changes
    .map((change, at) => ({ change, at, key: change.split(' ')[0] ?? '' }))
    .toSorted((a, b) => (a.key === b.key ? a.at - b.at : a.key < b.key ? -1 : 1))
    .map(({ change }) => change);

/** What the engine's backfill and its finalize do. */
export function controlled(etcd: Etcd3): ControlledTarget {
  return {
    comparesSwitch: true,
    copy: async (key, value, from) => {
      const name = keyToText(key) ?? '';
      if (!name.startsWith('/app/')) return;
      const tomb = `${control}tomb/${name}`;
      await etcd
        .if(name, 'Create', '==', 0)
        .and(tomb, 'Create', '==', 0)
        .then(etcd.put(name).value(Buffer.from(value)), etcd.put(`${control}from/${name}`).value(originText(from)))
        .commit();
    },
    dropTombstones: async () => {
      for (const part of ['tomb/', 'from/']) await etcd.delete().prefix(`${control}${part}`);
    },
  };
}

/** How far both stores are, as they say themselves. */
export async function headsOf(etcd: Etcd3, endpoint: string): Promise<Record<'source' | 'target', Position>> {
  const answer = await fetch(`${endpoint}/v2/keys/?quorum=true`);
  const { header } = await etcd.get('any').exec();
  return { source: (answer.headers.get('x-etcd-index') ?? '') as Position, target: header.revision as Position };
}

/** What etcd v3 must hold in the end, by the tallies of all instances. */
export function recordsOf(tallies: readonly Tally[], counter = countKey): ReadonlyMap<string, string> {
  const records = new Map(tallies.flatMap(({ own }) => [...own]));
  return records.set(counter, String(tallies.reduce((sum, { counted }) => sum + counted, 0)));
}

const textOf = (record: { readonly value: Uint8Array } | null): string | null =>
  record && Buffer.from(record.value).toString('utf8');
