/**
 * Goal: etcd itself takes what keyferry writes, and keyferry reads what etcd saves.
 * Method: for each release a snapshot with awkward records is checked by its own `snapshot status` (which runs bbolt's check
 * of the whole file), restored by its own `snapshot restore` with the digest checked, and served; every record is asked for,
 * with its revision and what is left of its lease. The other way round, a server with a history saves a snapshot, and what
 * is read from it is what the server answers.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { serverOrSkip, startEtcd } from '@keyferry/servers';
import { chunkId, keyFromText, prefixRange, type GuardedPut, type Key, type MigrationId } from '@keyferry/core';
import { readAll } from '@keyferry/core/testing';
import { Etcd3 } from 'etcd3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openEtcdV3Store } from '../../src/etcd-v3/index.ts';
import { openEtcdV3SnapshotStore, openEtcdV3SnapshotTarget } from '../../src/etcd-v3-snapshot/index.ts';

const run = promisify(execFile);
/** Each of which restores in its own way. */
const versions = ['3.3', '3.4', '3.5', '3.6'] as const;
const everything = prefixRange(keyFromText(''));
const firstRevision = 700;

/** Long values, empty ones, keys that are no text, and enough of them for branches over branches. */
const records: readonly Omit<GuardedPut, 'kind' | 'expect'>[] = [
  { key: '/bytes/\x00\xfe\xff' as Key, value: Uint8Array.of(0, 128, 255), expiresAtMs: null },
  { key: keyFromText('/empty'), value: new Uint8Array(0), expiresAtMs: null },
  { key: keyFromText('/grüße/日本'), value: Buffer.from('é & <b>'), expiresAtMs: null },
  { key: keyFromText('/large/1'), value: Buffer.alloc(1024 * 1024, 1), expiresAtMs: null },
  { key: keyFromText('/large/2'), value: Buffer.alloc(3 * 1024 * 1024, 2), expiresAtMs: null },
  { key: keyFromText('/ttl/a'), value: Buffer.from('a'), expiresAtMs: Date.now() + 7_200_000 },
  { key: keyFromText('/ttl/b'), value: Buffer.from('b'), expiresAtMs: Date.now() + 86_400_000 },
  ...Array.from({ length: 8000 }, (_, i) => ({
    key: keyFromText(`/many/${String(i).padStart(6, '0')}`),
    value: Buffer.from(`value ${i} `.repeat(1 + (i % 30))),
    expiresAtMs: null,
  })),
];
const sorted = records.toSorted((a, b) => (a.key < b.key ? -1 : 1));

let folder = '';
let file = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyferry-snapshot-servers-'));
  file = join(folder, 'v3.snapshot');
  const target = openEtcdV3SnapshotTarget({ name: 'new', file, nowMs: () => Date.now(), firstRevision });
  const control = target.control('move' as MigrationId);
  const fence = { attempt: 1, token: 1 };
  await control.raiseEpoch(fence);
  const claimed = await control.claimChunk(chunkId(0), fence, fence);
  if (claimed.kind !== 'claimed') throw new TypeError('refused');
  for (let at = 0; at < records.length; at += 500) {
    const puts = records.slice(at, at + 500).map((each) => ({ kind: 'put', expect: 'absent', ...each }) as const);
    await claimed.writer.write(puts);
  }
  await target.publication?.publish('move' as MigrationId, fence);
  await target.close();
}, 60_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

for (const version of versions) {
  const etcd = await serverOrSkip(`etcd-${version}`);
  const program = (): string => {
    if (!etcd.ok) throw new TypeError('skipped');
    // From 3.5 on it is in a program of its own.
    return join(etcd.programDirectory, version === '3.3' || version === '3.4' ? 'etcdctl' : 'etcdutl');
  };
  const snapshot = (...args: readonly string[]) =>
    run(program(), ['snapshot', ...args], { env: { ...process.env, ETCDCTL_API: '3' } });

  describe.skipIf(!etcd.ok)(`etcd ${version}${etcd.note}`, () => {
    it('finds the file whole', async () => {
      const { stdout } = await snapshot('status', file, '--write-out', 'json');
      // Its count has one more, of whichever kind: it counts the entries of a bucket of its own too.
      expect(JSON.parse(stdout)).toMatchObject({ revision: firstRevision + records.length - 1 });
    });

    it('restores it with its digest checked, and serves exactly the records', async () => {
      const dataDir = join(folder, `restored-${version}`);
      await snapshot('restore', file, '--data-dir', dataDir);
      await using server = await startEtcd({ version, dataDir });
      const client = new Etcd3({ hosts: [...server.endpoints] });
      const live = openEtcdV3Store({ name: 'live', endpoints: server.endpoints, nowMs: () => Date.now() });
      try {
        const served = await readAll(live, everything);
        expect(served.map(({ key, version: revision }) => [key, revision])).toEqual(
          sorted.map(({ key }, i) => [key, String(firstRevision + i)]),
        );
        for (const [i, { value, expiresAtMs }] of sorted.entries()) {
          const there = served[i];
          if (there === undefined || !Buffer.from(there.value).equals(value))
            throw new TypeError(`record ${i} differs`);
          // Never early; late by a minute of bucket, and by the time between writing the file and the server's start.
          const late = (there.expiresAtMs ?? 0) - (expiresAtMs ?? 0);
          expect(late).toBeGreaterThanOrEqual(0);
          expect(late).toBeLessThan(expiresAtMs === null ? 1 : 600_000);
        }
        const { kvs, header } = await client.kv.range({ key: Buffer.from('/empty') });
        const [empty] = kvs;
        expect([empty?.version, empty?.create_revision === empty?.mod_revision]).toEqual(['1', true]);
        expect(header.revision).toBe(String(firstRevision + records.length - 1));
        await client.put('/after').value('1');
        expect((await client.kv.range({ key: Buffer.from('/after') })).kvs[0]?.mod_revision).toBe(
          String(firstRevision + records.length),
        );
      } finally {
        client.close();
        await live.close();
      }
    });

    it('refuses it once a byte was changed', async () => {
      const spoiled = join(folder, `spoiled-${version}`);
      const content = await readFile(file);
      content[100_000] = (content[100_000] ?? 0) ^ 1;
      await writeFile(spoiled, content);
      await expect(snapshot('restore', spoiled, '--data-dir', join(folder, `none-${version}`))).rejects.toThrow(
        /sha256/,
      );
    });

    it('saves what keyferry reads as the server answers it: the latest of a history, after a compaction', async () => {
      await using server = await startEtcd({ version, unsafeNoFsync: true });
      const client = new Etcd3({ hosts: [...server.endpoints] });
      const live = openEtcdV3Store({ name: 'live', endpoints: server.endpoints, nowMs: () => Date.now() });
      const saved = join(folder, `saved-${version}`);
      try {
        for (let round = 0; round < 3; round += 1) {
          for (let i = 0; i < 60; i += 1) {
            const key = `/k/${(i * 37) % 60}`;
            if ((i + round) % 7 === 0) await client.delete().key(key);
            else await client.put(key).value(`${round} ${i} ${'x'.repeat(i * 40)}`);
          }
          if (round === 1) {
            const { header } = await client.kv.range({ key: Buffer.from('/k/1') });
            await client.kv.compact({ revision: header.revision, physical: true });
          }
        }
        await client.lease(3600).put('/k/leased').value('1');
        await run(
          join(server.programDirectory, 'etcdctl'),
          ['--endpoints', server.endpoints[0] ?? '', 'snapshot', 'save', saved],
          {
            env: { ...process.env, ETCDCTL_API: '3' },
          },
        );
        const store = openEtcdV3SnapshotStore({ name: 'saved', file: saved, nowMs: () => Date.now() });
        const [found, served] = [await readAll(store, everything), await readAll(live, everything)];
        const plain = (each: (typeof found)[number]) => [each.key, each.version, Buffer.from(each.value).toString()];
        expect(found.map(plain)).toEqual(served.map(plain));
        const leased = found.find(({ key }) => key === '/k/leased')?.expiresAtMs ?? 0;
        expect(Math.abs(leased - Date.now() - 3_600_000)).toBeLessThan(120_000);
      } finally {
        client.close();
        await live.close();
      }
    });
  });
}
