/**
 * An application whose records move from etcd v2 to etcd v3 under it: what its instances do all the time, what they must find,
 * and what the controller of a test does to the target, with etcd's own client.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { OnlineClient } from '@keyferry/client';
import type { ControlledTarget } from '@keyferry/client/testing';
import { keyToText, originText, type Clock } from '@keyferry/core';
import type { Etcd3 } from 'etcd3';
import { expect } from 'vitest';

export const clock: Clock = { nowMs: () => Date.now(), monotonicMs: () => performance.now(), sleep: (ms) => sleep(ms) };
export const migration = 'proof';
export const control = `_keyferry/${migration}/`;
export const countKey = '/app/count';

const keysEach = 12;

/** What one instance did: its own keys as they must be, and how often it counted up. */
export interface Tally {
  readonly own: Map<string, string>;
  counted: number;
  operations: number;
}

export const newTally = (): Tally => ({ own: new Map(), counted: 0, operations: 0 });

/** One round of an instance: a write or delete of a key of its own, a read, at times a list, and one try to count up. */
export async function work(client: OnlineClient, prefix: string, round: number, tally: Tally): Promise<void> {
  const key = `${prefix}${round % keysEach}`;
  const value = `round ${round}`;
  if (round % 5 === 3) {
    const previous = await client.deleteAndGet(key);
    expect(textOf(previous)).toBe(tally.own.get(key) ?? null);
    tally.own.delete(key);
  } else {
    await client.put(key, value);
    tally.own.set(key, value);
  }
  expect(textOf(await client.get(key))).toBe(tally.own.get(key) ?? null);
  if (round % 7 === 0) {
    const listed = new Map<string, string | null>();
    for await (const page of client.list(prefix)) for (const each of page) listed.set(each.key, textOf(each));
    expect(listed).toEqual(tally.own);
  }
  const count = await client.get(countKey);
  const next = String(Number(textOf(count) ?? '0') + 1);
  const swap = await client.compareAndSwap(countKey, count?.token ?? null, next);
  if (swap.kind === 'written') tally.counted += 1;
  tally.operations += 1;
}

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

/** What etcd v3 must hold in the end, by the tallies of all instances. */
export function recordsOf(tallies: readonly Tally[]): ReadonlyMap<string, string> {
  const records = new Map(tallies.flatMap(({ own }) => [...own]));
  return records.set(countKey, String(tallies.reduce((sum, { counted }) => sum + counted, 0)));
}

const textOf = (record: { readonly value: Uint8Array } | null): string | null =>
  record && Buffer.from(record.value).toString('utf8');
