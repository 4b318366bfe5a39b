/**
 * Goal: a lost answer, a lost member, a lost quorum and a compaction each end as the ports say, and lose or double nothing.
 * Method: a proxy that swallows answers, members that are killed, history that is compacted, on real servers.
 */
import { serverOrSkip, startEtcd, waitUntil, type EtcdServer } from '@keyferry/servers';
import {
  isKeyferryError,
  type ChunkId,
  type ChunkWriter,
  type GuardedPut,
  type Key,
  type MigrationId,
  type Position,
} from '@keyferry/core';
import { Etcd3 } from 'etcd3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openFixture, versions, type EtcdStore } from './etcd-v3-fixture.ts';
import { startSwallower } from './etcd-v3-proxy.ts';

const first = { attempt: 1, token: 1 };
const everything = { start: '' as Key, end: null };
const put = (key: string, expiresAtMs: number | null = null): GuardedPut => ({
  kind: 'put',
  key: key as Key,
  value: Buffer.from(`value of ${key}`),
  expiresAtMs,
  expect: 'absent',
});
async function claim(store: EtcdStore, token = 1): Promise<ChunkWriter> {
  const control = store.control('faults' as MigrationId);
  await control.raiseEpoch(first);
  const claimed = await control.claimChunk('c00000' as ChunkId, { attempt: 1, token }, first);
  expect(claimed.kind).toBe('claimed');
  return (claimed as Extract<typeof claimed, { kind: 'claimed' }>).writer;
}
const kindsOf = (outcomes: readonly { readonly kind: string }[]) => outcomes.map(({ kind }) => kind);

for (const version of versions) {
  const available = await serverOrSkip(`etcd-${version}`);

  describe.skipIf(!available.ok)(`faults of etcd v3 on ${version}${available.note}`, () => {
    let server: EtcdServer;
    beforeAll(async () => {
      server = await startEtcd({ version, unsafeNoFsync: true });
    });
    afterAll(() => server.stop());

    it('a write whose answer was lost is known as already written, by its own writer and by the next', async () => {
      const fixture = await openFixture(server, []);
      const proxy = await startSwallower(server.endpoints[0] ?? '');
      try {
        const store = await fixture.openAnother({ endpoints: [proxy.endpoint] });
        const writer = await claim(store);
        const puts = ['a', 'b', 'c'].map((key) => put(key));
        await fixture.change([{ put: { key: 'b' as Key, value: Buffer.from('theirs'), ttlMs: null } }]);
        expect(kindsOf(await writer.write([put('before')]))).toEqual(['written']);
        proxy.swallowNext();
        await expect(writer.write(puts)).rejects.toMatchObject({ code: 'store.unreachable' });
        await proxy.swallowed();
        expect(kindsOf(await writer.write(puts))).toEqual(['already-written', 'present', 'already-written']);
        const next = await claim(await fixture.openAnother(), 2);
        expect(kindsOf(await next.write(puts))).toEqual(['already-written', 'present', 'already-written']);
      } finally {
        await fixture.close();
        await proxy.close();
      }
    });

    it('a delete whose answer was lost is known as done, and is restored once', async () => {
      const seeds = ['a', 'b'].map((key) => ({ key: key as Key, value: Buffer.from(key), ttlMs: null }));
      const fixture = await openFixture(server, seeds);
      const proxy = await startSwallower(server.endpoints[0] ?? '');
      try {
        const store = await fixture.openAnother({ endpoints: [proxy.endpoint] });
        const writer = await claim(store);
        const control = store.control('faults' as MigrationId);
        const images = (await control.readBefore(['a' as Key, 'b' as Key])).filter((image) => image !== null);
        const deletes = images.map(({ key, version: expected }) => ({
          kind: 'delete' as const,
          key,
          expect: { version: expected },
        }));
        proxy.swallowNext();
        await expect(writer.write(deletes)).rejects.toMatchObject({ code: 'store.unreachable' });
        await proxy.swallowed();
        expect(kindsOf(await writer.write(deletes))).toEqual(['deleted', 'deleted']);
        const restorations = images.map((image) => ({ undo: 'delete' as const, image }));
        expect(await control.restore(restorations.slice(0, 1), first)).toEqual(['restored']);
        expect(await control.restore(restorations, first)).toEqual(['untouched', 'restored']);
        expect(await store.countRecords(null, 10)).toBe(2);
      } finally {
        await fixture.close();
        await proxy.close();
      }
    });

    it("a tail's write whose answer was lost is its owner's own, and what is late of it changes nothing", async () => {
      const fixture = await openFixture(server, []);
      const proxy = await startSwallower(server.endpoints[0] ?? '');
      try {
        const migration = 'faults' as MigrationId;
        await fixture.store.control(migration).raiseEpoch(first);
        const tail = (await fixture.openAnother({ endpoints: [proxy.endpoint] })).tail(migration);
        const claimed = await tail.claimTail('forward', first, first);
        if (claimed.kind !== 'claimed') throw new Error('refused');
        const { writer } = claimed;
        const changes = ['a', 'b'].map((key) => ({
          kind: 'put' as const,
          key: key as Key,
          value: Buffer.from('1'),
          expiresAtMs: null,
        }));
        await writer.apply([], 'p0' as Position);
        proxy.swallowNext();
        const text = Buffer.from('x'.repeat(400));
        const lost = [...changes, { kind: 'put' as const, key: 'c' as Key, value: text, expiresAtMs: null }];
        await expect(writer.apply(lost, 'p1' as Position)).rejects.toMatchObject({ code: 'store.unreachable' });
        await proxy.swallowed();
        expect(await tail.readTail('forward')).toEqual({ fence: first, position: 'p1' });
        const [a] = await writer.apply(lost, 'p1' as Position);
        expect(a).toEqual({ kind: 'written', version: (await fixture.store.lookUp(['a' as Key]))[0]?.version });
        expect(kindsOf(await writer.apply([{ kind: 'delete', key: 'a' as Key }], 'p2' as Position))).toEqual([
          'deleted',
        ]);
        expect(await tail.readTail('forward')).toEqual({ fence: first, position: 'p2' });
      } finally {
        await fixture.close();
        await proxy.close();
      }
    });

    it('changes of a tail that fit no request together are several, and the position comes with the last', async () => {
      const fixture = await openFixture(server, []);
      try {
        const migration = 'faults' as MigrationId;
        await fixture.store.control(migration).raiseEpoch(first);
        const tail = fixture.store.tail(migration);
        const claimed = await tail.claimTail('forward', first, first);
        if (claimed.kind !== 'claimed') throw new Error('refused');
        const value = Buffer.alloc(200_000);
        const keys = Array.from({ length: tail.capabilities.changesMax }, (_, n) => `k${n}` as Key);
        const puts = keys.map((key) => ({ kind: 'put' as const, key, value, expiresAtMs: null }));
        const outcomes = await claimed.writer.apply(puts, 'p1' as Position);
        expect(new Set(kindsOf(outcomes))).toEqual(new Set(['written']));
        const found = (await fixture.store.lookUp(keys)).map((record) => record?.version);
        expect(outcomes.map((outcome) => outcome.kind === 'written' && outcome.version)).toEqual(found);
        expect(new Set(found).size).toBeGreaterThan(3);
        expect(await tail.readTail('forward')).toMatchObject({ position: 'p1' });
      } finally {
        await fixture.close();
      }
    });

    it('a lease that is gone is granted anew', async () => {
      const fixture = await openFixture(server, []);
      const application = new Etcd3({ hosts: [...server.endpoints] });
      try {
        const writer = await claim(fixture.store);
        const expiresAtMs = Date.now() + 3_600_000;
        expect(kindsOf(await writer.write([put('a', expiresAtMs)]))).toEqual(['written']);
        const lease = (await application.kv.range({ key: Buffer.from('a') })).kvs[0]?.lease ?? '0';
        await application.leaseClient.leaseRevoke({ ID: lease });
        expect(kindsOf(await writer.write([put('b', expiresAtMs), put('c')]))).toEqual(['written', 'written']);
        const [record] = (await application.kv.range({ key: Buffer.from('b') })).kvs;
        expect(record?.lease).not.toBe(lease);
        expect(record?.lease).not.toBe('0');
        expect(await fixture.store.countRecords(null, 10)).toBe(2);
      } finally {
        application.close();
        await fixture.close();
      }
    });

    it('records of one bucket share a lease, and one that has expired already gets the shortest life', async () => {
      const fixture = await openFixture(server, [], { leaseBucketMs: 1000 });
      const application = new Etcd3({ hosts: [...server.endpoints] });
      try {
        const writer = await claim(fixture.store);
        const bucket = Math.ceil(Date.now() / 1000) * 1000 + 3_600_000;
        const puts = [put('a', bucket - 900), put('b', bucket), put('c', bucket + 1), put('late', Date.now() - 5000)];
        expect(new Set(kindsOf(await writer.write(puts)))).toEqual(new Set(['written']));
        const leaseOf = async (key: string) =>
          (await application.kv.range({ key: Buffer.from(key) })).kvs[0]?.lease ?? '';
        const [a, b, c, late] = await Promise.all(['a', 'b', 'c', 'late'].map(leaseOf));
        expect(a).toBe(b);
        expect(a).not.toBe(c);
        expect(
          Number((await application.leaseClient.leaseTimeToLive({ ID: late ?? '' })).grantedTTL),
        ).toBeLessThanOrEqual(2);
      } finally {
        application.close();
        await fixture.close();
      }
    });

    it('a view whose revision was compacted ends with its position', async () => {
      const records = Array.from({ length: 300 }, (_, i) => ({
        key: `k${String(i).padStart(4, '0')}` as Key,
        value: Buffer.from('v'),
        ttlMs: null,
      }));
      const fixture = await openFixture(server, records);
      const application = new Etcd3({ hosts: [...server.endpoints] });
      try {
        const view = await fixture.store.openView(everything);
        await fixture.change([{ delete: 'k0000' as Key }]);
        await application.kv.compact({ revision: await fixture.store.head(), physical: true });
        const scan = async () => {
          for await (const page of view.scan(everything, { pageKeysMax: 10 })) expect(page.records).toHaveLength(10);
        };
        await expect(scan()).rejects.toMatchObject({
          code: 'store.position-compacted',
          details: { store: 'test', position: view.position },
        });
      } finally {
        application.close();
        await fixture.close();
      }
    });

    it('what stands in a fence and is none is not taken for one', async () => {
      const fixture = await openFixture(server, []);
      const application = new Etcd3({ hosts: [...server.endpoints] });
      try {
        const control = fixture.store.control('faults' as MigrationId);
        await application.kv.put({ key: Buffer.from('_keyferry/faults/epoch'), value: Buffer.from('not a fence') });
        const unreadable = { code: 'fence.unreadable', details: { store: 'test', where: '_keyferry/faults/epoch' } };
        await expect(control.readEpoch()).rejects.toMatchObject(unreadable);
        await expect(control.raiseEpoch(first)).rejects.toMatchObject(unreadable);
        await expect(control.claimChunk('c00000' as ChunkId, first, first)).rejects.toMatchObject(unreadable);
      } finally {
        application.close();
        await fixture.close();
      }
    });

    it('a cluster is read and written with one member dead, and has no leader with two', async () => {
      await using cluster = await startEtcd({ version, members: 3, unsafeNoFsync: true });
      const fixture = await openFixture(cluster, [], { requestTimeoutMs: 3000 });
      try {
        const { store } = fixture;
        expect(await store.describe()).toMatchObject({ kind: 'etcd-v3', members: 3, endpoints: cluster.endpoints });
        const oneEndpoint = await fixture.openAnother({ endpoints: cluster.endpoints.slice(0, 1) });
        for (const each of [store, oneEndpoint]) {
          const members = (await each.readMembers()) ?? [];
          expect(new Set(members.map(({ member }) => member)).size).toBe(3);
        }

        const writer = await claim(store);
        await cluster.members[0]?.kill('SIGKILL');
        const repeated = async <T>(call: () => Promise<T>): Promise<T> => {
          for (;;) {
            try {
              return await call();
            } catch (error) {
              const isTransient = ['store.no-leader', 'store.unreachable', 'store.timeout'] as const;
              if (!isTransient.some((code) => isKeyferryError(error, code))) throw error;
            }
          }
        };
        for (let i = 0; i < 20; i += 1) {
          expect(['written', 'already-written']).toContain(
            (await repeated(() => writer.write([put(`k${i}`)])))[0]?.kind,
          );
        }
        for (let i = 0; i < 20; i += 1) expect(await store.countRecords(null, 100)).toBe(20);
        await expect(store.readMembers()).rejects.toMatchObject({ code: 'store.unreachable' });

        await cluster.members[1]?.kill('SIGKILL');
        const hasNoLeader = () =>
          store.head().then(
            () => false,
            (error: unknown) => isKeyferryError(error, 'store.no-leader'),
          );
        expect(await waitUntil(hasNoLeader, 30_000)).toBe(true);
        await expect(writer.write([put('late')])).rejects.toBeInstanceOf(Error);
      } finally {
        await fixture.close();
      }
    });
  });
}
