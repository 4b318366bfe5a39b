/**
 * Goal: where `etcdctl migrate` is right, keyferry's records are the same as what it makes; and each place where it is known
 * to be wrong is one where keyferry is right: what the server itself answered over HTTP.
 * Method: directories of etcd 3.3 and 3.4; what the server said before it stopped, what a server says that is started on
 * what etcdctl made, and what keyferry reads. (Transformers have programs-etcdctl.test.ts.)
 */
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { keyFromText, keyToText, membersVerdict } from '@keyferry/core';
import { request, serverOrSkip, startEtcd, type EtcdServer } from '@keyferry/servers';
import { describe, expect, it, vi } from 'vitest';
import { compareMembers, type ComparedMember } from '../../src/etcd-v2-datadir/index.ts';
import { readPrefix } from './etcd-v2-fixture.ts';
import { readV3, runMigrate, textOf, v3RecordsOf } from './etcdctl-migrate.ts';
import { listedBy, openDatadir, withFolder } from './etcd-v2-datadir-fixture.ts';
import { send } from './etcd-v2-datadir-workload.ts';

type Values = Readonly<Record<string, string | undefined>>;

/** What keyferry reads, by key. */
async function ownValues(dataDir: string, prefix = '/'): Promise<Values> {
  const { records } = await readPrefix(openDatadir(dataDir), prefix);
  return Object.fromEntries(records.map((record) => [keyToText(record.key) ?? '', textOf(record)]));
}

/** What a server answers over v3 that is started on a directory. */
async function v3Values(version: '3.3' | '3.4', dataDir: string): Promise<Values> {
  const records = await v3RecordsOf(version, dataDir);
  return Object.fromEntries([...records.values()].map((record) => [keyToText(record.key) ?? '', textOf(record)]));
}

/** What the server said itself. */
async function said(endpoint: string): Promise<Values> {
  const { nodes } = await listedBy(endpoint);
  return Object.fromEntries(nodes.flatMap(({ key, value }) => (value === null ? [] : [[key, value]])));
}

for (const version of ['3.3', '3.4'] as const) {
  const available = await serverOrSkip(`etcd-${version}`);
  describe.skipIf(!available.ok)(`beside etcdctl migrate ${version}${available.note}`, () => {
    /** A server that is used, then stopped; what it said last. */
    const used = (
      use: (endpoint: string, server: EtcdServer) => Promise<void>,
      look: (told: {
        readonly values: Values;
        readonly dataDir: string;
        readonly folder: string;
        readonly server: EtcdServer;
      }) => Promise<void>,
      extraArgs: readonly string[] = [],
    ): Promise<void> =>
      withFolder(async (folder) => {
        const dataDir = join(folder, 'data');
        const server = await startEtcd({ version, enableV2: true, dataDir, extraArgs });
        try {
          const endpoint = server.endpoints[0] ?? '';
          await use(endpoint, server);
          const values = await said(endpoint);
          await server.members[0]?.stop();
          await look({ values, dataDir, folder, server });
        } finally {
          await server.stop();
        }
      });

    const put = async (endpoint: string, key: string, value: string, more: object = {}): Promise<void> => {
      const { status, body } = await send(endpoint, 'PUT', key, { value, ...more });
      expect([status < 300, body]).toEqual([true, body]);
    };

    it.each([
      { name: 'from the log alone', extraArgs: [] },
      { name: 'from a snapshot and the log behind it', extraArgs: ['--snapshot-count=60'] },
    ])('the keys and values are the same, $name', ({ extraArgs }) =>
      used(
        async (endpoint) => {
          const names = ['a', 'a-b', 'ü', '日本', '😀', 'x y', '100%', '"q"', '<&>', '\u2028', 'ｚ'];
          for (let i = 0; i < 110; i += 1) {
            const name = names[i % names.length] ?? '';
            await put(endpoint, `/app/${name}/${i % 37}`, `value ${i} é\u2028<b>&amp;`);
            if (i % 7 === 0) await send(endpoint, 'DELETE', `/app/${name}/${(i + 5) % 37}`, {});
          }
          await put(endpoint, '/app/empty', '');
          await put(endpoint, '/app/large', 'x'.repeat(1024 * 1024));
        },
        async ({ values, dataDir, folder, server }) => {
          expect(Object.keys(values).length).toBeGreaterThan(60);
          expect(await ownValues(dataDir)).toEqual(values);
          const { dataDir: migrated, exitCode } = await runMigrate(server, dataDir, folder);
          expect(exitCode).toBe(0);
          expect(await v3Values(version, migrated)).toEqual(values);
        },
        extraArgs,
      ),
    );

    it('a delete of everything that the server had refused is carried out by etcdctl alone', () =>
      used(
        async (endpoint) => {
          await put(endpoint, '/k1', '1');
          await put(endpoint, '/k2', '2');
          const refused = await send(endpoint, 'DELETE', '/', { recursive: 'true' });
          expect(refused.body).toContain('"errorCode":107');
          await put(endpoint, '/k3', '3');
        },
        async ({ values, dataDir, folder, server }) => {
          expect(values).toEqual({ '/k1': '1', '/k2': '2', '/k3': '3' });
          expect(await ownValues(dataDir)).toEqual(values);
          const { dataDir: migrated, exitCode } = await runMigrate(server, dataDir, folder);
          expect([exitCode, await v3Values(version, migrated)]).toEqual([0, { '/k3': '3' }]);
        },
      ));

    it('a key that expires lives for ever after etcdctl, and one whose time has run out comes back', () =>
      used(
        async (endpoint) => {
          await put(endpoint, '/lives', 'v', { ttl: '3600' });
          await send(endpoint, 'PUT', '/leased', { dir: 'true', ttl: '3600' });
          await put(endpoint, '/leased/child', 'c');
        },
        async ({ dataDir, folder, server }) => {
          const { records } = await readPrefix(openDatadir(dataDir), '/');
          expect(records.map(({ expiresAtMs }) => (expiresAtMs ?? 0) > Date.now())).toEqual([true, true]);
          const later = { nowMs: () => Date.now() + 7_200_000 };
          const gone = await readPrefix(openDatadir(dataDir, later), '/');
          expect(gone.records).toEqual([]);
          expect(gone.notCarried.filter(({ reason }) => reason === 'ttl.expired')).toHaveLength(2);
          const { dataDir: migrated } = await runMigrate(server, dataDir, folder);
          const there = await v3RecordsOf(version, migrated);
          expect([...there.values()].map(({ expiresAtMs }) => expiresAtMs)).toEqual([null, null]);
        },
      ));

    it('keys of v3 that are there already are overwritten by etcdctl where numbers meet', () =>
      used(
        async (endpoint) => {
          // Revisions 2 to 21 of v3, and indexes of about the same numbers in v2.
          const gateway = version === '3.3' ? 'v3beta' : 'v3';
          const headers = { 'content-type': 'application/json' };
          for (let i = 0; i < 20; i += 1) {
            const key = Buffer.from(`/old/${i}`).toString('base64');
            const body = JSON.stringify({ key, value: Buffer.from('v3').toString('base64') });
            const { status } = await request(`${endpoint}/${gateway}/kv/put`, { method: 'POST', headers, body });
            expect(status).toBe(200);
          }
          for (let i = 0; i < 5; i += 1) await put(endpoint, `/new/${i}`, 'v2');
        },
        async ({ values, dataDir, folder, server }) => {
          expect(await ownValues(dataDir)).toEqual(values);
          // Gone without a word; keyferry writes over the API, where each of them would be a conflict or `requireEmpty`.
          const { dataDir: migrated, exitCode } = await runMigrate(server, dataDir, folder);
          const there = Object.keys(await v3Values(version, migrated));
          expect([exitCode, there.filter((key) => key.startsWith('/new/')).length]).toEqual([0, 5]);
          expect(there.filter((key) => key.startsWith('/old/')).length).toBeLessThan(20);
        },
      ));

    it('hidden keys are lost by etcdctl, and counted or carried by keyferry', () =>
      used(
        async (endpoint) => {
          await put(endpoint, '/app/_hidden', 'h');
          await put(endpoint, '/app/seen', 's');
        },
        async ({ dataDir, folder, server }) => {
          const { notCarried } = await readPrefix(openDatadir(dataDir), '/');
          expect(notCarried).toContainEqual({ key: keyFromText('/app/_hidden'), reason: 'key.hidden' });
          const carried = await readPrefix(openDatadir(dataDir, { hidden: 'carry' }), '/');
          expect(carried.records.map(({ key }) => key)).toEqual(['/app/_hidden', '/app/seen']);
          const { dataDir: migrated } = await runMigrate(server, dataDir, folder);
          expect(Object.keys(await v3Values(version, migrated))).toEqual(['/app/seen']);
        },
      ));

    it('a server at work is waited for by etcdctl, which then writes what it had read before; keyferry refuses', () =>
      withFolder(async (folder) => {
        const dataDir = join(folder, 'data');
        const server = await startEtcd({ version, enableV2: true, dataDir });
        try {
          const endpoint = server.endpoints[0] ?? '';
          await put(endpoint, '/before', '1');
          await expect(openDatadir(dataDir).describe()).rejects.toMatchObject({ code: 'datadir.in-use' });
          // A copy of a directory in use, without its locks, is the same trap: files that do not fit, or an older state.
          await cp(dataDir, join(folder, 'copy'), { recursive: true });
          await put(endpoint, '/after', '2');
          await server.members[0]?.stop();
          expect(await ownValues(dataDir)).toEqual({ '/before': '1', '/after': '2' });
          expect(await ownValues(join(folder, 'copy'))).toEqual({ '/before': '1' });
        } finally {
          await server.stop();
        }
      }));
  });
}

const available = await serverOrSkip('etcd-3.4');
describe.skipIf(!available.ok)(`members that etcdctl migrate would let go apart${available.note}`, () => {
  it('an entry that no majority has is carried out by etcdctl, and left out by keyferry', () =>
    withFolder(async (folder) => {
      const server = await startEtcd({ version: '3.4', enableV2: true, members: 3, dataDir: join(folder, 'data') });
      try {
        const leader = await leaderOf(server);
        const others = server.members.filter((member) => member !== leader);
        await send(leader.endpoint, 'PUT', '/kept', { value: '1' });
        await Promise.all(others.map((member) => member.kill('SIGKILL')));
        // In its log, never acknowledged; the delete either.
        await Promise.all([
          send(leader.endpoint, 'PUT', '/never', { value: '2' }),
          send(leader.endpoint, 'DELETE', '/kept', {}),
        ]);
        await leader.kill('SIGKILL');
        const { records } = await readPrefix(openDatadir(leader.dataDir), '/');
        expect(records.map(({ key }) => key)).toEqual(['/kept']);
        const { stdout, exitCode, dataDir } = await runMigrate(server, leader.dataDir, folder);
        expect([exitCode, stdout]).toEqual([0, expect.stringContaining('finished transforming keys')]);
        const there = await v3RecordsAfterForcedStart(dataDir);
        expect([...there.keys()]).toEqual(['/never']);
      } finally {
        await server.stop();
      }
    }));

  it('members of which one is behind answer differently for ever after etcdctl; keyferry says which one to read', () =>
    withFolder(async (folder) => {
      const server = await startEtcd({ version: '3.4', enableV2: true, members: 3, dataDir: join(folder, 'data') });
      try {
        const [late, ...others] = server.members;
        const [furthest] = others;
        if (late === undefined || furthest === undefined) throw new TypeError('three members');
        await send(furthest.endpoint, 'PUT', '/early', { value: '1' });
        await holds(late.endpoint, '/early');
        await late.stop();
        await send((await leaderAmong(others)).endpoint, 'PUT', '/late', { value: '2' });
        await Promise.all(others.map((member) => holds(member.endpoint, '/late')));
        await Promise.all(others.map((member) => member.stop()));

        const places = server.members.map(({ dataDir }) => ({ dataDir, walDir: null }));
        const compared = await compareMembers(places);
        // One apart or more: how many entries elections took meanwhile is raft's affair.
        expect(['apart', 'behind']).toContain(membersVerdict(compared as [ComparedMember, ...ComparedMember[]]).kind);
        const use = compared.reduce((best, each) => (each.raftIndex > best.raftIndex ? each : best));
        expect(await ownValues(use.member)).toEqual({ '/early': '1', '/late': '2' });

        // The tutorial: each member by itself, then all of them again.
        for (const { dataDir } of server.members) {
          const { exitCode } = await runMigrate(server, dataDir, folder, { inPlace: true });
          expect(exitCode).toBe(0);
        }
        await Promise.all(server.members.map((member) => member.restart({ waitHealthy: false })));
        await server.waitHealthy();
        const answers = await Promise.all(server.members.map(({ endpoint }) => ownV3Keys(endpoint)));
        expect(answers).toEqual([['/early'], ['/early', '/late'], ['/early', '/late']]);
      } finally {
        await server.stop();
      }
    }));
});

/** The other members are gone: it becomes a cluster of its own. */
async function v3RecordsAfterForcedStart(dataDir: string) {
  const server = await startEtcd({ version: '3.4', dataDir, enableV2: true, extraArgs: ['--force-new-cluster'] });
  try {
    return await readV3(server.endpoints);
  } finally {
    await server.stop();
  }
}

/** Waits until the member itself has a key of v2. */
async function holds(endpoint: string, key: string): Promise<void> {
  await vi.waitUntil(async () => (await request(`${endpoint}/v2/keys${key}`)).status === 200, {
    timeout: 60_000,
    interval: 100,
  });
}

/** Once there is one among them: it may have been the member that is gone. */
async function leaderAmong(members: EtcdServer['members']): Promise<EtcdServer['members'][number]> {
  return await vi.waitUntil(() => leaderOf({ members }).catch(() => null), { timeout: 60_000, interval: 100 });
}

/** What a member has itself, whatever the others have. */
async function ownV3Keys(endpoint: string): Promise<readonly string[]> {
  const range = { key: 'Lw==', range_end: 'MA==', serializable: true, keys_only: true };
  const { body } = await request(`${endpoint}/v3/kv/range`, { method: 'POST', body: JSON.stringify(range) });
  const { kvs = [] } = JSON.parse(body) as { kvs?: readonly { readonly key: string }[] };
  return kvs.map(({ key }) => Buffer.from(key, 'base64').toString('utf8'));
}

async function leaderOf(server: Pick<EtcdServer, 'members'>): Promise<EtcdServer['members'][number]> {
  for (const member of server.members) {
    const { body } = await request(`${member.endpoint}/v2/stats/self`);
    if ((JSON.parse(body) as { state: string }).state === 'StateLeader') return member;
  }
  throw new TypeError('there is no leader');
}
