/**
 * Goal: paths of a load balancer that are written beside the configuration lead to one file, whoever reads them and from where; an
 * error about it hides nothing that is no secret. Method: configurations in a folder that is not the working directory.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig, Redactor } from './config/index.ts';
import { wireBalancers } from './wire-parallel.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyferry-wire-'));
  await mkdir(join(folder, 'lb'));
  await writeFile(
    join(folder, 'lb/haproxy.cfg'),
    'defaults\n  mode http\nfrontend f\n  default_backend apicurio\nbackend apicurio\n  server a b:1\n',
  );
});
afterEach(() => rm(folder, { recursive: true }));

const withBalancer = (more: Readonly<Record<string, unknown>>) => ({
  version: 1,
  stores: {
    old: {
      kind: 'apicurio-2',
      endpoints: ['http://127.0.0.1:1'],
      oidc: { tokenUrl: 'http://127.0.0.1:1/realms/r/token', clientId: 'me', clientSecret: { env: 'SECRET' } },
    },
    fresh: { kind: 'apicurio-3', endpoints: ['http://127.0.0.1:1'] },
  },
  balancers: {
    edge: {
      kind: 'haproxy',
      url: 'http://127.0.0.1:1',
      reload: 'true',
      configFile: 'lb/haproxy.cfg',
      directory: 'lb/keyferry',
      pidFile: 'lb/haproxy.pid',
      socket: 'lb/admin.sock',
      v2: 'apicurio',
      v3: { servers: ['127.0.0.1:1'] },
      ...more,
    },
  },
  migrations: {
    registry: { strategy: 'parallel', source: { store: 'old' }, target: { store: 'fresh' }, balancers: ['edge'] },
  },
});

async function load(config: unknown, redactor = new Redactor()) {
  const file = join(folder, 'keyferry.yaml');
  await writeFile(file, JSON.stringify(config));
  return await loadConfig(file, { redactor });
}

describe('wireBalancers', () => {
  it('takes relative paths as beside the configuration, and the balancer is told whole ones', async () => {
    const [edge] = await wireBalancers(await load(withBalancer({})), 'registry');
    const origin = await edge?.readOrigin();
    expect(origin?.files).toEqual([
      { path: join(folder, 'lb/haproxy.cfg'), sha256: expect.any(String) as string },
      { path: join(folder, 'lb/keyferry/edge.map'), sha256: null },
    ]);
    expect(process.cwd()).not.toBe(folder);
    await edge?.close();
  });

  it('leaves the name of a program to be looked for', async () => {
    const [edge] = await wireBalancers(await load(withBalancer({ program: 'no-such' })), 'registry');
    expect(await edge?.rehearse()).toEqual([expect.stringMatching(/(^| )no-such: not found/)]);
    await edge?.close();
  });

  it('refuses relative paths of another machine, where nobody could say beside what they are', async () => {
    const paths = { access: ['ssh', 'lb1'], directory: '/etc/haproxy/keyferry', accessLogs: ['log/access.log'] };
    const refused: unknown = await load(withBalancer(paths)).catch((error: unknown) => error);
    const { details } = refused as { details: { issues: readonly { path: string; message: string }[] } };
    const message = 'on another machine (access) a path has to be absolute';
    expect(details.issues).toMatchObject(
      ['configFile', 'pidFile', 'socket', 'accessLogs[0]'].map((field) => ({
        path: `balancers.edge.${field}`,
        message,
      })),
    );
  });

  it('has errors name a socket and a token endpoint, whose keys are spelt like those of secrets', async () => {
    const redactor = new Redactor();
    await load(withBalancer({ socket: '127.0.0.1:4567' }), redactor);
    const text = 'its socket 127.0.0.1:4567, and http://127.0.0.1:1/realms/r/token';
    expect(redactor.redact(text)).toBe(text);
  });
});
