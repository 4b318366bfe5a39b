/**
 * Goal: the bench itself can be trusted: Consul starts, is what it says, and leaves nothing behind.
 * Method: real servers; what is asserted is only what other suites build on.
 */
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { clientAgent, consulVersions, request, serverOrSkip, startConsul, waitUntil } from '../src/index.ts';

vi.setConfig({ testTimeout: 120_000 });

for (const version of consulVersions) {
  const available = await serverOrSkip(`consul-${version}`);
  describe.skipIf(!available.ok)(`consul ${version}${available.note}`, () => {
    it('keeps its data through SIGKILL and restart, and leaves neither process nor directory', async () => {
      const server = await startConsul({ version });
      const [member] = server.members;
      const url = `${server.endpoints[0] ?? ''}/v1/kv/a/b`;
      await request(url, { method: 'PUT', body: 'v' });
      await member?.kill('SIGKILL');
      expect(member?.pid).toBeUndefined();
      await member?.restart();
      expect((await request(`${url}?raw`)).body).toBe('v');
      const directory = dirname(member?.dataDir ?? '');
      expect(existsSync(directory)).toBe(true);
      await server.stop();
      expect(member?.pid).toBeUndefined();
      expect(existsSync(directory)).toBe(false);
    });

    it('as a cluster of three, goes on without its leader', async () => {
      await using server = await startConsul({ version, members: 3 });
      const [first = ''] = server.endpoints;
      await request(`${first}/v1/kv/a`, { method: 'PUT', body: 'v' });
      const leaderOf = async (endpoint: string) => {
        const { body } = await request(`${endpoint}/v1/operator/raft/configuration`);
        const { Servers } = JSON.parse(body) as { Servers: readonly { Node: string; Leader: boolean }[] };
        return Servers.find(({ Leader }) => Leader)?.Node;
      };
      const leaderName = await leaderOf(first);
      const before = server.members.find(({ name }) => name === leaderName);
      expect(before).toBeDefined();
      await before?.kill('SIGKILL');
      const survivor = server.members.find((member) => member !== before);
      await survivor?.waitHealthy();
      expect((await request(`${survivor?.endpoint ?? ''}/v1/kv/a?raw&consistent`)).body).toBe('v');
      expect(await waitUntil(async () => (await leaderOf(survivor?.endpoint ?? '')) !== leaderName, 30_000)).toBe(true);
    });

    it('with TLS, admits its own client and no stranger', async () => {
      await using server = await startConsul({ version, tls: { clientCertAuth: true } });
      const [first = ''] = server.endpoints;
      const own = clientAgent(server.clientTls, 1);
      expect((await request(`${first}/v1/status/leader`, { agent: own })).status).toBe(200);
      own.destroy();
      const stranger = clientAgent({ caFile: server.tls?.caFile ?? '' }, 1);
      await expect(request(`${first}/v1/status/leader`, { agent: stranger })).rejects.toThrow(
        /certificate|alert|ECONNRESET|EPIPE|hang up/,
      );
      stranger.destroy();
    });

    it('with ACLs, admits its management token and denies anybody else', async () => {
      await using server = await startConsul({ version, acl: true });
      const url = `${server.endpoints[0] ?? ''}/v1/kv/a`;
      const headers = { 'x-consul-token': server.managementToken ?? '' };
      expect((await request(url, { method: 'PUT', body: 'v', headers })).body.trim()).toBe('true');
      expect((await request(url, { method: 'PUT', body: 'v' })).status).toBe(403);
    });
  });
}
