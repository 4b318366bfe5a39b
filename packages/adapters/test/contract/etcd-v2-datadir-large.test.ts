/**
 * Goal: half a million keys are read from a directory as the server answered them, and come out of a snapshot file of etcd v3 just so.
 * Method: a real etcd 3.4 that is written to with every kind of request on top, its log in many segments, a snapshot in
 * between; what it answered over HTTP before it was killed. Takes minutes, so it is for `KEYFERRY_LARGE=1` alone.
 */
import { join } from 'node:path';
import { chunkId, keyFromText, prefixRange, type MigrationId, type StoredRecord } from '@keyferry/core';
import { readAll } from '@keyferry/core/testing';
import { loadV2Keys, serverOrSkip, startEtcd } from '@keyferry/servers';
import { describe, expect, it } from 'vitest';
import { openEtcdV3SnapshotStore, openEtcdV3SnapshotTarget } from '../../src/etcd-v3-snapshot/index.ts';
import { openSource } from './etcd-v2-fixture.ts';
import { openDatadir, withFolder } from './etcd-v2-datadir-fixture.ts';
import { send } from './etcd-v2-datadir-workload.ts';

const available = await serverOrSkip('etcd-3.4');
const isWanted = process.env['KEYFERRY_LARGE'] === '1';
const everything = prefixRange(keyFromText('/'));
const keys = 500_000;

function* entries() {
  for (let i = 0; i < keys; i += 1) {
    const key = `/app/${String(i % 97).padStart(2, '0')}/k${i.toString(36)}-${i % 7 === 0 ? 'ü' : 'u'}`;
    yield { key, value: `value ${i} `.repeat(1 + (i % 17)), ...(i % 50 === 0 && { ttlSeconds: 86_400 }) };
  }
}

/** Everything of a record that a server answers, as one line. */
const line = ({ key, value, version, created, expiresAtMs }: StoredRecord): string =>
  [key, Buffer.from(value).toString('base64'), version, created, expiresAtMs].join(' ');

describe.skipIf(!available.ok || !isWanted)(`half a million keys${available.note}`, () => {
  it(
    'are in the directory as the server answered them, and in a snapshot file with the same values',
    () =>
      withFolder(async (folder) => {
        const dataDir = join(folder, 'data');
        const server = await startEtcd({
          version: '3.4',
          enableV2: true,
          dataDir,
          extraArgs: ['--snapshot-count=200000'],
        });
        let answered: readonly StoredRecord[] = [];
        try {
          const endpoint = server.endpoints[0] ?? '';
          expect(await loadV2Keys(endpoint, entries())).toBe(keys);
          for (let i = 0; i < 97; i += 13)
            await send(endpoint, 'DELETE', `/app/${String(i).padStart(2, '0')}`, { recursive: 'true' });
          await send(endpoint, 'PUT', '/large', { value: 'x'.repeat(1024 * 1024) });
          const live = openSource([endpoint]);
          answered = await readAll(live, everything);
          await live.close();
          await server.members[0]?.kill('SIGKILL');
        } finally {
          await server.stop();
        }
        expect(answered.length).toBeGreaterThan(keys * 0.9);
        const source = openDatadir(dataDir);
        const read = await readAll(source, everything);
        // Line by line: a difference of half a million is for nobody to read.
        expect(read.length).toBe(answered.length);
        for (const [i, record] of read.entries())
          if (line(record) !== line(answered[i] as StoredRecord)) {
            expect(line(record)).toBe(line(answered[i] as StoredRecord));
          }
        const file = join(folder, 'v3.snapshot');
        const target = openEtcdV3SnapshotTarget({ name: 'new', file, nowMs: () => Date.now() });
        const control = target.control('move' as MigrationId);
        const fence = { attempt: 1, token: 1 };
        await control.raiseEpoch(fence);
        const claimed = await control.claimChunk(chunkId(0), fence, fence);
        if (claimed.kind !== 'claimed') throw new TypeError('refused');
        for (let at = 0; at < read.length; at += 1000) {
          const page = read.slice(at, at + 1000);
          await claimed.writer.write(
            page.map(({ key, value, expiresAtMs }) => ({ kind: 'put', expect: 'absent', key, value, expiresAtMs })),
          );
        }
        await target.publication?.publish('move' as MigrationId, fence);
        await target.close();
        const written = await readAll(
          openEtcdV3SnapshotStore({ name: 'new', file, nowMs: () => Date.now() }),
          everything,
        );
        expect(written.length).toBe(read.length);
        for (const [i, { key, value }] of written.entries()) {
          const wanted = read[i] as StoredRecord;
          if (key !== wanted.key || !Buffer.from(value).equals(wanted.value))
            expect([key, value]).toEqual([wanted.key, wanted.value]);
        }
      }),
    1_800_000,
  );
});
