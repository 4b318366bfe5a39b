/**
 * Goal: what the capabilities promise fits into a request of every release, what does not is refused record by record,
 * and a server with lower limits is still written to. Method: batches and records at the edges, on real servers.
 */
import { serverOrSkip, startEtcd, type EtcdServer } from '@keyferry/servers';
import type { ChunkId, ChunkWriter, GuardedPut, Key, MigrationId } from '@keyferry/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openFixture, versions, type EtcdFixture, type EtcdStore } from './etcd-v3-fixture.ts';

const first = { attempt: 1, token: 1 };
const claim = async (store: EtcdStore): Promise<ChunkWriter> => {
  const control = store.control('limits' as MigrationId);
  await control.raiseEpoch(first);
  const claimed = await control.claimChunk('c00000' as ChunkId, first, first);
  expect(claimed.kind).toBe('claimed');
  return (claimed as Extract<typeof claimed, { kind: 'claimed' }>).writer;
};
const put = (key: string, bytes: number): GuardedPut => ({
  kind: 'put',
  key: key as Key,
  value: new Uint8Array(bytes).fill(120),
  expiresAtMs: null,
  expect: 'absent',
});
const kinds = async (writer: ChunkWriter, puts: readonly GuardedPut[]) =>
  (await writer.write(puts)).map(({ kind }) => kind);

for (const version of versions) {
  const available = await serverOrSkip(`etcd-${version}`);

  describe.skipIf(!available.ok)(`limits of etcd v3 on ${version}${available.note}`, () => {
    let server: EtcdServer;
    let fixture: EtcdFixture;
    beforeAll(async () => {
      server = await startEtcd({ version, unsafeNoFsync: true });
      fixture = await openFixture(server, []);
    });
    afterAll(async () => {
      await fixture.close();
      await server.stop();
    });

    it('a batch of the most records and the most bytes is one transaction', async () => {
      const { store } = fixture;
      const { batchKeysMax, batchBytesMax } = store.capabilities;
      const writer = await claim(store);
      const before = BigInt(await store.head());
      const names = Array.from({ length: batchKeysMax }, (_, i) => `full/${'k'.repeat(40)}/${i}`);
      const each = Math.floor(batchBytesMax / batchKeysMax) - 60;
      expect(
        new Set(
          await kinds(
            writer,
            names.map((name) => put(name, each)),
          ),
        ),
      ).toEqual(new Set(['written']));
      expect(BigInt(await store.head()) - before).toBe(1n);
    });

    it('the largest record is written among others, a larger one refused alone', async () => {
      const { store } = await openAgain(fixture);
      const writer = await claimAnew(store, 2);
      const most = store.capabilities.recordBytesMax ?? 0;
      const puts = [
        put('a', 30_000),
        put('b', most - 1),
        put('c', most),
        put('d'.repeat(4000), most - 4000),
        put('e', 5),
      ];
      expect(await kinds(writer, puts)).toEqual(['written', 'written', 'refused', 'written', 'written']);
    });

    it('long keys, which stand in a request five times, are cut to fit', async () => {
      const { store } = await openAgain(fixture);
      const writer = await claimAnew(store, 3);
      const puts = Array.from({ length: 125 }, (_, i) => put(`${'long'.repeat(2000)}/${i}`, 100));
      expect(new Set(await kinds(writer, puts))).toEqual(new Set(['written']));
    });

    it('lower limits of a server are found out, and later batches keep to them', async () => {
      await using small = await startEtcd({
        version,
        unsafeNoFsync: true,
        extraArgs: ['--max-txn-ops=32', '--max-request-bytes=65536'],
      });
      const other = await openFixture(small, []);
      try {
        const writer = await claim(other.store);
        const many = Array.from({ length: 125 }, (_, i) => put(`many/${i}`, 10));
        expect(new Set(await kinds(writer, many))).toEqual(new Set(['written']));
        expect(new Set(await kinds(writer, many))).toEqual(new Set(['already-written']));
        const large = Array.from({ length: 20 }, (_, i) => put(`large/${i}`, 20_000));
        expect(new Set(await kinds(writer, large))).toEqual(new Set(['written']));
        const mixed = [put('mixed/a', 10), put('mixed/b', 100_000), put('mixed/c', 10)];
        expect(await kinds(writer, mixed)).toEqual(['written', 'refused', 'written']);
      } finally {
        await other.close();
      }
    });

    it('a store that is full says so', async () => {
      await using full = await startEtcd({
        version,
        unsafeNoFsync: true,
        extraArgs: ['--quota-backend-bytes=1000000'],
      });
      const other = await openFixture(full, []);
      try {
        const writer = await claim(other.store);
        const fill = async (): Promise<void> => {
          // The server looks at the size of its file, which lags behind by its commit interval of 100 ms.
          for (let i = 0; i < 1000; i += 1) await writer.write([put(`fill/${i}`, 200_000)]);
        };
        await expect(fill()).rejects.toMatchObject({ code: 'store.out-of-space' });
        expect(await other.store.countRecords(null, 100)).toBeGreaterThan(0);
      } finally {
        await other.close();
      }
    });
  });
}

async function openAgain(fixture: EtcdFixture): Promise<{ readonly store: EtcdStore }> {
  return { store: await fixture.openAnother() };
}

async function claimAnew(store: EtcdStore, token: number): Promise<ChunkWriter> {
  const claimed = await store
    .control('limits' as MigrationId)
    .claimChunk('c00000' as ChunkId, { attempt: 1, token }, first);
  expect(claimed.kind).toBe('claimed');
  return (claimed as Extract<typeof claimed, { kind: 'claimed' }>).writer;
}
