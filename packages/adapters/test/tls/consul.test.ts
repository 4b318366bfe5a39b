/**
 * Goal: over TLS Consul is read and written as without it, and mistrust is `store.tls-failed`, which no retry helps.
 * Method: a real server that asks for client certificates.
 */
import { readFileSync } from 'node:fs';
import { consulVersions, serverOrSkip, startConsul, type ConsulServer } from '@keyferry/servers';
import type { MigrationId } from '@keyferry/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openConsulTarget } from '../../src/consul/index.ts';
import type { TlsOptions } from '../../src/http/options.ts';

const pem = (file: string | undefined): string => readFileSync(file ?? '', 'utf8');

for (const version of consulVersions) {
  const available = await serverOrSkip(`consul-${version}`);
  describe.skipIf(!available.ok)(`TLS with client certificates on consul ${version}${available.note}`, () => {
    let server: ConsulServer;
    let trusted: TlsOptions;
    beforeAll(async () => {
      server = await startConsul({ version, tls: { clientCertAuth: true } });
      const files = server.tls;
      trusted = { ca: pem(files?.caFile), cert: pem(files?.clientCertFile), key: pem(files?.clientKeyFile) };
    });
    afterAll(() => server.stop());

    const withStore = async <T>(
      tls: TlsOptions,
      endpoints: readonly string[],
      call: (store: ReturnType<typeof openConsulTarget>) => Promise<T>,
    ) => {
      const store = openConsulTarget({ name: 'test', endpoints, tls, nowMs: () => Date.now() });
      try {
        return await call(store);
      } finally {
        await store.close();
      }
    };

    it('reads and writes with the right certificate', () =>
      withStore(trusted, server.endpoints, async (store) => {
        const control = store.control('tls' as MigrationId);
        expect(await control.raiseEpoch({ attempt: 1, token: 1 })).toEqual({ kind: 'raised' });
        expect(await control.readEpoch()).toEqual({ attempt: 1, token: 1 });
        expect(await store.describe()).toMatchObject({ kind: 'consul', members: 1 });
      }));

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
      { name: 'another name of the server', change: () => ({ serverName: 'consul.example.org' }) },
    ])('with $name is a failure of TLS', async ({ change }) => {
      const merged = Object.entries({ ...trusted, ...change() }).filter(([, value]) => value !== undefined);
      const tls = Object.fromEntries(merged) as TlsOptions;
      await expect(withStore(tls, server.endpoints, (store) => store.head())).rejects.toMatchObject({
        code: 'store.tls-failed',
      });
    });

    it('spoken to without TLS is a failure of TLS', () => {
      const endpoints = server.endpoints.map((url) => url.replace('https', 'http'));
      return expect(withStore({}, endpoints, (store) => store.head())).rejects.toMatchObject({
        code: 'store.tls-failed',
      });
    });
  });
}
