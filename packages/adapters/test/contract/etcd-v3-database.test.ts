/**
 * Goal: what `inspect` counts of v3 in a member's database is what the member itself said of it: keys, bytes, keys on leases,
 * leases, users, the revision; and a snapshot of it says the same revision.
 * Method: real servers with a history of puts, deletes, leases, users and compactions, asked before they are stopped, and again
 * when they are started once more.
 */
import { join } from 'node:path';
import { enableV3Auth, etcdctl, request, serverOrSkip, startEtcd, type EtcdServer } from '@keyferry/servers';
import { describe, expect, it } from 'vitest';
import { inspectDataDirectory } from '../../src/etcd-v2-datadir/index.ts';
import { openEtcdV3SnapshotStore } from '../../src/etcd-v3-snapshot/index.ts';
import { withFolder } from './etcd-v2-datadir-fixture.ts';

interface Kv {
  readonly key: string;
  readonly value?: string;
  readonly lease?: string;
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const bytesIn = (text = ''): number => Buffer.from(text, 'base64').length;
const everything = { key: 'AA==', range_end: 'AA==' };

class Gateway {
  private readonly endpoint: string;
  private token: string | null = null;

  constructor(endpoint: string) {
    this.endpoint = endpoint;
  }

  async call<T>(path: string, body: object = {}): Promise<T> {
    const headers = this.token === null ? {} : { authorization: this.token };
    const options = { method: 'POST', body: JSON.stringify(body), headers };
    const answer = await request(`${this.endpoint}/v3/${path}`, options);
    expect([path, answer.status, answer.body]).toEqual([path, 200, answer.body]);
    return JSON.parse(answer.body) as T;
  }

  put(key: string, value: string, lease = '0'): Promise<unknown> {
    return this.call('kv/put', { key: base64(key), value: base64(value), lease });
  }

  delete(from: string, to?: string): Promise<unknown> {
    return this.call('kv/deleterange', { key: base64(from), ...(to === undefined ? {} : { range_end: base64(to) }) });
  }

  async revision(): Promise<string> {
    return (await this.call<{ header: { revision: string } }>('kv/range', { key: base64('none') })).header.revision;
  }

  async grant(TTL: number): Promise<string> {
    return (await this.call<{ ID: string }>('lease/grant', { TTL })).ID;
  }

  async logIn(name: string, password: string): Promise<void> {
    this.token = (await this.call<{ token: string }>('auth/authenticate', { name, password })).token;
  }

  /** What it says of itself, in the words of `inspect`. */
  async summary(): Promise<object> {
    const { kvs = [] } = await this.call<{ kvs?: readonly Kv[] }>('kv/range', everything);
    const { leases = [] } = await this.call<{ leases?: readonly object[] }>('lease/leases');
    const { users = [] } = await this.call<{ users?: readonly string[] }>('auth/user/list');
    return {
      keys: kvs.length,
      bytes: kvs.reduce((sum, { key, value }) => sum + bytesIn(key) + bytesIn(value), 0),
      leasedKeys: kvs.filter(({ lease = '0' }) => lease !== '0').length,
      leases: leases.length,
      users: users.length,
      revision: Number(await this.revision()),
    };
  }
}

for (const version of ['3.4', '3.5'] as const) {
  const available = await serverOrSkip(`etcd-${version}`);
  describe.skipIf(!available.ok)(`the v3 database of an etcd ${version}${available.note}`, () => {
    it.each<{ name: string; fill: (gateway: Gateway, server: EtcdServer) => Promise<unknown> }>([
      { name: 'that nothing was written to', fill: () => Promise.resolve() },
      {
        name: 'with values written again, deleted, and written once more',
        fill: async (gateway) => {
          for (let i = 0; i < 300; i += 1) await gateway.put(`/k${i % 90}`, 'x'.repeat(i * 7));
          await gateway.put('/empty', '');
          await gateway.delete('/k1', '/k2');
          await gateway.put('/k11', 'back');
          await gateway.delete('/never');
        },
      },
      {
        name: 'with leases of which one was revoked, one has two keys, one lost its key, and one has none',
        fill: async (gateway) => {
          const [two, lost, revoked] = [
            await gateway.grant(3600),
            await gateway.grant(3600),
            await gateway.grant(3600),
          ];
          await gateway.grant(7200);
          await gateway.put('/a', '1', two);
          await gateway.put('/b', '2', two);
          await gateway.put('/c', '3', lost);
          await gateway.put('/c', '4');
          await gateway.put('/d', '5', revoked);
          await gateway.call('lease/revoke', { ID: revoked });
        },
      },
      {
        name: 'that was compacted in the midst of its history',
        fill: async (gateway) => {
          for (let i = 0; i < 50; i += 1) await gateway.put(`/k${i % 7}`, `value ${i}`);
          await gateway.delete('/k3');
          await gateway.call('kv/compaction', { revision: '40', physical: true });
          await gateway.delete('/k4');
        },
      },
      {
        name: 'of which all was deleted, and that compacted',
        fill: async (gateway) => {
          for (let i = 0; i < 10; i += 1) await gateway.put(`/k${i}`, 'v');
          await gateway.delete('/', '0');
          await gateway.call('kv/compaction', { revision: await gateway.revision(), physical: true });
        },
      },
      {
        name: 'with users',
        fill: async (gateway, server) => {
          await gateway.put('/app/a', '1');
          const { root } = await enableV3Auth(server, { prefix: '/app/' });
          await gateway.logIn(root.user, root.password);
        },
      },
    ])('$name is counted as the server says', ({ fill }) =>
      withFolder(async (folder) => {
        const dataDir = join(folder, 'data');
        await using server = await startEtcd({ version, dataDir });
        const gateway = new Gateway(server.endpoints[0] ?? '');
        await fill(gateway, server);
        const said = await gateway.summary();
        await server.members[0]?.stop();
        const { backend, problem } = await inspectDataDirectory(dataDir, null, Date.now());
        expect([problem, backend?.content]).toMatchObject([null, said]);
        await server.members[0]?.restart();
        if ((said as { users: number }).users === 0) expect(await gateway.summary()).toEqual(said);
      }),
    );

    it('of which all was deleted and compacted tells its revision as a snapshot too', () =>
      withFolder(async (folder) => {
        await using server = await startEtcd({ version });
        const gateway = new Gateway(server.endpoints[0] ?? '');
        await gateway.put('/a', '1');
        await gateway.delete('/a');
        const revision = await gateway.revision();
        await gateway.call('kv/compaction', { revision, physical: true });
        const file = join(folder, 'saved');
        await etcdctl(server, ['snapshot', 'save', file]);
        const store = openEtcdV3SnapshotStore({ name: 'saved', file, nowMs: () => Date.now() });
        expect((await store.describe()).version).toMatch(new RegExp(`^revision ${revision},`));
      }));
  });
}
