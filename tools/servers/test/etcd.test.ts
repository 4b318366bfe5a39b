/**
 * Goal: the bench itself can be trusted: each release starts, is what it says, and leaves nothing behind.
 * Method: real servers; what is asserted is only what other suites build on.
 */
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import {
  clientAgent,
  enableV2Auth,
  enableV3Auth,
  etcdctl,
  loadV2Keys,
  request,
  runEtcdctl,
  serverOrSkip,
} from '../src/index.ts';
import { startEtcd, v2KeyUrl, type EtcdServer, type EtcdVersion } from '../src/index.ts';

vi.setConfig({ testTimeout: 60_000 });

const versions: readonly EtcdVersion[] = ['3.3', '3.4', '3.5'];
const first = (server: EtcdServer): string => server.endpoints[0] ?? '';

for (const version of versions) {
  const available = await serverOrSkip(`etcd-${version}`);

  describe.skipIf(!available.ok)(`etcd ${version}${available.note}`, () => {
    it('serves v2 and v3 on one port, and leaves neither process nor directory', async () => {
      const server = await startEtcd({ version, enableV2: true });
      expect(await loadV2Keys(first(server), [{ key: '/a/b c%/ü', value: 'x=&y' }])).toBe(1);
      const { body } = await request(v2KeyUrl(first(server), '/a/b c%/ü'));
      expect(JSON.parse(body)).toMatchObject({ node: { key: '/a/b c%/ü', value: 'x=&y' } });
      await etcdctl(server, ['put', 'k'], { stdin: 'from stdin' });
      expect(await etcdctl(server, ['get', 'k', '--print-value-only'])).toBe('from stdin\n');

      const [member] = server.members;
      const directory = dirname(member?.dataDir ?? '');
      expect(existsSync(directory)).toBe(true);
      await server.stop();
      expect(member?.pid).toBeUndefined();
      expect(existsSync(directory)).toBe(false);
    });

    it('keeps its data and its address through SIGKILL and restart', async () => {
      await using server = await startEtcd({ version });
      const [member] = server.members;
      await etcdctl(server, ['put', 'k', 'v']);
      const before = member?.pid;
      await member?.kill('SIGKILL');
      expect(member?.pid).toBeUndefined();
      await member?.restart();
      expect(member?.pid).not.toBe(before);
      expect(await etcdctl(server, ['get', 'k', '--print-value-only'])).toBe('v\n');
    });

    it('with TLS, admits its own client and no stranger', async () => {
      await using server = await startEtcd({ version, enableV2: true, tls: { clientCertAuth: true } });
      expect(await etcdctl(server, ['put', 'k', 'v'])).toBe('OK\n');
      expect(await loadV2Keys(first(server), [{ key: '/k', value: 'v' }], { clientTls: server.clientTls })).toBe(1);

      const { caFile = '', untrusted } = server.tls ?? {};
      const stranger = {
        caFile,
        clientCertFile: untrusted?.clientCertFile ?? '',
        clientKeyFile: untrusted?.clientKeyFile ?? '',
      };
      for (const clientTls of [stranger, { caFile }, { ...server.clientTls, caFile: untrusted?.caFile ?? '' }]) {
        const agent = clientAgent(clientTls, 1);
        await expect(request(`${first(server)}/health`, { agent })).rejects.toThrow(
          /certificate|alert|ECONNRESET|EPIPE|hang up/,
        );
        agent.destroy();
      }
    });

    it('with v2 authentication, admits the application to its prefix only', async () => {
      await using server = await startEtcd({ version, enableV2: true });
      const { app, root } = await enableV2Auth(server, { prefix: '/app' });
      const put = async (key: string, credentials?: typeof app): Promise<number> =>
        (
          await request(`${v2KeyUrl(first(server), key)}?value=v`, {
            method: 'PUT',
            ...(credentials && { credentials }),
          })
        ).status;
      expect(await put('/app/k', app)).toBe(201);
      expect(await put('/other', app)).toBe(401);
      expect(await put('/app/k')).toBe(401);
      expect(await put('/other', root)).toBe(201);
      await server.members[0]?.restart();
      expect(await put('/app/k')).toBe(401);
    });

    it('with v3 authentication, admits the application to its prefix only', async () => {
      await using server = await startEtcd({ version });
      const { app, root } = await enableV3Auth(server, { prefix: '/app/' });
      expect(await etcdctl(server, ['put', '/app/k', 'v'], { credentials: app })).toBe('OK\n');
      expect(await etcdctl(server, ['put', '/other', 'v'], { credentials: root })).toBe('OK\n');
      const refused = await runEtcdctl(server, ['put', '/other', 'v'], { credentials: app });
      expect(refused).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('permission denied') as string });
      expect((await runEtcdctl(server, ['get', '/app/k'])).exitCode).not.toBe(0);
      await server.members[0]?.restart();
    });
  });
}

const etcd34 = await serverOrSkip('etcd-3.4');

describe.skipIf(!etcd34.ok)(`three members of etcd 3.4${etcd34.note}`, () => {
  it('survive the loss of one, and take it back', async () => {
    await using server = await startEtcd({ version: '3.4', members: 3, enableV2: true });
    const [one, two, three] = server.members;
    await three?.kill('SIGKILL');
    const endpoints = [one?.endpoint ?? '', two?.endpoint ?? ''];
    await vi.waitFor(() => etcdctl(server, ['put', 'k', 'v'], { endpoints }), { timeout: 20_000 });
    await three?.restart();
    expect(await etcdctl(server, ['get', 'k', '--print-value-only'], { endpoints: [three?.endpoint ?? ''] })).toBe(
      'v\n',
    );
  });

  it('come back together after all of them were ended', async () => {
    await using server = await startEtcd({ version: '3.4', members: 3 });
    await Promise.all(server.members.map((member) => member.stop()));
    await Promise.all(server.members.map((member) => member.restart({ waitHealthy: false })));
    await expect(server.waitHealthy()).resolves.toBeUndefined();
  });
});

describe.skipIf(!etcd34.ok)(`a port that another server holds${etcd34.note}`, () => {
  it('is reported, although the other one answers there', async () => {
    await using holder = await startEtcd({ version: '3.4' });
    const port = Number(new URL(first(holder)).port);
    await expect(startEtcd({ version: '3.4', port })).rejects.toMatchObject({ code: 'server.port-taken' });
  });
});
