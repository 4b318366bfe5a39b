/**
 * Goal: an application that embeds the client loses nothing and gets nothing back on real servers, while its records move
 * from etcd v2 to etcd v3 under it.
 * Method: several instances write, delete, compare and list at full rate while a controller walks the ladder; each keeps a
 * tally of its own keys, and all count up one key by comparisons. The tallies are the oracle, read with etcd's own client.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { openEtcdV2OnlineSource } from '@keyferry/adapters/etcd-v2';
import { openEtcdV3OnlineTarget, openEtcdV3Switch } from '@keyferry/adapters/etcd-v3';
import { openClient } from '@keyferry/client';
import { Controller } from '@keyferry/client/testing';
import { serverOrSkip, startEtcd, type EtcdServer } from '@keyferry/servers';
import { Etcd3 } from 'etcd3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clock, control, controlled, migration, newTally, recordsOf, work, type Tally } from './application.ts';

const instances = 3;

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
    const tallies = opened.map(newTally);
    const progress = { isOver: false };
    const working = opened.map(async (client, i) => {
      const tally = tallies[i] as Tally;
      for (let round = 0; !progress.isOver; round += 1) await work(client, `/app/${i}/`, round, tally);
      await client.close();
    });

    const controller = new Controller({ place, source, target: controlled(etcd), clock, requestLifeMs: 30_000 });
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
    expect(found).toEqual(recordsOf(tallies));
    expect(await etcd.getAll().prefix(`${control}tomb/`).keys()).toEqual([]);
    expect(await place.registrations()).toEqual([]);
    for (const store of [source, target, place]) await store.close();
  });
});
