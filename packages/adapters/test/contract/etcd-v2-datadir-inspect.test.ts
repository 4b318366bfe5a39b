/**
 * Goal: what inspect says of a server that refuses v2 content is what such a server does.
 * Method: an etcd 3.5 with `--v2-deprecation=write-only`, which has the check of 3.6, and 3.6 itself, on directories with and
 * without content; then the way out: what keyferry writes from such a directory is restored and served by 3.6.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { chunkId, keyFromText, prefixRange, type MigrationId } from '@keyferry/core';
import { readAll } from '@keyferry/core/testing';
import {
  enableV2Auth,
  etcdctl,
  request,
  serverOrSkip,
  startEtcd,
  type EtcdMember,
  type EtcdServer,
} from '@keyferry/servers';
import { describe, expect, it } from 'vitest';
import { inspectDataDirectory } from '../../src/etcd-v2-datadir/index.ts';
import { openEtcdV3SnapshotTarget } from '../../src/etcd-v3-snapshot/index.ts';
import { readV3, textOf } from './etcdctl-migrate.ts';
import { openDatadir, withFolder } from './etcd-v2-datadir-fixture.ts';
import { send } from './etcd-v2-datadir-workload.ts';

const run = promisify(execFile);
const available = await serverOrSkip('etcd-3.5');
const newest = await serverOrSkip('etcd-3.6');
describe.skipIf(!available.ok)(`inspect${available.note}`, () => {
  it.each([
    { name: 'no v2 content', keys: [], refuses: false, hidden: 0 },
    { name: 'a key of v2', keys: ['/app/a'], refuses: true, hidden: 0 },
    { name: 'hidden keys alone, which that check does not see', keys: ['/_app/a', '/_b'], refuses: false, hidden: 2 },
  ])('tells whether a directory would be refused that holds $name', ({ keys, refuses, hidden }) =>
    withFolder(async (folder) => {
      const dataDir = join(folder, 'data');
      // A snapshot at every request: the check looks at the newest one.
      const extraArgs = ['--snapshot-count=1'];
      const server = await startEtcd({ version: '3.5', enableV2: true, dataDir, extraArgs });
      const [endpoint = '', member] = [server.endpoints[0], server.members[0]];
      try {
        for (const key of keys) await send(endpoint, 'PUT', key, { value: 'v' });
        const headers = { 'content-type': 'application/json' };
        for (let i = 0; i < 5; i += 1)
          await fetch(`${endpoint}/v3/kv/put`, { method: 'POST', headers, body: '{"key":"aw==","value":"dg=="}' });
        await member?.stop();
        const { content, problem, server: state, backend } = await inspectDataDirectory(dataDir, null, Date.now());
        expect([problem, state.kind]).toEqual([null, 'none']);
        // Five times the same key of v3, of a byte, with a value of one.
        expect(backend).toMatchObject({
          unread: null,
          content: { keys: 1, bytes: 2, revision: 6, leases: 0, users: 0 },
        });
        expect([content?.v2.hiddenFiles, content?.v2.listed === 0]).toEqual([hidden, !refuses]);
        expect(content?.refusedBy36.length === 0).toBe(!refuses);
        const restarted = member?.restart({ extraArgs: ['--v2-deprecation=write-only'], enableV2: false });
        if (refuses) await expect(restarted).rejects.toThrow(/detected disallowed custom content in v2store/);
        else await restarted;
      } finally {
        await server.stop();
      }
    }),
  );
});

const oldest = await serverOrSkip('etcd-3.4');
describe.skipIf(!oldest.ok)(`inspect of what etcdctl backup wrote${oldest.note}`, () => {
  it.each([
    {
      name: 'leaves out the v3 store, and says so',
      flags: [],
      backend: { content: null, unread: expect.stringContaining('--with-v3') as string },
    },
    {
      name: 'counts it where it was asked for',
      flags: ['--with-v3'],
      backend: { content: { keys: 1, bytes: 2 }, unread: null },
    },
  ])('$name', ({ flags, backend }) =>
    withFolder(async (folder) => {
      const [dataDir, backup] = [join(folder, 'data'), join(folder, 'backup')];
      await using server = await startEtcd({ version: '3.4', enableV2: true, dataDir });
      const [endpoint = ''] = server.endpoints;
      await send(endpoint, 'PUT', '/app/a', { value: 'v' });
      await fetch(`${endpoint}/v3/kv/put`, { method: 'POST', body: '{"key":"aw==","value":"dg=="}' });
      await server.members[0]?.stop();
      await etcdctl(server, ['backup', '--data-dir', dataDir, '--backup-dir', backup, ...flags], { api: '2' });
      const report = await inspectDataDirectory(backup, null, Date.now());
      expect(report).toMatchObject({ problem: null, content: { v2: { files: 1 } }, backend });
    }),
  );
});

describe.skipIf(!available.ok || !newest.ok)(`etcd 3.6 on a directory of 3.5${available.note}${newest.note}`, () => {
  const content = 'detected disallowed custom content in v2store';
  const inLog = 'detected disallowed v2 WAL';
  const put = (key: string, fields: Readonly<Record<string, string>> = { value: 'v' }) => ({
    use: ({ endpoint }: EtcdMember) => send(endpoint, 'PUT', key, fields),
  });

  it.each<{
    name: string;
    use?: (member: EtcdMember, server: EtcdServer) => Promise<unknown>;
    /** A snapshot at every request; else all of it is in the log. */
    snapshots: boolean;
    says: string | null;
    enableV2?: boolean;
  }>([
    { name: 'starts where nothing was ever written to v2', snapshots: true, says: null },
    { name: 'starts on a log of a server that offered no v2', snapshots: false, enableV2: false, says: null },
    { name: 'refuses the log of one that did, for the probes of its health alone', snapshots: false, says: inLog },
    { name: 'refuses keys of v2 in a snapshot', ...put('/app/a'), snapshots: true, says: content },
    { name: 'refuses requests to v2 in the log', ...put('/app/a'), snapshots: false, says: inLog },
    { name: 'refuses a hidden key in the log', ...put('/_app/a'), snapshots: false, says: inLog },
    { name: 'starts on hidden keys alone, in a snapshot', ...put('/_app/a'), snapshots: true, says: null },
    { name: 'refuses the directory that a hidden key is in', ...put('/app/_a'), snapshots: true, says: content },
    { name: 'refuses an empty directory', ...put('/app', { dir: 'true' }), snapshots: true, says: content },
    {
      name: 'starts where all keys were deleted before the snapshot',
      use: async ({ endpoint }) => {
        await send(endpoint, 'PUT', '/a', { value: 'v' });
        await send(endpoint, 'DELETE', '/a', {});
      },
      snapshots: true,
      says: null,
    },
    {
      name: 'refuses users and roles of v2',
      use: (_, server) => enableV2Auth(server, { prefix: '/app/' }),
      snapshots: true,
      says: content,
    },
    {
      name: 'starts on what is left where all of these were removed',
      use: async ({ endpoint }, server) => {
        const { root } = await enableV2Auth(server, { prefix: '/app/', keepGuest: true });
        const remove = async (path: string, credentials?: typeof root): Promise<void> => {
          const options = { method: 'DELETE', ...(credentials && { credentials }) };
          expect((await request(`${endpoint}/v2/auth/${path}`, options)).status).toBe(200);
        };
        await remove('enable', root);
        for (const path of ['users/app', 'users/root', 'roles/app-role', 'roles/guest']) await remove(path);
      },
      snapshots: true,
      says: null,
    },
  ])('$name, as inspect foresees', ({ use, snapshots, says, enableV2 = true }) =>
    withFolder(async (folder) => {
      const dataDir = join(folder, 'data');
      const extraArgs = snapshots ? ['--snapshot-count=1'] : [];
      const server = await startEtcd({ version: '3.5', enableV2, dataDir, extraArgs });
      const [endpoint = '', member] = [server.endpoints[0], server.members[0]];
      try {
        if (member !== undefined) await use?.(member, server);
        const headers = { 'content-type': 'application/json' };
        for (let i = 0; i < 5; i += 1)
          await fetch(`${endpoint}/v3/kv/put`, { method: 'POST', headers, body: '{"key":"aw==","value":"dg=="}' });
        await member?.stop();
        const { content: found } = await inspectDataDirectory(dataDir, null, Date.now());
        const foreseen = found?.refusedBy36 ?? [];
        expect([foreseen.length > 0, foreseen.some((why) => why.includes(says ?? ''))]).toEqual([
          says !== null,
          says !== null,
        ]);
        const restarted = member?.restart({ version: '3.6', extraArgs: [] });
        if (says === null) await restarted;
        else {
          await expect(restarted).rejects.toMatchObject({ code: 'server.start-failed' });
          expect(await readFile(member?.logFile ?? '', 'utf8')).toContain(says);
        }
      } finally {
        await server.stop();
      }
    }),
  );

  it('serves what keyferry wrote from a directory that it refuses', () =>
    withFolder(async (folder) => {
      const dataDir = join(folder, 'data');
      const old = await startEtcd({ version: '3.5', enableV2: true, dataDir });
      try {
        for (const [key, value] of [
          ['/app/a', '1'],
          ['/app/ü', '2'],
        ] as const)
          await send(old.endpoints[0] ?? '', 'PUT', key, { value });
        await old.members[0]?.stop();
      } finally {
        await old.stop();
      }
      const file = join(folder, 'v3.snapshot');
      const target = openEtcdV3SnapshotTarget({ name: 'new', file, nowMs: () => Date.now() });
      const records = await readAll(openDatadir(dataDir), prefixRange(keyFromText('/')));
      const control = target.control('move' as MigrationId);
      const fence = { attempt: 1, token: 1 };
      await control.raiseEpoch(fence);
      const claimed = await control.claimChunk(chunkId(0), fence, fence);
      if (claimed.kind !== 'claimed') throw new TypeError('refused');
      await claimed.writer.write(
        records.map(({ key, value, expiresAtMs }) => ({ kind: 'put', expect: 'absent', key, value, expiresAtMs })),
      );
      await target.publication?.publish('move' as MigrationId, fence);
      await target.close();
      const restored = join(folder, 'restored');
      await run(join(newest.ok ? newest.programDirectory : '', 'etcdutl'), [
        'snapshot',
        'restore',
        file,
        '--data-dir',
        restored,
      ]);
      await using server = await startEtcd({ version: '3.6', dataDir: restored });
      const served = await readV3(server.endpoints);
      expect([...served].map(([key, record]) => [key, textOf(record)])).toEqual(
        records.map((record) => [record.key, textOf(record)]),
      );
    }));
});
