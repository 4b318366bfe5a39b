/**
 * Goal: what inspect says of a server that refuses v2 content is what such a server does.
 * Method: an etcd 3.5 with `--v2-deprecation=write-only`, which has the check of 3.6, on directories with and without content.
 */
import { join } from 'node:path';
import { serverOrSkip, startEtcd } from '@keyferry/servers';
import { describe, expect, it } from 'vitest';
import { inspectDataDirectory } from '../../src/etcd-v2-datadir/index.ts';
import { withFolder } from './etcd-v2-datadir-fixture.ts';
import { send } from './etcd-v2-datadir-workload.ts';

const available = await serverOrSkip('etcd-3.5');
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
        expect([problem, state.kind, backend === null]).toEqual([null, 'none', false]);
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
