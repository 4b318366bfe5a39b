/**
 * Goal: what etcd v2 does for directories holds over both stores, forward, back and forward again, and beside applications
 * that still ask etcd v2 itself (SPEC R110 to R112).
 * Method: the engine's commands and real instances on memory stores in virtual time; then etcd 3.4 and 3.5, each with v2 and v3, with
 * trees that are deleted while they are copied, and with POST and mkdir of etcd v2 beside the client.
 */
import { openEtcdV2OnlineSource } from '@keyferry/adapters/etcd-v2';
import { openEtcdV3OnlineTarget, openEtcdV3Switch } from '@keyferry/adapters/etcd-v3';
import { directory, inOrder, openClient, type Directory, type OnlineClient } from '@keyferry/client';
import { Controller } from '@keyferry/client/testing';
import { serverOrSkip, startEtcd, type EtcdServer } from '@keyferry/servers';
import { Etcd3 } from 'etcd3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clock, controlled, headsOf, migration } from './application.ts';
import { DualReadStage } from './dual-read-stage.ts';

async function listed(client: OnlineClient, at: Directory): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const page of client.listDirectory(at)) {
    for (const each of page) {
      found.push(each.kind === 'directory' ? `${each.directory}/` : Buffer.from(each.value).toString('utf8'));
    }
  }
  return found;
}

describe('keys in order', () => {
  it('keep their order forward, back, and forward again to the end', async () => {
    const stage = new DualReadStage({ instancesMin: 2 });
    const open = (name: string) => stage.clock.until(stage.openClient(name));
    const clients = [await open('one'), await open('two')] as const;
    const queue = inOrder(directory('app/queue'), 'app/queue.last');
    const keys = async (): Promise<readonly string[]> => {
      const found: string[] = [];
      for await (const page of clients[0].list('app/queue/')) found.push(...page.map(({ key }) => key));
      return found;
    };
    let last = '';
    const ways = ['apply', 'rollback', 'apply', 'cutover', 'rollback', 'apply', 'cutover', 'finalize'] as const;
    for (const command of [null, ...ways]) {
      if (command !== null) await stage.run(command);
      const made: string[] = [];
      for (const client of [...clients, ...clients]) {
        made.push((await stage.clock.until(client.createInOrder(queue, 'item'))).key);
      }
      expect(await stage.clock.until(keys())).toEqual(made);
      expect((made[0] ?? '') > last).toBe(true);
      last = made.at(-1) ?? '';
      // Nothing is left to compare with: that the next one sorts behind these is for the counter to know.
      expect(await stage.clock.until(clients[0].deleteTree(queue.directory))).toEqual({ deleted: made.length });
    }
    for (const client of clients) await stage.clock.until(client.close());
  });
});

for (const version of ['3.4', '3.5'] as const) {
  const available = await serverOrSkip(`etcd-${version}`);
  describe.skipIf(!available.ok)(`an application of directories, on etcd ${version}${available.note}`, () => {
    let server: EtcdServer;
    let etcd: Etcd3;
    beforeAll(async () => {
      server = await startEtcd({ version, enableV2: true, unsafeNoFsync: true });
      etcd = new Etcd3({ hosts: [...server.endpoints] });
    });
    afterAll(async () => {
      etcd.close();
      await server.stop();
    });

    it('finds trees deleted, directories made and keys in order, from etcd v2 to the end in etcd v3', async () => {
      const { endpoints } = server;
      const v2 = async (method: string, path: string, form = ''): Promise<number> => {
        const headers = { 'content-type': 'application/x-www-form-urlencoded' };
        const body = method === 'GET' ? {} : { body: form };
        const answer = await fetch(`${endpoints[0] ?? ''}/v2/keys${path}`, { method, headers, ...body });
        await answer.text();
        return answer.status;
      };
      const source = openEtcdV2OnlineSource({ name: 'old', endpoints });
      const target = openEtcdV3OnlineTarget({ name: 'new', endpoints, migration, switchKey: '_keyferry/switch' });
      const place = openEtcdV3Switch({ name: 'new', endpoints });
      const client = await openClient({ name: 'app', switch: place, source, target, pollMs: 50 });

      const queue = inOrder(directory('/app/queue'), '/app/queue.last');
      const made: string[] = [];
      const make = async (by: 'client' | 'post'): Promise<void> => {
        const value = `item ${made.length}`;
        if (by === 'client') await client.createInOrder(queue, value);
        else expect(await v2('POST', '/app/queue', `value=${encodeURIComponent(value)}`)).toBe(201);
        made.push(value);
      };
      for (const by of ['post', 'client', 'post', 'post', 'client', 'client', 'post'] as const) await make(by);
      expect(await listed(client, queue.directory)).toEqual(made);

      // Directories: of etcd v2 itself, with and without something in them, and of the client.
      expect(await v2('PUT', '/app/bare', 'dir=true')).toBe(201);
      expect(await v2('PUT', '/app/dir/sub/x', 'value=x')).toBe(201);
      const own = directory('/app/own');
      expect(await Promise.all([client.createDirectory(own), client.createDirectory(own)])).toEqual(
        expect.arrayContaining(['created', 'exists']),
      );
      expect(await client.createDirectory(directory('/app/dir'))).toBe('exists');
      expect(await v2('GET', '/app/own/')).toBe(200);
      expect(await client.deleteDirectory(directory('/app/dir'))).toBe('not-empty');

      const tree = directory('/app/tree');
      const leaves = Array.from({ length: 60 }, (_, i) => `/app/tree/${i % 3 === 0 ? 'deep/' : ''}${i}`);
      for (const leaf of leaves) await client.put(leaf, 'leaf');
      const controller = new Controller({
        place,
        source,
        target: deletingWhileCopied(controlled(etcd), async () => {
          await expect.poll(() => client.status.mode, { timeout: 60_000 }).toBe('migrating');
          expect(await client.deleteTree(tree)).toEqual({ deleted: leaves.length });
        }),
        clock,
        requestLifeMs: 30_000,
        heads: () => headsOf(etcd, endpoints[0] ?? ''),
      });
      for (const goal of ['apply', 'cutover', 'finalize'] as const) {
        expect(await controller.walk(goal)).toBe(true);
        await make('client');
        await make('client');
        expect(await listed(client, queue.directory)).toEqual(made);
        expect(await listed(client, tree)).toEqual([]);
        expect(await listed(client, directory('/app'))).toEqual(
          ['/app/dir/', '/app/own/', '/app/queue.last', '/app/queue/'].map((name) =>
            name.endsWith('/') ? name : expect.stringMatching(/^\d+$/),
          ),
        );
        expect(await client.createDirectory(own)).toBe('exists');
      }
      expect(await client.deleteDirectory(own)).toBe('deleted');
      expect(await client.deleteDirectory(own)).toBe('missing');
      await client.close();

      // By etcd's own client, without the library.
      const found = Object.entries(await etcd.getAll().prefix('/app/').strings()).toSorted(([a], [b]) =>
        a < b ? -1 : 1,
      );
      expect(found.filter(([key]) => key.startsWith('/app/queue/')).map(([, value]) => value)).toEqual(made);
      expect(found.map(([key]) => key).filter((key) => !key.startsWith('/app/queue'))).toEqual(['/app/dir/sub/x']);
      for (const store of [source, target, place]) await store.close();
    });
  });
}

/** In the middle of the first copy: nothing is copied yet, and everything is about to be. */
function deletingWhileCopied(
  target: ReturnType<typeof controlled>,
  meanwhile: () => Promise<void>,
): ReturnType<typeof controlled> {
  let isFirst = true;
  return {
    ...target,
    copy: async (...copied) => {
      if (isFirst) {
        isFirst = false;
        await meanwhile();
      }
      await target.copy(...copied);
    },
  };
}
