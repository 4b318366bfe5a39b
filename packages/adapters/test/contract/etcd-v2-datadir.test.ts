/**
 * Goal: the files of a member say what its server said: the same nodes, values, indexes and expiries, whatever was done to
 * it and however it ended.
 * Method: seeded requests of all kinds to real servers of each release, with and without snapshots; what the server answered
 * before it stopped, or answers after it was killed and started again, against what is read from its directory.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { keyFromText, prefixRange } from '@keyferry/core';
import {
  enableV2Auth,
  etcdctl,
  loadV2Keys,
  request,
  serverOrSkip,
  startEtcd,
  type EtcdServer,
} from '@keyferry/servers';
import { describe, expect, it } from 'vitest';
import { summarize } from '../../src/etcd-v2-datadir/tree-summary.ts';
import { openSource, readPrefix, versions } from './etcd-v2-fixture.ts';
import {
  copyOf,
  expireShortLived,
  listedBy,
  nodesOf,
  openDatadir,
  replayed,
  withFolder,
} from './etcd-v2-datadir-fixture.ts';
import { send, work } from './etcd-v2-datadir-workload.ts';

const requests = 700;

for (const version of versions) {
  const available = await serverOrSkip(`etcd-${version}`);
  describe.skipIf(!available.ok)(`the data directory of an etcd ${version}${available.note}`, () => {
    const start = (dataDir: string, extraArgs: readonly string[] = []): Promise<EtcdServer> =>
      startEtcd({ version, enableV2: true, unsafeNoFsync: true, dataDir, extraArgs });

    it.each([
      { name: 'without a snapshot', seed: 1, extraArgs: [] },
      { name: 'with many snapshots', seed: 2, extraArgs: ['--snapshot-count=97'] },
      { name: 'with a snapshot at nearly every request', seed: 3, extraArgs: ['--snapshot-count=3'] },
    ])('$name holds what the server answered before it stopped', ({ seed, extraArgs }) =>
      withFolder(async (folder) => {
        const dataDir = join(folder, 'data');
        const server = await start(dataDir, extraArgs);
        const endpoint = server.endpoints[0] ?? '';
        try {
          const { accepted, refused } = await work(endpoint, seed, requests);
          expect(accepted).toBeGreaterThan(requests / 5);
          expect(refused).toBeGreaterThan(requests / 5);
          await expireShortLived(endpoint);
          const said = await listedBy(endpoint);
          const live = await readPrefix(openSource([endpoint]), '/');
          await server.members[0]?.stop();

          const { tree, facts } = await replayed(dataDir);
          expect(nodesOf(tree, { hidden: false })).toEqual(said.nodes);
          expect(tree.currentIndex).toBe(said.index);
          expect(facts.snapshot === null).toBe(extraArgs.length === 0);

          const read = await readPrefix(openDatadir(dataDir), '/');
          expect(read.records.map(withPlainBytes)).toEqual(live.records.map(withPlainBytes));
          expect(read.notCarried.filter(({ reason }) => reason !== 'key.hidden')).toEqual(live.notCarried);

          await server.members[0]?.restart();
          const hidden = nodesOf(tree, { hidden: true }).filter(({ key }) => key.includes('/_'));
          expect(hidden.length).toBeGreaterThan(0);
          for (const node of hidden) expect((await listedBy(endpoint, node.key)).nodes[0]).toEqual(node);
        } finally {
          await server.stop();
        }
      }),
    );

    it('that was killed in the midst of writes holds what the server answers when it is started again', () =>
      withFolder(async (folder) => {
        const dataDir = join(folder, 'data');
        const server = await start(dataDir, ['--snapshot-count=50']);
        const [endpoint = '', member] = [server.endpoints[0], server.members[0]];
        try {
          for (const seed of [11, 12, 13]) {
            const working = Promise.allSettled([0, 1, 2, 3].map((each) => work(endpoint, seed * 10 + each, 10_000)));
            await work(endpoint, seed, 150);
            await member?.kill('SIGKILL');
            await working;
            const { tree } = await replayed(await copyOf(dataDir, folder));
            await member?.restart();
            const said = await listedBy(endpoint);
            // What lived for a second or two may have gone since, and nothing else.
            const soonNs = BigInt(Date.now() + 60_000) * 1_000_000n;
            const lasting = ({ expiresAtNs }: { readonly expiresAtNs: bigint | null }): boolean =>
              expiresAtNs === null || expiresAtNs > soonNs;
            const mortal = nodesOf(tree, { hidden: false }).filter((node) => !lasting(node) && node.value === null);
            const outlives = ({ key }: { readonly key: string }): boolean =>
              !mortal.some((directory) => key.startsWith(`${directory.key}/`));
            const kept = nodesOf(tree, { hidden: false }).filter((node) => lasting(node) && outlives(node));
            expect(said.nodes.filter((node) => lasting(node) && outlives(node))).toEqual(kept);
          }
        } finally {
          await server.stop();
        }
      }));

    it('is refused while the server runs, named with who holds it, and read once it has stopped', () =>
      withFolder(async (folder) => {
        const dataDir = join(folder, 'data');
        const server = await start(dataDir);
        const [endpoint = '', member] = [server.endpoints[0], server.members[0]];
        try {
          await send(endpoint, 'PUT', '/app/a', { value: '1' });
          const store = openDatadir(dataDir);
          const pid = String(member?.pid);
          await expect(store.describe()).rejects.toMatchObject({
            code: 'datadir.in-use',
            details: { detail: expect.stringContaining(`process ${pid} holds the lock`) as string },
          });
          await expect(store.openView(prefixRange(keyFromText('/')))).rejects.toMatchObject({ code: 'datadir.in-use' });
          // And the server did not notice.
          await send(endpoint, 'PUT', '/app/b', { value: '2' });
          const identity = (await openSource([endpoint]).describe()).identity;
          await member?.stop();
          expect((await readPrefix(store, '/app/')).records.map(({ key }) => key)).toEqual(['/app/a', '/app/b']);
          expect(await store.describe()).toMatchObject({ kind: 'etcd-v2-datadir', members: 1, identity });
          await member?.restart();
          await expect(store.describe()).rejects.toMatchObject({ code: 'datadir.in-use' });
        } finally {
          await server.stop();
        }
      }));
  });
}

const available34 = await serverOrSkip('etcd-3.4');
describe.skipIf(!available34.ok)(`the data directory of a server${available34.note}`, () => {
  it('with a log of several segments and values of a megabyte is read whole', () =>
    withFolder(async (folder) => {
      const dataDir = join(folder, 'data');
      const server = await startEtcd({ version: '3.4', enableV2: true, dataDir, extraArgs: ['--snapshot-count=60'] });
      const endpoint = server.endpoints[0] ?? '';
      try {
        const value = 'x'.repeat(1024 * 1024 - 100);
        const entries = Array.from({ length: 135 }, (_, i) => ({ key: `/large/${i % 5}`, value: `${value}${i}` }));
        for (const entry of entries) await loadV2Keys(endpoint, [entry]);
        const said = await listedBy(endpoint);
        await server.members[0]?.stop();
        const segments = (await readdir(join(dataDir, 'member/wal'))).filter((name) => name.endsWith('.wal'));
        expect(segments.length).toBeGreaterThan(2);
        const { tree } = await replayed(dataDir);
        expect(nodesOf(tree, { hidden: false })).toEqual(said.nodes);
        expect(tree.currentIndex).toBe(said.index);
      } finally {
        await server.stop();
      }
    }));

  it('whose log lies elsewhere is read with walDir, and not without', () =>
    withFolder(async (folder) => {
      const [dataDir, walDir] = [join(folder, 'data'), join(folder, 'log')];
      const server = await startEtcd({ version: '3.4', enableV2: true, dataDir, extraArgs: [`--wal-dir=${walDir}`] });
      const endpoint = server.endpoints[0] ?? '';
      try {
        await send(endpoint, 'PUT', '/app/a', { value: '1' });
        await expect(openDatadir(dataDir, { walDir }).describe()).rejects.toMatchObject({ code: 'datadir.in-use' });
        await server.members[0]?.stop();
        expect((await readPrefix(openDatadir(dataDir, { walDir }), '/app/')).records).toHaveLength(1);
        await expect(openDatadir(dataDir).describe()).rejects.toMatchObject({ code: 'datadir.not-found' });
      } finally {
        await server.stop();
      }
    }));

  it('that lost its quorum is read up to what was committed, and says what it left out', () =>
    withFolder(async (folder) => {
      const dataDir = join(folder, 'data');
      const server = await startEtcd({ version: '3.4', enableV2: true, members: 3, dataDir });
      try {
        const leader = await leaderOf(server);
        const others = server.members.filter((member) => member !== leader);
        await send(leader.endpoint, 'PUT', '/app/done', { value: '1' });
        await Promise.all(others.map((member) => member.kill('SIGKILL')));
        // It is in the leader's log, and no other member has it.
        const { status } = await send(leader.endpoint, 'PUT', '/app/lost', { value: '2' });
        expect(status).toBe(500);
        await leader.kill('SIGKILL');
        const store = openDatadir(leader.dataDir);
        expect((await readPrefix(store, '/app/')).records.map(({ key }) => key)).toEqual(['/app/done']);
        const { version, members } = await store.describe();
        expect([version, members]).toEqual([expect.stringMatching(/\d entr(y|ies) not committed and left out/), 3]);
      } finally {
        await server.stop();
      }
    }));

  it('whose v2 has users counts them as its own, and carries none of them', () =>
    withFolder(async (folder) => {
      const dataDir = join(folder, 'data');
      const server = await startEtcd({ version: '3.4', enableV2: true, dataDir });
      try {
        const endpoint = server.endpoints[0] ?? '';
        await send(endpoint, 'PUT', '/app/a', { value: '1' });
        await enableV2Auth(server, { prefix: '/app/' });
        await server.members[0]?.stop();
        const { tree } = await replayed(dataDir);
        const { auth, authEntries, internal, files } = summarize(tree);
        expect(files).toBe(1);
        expect(authEntries).toBeGreaterThan(1);
        expect([auth, internal].every((count) => count > 2)).toBe(true);
        const store = openDatadir(dataDir);
        const { records, notCarried } = await readPrefix(store, '/');
        expect([records.map(({ key }) => key), notCarried.map(({ key }) => key)]).toEqual([['/app/a'], ['/app']]);
        expect((await store.describe()).version).toContain(`${auth + internal} nodes of its own`);
      } finally {
        await server.stop();
      }
    }));
});

async function leaderOf(server: EtcdServer): Promise<EtcdServer['members'][number]> {
  for (const member of server.members) {
    const { body } = await request(`${member.endpoint}/v2/stats/self`);
    if ((JSON.parse(body) as { state: string }).state === 'StateLeader') return member;
  }
  return server.members[0] as EtcdServer['members'][number];
}

describe.skipIf(!available34.ok)(`what etcdctl backup wrote${available34.note}`, () => {
  it.each([
    { name: 'without a snapshot', extraArgs: [] },
    { name: 'with snapshots', extraArgs: ['--snapshot-count=40'] },
  ])('$name holds what a server answers that is restored from it', ({ extraArgs }) =>
    withFolder(async (folder) => {
      const [dataDir, backup] = [join(folder, 'data'), join(folder, 'backup')];
      const server = await startEtcd({ version: '3.4', enableV2: true, dataDir, extraArgs });
      try {
        await work(server.endpoints[0] ?? '', 21, 300);
        await expireShortLived(server.endpoints[0] ?? '');
        await server.members[0]?.stop();
        await etcdctl(server, ['backup', '--data-dir', dataDir, '--backup-dir', backup], { api: '2' });
      } finally {
        await server.stop();
      }
      const { tree } = await replayed(backup);
      const flags = ['--force-new-cluster'];
      const restored = await startEtcd({ version: '3.4', enableV2: true, dataDir: backup, extraArgs: flags });
      try {
        expect(nodesOf(tree, { hidden: false })).toEqual((await listedBy(restored.endpoints[0] ?? '')).nodes);
      } finally {
        await restored.stop();
      }
    }),
  );
});

/** A Buffer of one store beside an Uint8Array of the other says nothing. */
function withPlainBytes<T extends { readonly value: Uint8Array }>(record: T): T {
  return { ...record, value: new Uint8Array(record.value) };
}
