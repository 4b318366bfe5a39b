/**
 * Goal: a watch of etcd v3 loses and doubles nothing over cut connections, a slow reader and changes of leader, and says so
 *   when history is gone, also where the server says nothing.
 * Method: writers at full rate on real servers, a proxy that cuts answers, members that are killed; in the end what was
 *   told is held against what the store holds.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { enableV3Auth, serverOrSkip, startEtcd, type EtcdServer } from '@keyferry/servers';
import { keyFromText, prefixRange, type ChangeFeed, type Key, type Position } from '@keyferry/core';
import { readAll } from '@keyferry/core/testing';
import { Etcd3 } from 'etcd3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openEtcdV3Store } from '../../src/etcd-v3/index.ts';
import { startCutter } from './answer-cutter.ts';
import { openFixture, type EtcdFixture, type EtcdStore } from './etcd-v3-fixture.ts';
import { follow, type Followed } from './feed-follower.ts';

const range = prefixRange(keyFromText('/app/'));

/** Puts and deletes over 200 keys from several writers; every third is a transaction of three. @returns changes made */
async function writeMany(application: Etcd3, count: number, value = 'v'): Promise<number> {
  let made = 0;
  const key = (n: number): Buffer => Buffer.from(`/app/${n % 200}`);
  const writeOne = async (n: number): Promise<void> => {
    if (n % 7 === 3) {
      const { deleted } = await application.kv.deleteRange({ key: key(n) });
      made += Number(deleted);
      return;
    }
    const keys = n % 3 === 0 ? [n, n + 1, n + 2] : [n];
    const success = keys.map((each) => ({ request_put: { key: key(each), value: Buffer.from(`${value}${n}`) } }));
    await application.kv.txn({ success });
    made += keys.length;
  };
  let next = 0;
  const writer = async (): Promise<void> => {
    for (let n = (next += 1); n <= count; n = next += 1) await writeOne(n);
  };
  await Promise.all(Array.from({ length: 16 }, writer));
  return made;
}

async function contentsOf(store: EtcdStore): Promise<ReadonlyMap<Key, string>> {
  const records = await readAll(store, range);
  return new Map(records.map(({ key, value }) => [key, new TextDecoder().decode(value)]));
}

/** Follows `feed` while `write` writes, and to the head after it. */
async function followWhile(
  feed: ChangeFeed,
  write: () => Promise<number>,
  options: {
    readonly changesMax?: number;
    readonly pause?: () => Promise<void>;
    readonly head?: () => Promise<Position>;
  } = {},
): Promise<Followed & { readonly made: number }> {
  const { head = () => feed.head(), ...rest } = options;
  let mark: Position | null = null;
  const after = await head();
  const following = follow(feed, { range, after, until: () => mark, ...rest });
  const [made, followed] = await Promise.all([
    write().then(async (count) => {
      mark = await head();
      return count;
    }),
    following,
  ]);
  return { ...followed, made };
}

for (const version of ['3.4', '3.5'] as const) {
  const available = await serverOrSkip(`etcd-${version}`);

  describe.skipIf(!available.ok)(`watches of etcd v3 on ${version}${available.note}`, () => {
    let server: EtcdServer;
    let application: Etcd3;
    beforeAll(async () => {
      server = await startEtcd({ version, unsafeNoFsync: true });
      application = new Etcd3({ hosts: [...server.endpoints] });
    });
    afterAll(async () => {
      application.close();
      await server.stop();
    });
    const withStore = async (body: (fixture: EtcdFixture) => Promise<void>): Promise<void> => {
      const fixture = await openFixture(server, []);
      try {
        await body(fixture);
      } finally {
        await fixture.close();
      }
    };

    it('lose and double nothing while their connections are cut', () =>
      withStore(async ({ store, openAnother }) => {
        const cutter = await startCutter(Number(new URL(server.endpoints[0] ?? '').port), 40_000);
        try {
          const cut = await openAnother({ endpoints: [`http://127.0.0.1:${cutter.port}`] });
          const head = () => store.feed.head();
          const followed = await followWhile(cut.feed, () => writeMany(application, 3000), { head });
          expect(followed.changes).toBe(followed.made);
          expect(followed.state).toEqual(await contentsOf(store));
          expect(cutter.cuts()).toBeGreaterThan(3);
        } finally {
          await cutter.close();
        }
      }));

    it('hold a store back that tells more than their reader takes, and lose nothing', () =>
      withStore(async ({ store }) => {
        // 40 MiB: more than any queue between the two.
        const large = 'x'.repeat(16 * 1024);
        const pause = () => sleep(5);
        const followed = await followWhile(store.feed, () => writeMany(application, 1500, large), {
          changesMax: 10,
          pause,
        });
        expect(followed.changes).toBe(followed.made);
        expect(followed.state).toEqual(await contentsOf(store));
      }));

    it('are lost, and never silent, where a delete stood at the very revision of the compaction', () =>
      withStore(async ({ store, change, loseHistory }) => {
        const key = keyFromText('/app/a');
        const put = (text: string) => change([{ put: { key, value: Buffer.from(text), ttlMs: null } }]);
        await put('one');
        const after = await store.feed.head();
        await change([{ delete: key }]);
        await loseHistory();
        await put('two');
        const open = await store.feed.open(range, after);
        const step = await open.read({ changesMax: 10, waitMs: 1000 });
        await open.close();
        expect(step).toMatchObject({ kind: 'lost', why: expect.stringContaining(`revision ${after}`) });
      }));

    it('that are up to date pass over a compaction', () =>
      withStore(async ({ store, change, loseHistory }) => {
        const after = await store.feed.head();
        const open = await store.feed.open(range, after);
        for (const name of ['a', 'b']) {
          const key = keyFromText(`/app/${name}`);
          await change([{ put: { key, value: Buffer.from(name), ttlMs: null } }]);
          const step = await open.read({ changesMax: 10, waitMs: 60_000 });
          expect(step).toMatchObject({ kind: 'changes', changes: [{ kind: 'put', key }] });
          await loseHistory();
        }
        await open.close();
      }));

    it('of a store that was put back say so, instead of waiting for what never comes', () =>
      withStore(async ({ store }) => {
        const ahead = String(Number(await store.feed.head()) + 1000) as Position;
        const open = await store.feed.open(range, ahead);
        expect(await open.read({ changesMax: 10, waitMs: 0 })).toMatchObject({
          kind: 'lost',
          why: expect.stringContaining('put back'),
        });
        await open.close();
      }));

    it('end their wait early when told to', () =>
      withStore(async ({ store }) => {
        const open = await store.feed.open(range, await store.feed.head());
        const stop = new AbortController();
        const reading = open.read({ changesMax: 10, waitMs: 3_600_000, signal: stop.signal });
        stop.abort();
        expect(await reading).toMatchObject({ kind: 'changes', changes: [] });
        await open.close();
      }));
  });
}

const cluster = await serverOrSkip('etcd-3.5');

describe.skipIf(!cluster.ok)(`watches of a cluster of etcd 3.5${cluster.note}`, () => {
  it('lose and double nothing when a member is killed, leader or not, and comes back', async () => {
    await using server = await startEtcd({ version: '3.5', members: 3, unsafeNoFsync: true });
    const store = openEtcdV3Store({ name: 'new', endpoints: server.endpoints, nowMs: Date.now });
    let mark: Position | null = null;
    const following = follow(store.feed, { range, after: await store.feed.head(), until: () => mark });
    try {
      let n = 0;
      for (const member of server.members) {
        const others = server.endpoints.filter((endpoint) => endpoint !== member.endpoint);
        const application = new Etcd3({ hosts: others });
        await writeMany(application, 200, `before ${n}: `);
        await member.kill('SIGKILL');
        await server.members.find(({ pid }) => pid !== undefined)?.waitHealthy(60_000);
        await writeMany(application, 200, `while ${n}: `);
        application.close();
        await member.restart();
        await server.waitHealthy(60_000);
        n += 1;
      }
      mark = await store.feed.head();
      const { state } = await following;
      expect(state).toEqual(await contentsOf(store));
      expect(state.size).toBeGreaterThan(0);
    } finally {
      await store.close();
    }
  });
});

const old = await serverOrSkip('etcd-3.4');

describe.skipIf(!old.ok)(`watches of etcd 3.4 with users${old.note}`, () => {
  it('say which right they need where a member cannot be asked how far it has told', async () => {
    await using server = await startEtcd({ version: '3.4' });
    const { app } = await enableV3Auth(server, { prefix: '/app/' });
    const auth = { user: app.user, password: app.password };
    const store = openEtcdV3Store({ name: 'new', endpoints: server.endpoints, auth, nowMs: Date.now });
    try {
      const open = await store.feed.open(range, await store.feed.head());
      await expect(open.read({ changesMax: 1, waitMs: 0 })).rejects.toMatchObject({
        code: 'store.permission-denied',
        message: expect.stringContaining('3.4.31'),
      });
      await open.close();
    } finally {
      await store.close();
    }
  });
});
