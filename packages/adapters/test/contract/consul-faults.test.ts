/**
 * Goal: on Consul a lost answer, a restart and a lost leader lose or double nothing, and going back knows what was
 * written. Method: a proxy that swallows answers, servers that are killed and restarted, in a cluster of three the leader.
 */
import {
  request,
  consulVersions,
  serverOrSkip,
  startConsul,
  type ConsulMember,
  type ConsulServer,
} from '@keyferry/servers';
import {
  chunkId,
  isKeyferryError,
  keyFromText,
  keyToText,
  prefixRange,
  type ChangeOutcome,
  type ChunkWriter,
  type Fence,
  type GuardedPut,
  type KeyferryError,
  type MigrationId,
  type TargetControl,
} from '@keyferry/core';
import { readAll } from '@keyferry/core/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openFixture, type ConsulStore } from './consul-fixture.ts';
import { startSwallower } from './swallower.ts';

const first: Fence = { attempt: 1, token: 1 };
const everything = prefixRange(keyFromText('f/'));
const migration = 'faults' as MigrationId;
const put = (name: string, value = name): GuardedPut => ({
  kind: 'put',
  key: keyFromText(`f/${name}`),
  value: Buffer.from(value),
  expiresAtMs: null,
  expect: 'absent',
});
const kindsOf = (outcomes: readonly { readonly kind: string }[]) => outcomes.map(({ kind }) => kind);

async function claim(store: ConsulStore, token = 1): Promise<ChunkWriter> {
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

/** As the engine does: whatever may be repeated is, until it is answered or the test's own time is over. */
async function persist<T>(call: () => Promise<T>, met: KeyferryError[] = []): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof Error) || !('retry' in error) || error.retry !== 'backoff') throw error;
      met.push(error as KeyferryError);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

for (const version of consulVersions) {
  const available = await serverOrSkip(`consul-${version}`);
  describe.skipIf(!available.ok)(`faults of consul ${version}${available.note}`, () => {
    let server: ConsulServer;
    beforeAll(async () => {
      server = await startConsul({ version });
    });
    afterAll(() => server.stop());

    it('a batch that lost its answer is known by its repeat, its successor and going back', async () => {
      const fixture = await openFixture(server, []);
      const proxy = await startSwallower(server.endpoints[0] ?? '');
      try {
        const store = await fixture.openAnother({ endpoints: [proxy.endpoint] });
        const writer = await claim(store);
        await fixture.change([{ put: { key: put('b').key, value: Buffer.from('theirs'), ttlMs: null } }]);
        const puts = ['a', 'b', 'c'].map((name) => put(name));
        // The first transaction is refused because of `b`, and says so; the second one does the others, unheard.
        await writer.write(puts.slice(1, 2));
        proxy.swallow(/^PUT \/v1\/txn$/, 1);
        await expect(writer.write([put('a'), put('c')])).rejects.toMatchObject({ code: 'store.unreachable' });
        expect(kindsOf(await writer.write(puts))).toEqual(['already-written', 'present', 'already-written']);
        const next = await claim(await fixture.openAnother(), 2);
        expect(kindsOf(await next.write(puts))).toEqual(['already-written', 'present', 'already-written']);
        expect(await createdIn(fixture.store.control(migration))).toEqual(['f/a', 'f/c']);
      } finally {
        await proxy.close();
        await fixture.close();
      }
    });

    it('a delete that lost its answer is deleted still', async () => {
      const fixture = await openFixture(server, [{ key: put('d').key, value: Buffer.from('v'), ttlMs: null }]);
      const proxy = await startSwallower(server.endpoints[0] ?? '');
      try {
        const store = await fixture.openAnother({ endpoints: [proxy.endpoint] });
        const writer = await claim(store);
        const [record] = await store.lookUp([put('d').key]);
        const gone = {
          kind: 'delete',
          key: put('d').key,
          expect: { version: record?.version ?? ('' as never) },
        } as const;
        proxy.swallow(/^PUT \/v1\/txn$/, 1);
        await expect(writer.write([gone])).rejects.toMatchObject({ code: 'store.unreachable' });
        expect(await writer.write([gone])).toEqual([{ kind: 'deleted' }]);
      } finally {
        await proxy.close();
        await fixture.close();
      }
    });

    it('many batches at once, of which each record is in another one’s way, end with one outcome a record', async () => {
      const fixture = await openFixture(server, []);
      try {
        const writer = await claim(fixture.store);
        const names = Array.from({ length: 240 }, (_, i) => `n/${String(i).padStart(3, '0')}`);
        const theirs = names.filter((_, i) => i % 7 === 0);
        const beside = theirs.map((name) =>
          fixture.change([{ put: { key: put(name).key, value: Buffer.from('x'), ttlMs: null } }]),
        );
        const batches = Array.from({ length: 8 }, (_, i) => names.slice(i * 30, i * 30 + 30).map((name) => put(name)));
        const outcomes = (await Promise.all(batches.map((batch) => writer.write(batch)))).flat();
        await Promise.all(beside);
        const records = await readAll(fixture.store, everything);
        const ours = records.filter(({ value }) => Buffer.from(value).toString() !== 'x');
        expect(records).toHaveLength(names.length);
        const kept = (outcome: ChangeOutcome) => outcome.kind === 'written' || outcome.kind === 'present';
        expect(outcomes.every(kept)).toBe(true);
        expect(await createdIn(fixture.store.control(migration))).toEqual(ours.map(({ key }) => keyToText(key)));
      } finally {
        await fixture.close();
      }
    });

    it('a server that was killed and came back holds fences, marks and records', async () => {
      const fixture = await openFixture(server, []);
      try {
        const writer = await claim(fixture.store);
        await writer.write([put('a')]);
        await server.members[0]?.kill('SIGKILL');
        await expect(writer.write([put('b')])).rejects.toMatchObject({ code: 'store.unreachable' });
        await server.members[0]?.restart();
        expect(kindsOf(await persist(() => writer.write([put('a'), put('b')])))).toEqual([
          'already-written',
          'written',
        ]);
        await claim(fixture.store, 2);
        await expect(writer.write([put('c')])).rejects.toMatchObject({ code: 'fence.lost' });
        expect(await createdIn(fixture.store.control(migration))).toEqual(['f/a', 'f/b']);
      } finally {
        await fixture.close();
      }
    });
  });
}

for (const version of consulVersions) {
  const available = await serverOrSkip(`consul-${version}`);
  describe.skipIf(!available.ok)(`a cluster of three of consul ${version}${available.note}`, () => {
    let cluster: ConsulServer;
    beforeAll(async () => {
      cluster = await startConsul({ version, members: 3 });
    });
    afterAll(() => cluster.stop());

    /** Asked of a server that is up. */
    const leaderOf = async (asked: ConsulMember): Promise<ConsulMember> => {
      const { body } = await request(`${asked.endpoint}/v1/operator/raft/configuration`);
      const { Servers } = JSON.parse(body) as { Servers: readonly { Node: string; Leader: boolean }[] };
      const name = Servers.find(({ Leader }) => Leader)?.Node;
      const leader = cluster.members.find((member) => member.name === name);
      expect(leader).toBeDefined();
      return leader as ConsulMember;
    };

    it.each(['SIGKILL', 'SIGSTOP'] as const)(
      'loses no record and doubles none when %s meets its leader',
      async (signal) => {
        await cluster.waitHealthy();
        const fixture = await openFixture(cluster, [], { requestTimeoutMs: 3000 });
        const leader = await leaderOf(cluster.members[0] as ConsulMember);
        try {
          const writer = await claim(fixture.store);
          const names = Array.from({ length: 1200 }, (_, i) => `r/${String(i).padStart(4, '0')}`);
          const batches = Array.from({ length: 40 }, (_, i) =>
            names.slice(i * 30, i * 30 + 30).map((name) => put(name)),
          );
          const met: KeyferryError[] = [];
          const outcomes: ChangeOutcome[] = [];
          for (const [i, batch] of batches.entries()) {
            if (i === 10) await leader.kill(signal);
            outcomes.push(...(await persist(() => writer.write(batch), met)));
          }
          expect(outcomes.every(({ kind }) => kind === 'written' || kind === 'already-written')).toBe(true);
          const records = await persist(() => readAll(fixture.store, everything));
          expect(records.map(({ key }) => keyToText(key))).toEqual(names.map((name) => `f/${name}`));
          expect(await persist(() => createdIn(fixture.store.control(migration)))).toEqual(
            names.map((name) => `f/${name}`),
          );
          expect(met.every((error) => error.code.startsWith('store.'))).toBe(true);
          expect((await leaderOf(cluster.members.find((member) => member !== leader) as ConsulMember)).name).not.toBe(
            leader.name,
          );
        } finally {
          if (signal === 'SIGSTOP') await leader.kill('SIGCONT');
          else await leader.restart();
          await fixture.close();
        }
      },
    );

    it('without a quorum reads nothing, and says that there is no leader', async () => {
      await cluster.waitHealthy();
      const fixture = await openFixture(cluster, [], { requestTimeoutMs: 20_000 });
      const [survivor, ...others] = cluster.members;
      try {
        for (const member of others) await member.kill('SIGKILL');
        const store = await fixture.openAnother({ endpoints: [survivor?.endpoint ?? ''] });
        const failure = await store.openView(everything).then(
          () => null,
          (error: unknown) => error,
        );
        const isKnown = isKeyferryError(failure, 'store.no-leader') || isKeyferryError(failure, 'store.unreachable');
        expect({ isKnown, failure: String(failure) }).toMatchObject({ isKnown: true });
      } finally {
        for (const member of others) await member.restart({ waitHealthy: false });
        await cluster.waitHealthy();
        await fixture.close();
      }
    });
  });
}
