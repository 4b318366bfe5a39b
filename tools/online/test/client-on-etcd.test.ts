/**
 * Goal: an application that embeds the client loses nothing and gets nothing back on real servers, while its records move
 * from etcd v2 to etcd v3 under it.
 * Method: several instances write, delete, compare and list at full rate while a controller walks the ladder; each keeps a
 * tally of its own keys, and all count up one key by comparisons. The tallies are the oracle, read with etcd's own client.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { openEtcdV2OnlineSource } from '@keyferry/adapters/etcd-v2';
import { openEtcdV3OnlineTarget, openEtcdV3Switch } from '@keyferry/adapters/etcd-v3';
import { openClient, type OnlineClient } from '@keyferry/client';
import { Controller, type ControlledTarget } from '@keyferry/client/testing';
import { keyToText, originText, type Clock } from '@keyferry/core';
import { serverOrSkip, startEtcd, type EtcdServer } from '@keyferry/servers';
import { Etcd3 } from 'etcd3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const instances = 3;
const keysEach = 12;
const migration = 'proof';
const control = `_keyferry/${migration}/`;
const clock: Clock = { nowMs: () => Date.now(), monotonicMs: () => performance.now(), sleep: (ms) => sleep(ms) };

/** What one instance did: its own keys as they must be, and how often it counted up. */
interface Tally {
  readonly own: Map<string, string>;
  counted: number;
  operations: number;
}

const available = await serverOrSkip('etcd-3.4');
describe.skipIf(!available.ok)(`an application on etcd${available.note}`, () => {
  let server: EtcdServer;
  let etcd: Etcd3;
  beforeAll(async () => {
    server = await startEtcd({ version: '3.4', enableV2: true, unsafeNoFsync: true });
    etcd = new Etcd3({ hosts: [...server.endpoints] });
  });
  afterAll(async () => {
    etcd.close();
    await server.stop();
  });

  it('has the same records after the migration that its tallies say, and counted no increment twice', async () => {
    const { endpoints } = server;
    const source = openEtcdV2OnlineSource({ name: 'old', endpoints });
    const target = openEtcdV3OnlineTarget({ name: 'new', endpoints, migration, switchKey: '_keyferry/switch' });
    const place = openEtcdV3Switch({ name: 'new', endpoints });
    const opened = await Promise.all(
      Array.from({ length: instances }, (_, i) =>
        openClient({ name: `app-${i}`, switch: place, source, target, pollMs: 50 }),
      ),
    );
    const tallies = opened.map((): Tally => ({ own: new Map(), counted: 0, operations: 0 }));
    const progress = { isOver: false };
    const working = opened.map(async (client, i) => {
      const tally = tallies[i] as Tally;
      for (let round = 0; !progress.isOver; round += 1) await work(client, `/app/${i}/`, round, tally);
      await client.close();
    });

    const controlled: ControlledTarget = { comparesSwitch: true, copy, dropTombstones };
    const controller = new Controller({ place, source, target: controlled, clock, requestLifeMs: 30_000 });
    const rounds = async (more: number): Promise<void> => {
      const until = tallies.map(({ operations }) => operations + more);
      while (tallies.some(({ operations }, i) => operations < (until[i] ?? 0))) await sleep(20);
    };
    for (const goal of ['apply', 'cutover', 'finalize'] as const) {
      await rounds(30);
      expect(await controller.walk(goal)).toBe(true);
    }
    await rounds(30);
    progress.isOver = true;
    await Promise.all(working);

    const found = new Map(Object.entries(await etcd.getAll().prefix('/app/').strings()));
    const wanted = new Map(tallies.flatMap(({ own }) => [...own]));
    wanted.set('/app/count', String(tallies.reduce((sum, { counted }) => sum + counted, 0)));
    expect(found).toEqual(wanted);
    expect(await etcd.getAll().prefix(`${control}tomb/`).keys()).toEqual([]);
    expect(await place.registrations()).toEqual([]);
    for (const store of [source, target, place]) await store.close();
  });

  async function work(client: OnlineClient, prefix: string, round: number, tally: Tally): Promise<void> {
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
    const count = await client.get('/app/count');
    const next = String(Number(textOf(count) ?? '0') + 1);
    const swap = await client.compareAndSwap('/app/count', count?.token ?? null, next);
    if (swap.kind === 'written') tally.counted += 1;
    tally.operations += 1;
  }

  /** What the engine's backfill will do. */
  async function copy(...[key, value, from]: Parameters<ControlledTarget['copy']>): Promise<void> {
    const name = keyToText(key) ?? '';
    if (!name.startsWith('/app/')) return;
    const tomb = `${control}tomb/${name}`;
    await etcd
      .if(name, 'Create', '==', 0)
      .and(tomb, 'Create', '==', 0)
      .then(etcd.put(name).value(Buffer.from(value)), etcd.put(`${control}from/${name}`).value(originText(from)))
      .commit();
  }

  async function dropTombstones(): Promise<void> {
    for (const part of ['tomb/', 'from/']) await etcd.delete().prefix(`${control}${part}`);
  }
});

const textOf = (record: { readonly value: Uint8Array } | null): string | null =>
  record && Buffer.from(record.value).toString('utf8');
