/**
 * Goal: TLS and users work on every release, and each way to get them wrong ends in the code that says so.
 * Method: certificates made for the test, users made with the server's own tool, members restarted under a live store.
 */
import { readFileSync } from 'node:fs';
import { enableV3Auth, etcdctl, serverOrSkip, startEtcd, type AuthEnabled, type EtcdServer } from '@keyferry/servers';
import { keyFromText, prefixRange, type ChunkId, type GuardedPut, type Key, type MigrationId } from '@keyferry/core';
import { readAll } from '@keyferry/core/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openEtcdV3Store, type EtcdV3StoreOptions } from '../../src/etcd-v3/index.ts';
import { versions } from '../contract/etcd-v3-fixture.ts';

const first = { attempt: 1, token: 1 };
const app = prefixRange(keyFromText('app/'));
const put = (key: string): GuardedPut => ({
  kind: 'put',
  key: keyFromText(key),
  value: Buffer.from('v'),
  expiresAtMs: null,
  expect: 'absent',
});
type Opened = ReturnType<typeof openEtcdV3Store>;

async function withStore<T>(
  server: EtcdServer,
  options: Partial<EtcdV3StoreOptions>,
  body: (store: Opened) => Promise<T>,
): Promise<T> {
  const store = openEtcdV3Store({ name: 'secured', endpoints: server.endpoints, nowMs: () => Date.now(), ...options });
  try {
    return await body(store);
  } finally {
    await store.close();
  }
}

async function write(store: Opened, token: number, puts: readonly GuardedPut[]) {
  const control = store.control('secured' as MigrationId);
  await control.raiseEpoch(first);
  const claimed = await control.claimChunk('c00000' as ChunkId, { attempt: 1, token }, first);
  expect(claimed.kind).toBe('claimed');
  if (claimed.kind !== 'claimed') return [];
  return (await claimed.writer.write(puts)).map(({ kind }) => kind);
}

for (const version of versions) {
  const available = await serverOrSkip(`etcd-${version}`);

  describe.skipIf(!available.ok)(`TLS to etcd v3 on ${version}${available.note}`, () => {
    let server: EtcdServer;
    let other: EtcdServer;
    beforeAll(async () => {
      [server, other] = await Promise.all([
        startEtcd({ version, unsafeNoFsync: true, tls: { clientCertAuth: true } }),
        startEtcd({ version, unsafeNoFsync: true }),
      ]);
    });
    afterAll(() => Promise.all([server.stop(), other.stop()]));
    const files = () => {
      const { caFile, clientCertFile, clientKeyFile, untrusted } = server.tls ?? expect.unreachable();
      const read = (file: string) => readFileSync(file);
      return {
        mine: { ca: read(caFile), cert: read(clientCertFile), key: read(clientKeyFile) },
        untrusted: { cert: read(untrusted.clientCertFile), key: read(untrusted.clientKeyFile) },
        untrustedCa: read(untrusted.caFile),
      };
    };

    it('is spoken with a CA and a client certificate, given as bytes or as text', async () => {
      const { mine } = files();
      await withStore(server, { tls: mine }, async (store) => {
        expect(await write(store, 1, [put('app/a')])).toEqual(['written']);
        expect(await readAll(store, app)).toHaveLength(1);
        expect(await store.describe()).toMatchObject({ members: 1, identity: expect.stringMatching(/^[0-9a-f]+$/) });
        expect(await store.readMembers()).toBeNull();
      });
      const text = { ca: String(mine.ca), cert: String(mine.cert), key: String(mine.key) };
      await withStore(server, { tls: text }, async (store) => expect(await store.countRecords(app, 10)).toBe(1));
    });

    it('takes a server name that the certificate carries, and no other', async () => {
      const { mine } = files();
      await withStore(server, { tls: { ...mine, serverName: 'localhost' } }, async (store) =>
        expect(Number(await store.head())).toBeGreaterThan(0),
      );
      await withStore(server, { tls: { ...mine, serverName: 'db.example' } }, async (store) =>
        expect(store.head()).rejects.toMatchObject({ code: 'store.tls-failed', details: { store: 'secured' } }),
      );
    });

    it.each([
      {
        name: 'a CA that did not sign the server’s certificate',
        tls: () => ({ ...files().mine, ca: files().untrustedCa }),
      },
      { name: 'no CA', tls: () => ({ cert: files().mine.cert, key: files().mine.key }) },
      { name: 'no client certificate', tls: () => ({ ca: files().mine.ca }) },
      { name: 'a client certificate of another CA', tls: () => ({ ...files().untrusted, ca: files().mine.ca }) },
    ])('fails with $name', async ({ tls }) => {
      await withStore(server, { tls: tls() }, async (store) => {
        await expect(store.head()).rejects.toMatchObject({ code: 'store.tls-failed' });
        await expect(store.control('m' as MigrationId).raiseEpoch(first)).rejects.toMatchObject({
          code: 'store.tls-failed',
        });
        await expect(store.describe()).rejects.toMatchObject({ code: 'store.tls-failed' });
      });
    });

    it('is not spoken to a server that does not, nor mixed with plain endpoints', async () => {
      const { mine } = files();
      const https = other.endpoints.map((endpoint) => endpoint.replace('http:', 'https:'));
      await withStore(other, { endpoints: https, tls: mine }, async (store) =>
        expect(store.head()).rejects.toMatchObject({ code: 'store.tls-failed' }),
      );
      const mixed = { name: 'secured', endpoints: other.endpoints, tls: mine, nowMs: () => 0 };
      expect(() => openEtcdV3Store(mixed)).toThrow(expect.objectContaining({ code: 'store.tls-failed' }));
    });
  });

  describe.skipIf(!available.ok)(`users of etcd v3 on ${version}${available.note}`, () => {
    let server: EtcdServer;
    let users: AuthEnabled;
    const tls = () => ({ ca: readFileSync(server.tls?.caFile ?? ''), serverName: 'localhost' });
    beforeAll(async () => {
      server = await startEtcd({ version, unsafeNoFsync: true, tls: true });
      await withStore(server, { tls: tls(), auth: { user: 'root', password: 'early' } }, async (store) => {
        // Users are configured here, and the server has none yet.
        expect(await write(store, 1, [put('app/early')])).toEqual(['written']);
        users = await enableV3Auth(server, { prefix: 'app/' });
        await expect(store.countRecords(app, 10)).rejects.toMatchObject({ code: 'store.auth-failed' });
      });
      const root = { credentials: users.root };
      await etcdctl(server, ['role', 'add', 'tool'], root);
      await etcdctl(server, ['role', 'grant-permission', 'tool', 'readwrite', '_keyferry/', '--prefix=true'], root);
      for (const user of ['tool-only', 'both']) {
        await etcdctl(server, ['user', 'add', `${user}:secret`], root);
        await etcdctl(server, ['user', 'grant-role', user, 'tool'], root);
      }
      await etcdctl(server, ['user', 'grant-role', 'both', 'app-role'], root);
    });
    afterAll(() => server.stop());

    it('read and write with the rights they have', () =>
      withStore(server, { tls: tls(), auth: { user: 'both', password: 'secret' } }, async (store) => {
        expect(await write(store, 2, [put('app/a'), put('app/b')])).toEqual(['written', 'written']);
        expect(await readAll(store, app)).toHaveLength(3);
        expect(await store.countRecords(app, 10)).toBe(3);
        expect(await store.describe()).toMatchObject({ members: 1 });
      }));

    it('see the head although they may read one prefix alone', () =>
      withStore(server, { tls: tls(), auth: users.app }, async (store) => {
        const head = await store.head();
        const view = await store.openView(app);
        expect(view.position).toBe(head);
        await view.close();
      }));

    it('are refused what they have no right to, reading', () =>
      withStore(server, { tls: tls(), auth: users.app }, async (store) => {
        const everything = { start: '' as Key, end: null };
        await expect(store.openView(everything)).rejects.toMatchObject({ code: 'store.permission-denied' });
        await expect(store.countRecords(null, 10)).rejects.toMatchObject({ code: 'store.permission-denied' });
        await expect(write(store, 9, [put('app/x')])).rejects.toMatchObject({ code: 'store.permission-denied' });
      }));

    it('are refused what they have no right to, writing: nothing is written', () =>
      withStore(server, { tls: tls(), auth: { user: 'tool-only', password: 'secret' } }, async (store) => {
        await expect(write(store, 3, [put('app/forbidden')])).rejects.toMatchObject({
          code: 'store.permission-denied',
        });
        await withStore(server, { tls: tls(), auth: users.root }, async (root) => {
          expect((await readAll(root, app)).map(({ key }) => key)).not.toContain('app/forbidden');
        });
      }));

    it.each([
      { name: 'a wrong password', auth: { user: 'root', password: 'wrong' } },
      { name: 'an unknown user', auth: { user: 'nobody', password: 'wrong' } },
      { name: 'no user', auth: undefined },
    ])('are refused with $name', ({ auth }) =>
      withStore(server, { tls: tls(), auth }, async (store) => {
        await expect(store.head()).rejects.toMatchObject({ code: 'store.auth-failed', details: { store: 'secured' } });
        await expect(write(store, 4, [put('app/x')])).rejects.toMatchObject({ code: 'store.auth-failed' });
      }),
    );

    it('stay signed in: a token that the server forgot is renewed, by writes and by reads', () =>
      withStore(server, { tls: tls(), auth: users.root }, async (store) => {
        const control = store.control('secured' as MigrationId);
        const claimed = await control.claimChunk('c00001' as ChunkId, first, first);
        const writer = claimed.kind === 'claimed' ? claimed.writer : expect.unreachable();
        await server.members[0]?.restart();
        const outcomes = await Promise.all(
          Array.from({ length: 20 }, (_, i) => writer.write([put(`app/after-restart/${i}`)])),
        );
        expect(outcomes.flat().map(({ kind }) => kind)).toEqual(Array.from({ length: 20 }, () => 'written'));
        await server.members[0]?.restart();
        expect(await store.countRecords(prefixRange(keyFromText('app/after-restart/')), 100)).toBe(20);
      }));
  });
}
