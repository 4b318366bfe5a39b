/**
 * Goal: on etcd v2 a lost answer, a kill between two requests and a lost quorum lose or double nothing, and going back
 * knows what was written; what cannot be known is decided as README.md says. Method: a proxy that swallows answers,
 * writers that are abandoned in the middle, members that are killed, on real servers.
 */
import { enableV2Auth, serverOrSkip, startEtcd, waitUntil, type EtcdServer } from '@keyferry/servers';
import {
  chunkId,
  isKeyferryError,
  keyFromText,
  keyToText,
  prefixRange,
  type ChunkWriter,
  type Fence,
  type GuardedDelete,
  type GuardedPut,
  type Key,
  type MigrationId,
  type TargetControl,
  type Version,
} from '@keyferry/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { send, versions } from './etcd-v2-fixture.ts';
import { startSwallower } from './swallower.ts';
import { openTargetFixture, treeOf, type EtcdV2Store } from './etcd-v2-target-fixture.ts';

const first: Fence = { attempt: 1, token: 1 };
const everything = prefixRange(keyFromText('/'));
const migration = 'faults' as MigrationId;
const put = (name: string, value = name): GuardedPut => ({
  kind: 'put',
  key: keyFromText(`/f/${name}`),
  value: Buffer.from(value),
  expiresAtMs: null,
  expect: 'absent',
});
const kindsOf = (outcomes: readonly { readonly kind: string }[]) => outcomes.map(({ kind }) => kind);

async function claim(store: EtcdV2Store, token = 1): Promise<ChunkWriter> {
  const control = store.control(migration);
  await control.raiseEpoch(first);
  const claimed = await control.claimChunk(chunkId(0), { attempt: 1, token }, first);
  expect(claimed.kind).toBe('claimed');
  return (claimed as Extract<typeof claimed, { kind: 'claimed' }>).writer;
}

async function createdIn(control: TargetControl): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const page of control.listCreated(everything, { pageKeysMax: 100 })) {
    keys.push(...page.map(({ key }) => keyToText(key) ?? ''));
  }
  return keys;
}

for (const version of versions) {
  const available = await serverOrSkip(`etcd-${version}`);

  describe.skipIf(!available.ok)(`faults of etcd v2 as a target on ${version}${available.note}`, () => {
    let server: EtcdServer;
    let endpoint: string;
    beforeAll(async () => {
      server = await startEtcd({ version, enableV2: true, unsafeNoFsync: true });
      endpoint = server.endpoints[0] ?? '';
    });
    afterAll(() => server.stop());

    it.each([
      { name: 'of some records', matches: /^PUT \/v2\/keys\/f\/[ac]/, count: 2 },
      { name: 'of the mark before them', matches: /^PUT .*\/mark\/.*prevExist=false/, count: 1 },
      { name: 'of the mark behind them', matches: /^PUT .*\/mark\/.*prevIndex=/, count: 1 },
    ])(
      'a batch that lost the answer $name is known by its repeat, its successor and going back',
      async ({ matches, count }) => {
        const fixture = await openTargetFixture(server, []);
        const proxy = await startSwallower(endpoint);
        try {
          const store = await fixture.openAnother({ endpoints: [proxy.endpoint] });
          const writer = await claim(store);
          await fixture.change([{ put: { key: put('b').key, value: Buffer.from('theirs'), ttlMs: null } }]);
          const puts = ['a', 'b', 'c'].map((name) => put(name));
          proxy.swallow(matches, count);
          await expect(writer.write(puts)).rejects.toMatchObject({ code: 'store.unreachable' });
          const repeated = await writer.write(puts);
          expect(repeated.map(({ kind }) => (kind === 'written' ? 'already-written' : kind))).toEqual([
            'already-written',
            'present',
            'already-written',
          ]);
          const next = await claim(await fixture.openAnother(), 2);
          expect(kindsOf(await next.write(puts))).toEqual(['already-written', 'present', 'already-written']);
          expect(await createdIn(fixture.store.control(migration))).toEqual(['/f/a', '/f/c']);
        } finally {
          await proxy.close();
          await fixture.close();
        }
      },
    );

    it('what a killed writer left in an open mark is its successor’s, unless somebody changed it', async () => {
      const fixture = await openTargetFixture(server, []);
      const proxy = await startSwallower(endpoint);
      try {
        const killed = await claim(await fixture.openAnother({ endpoints: [proxy.endpoint] }));
        const puts = ['a', 'changed', 'z'].map((name) => put(name));
        proxy.swallow(/^PUT .*\/mark\/.*prevIndex=/, 1);
        await expect(killed.write(puts)).rejects.toMatchObject({ code: 'store.unreachable' });
        await fixture.change([{ put: { key: put('changed').key, value: Buffer.from('theirs'), ttlMs: null } }]);
        expect(await createdIn(fixture.store.control(migration))).toEqual(['/f/a', '/f/z']);
        const next = await claim(fixture.store, 2);
        expect(kindsOf(await next.write(puts))).toEqual(['already-written', 'present', 'already-written']);
      } finally {
        await proxy.close();
        await fixture.close();
      }
    });

    it('a record that was there before an open mark is nobody’s but its owner’s', async () => {
      const fixture = await openTargetFixture(server, [
        { key: put('same').key, value: Buffer.from('same'), ttlMs: null },
      ]);
      const proxy = await startSwallower(endpoint);
      try {
        const killed = await claim(await fixture.openAnother({ endpoints: [proxy.endpoint] }));
        proxy.swallow(/^PUT .*\/mark\/.*prevIndex=/, 1);
        await expect(killed.write([put('same'), put('ours')])).rejects.toMatchObject({ code: 'store.unreachable' });
        const next = await claim(fixture.store, 2);
        expect(await next.write([put('same'), put('ours')])).toMatchObject([
          { kind: 'present', equal: true },
          { kind: 'already-written' },
        ]);
        expect(await createdIn(fixture.store.control(migration))).toEqual(['/f/ours']);
      } finally {
        await proxy.close();
        await fixture.close();
      }
    });

    it('a delete whose answer was lost is deleted by its repeat', async () => {
      const fixture = await openTargetFixture(server, [{ key: put('k').key, value: Buffer.from('v'), ttlMs: null }]);
      const proxy = await startSwallower(endpoint);
      try {
        const store = await fixture.openAnother({ endpoints: [proxy.endpoint] });
        const writer = await claim(store);
        const [record] = await store.lookUp([put('k').key]);
        const change: GuardedDelete = {
          kind: 'delete',
          key: put('k').key,
          expect: { version: record?.version as Version },
        };
        proxy.swallow(/^DELETE \/v2\/keys\/f\/k/, 1);
        await expect(writer.write([change])).rejects.toMatchObject({ code: 'store.unreachable' });
        expect(await writer.write([change])).toEqual([{ kind: 'deleted' }]);
      } finally {
        await proxy.close();
        await fixture.close();
      }
    });

    it('a version that is none matches nothing: index 0 would be no condition at all', async () => {
      const fixture = await openTargetFixture(server, [{ key: put('k').key, value: Buffer.from('v'), ttlMs: null }]);
      try {
        const writer = await claim(fixture.store);
        const expected = { version: 'none' as Version };
        const outcomes = await writer.write([
          { kind: 'delete', key: put('k').key, expect: expected },
          { ...put('k2'), expect: expected },
        ]);
        expect(kindsOf(outcomes)).toEqual(['present', 'missing']);
        expect((await fixture.store.lookUp([put('k').key]))[0]?.value).toEqual(Buffer.from('v'));
      } finally {
        await fixture.close();
      }
    });

    it('a worker notices that its fence was raised, and leaves no mark behind', async () => {
      const fixture = await openTargetFixture(server, []);
      try {
        const writer = await claim(fixture.store);
        await writer.write([put('a')]);
        await claim(fixture.store, 2);
        await expect(writer.write([put('b')])).rejects.toMatchObject({ code: 'fence.lost' });
        expect(await treeOf(endpoint, '/f')).toEqual(['/f/', '/f/a']);
        const marks = (await treeOf(endpoint, '/_keyferry/faults/mark')).filter((name) => !name.endsWith('/'));
        expect(marks).toHaveLength(1);
      } finally {
        await fixture.close();
      }
    });

    it('going back takes away the directories that were made, and no others', async () => {
      const theirs = { key: keyFromText('/f/shared/theirs'), value: Buffer.from('v'), ttlMs: null };
      const fixture = await openTargetFixture(server, [theirs]);
      try {
        await send(endpoint, 'PUT', '/f/empty-before', { dir: 'true' });
        const writer = await claim(fixture.store);
        const names = ['shared/ours', 'empty-before/x', 'new/a/b/c', 'new/a/d', 'taken/ours'];
        expect(new Set(kindsOf(await writer.write(names.map((name) => put(name)))))).toEqual(new Set(['written']));
        await fixture.change([{ put: { ...theirs, key: keyFromText('/f/taken/theirs') } }]);
        const control = fixture.store.control(migration);
        const second: Fence = { attempt: 1, token: 2 };
        await control.raiseEpoch(second);
        for await (const page of control.listCreated(everything, { pageKeysMax: 2 })) {
          expect(new Set(await control.removeCreated(page, second))).toEqual(new Set(['removed']));
        }
        await fixture.store.control(migration).dropControl(second);
        expect(await treeOf(endpoint, '/f')).toEqual([
          '/f/',
          '/f/empty-before/',
          '/f/shared/',
          '/f/shared/theirs',
          '/f/taken/',
          '/f/taken/theirs',
        ]);
        expect(await treeOf(endpoint, '/_keyferry/faults')).toEqual(['/_keyferry/faults/', '/_keyferry/faults/epoch']);
      } finally {
        await fixture.close();
      }
    });

    it.each([
      { name: 'a directory', key: '/f/dir' },
      { name: 'a value above it', key: '/f/value/below' },
      { name: 'a hidden name', key: '/f/_hidden' },
      { name: 'an empty part', key: '/f//x' },
      { name: 'a part that the server would clean away', key: '/f/./x' },
      { name: 'no slash', key: 'f' },
    ])('a key with $name is refused by itself', async ({ key }) => {
      const fixture = await openTargetFixture(server, [
        { key: keyFromText('/f/dir/x'), value: Buffer.from('v'), ttlMs: null },
        { key: keyFromText('/f/value'), value: Buffer.from('v'), ttlMs: null },
      ]);
      try {
        const writer = await claim(fixture.store);
        const outcomes = await writer.write([put('a'), { ...put('x'), key: key as Key }, put('z')]);
        expect(kindsOf(outcomes)).toEqual(['written', 'refused', 'written']);
        expect(await treeOf(endpoint, '/f')).toEqual(['/f/', '/f/a', '/f/dir/', '/f/dir/x', '/f/value', '/f/z']);
      } finally {
        await fixture.close();
      }
    });

    it('values that a form would change come through as they are', async () => {
      const fixture = await openTargetFixture(server, []);
      try {
        const values = ['a&b=c;d', '100%', '%41', 'a+b c', 'é\u0000\n"', '&'.repeat(100_000), '=', ''];
        const writer = await claim(fixture.store);
        const puts = values.map((value, i) => put(`v${i}`, value));
        expect(new Set(kindsOf(await writer.write(puts)))).toEqual(new Set(['written']));
        const found = await fixture.store.lookUp(puts.map(({ key }) => key));
        expect(found.map((record) => Buffer.from(record?.value ?? []).toString())).toEqual(values);
      } finally {
        await fixture.close();
      }
    });

    it('what stands in a fence and is none is not taken for one', async () => {
      const fixture = await openTargetFixture(server, []);
      try {
        await send(endpoint, 'PUT', '/_keyferry/faults/epoch', { value: 'not a fence' });
        const control = fixture.store.control(migration);
        const unreadable = { code: 'fence.unreadable', details: { store: 'test', where: '/_keyferry/faults/epoch' } };
        await expect(control.readEpoch()).rejects.toMatchObject(unreadable);
        await expect(control.raiseEpoch(first)).rejects.toMatchObject(unreadable);
      } finally {
        await fixture.close();
      }
    });

    it('a cluster is written with one member dead, and has no leader with two', async () => {
      await using cluster = await startEtcd({ version, members: 3, enableV2: true, unsafeNoFsync: true });
      const fixture = await openTargetFixture(cluster, [], { requestTimeoutMs: 3000 });
      try {
        const writer = await claim(fixture.store);
        await cluster.members[0]?.kill('SIGKILL');
        const repeated = async <T>(call: () => Promise<T>): Promise<T> => {
          for (;;) {
            try {
              return await call();
            } catch (error) {
              const passing = ['store.no-leader', 'store.unreachable', 'store.timeout'] as const;
              if (!passing.some((code) => isKeyferryError(error, code))) throw error;
            }
          }
        };
        const puts = Array.from({ length: 20 }, (_, i) => put(`k${i}`));
        for (const each of puts) {
          const [outcome] = await repeated(() => writer.write([each]));
          expect(['written', 'already-written']).toContain(outcome?.kind);
        }
        expect(await createdIn(fixture.store.control(migration))).toHaveLength(puts.length);
        await cluster.members[1]?.kill('SIGKILL');
        const hasNoLeader = () =>
          fixture.store.head().then(
            () => false,
            (error: unknown) => isKeyferryError(error, 'store.no-leader') || isKeyferryError(error, 'store.timeout'),
          );
        expect(await waitUntil(hasNoLeader, 30_000)).toBe(true);
        await expect(writer.write([put('late')])).rejects.toBeInstanceOf(Error);
      } finally {
        await fixture.close();
      }
    });
  });
}

const auth = await serverOrSkip('etcd-3.4');

describe.skipIf(!auth.ok)(`etcd v2 as a target with users${auth.note}`, () => {
  it('tells a user who may read and not write from a wrong password', async () => {
    await using server = await startEtcd({ version: '3.4', enableV2: true, unsafeNoFsync: true });
    const fixture = await openTargetFixture(server, []);
    const users = await enableV2Auth(server, { prefix: '/', access: 'read' });
    try {
      const reader = await fixture.openAnother({ auth: users.app });
      await expect(reader.control(migration).raiseEpoch(first)).rejects.toMatchObject({
        code: 'store.permission-denied',
        message: expect.stringContaining('may not write'),
      });
      const wrong = await fixture.openAnother({ auth: { ...users.app, password: 'wrong' } });
      await expect(wrong.control(migration).raiseEpoch(first)).rejects.toMatchObject({ code: 'store.auth-failed' });
    } finally {
      await fixture.close();
    }
  });
});
