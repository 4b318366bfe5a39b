/**
 * Goal: over TLS a source reads as without it, and every kind of mistrust is `store.tls-failed`, which no retry helps.
 * Method: a real server of each release that asks for client certificates, and one that does not.
 */
import { readFileSync } from 'node:fs';
import { loadV2Keys, serverOrSkip, startEtcd, type EtcdServer } from '@keyferry/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TlsOptions } from '../../src/http/options.ts';
import { expectFailure, openSource, readPrefix, versions } from '../contract/etcd-v2-fixture.ts';

const pem = (file: string | undefined): string => readFileSync(file ?? '', 'utf8');

for (const version of versions) {
  const available = await serverOrSkip(`etcd-${version}`);
  describe.skipIf(!available.ok)(`TLS with client certificates on ${version}${available.note}`, () => {
    let server: EtcdServer;
    let trusted: TlsOptions & { ca: string };
    beforeAll(async () => {
      server = await startEtcd({ version, enableV2: true, tls: { clientCertAuth: true }, unsafeNoFsync: true });
      const files = server.tls;
      trusted = { ca: pem(files?.caFile), cert: pem(files?.clientCertFile), key: pem(files?.clientKeyFile) };
      const keys = [{ key: '/app/a', value: 'v' }];
      await loadV2Keys(server.endpoints[0] ?? '', keys, { clientTls: server.clientTls });
    });
    afterAll(() => server.stop());

    it('reads with the right certificate, given as text or as bytes', async () => {
      const asBytes = { ...trusted, ca: Buffer.from(trusted.ca) };
      for (const tls of [trusted, asBytes, { ...trusted, serverName: 'localhost' }]) {
        const store = openSource(server.endpoints, { tls });
        expect((await readPrefix(store, '/app/')).records).toHaveLength(1);
        expect(await store.describe()).toMatchObject({ members: 1 });
        await store.close();
      }
    });

    it.each([
      { name: 'no client certificate', change: () => ({ cert: undefined, key: undefined }) },
      {
        name: 'a client certificate of another authority',
        change: () => ({
          cert: pem(server.tls?.untrusted.clientCertFile),
          key: pem(server.tls?.untrusted.clientKeyFile),
        }),
      },
      { name: 'another authority to trust', change: () => ({ ca: pem(server.tls?.untrusted.caFile) }) },
      { name: 'no authority of ours', change: () => ({ ca: undefined }) },
      { name: 'another name of the server', change: () => ({ serverName: 'etcd.example.org' }) },
      { name: 'a key of another certificate', change: () => ({ key: pem(server.tls?.untrusted.clientKeyFile) }) },
      { name: 'a file that is no certificate', change: () => ({ cert: 'not a certificate' }) },
    ])('with $name is a failure of TLS', async ({ change }) => {
      const merged = Object.entries({ ...trusted, ...change() }).filter(([, value]) => value !== undefined);
      const tls = Object.fromEntries(merged) as TlsOptions;
      for (let i = 0; i < 5; i += 1) {
        const opened = (async () => {
          const store = openSource(server.endpoints, { tls });
          try {
            return await store.head();
          } finally {
            await store.close();
          }
        })();
        await expectFailure(opened, 'store.tls-failed', /./);
      }
    });

    it('and an endpoint written as http says so', async () => {
      const store = openSource(server.endpoints.map((endpoint) => endpoint.replace('https:', 'http:')));
      await expectFailure(store.head(), 'store.tls-failed', /https/);
      await store.close();
    });
  });

  describe.skipIf(!available.ok)(`TLS without client certificates on ${version}${available.note}`, () => {
    it('needs the authority only', async () => {
      await using server = await startEtcd({ version, enableV2: true, tls: true, unsafeNoFsync: true });
      const store = openSource(server.endpoints, { tls: { ca: pem(server.tls?.caFile) } });
      expect(await store.head()).toMatch(/^\d+$/);
      await store.close();
    });
  });

  describe.skipIf(!available.ok)(`a server without TLS on ${version}${available.note}`, () => {
    it('that is written as https is a failure of TLS', async () => {
      await using server = await startEtcd({ version, enableV2: true, unsafeNoFsync: true });
      const store = openSource(server.endpoints.map((endpoint) => endpoint.replace('http:', 'https:')));
      await expectFailure(store.head(), 'store.tls-failed', /./);
      await store.close();
    });
  });
}
