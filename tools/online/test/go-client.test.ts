/**
 * Goal: an application in another language takes part in a migration by the protocol alone, beside instances on Node.
 * Method: the reference client in Go passes its own tests and the vectors; then instances of both kinds work on one etcd
 * while a controller walks the ladder, and the tallies of all of them are the oracle.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openEtcdV2OnlineSource } from '@keyferry/adapters/etcd-v2';
import { openEtcdV3OnlineTarget, openEtcdV3Switch } from '@keyferry/adapters/etcd-v3';
import { openClient } from '@keyferry/client';
import { Controller } from '@keyferry/client/testing';
import { serverOrSkip, startEtcd, type EtcdServer } from '@keyferry/servers';
import { Etcd3 } from 'etcd3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  clock,
  control,
  controlled,
  headsOf,
  countKey,
  migration,
  newTally,
  recordsOf,
  work,
  type Tally,
} from './application.ts';
import { go, GoProgram, goSkipNote } from './go-program.ts';

const skipped = goSkipNote();
const available = await serverOrSkip('etcd-3.4');

describe.skipIf(skipped !== '')(`the client in Go${skipped}`, () => {
  it('is vetted, and passes its tests and the vectors', async () => {
    expect(await go('vet', './...')).toBe('');
    expect(await go('test', '-count=1', './...')).toMatch(/^ok\s/m);
  });

  describe.skipIf(!available.ok)(`beside clients on Node${available.note}`, () => {
    let server: EtcdServer;
    let etcd: Etcd3;
    let folder: string;
    const programs: GoProgram[] = [];
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'keyferry-go-'));
      await go('build', '-o', folder, './cmd/instance');
      server = await startEtcd({ version: '3.4', enableV2: true, unsafeNoFsync: true });
      etcd = new Etcd3({ hosts: [...server.endpoints] });
    });
    afterAll(async () => {
      for (const program of programs) program.kill();
      etcd.close();
      await server.stop();
      await rm(folder, { recursive: true });
    });

    it('has the same records after the migration that the tallies of both say', async () => {
      const { endpoints } = server;
      const source = openEtcdV2OnlineSource({ name: 'old', endpoints });
      const target = openEtcdV3OnlineTarget({ name: 'new', endpoints, migration, switchKey: '_keyferry/switch' });
      const place = openEtcdV3Switch({ name: 'new', endpoints });
      for (const name of ['x', 'y']) {
        const own = ['-prefix', `/app/go-${name}/`, '-count', countKey, '-migration', migration];
        programs.push(new GoProgram(join(folder, 'instance'), ['-endpoints', endpoints.join(','), ...own]));
      }
      const client = await openClient({ name: 'node', switch: place, source, target, pollMs: 50 });
      const tally: Tally = { ...newTally(), index: 0 };
      const progress = { isOver: false };
      const working = (async () => {
        for (let round = 0; !progress.isOver; round += 1) await work(client, '/app/node/', round, tally);
        await client.close();
      })();

      const controller = new Controller({
        place,
        source,
        target: controlled(etcd),
        clock,
        requestLifeMs: 30_000,
        heads: () => headsOf(etcd, endpoints[0] ?? ''),
      });
      const rounds = async (more: number): Promise<void> => {
        const all = [() => tally.operations, ...programs.map((program) => () => program.progress)];
        const until = all.map((done) => done() + more);
        while (all.some((done, i) => done() < (until[i] ?? 0))) {
          if (programs.some(({ hasEnded }) => hasEnded)) break; // `finish` says why
          await sleep(20);
        }
      };
      for (const goal of ['apply', 'cutover', 'finalize'] as const) {
        await rounds(30);
        expect(await controller.walk(goal)).toBe(true);
      }
      await rounds(30);
      progress.isOver = true;
      await working;
      const told = (await Promise.all(programs.map((program) => program.finish()))) as readonly GoTally[];

      const tallies = told.map(({ own, counted, operations }): Tally => ({
        own: new Map(Object.entries(own)),
        index: null,
        changes: [],
        counted,
        operations,
      }));
      const found = new Map(Object.entries(await etcd.getAll().prefix('/app/').strings()));
      expect(found).toEqual(recordsOf([tally, ...tallies]));
      for (const { modes, counted, numbered } of told) {
        expect(numbered).toBeGreaterThan(0);
        expect(modes).toEqual(expect.arrayContaining(['legacy', 'migrating', 'normal']));
        expect(counted).toBeGreaterThan(0);
      }
      expect(await etcd.getAll().prefix(`${control}tomb/`).keys()).toEqual([]);
      expect(await place.registrations()).toEqual([]);
      for (const store of [source, target, place]) await store.close();
    });
  });
});

interface GoTally {
  readonly own: Readonly<Record<string, string>>;
  readonly counted: number;
  readonly operations: number;
  readonly numbered: number;
  readonly modes: readonly string[];
}
