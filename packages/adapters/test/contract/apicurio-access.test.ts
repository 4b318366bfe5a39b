/**
 * Goal: a registry is reached as its owner protects it: by a token of client credentials, by a user, over TLS with a client
 * certificate; no secret is in what fails, and a token that ends or is refused is asked for anew.
 * Method: a token endpoint and proxies of our own, which check what they are given, before a real 3.3.3 of which OIDC is on: its
 * keys come from that endpoint, and so it refuses what is not signed by them.
 */
import { readFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serverOrSkip, startApicurio, writeCertificates, type ApicurioServer } from '@keyferry/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openNewRegistry, registryFront, type RegistryConnection } from '../../src/apicurio/index.ts';
import { startProxy } from './apicurio-proxy.ts';
import { secret, TokenEndpoint } from './token-endpoint.ts';

const next = await serverOrSkip('apicurio-3.3');
const signal = new AbortController().signal;
describe.skipIf(!next.ok)(`a 3.3.3 that wants tokens${next.note}`, () => {
  const provider = new TokenEndpoint();
  let server: ApicurioServer;
  const connection = (more: Partial<RegistryConnection> = {}): RegistryConnection => ({
    name: 'new',
    endpoints: server.endpoints,
    oidc: { tokenUrl: provider.tokenUrl, clientId: 'keyferry', clientSecret: secret },
    ...more,
  });

  beforeAll(async () => {
    await provider.listen();
    server = await startApicurio({
      version: '3.3',
      properties: {
        'quarkus.oidc.tenant-enabled': 'true',
        'quarkus.oidc.auth-server-url': provider.issuer,
        'quarkus.oidc.client-id': 'registry-api',
        'apicurio.auth.role-based-authorization': 'true',
        'apicurio.authn.basic-client-credentials.enabled': 'true',
      },
    });
  }, 240_000);
  afterAll(async () => {
    provider.close();
    await server?.stop();
  });

  it('is read and administered with a token, which is asked for once and told to nobody else', async () => {
    const told: string[] = [];
    const registry = openNewRegistry(connection({ onToken: (token) => told.push(token) }));
    provider.granted = 0;
    expect((await registry.walk(signal)).counts.version).toBe(0);
    const carried = await registry.carry(
      {
        roles: [],
        settings: [{ name: 'registry.download.href.ttl', value: '60' }],
        owners: [],
        groupLabels: [],
        latestOrders: [],
        unreadable: [],
      },
      signal,
    );
    expect(carried).toMatchObject({ carriedTotal: 1, notCarried: [] });
    expect(provider.granted).toBe(1);
    expect(told).toHaveLength(1);
    await registry.close();
  });

  it('refuses a client without a token, or with a wrong secret, in words that hold no secret', async () => {
    const anonymous = openNewRegistry({ name: 'new', endpoints: server.endpoints });
    await expect(anonymous.walk(signal)).rejects.toMatchObject({ code: 'store.auth-failed' });
    await anonymous.close();
    const oidc = { tokenUrl: provider.tokenUrl, clientId: 'keyferry', clientSecret: 'another-secret' };
    const wrong = openNewRegistry(connection({ oidc }));
    const failure: unknown = await wrong.walk(signal).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: 'store.auth-failed',
      message: expect.stringContaining('401: invalid_client') as string,
    });
    expect(String(failure)).not.toMatch(/another-secret|YW5vdGhlci1zZWNyZXQ|Basic/);
    await wrong.close();
  });

  it('is asked with a new token when one is refused', async () => {
    const refusedOnce = new Set<string>();
    const proxy = await startProxy(server, (request) => {
      const token = request.headers.authorization ?? '';
      if (refusedOnce.size > 0 || token === '') return null;
      refusedOnce.add(token);
      return 401;
    });
    const registry = openNewRegistry(connection({ endpoints: [proxy.endpoint] }));
    provider.granted = 0;
    expect(await registry.system(signal)).toMatchObject({ version: '3.3.3' });
    expect(provider.granted).toBe(2);
    await registry.close();
    proxy.close();
  });

  it('is reached by TLS with a client certificate, and by a user', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'keyferry-registry-tls-'));
    try {
      const files = await writeCertificates(folder);
      const [ca, cert, key] = [files.caFile, files.clientCertFile, files.clientKeyFile].map((file) =>
        readFileSync(file),
      );
      const tls = { key: readFileSync(files.serverKeyFile), cert: readFileSync(files.serverCertFile), ca };
      const users: string[] = [];
      const proxy = await startProxy(
        server,
        (request) => {
          users.push(request.headers.authorization ?? '');
          return null;
        },
        { ...tls, requestCert: true, rejectUnauthorized: true },
      );
      const auth = { user: 'keyferry', password: secret };
      const trusted = openNewRegistry({ name: 'new', endpoints: [proxy.endpoint], tls: { ca, cert, key }, auth });
      // It asks the provider for a token by itself then.
      expect((await trusted.walk(signal)).counts.version).toBe(0);
      expect(users[0]).toBe(`Basic ${Buffer.from(`keyferry:${secret}`).toString('base64')}`);
      const wrong = openNewRegistry({
        name: 'new',
        endpoints: [proxy.endpoint],
        tls: { ca, cert, key },
        auth: { user: 'keyferry', password: 'wrong' },
      });
      await expect(wrong.walk(signal)).rejects.toMatchObject({ code: 'store.auth-failed' });
      const withToken = openNewRegistry(connection({ endpoints: [proxy.endpoint], tls: { ca, cert, key } }));
      expect(await withToken.system(signal)).toMatchObject({ version: '3.3.3' });
      // Through a balancer with authorities of its own, which the store knows nothing of.
      const { endpoints: _, ...asked } = connection({ endpoints: [], tls: { cert, key } });
      const probe = (known: ReadonlyMap<string, string>) =>
        registryFront(asked, known).probe(proxy.endpoint, 'core', 3, { versions: [] }, signal);
      const outcomes = await probe(new Map([[proxy.endpoint, String(ca)]]));
      expect(outcomes.filter((each) => each.wrong !== null)).toEqual([]);
      expect(outcomes.length).toBeGreaterThan(5);
      expect((await probe(new Map())).every(({ status }) => status === null)).toBe(true);
      const stranger = openNewRegistry(connection({ endpoints: [proxy.endpoint], tls: { ca } }));
      await expect(stranger.system(signal)).rejects.toMatchObject({ code: 'store.tls-failed' });
      await Promise.all([trusted.close(), wrong.close(), withToken.close(), stranger.close()]);
      proxy.close();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
