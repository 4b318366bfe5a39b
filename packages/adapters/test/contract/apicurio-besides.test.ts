/**
 * Goal: what no archive says comes over: roles that the registry manages itself, which latest version an artifact has, and
 * owners, from a 2.6 to a 3.3 that both let nobody in without a token.
 * Method: real servers with OIDC on and roles of their own; the old one filled by its import, the one way to a latest version that is
 * not its newest; 3.3 is asked by its API for what it has then.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BesidesArchive, NewRegistry, OldRegistry } from '@keyferry/core';
import { serverOrSkip, startApicurio, type ApicurioServer } from '@keyferry/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  fillOldRegistry,
  openNewRegistry,
  openOldRegistry,
  registryFront,
  type RegistryConnection,
} from '../../src/apicurio/index.ts';
import { rewriteArchive } from '../apicurio-archive-writer.ts';
import { repeat } from './apicurio-fixture.ts';
import { secret, TokenEndpoint } from './token-endpoint.ts';

const [old, next] = await Promise.all([serverOrSkip('apicurio-2.6'), serverOrSkip('apicurio-3.3')]);
const signal = new AbortController().signal;
const archive = fileURLToPath(new URL('../../../../examples/16-apicurio-export/input/export.zip', import.meta.url));

describe.skipIf(!old.ok || !next.ok)(`a 2.6.13 and a 3.3.3 that manage roles${old.note || next.note}`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'keyferry-besides-'));
  const provider = new TokenEndpoint();
  let servers: readonly [ApicurioServer, ApicurioServer];
  let source: OldRegistry;
  let target: NewRegistry;
  let besides: BesidesArchive;
  let token = '';

  const connection = ({ endpoints }: ApicurioServer): RegistryConnection => ({
    name: 'registry',
    endpoints,
    oidc: { tokenUrl: provider.tokenUrl, clientId: 'keyferry', clientSecret: secret },
    onToken: (granted) => (token = granted),
    repeat,
  });

  /** @returns its answer, if it is 2xx */
  async function ask(url: string, method = 'GET', body?: object): Promise<unknown> {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const reply = await fetch(url, { method, headers, ...(body && { body: JSON.stringify(body) }) });
    const text = await reply.text();
    if (!reply.ok) throw new TypeError(`${method} ${url}: ${reply.status} ${text}`);
    return text === '' ? null : JSON.parse(text);
  }

  beforeAll(async () => {
    await provider.listen();
    const oidc = {
      'quarkus.oidc.tenant-enabled': 'true',
      'quarkus.oidc.auth-server-url': provider.issuer,
      'quarkus.oidc.client-id': 'registry-api',
    };
    const roles = (prefix: string) => ({
      [`${prefix}.auth.role-based-authorization`]: 'true',
      [`${prefix}.auth.role-source`]: 'application',
      [`${prefix}.auth.admin-override.enabled`]: 'true',
    });
    servers = await Promise.all([
      startApicurio({
        version: '2.6',
        properties: {
          ...oidc,
          ...roles('registry'),
          'registry.auth.enabled': 'true',
          'registry.auth.url.configured': provider.issuer,
        },
      }),
      startApicurio({ version: '3.3', properties: { ...oidc, ...roles('apicurio') } }),
    ]);
    source = openOldRegistry(connection(servers[0]));
    target = openNewRegistry(connection(servers[1]));
  }, 240_000);
  afterAll(async () => {
    provider.close();
    await Promise.all([source?.close(), target?.close(), ...(servers ?? []).map((server) => server.stop())]);
    rmSync(folder, { recursive: true, force: true });
  });

  it('is read with its roles, and with the latest version of each artifact', async () => {
    const filled = join(folder, 'filled.zip');
    await rewriteArchive(archive, filled, (name, body) => {
      const isOrder = /orders\/.*order\/versions\/\d\.ArtifactVersion\.json$/.exec(name);
      if (isOrder === null) return body;
      const version = JSON.parse(body.toString()) as { readonly version: string };
      return Buffer.from(JSON.stringify({ ...version, isLatest: version.version === '1' }));
    });
    await fillOldRegistry(connection(servers[0]), filled, signal);
    const admin = `${servers[0].endpoint}/apis/registry/v2/admin/roleMappings`;
    for (const [principalId, role] of [
      ['alice', 'ADMIN'],
      ['bob', 'READ_ONLY'],
    ]) {
      await ask(admin, 'POST', { principalId, principalName: principalId, role });
    }
    besides = await source.readBesides(signal);
    expect(besides.roles.map(({ principal, role }) => `${principal} ${role}`)).toEqual([
      'alice ADMIN',
      'bob READ_ONLY',
    ]);
    expect(besides.latestOrders).toEqual([{ group: 'orders', artifact: 'order', versions: ['2', '1'] }]);
    expect(besides.unreadable.map(({ what }) => what)).not.toContain('roles');
  });

  it('comes over with all of it, also where 3.3 has another role already', { timeout: 120_000 }, async () => {
    const file = join(folder, 'export.zip');
    await source.exportTo(file, signal);
    await target.importFrom(file, { into: 'empty' }, signal);
    const api = `${servers[1].endpoint}/apis/registry/v3`;
    await ask(`${api}/admin/roleMappings`, 'POST', { principalId: 'bob', principalName: 'bob', role: 'DEVELOPER' });
    const { carried, notCarried } = await target.carry(besides, signal);
    expect(carried).toEqual(expect.arrayContaining(['role alice', 'role bob', 'latest of orders/order']));
    expect(notCarried.map(({ what }) => what)).not.toContain('roles');
    const { roleMappings } = (await ask(`${api}/admin/roleMappings`)) as {
      readonly roleMappings: readonly { readonly principalId: string; readonly role: string }[];
    };
    expect(roleMappings.map(({ principalId, role }) => `${principalId} ${role}`).toSorted()).toEqual([
      'alice ADMIN',
      'bob READ_ONLY',
    ]);
    expect((await target.compare(file, besides, signal)).differences).toEqual([]);
    expect(await ask(`${api}/groups/orders/artifacts/order/versions/branch=latest`)).toMatchObject({ version: '1' });
    const { count, versions } = (await ask(`${api}/groups/orders/artifacts/order/branches/latest/versions`)) as {
      readonly count: number;
      readonly versions: readonly { readonly version: string }[];
    };
    expect({ count, order: versions.map(({ version }) => version) }).toEqual({ count: 2, order: ['1', '2'] });
  });

  it('lets in who has a token and nobody else, before and after', async () => {
    const { endpoints: _, ...asked } = connection(servers[0]);
    const probed = async (release: 2 | 3, suite: 'clients' | 'core') => {
      const { endpoint } = servers[release - 2] ?? servers[0];
      const probes = await registryFront(asked).probe(endpoint, suite, release, { versions: [] }, signal);
      return Object.fromEntries(probes.map(({ name, status, wrong }) => [name, wrong ?? status]));
    };
    const [two, three] = [await probed(2, 'clients'), await probed(3, 'clients')];
    expect(three).toEqual(two);
    expect(two).toMatchObject({
      'rules of the admin API': 200,
      'rules of the admin API, without credentials': 401,
      'a search without credentials': 401,
      'a search by content without credentials': 401,
    });
    expect(await probed(3, 'core')).toMatchObject({
      'a dry run of a write': 200,
      'a dry run of a write without credentials': 401,
    });
  });
});
