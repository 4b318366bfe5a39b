/**
 * Goal: the bench itself can be trusted: both lines of Apicurio Registry answer on the loopback interface only, keep their
 * data to themselves, and keep it over a restart where they are told to.
 * Method: the real servers, asked by plain HTTP; what is asserted is only what other suites build on.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { request, serverOrSkip, startApicurio, type ApicurioServer } from '../src/index.ts';

const [old, next] = await Promise.all([serverOrSkip('apicurio-2.6'), serverOrSkip('apicurio-3.3')]);

async function read(server: ApicurioServer, path: string): Promise<Record<string, unknown>> {
  return JSON.parse((await request(`${server.endpoint}/apis/registry/${path}`)).body) as Record<string, unknown>;
}

describe.skipIf(!old.ok)(`Apicurio Registry 2.6${old.note}`, () => {
  it('is of the pinned release, and keeps a database in a directory over a restart', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'keyferry-apicurio-data-'));
    try {
      const first = await startApicurio({ version: '2.6', dataDir: folder });
      expect(await read(first, 'v2/system/info')).toMatchObject({ version: '2.6.13.Final' });
      const created = await request(`${first.endpoint}/apis/registry/v2/groups/default/artifacts`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-registry-artifactid': 'kept' },
        body: '{"type":"string"}',
      });
      expect(created.status).toBe(200);
      await first.stop();
      await using second = await startApicurio({ version: '2.6', dataDir: folder });
      expect(await read(second, 'v2/search/artifacts')).toMatchObject({ count: 1 });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe.skipIf(!next.ok)(`Apicurio Registry 3.3${next.note}`, () => {
  it('is of the pinned release, on the loopback interface only', async () => {
    await using server = await startApicurio({ version: '3.3' });
    expect(await read(server, 'v3/system/info')).toMatchObject({ version: '3.3.3' });
    const { port } = new URL(server.endpoint);
    const outside = Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .filter(({ internal, family }) => !internal && family === 'IPv4');
    for (const { address } of outside) {
      await expect(request(`http://${address}:${port}/apis/registry/v3/system/info`)).rejects.toThrow(/ECONNREFUSED/);
    }
  });

  it('refuses a port that is taken', async () => {
    await using first = await startApicurio({ version: '3.3' });
    const port = Number(new URL(first.endpoint).port);
    await expect(startApicurio({ version: '3.3', port })).rejects.toMatchObject({ code: 'server.port-taken' });
  });
});
