/**
 * Goal: a watch of etcd v2 loses and doubles nothing over cut connections, slow readers and members that stand still, tells
 *   what a directory takes with it, and says so when the 1,000 events that the store keeps are past it.
 * Method: writers at full rate on real servers, a proxy that cuts answers, members that are killed or stopped; in the end
 *   what was told is held against what the store holds.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { enableV2Auth, request, serverOrSkip, startEtcd, v2KeyUrl, type EtcdServer } from '@keyferry/servers';
import { keyFromText, prefixRange, type ChangeFeed, type Key, type Position, type SourceStore } from '@keyferry/core';
import { readAll } from '@keyferry/core/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startCutter } from './answer-cutter.ts';
import { openSource, send, wipe } from './etcd-v2-fixture.ts';
import { follow } from './feed-follower.ts';

const range = prefixRange(keyFromText('/app/'));

/** Puts and deletes over 150 keys from several writers. @param mayWrite waited for before each @returns changes made */
async function writeMany(
  endpoints: readonly string[],
  count: number,
  mayWrite: (made: number) => Promise<void> = () => Promise.resolve(),
): Promise<number> {
  let made = 0;
  let next = 0;
  const writer = async (_: unknown, at: number): Promise<void> => {
    const endpoint = endpoints[at % endpoints.length] ?? '';
    for (let n = (next += 1); n <= count; n = next += 1) {
      await mayWrite(made);
      const url = v2KeyUrl(endpoint, `/app/d${n % 10}/k${n % 15}`);
      const remove = n % 7 === 3;
      const reply = await request(remove ? url : `${url}?value=v${n}`, {
        method: remove ? 'DELETE' : 'PUT',
        timeoutMs: 20_000,
      });
      if (reply.status < 300) made += 1;
      else if (reply.status !== 404) throw new Error(reply.body);
    }
  };
  await Promise.all(Array.from({ length: 8 }, writer));
  return made;
}

async function contentsOf(store: SourceStore): Promise<ReadonlyMap<Key, string>> {
  const records = await readAll(store, range);
  return new Map(records.map(({ key, value }) => [key, new TextDecoder().decode(value)]));
}

for (const version of ['3.4', '3.5'] as const) {
  const available = await serverOrSkip(`etcd-${version}`);

  describe.skipIf(!available.ok)(`watches of etcd v2 on ${version}${available.note}`, () => {
    let server: EtcdServer;
    let endpoint: string;
    let store: ReturnType<typeof openSource>;
    beforeAll(async () => {
      server = await startEtcd({ version, enableV2: true, unsafeNoFsync: true });
      endpoint = server.endpoints[0] ?? '';
      store = openSource(server.endpoints);
    });
    beforeEach(() => wipe(endpoint));
    afterAll(async () => {
      await store.close();
      await server.stop();
    });

    /** What a feed tells of `changes`, up to the head after them. */
    const toldOf = async (changes: () => Promise<void>, where = range) => {
      const after = await store.feed.head();
      await changes();
      const mark = await store.feed.head();
      const open = await store.feed.open(where, after);
      try {
        const told = [];
        for (let position = after; !store.feed.hasReached(position, mark);) {
          const step = await open.read({ changesMax: 100, waitMs: 1000 });
          if (step.kind === 'lost') throw new Error(step.why);
          told.push(...step.changes);
          position = step.position;
        }
        return told;
      } finally {
        await open.close();
      }
    };

    it('lose and double nothing while their connections are cut', async () => {
      const cutter = await startCutter(Number(new URL(endpoint).port), 30_000);
      const cut = openSource([`http://127.0.0.1:${cutter.port}`]);
      try {
        let mark: Position | null = null;
        const told = { changes: 0 };
        const onStep = (changes: number) => (told.changes += changes);
        const following = follow(cut.feed, { range, after: await store.feed.head(), until: () => mark, onStep });
        const isAhead = (made: number): boolean => made - told.changes > 500;
        const writing = writeMany(server.endpoints, 3000, async (made) => {
          // Within what the store keeps, however slow the machine is.
          while (isAhead(made)) await sleep(5);
        });
        const [followed, made] = await Promise.all([
          following,
          writing.then(async (count) => {
            mark = await store.feed.head();
            return count;
          }),
        ]);
        expect(followed.changes).toBe(made);
        expect(followed.state).toEqual(await contentsOf(store));
        expect(cutter.cuts()).toBeGreaterThan(3);
      } finally {
        await cut.close();
        await cutter.close();
      }
    });

    it('lose nothing to a reader that is slow, as long as the store keeps what it lacks', async () => {
      let mark: Position | null = null;
      const after = await store.feed.head();
      const following = follow(store.feed, { range, after, until: () => mark, changesMax: 7, pause: () => sleep(2) });
      const made = await writeMany(server.endpoints, 900);
      mark = await store.feed.head();
      const { changes, state } = await following;
      expect(changes).toBe(made);
      expect(state).toEqual(await contentsOf(store));
    });

    it('tell a directory that was deleted or has expired as the range of its keys', async () => {
      const gone = prefixRange(keyFromText('/app/dir/'));
      await send(endpoint, 'PUT', '/app/dir/a/b', { value: 'x' });
      const deleted = await toldOf(() => send(endpoint, 'DELETE', '/app/dir', { recursive: 'true' }));
      expect(deleted).toEqual([{ kind: 'delete-range', range: gone }]);
      const expired = await toldOf(async () => {
        await send(endpoint, 'PUT', '/app/dir', { dir: 'true', ttl: '1' });
        await send(endpoint, 'PUT', '/app/dir/a', { value: 'x' });
        const isGone = async () => (await request(v2KeyUrl(endpoint, '/app/dir'))).status === 404;
        await expect.poll(isGone, { timeout: 60_000 }).toBe(true);
      });
      expect(expired).toMatchObject([
        { kind: 'put', key: '/app/dir/a' },
        { kind: 'delete-range', range: gone },
      ]);
      const above = await toldOf(async () => {
        await send(endpoint, 'PUT', '/app/dir/a', { value: 'x' });
        await send(endpoint, 'DELETE', '/app', { recursive: 'true' });
      }, gone);
      expect(above).toMatchObject([{ kind: 'put' }, { kind: 'delete-range', range: gone }]);
    });

    it('tell of a record whose place a directory took', async () => {
      await send(endpoint, 'PUT', '/app/a', { value: 'x' });
      const told = await toldOf(() => send(endpoint, 'PUT', '/app/a', { dir: 'true' }));
      expect(told).toEqual([{ kind: 'delete', key: '/app/a' }]);
    });

    it('tell of no hidden key, and of those in a hidden directory that is named', async () => {
      const hidden = prefixRange(keyFromText('/app/_h/'));
      const change = async () => {
        await send(endpoint, 'PUT', '/app/_h/a', { value: 'x' });
        await send(endpoint, 'PUT', '/app/_h/_b', { value: 'x' });
        await send(endpoint, 'PUT', '/app/c', { value: 'x' });
      };
      expect(await toldOf(change)).toMatchObject([{ key: '/app/c' }]);
      expect(await toldOf(change, hidden)).toMatchObject([{ key: '/app/_h/a' }]);
      expect(await toldOf(() => send(endpoint, 'DELETE', '/app/_h', { recursive: 'true' }))).toEqual([]);
    });

    it('come up to the head although nothing is told of what moved it', async () => {
      await send(endpoint, 'PUT', '/app/a', { value: 'x', ttl: '600' });
      const before = await store.feed.head();
      const told = await toldOf(() =>
        send(endpoint, 'PUT', '/app/a', { refresh: 'true', prevExist: 'true', ttl: '900' }),
      );
      expect(told).toEqual([]);
      expect(store.feed.changesBetween(before, await store.feed.head())).toBe(1);
    });

    it('are lost once more than 1,000 events are past them, with a reader that hears nothing in between', async () => {
      const after = await store.feed.head();
      await writeMany(server.endpoints, 1500);
      const open = await store.feed.open(range, after);
      const step = await open.read({ changesMax: 10, waitMs: 1000 });
      await open.close();
      expect(step).toMatchObject({ kind: 'lost', why: expect.stringContaining(`index ${after}`) });
    });

    it('of a store that was put back say so, instead of waiting for what never comes', async () => {
      const ahead = String(Number(await store.feed.head()) + 1000) as Position;
      const open = await store.feed.open(range, ahead);
      expect(await open.read({ changesMax: 10, waitMs: 0 })).toMatchObject({ kind: 'lost' });
      await open.close();
    });
  });
}

const cluster = await serverOrSkip('etcd-3.4');

describe.skipIf(!cluster.ok)(`watches of a cluster of etcd v2${cluster.note}`, () => {
  const followThrough = async (
    feed: ChangeFeed,
    disturb: () => Promise<void>,
  ): Promise<Awaited<ReturnType<typeof follow>>> => {
    let mark: Position | null = null;
    const following = follow(feed, { range, after: await feed.head(), until: () => mark });
    await disturb();
    mark = await feed.head();
    return await following;
  };

  it('lose nothing when members are killed and come back, or stand still', async () => {
    await using server = await startEtcd({ version: '3.4', members: 3, enableV2: true });
    const store = openSource(server.endpoints);
    try {
      const { state } = await followThrough(store.feed, async () => {
        for (const [n, member] of server.members.entries()) {
          const others = server.endpoints.filter((endpoint) => endpoint !== member.endpoint);
          await writeMany(others, 100);
          await member.kill(n === 0 ? 'SIGSTOP' : 'SIGKILL');
          const left = server.members.find(({ pid, endpoint }) => pid !== undefined && endpoint !== member.endpoint);
          await left?.waitHealthy(60_000);
          await writeMany(others, 100);
          if (n === 0) await member.kill('SIGCONT');
          else await member.restart();
          await server.waitHealthy(60_000);
        }
      });
      expect(state).toEqual(await contentsOf(store));
      expect(state.size).toBeGreaterThan(0);
    } finally {
      await store.close();
    }
  });

  it('hear of one directory alone where the user may not read the root', async () => {
    await using server = await startEtcd({ version: '3.4', enableV2: true });
    await send(server.endpoints[0] ?? '', 'PUT', '/app/a', { value: 'x' });
    const { app } = await enableV2Auth(server, { prefix: '/app' });
    const store = openSource(server.endpoints, { auth: { user: app.user, password: app.password }, prefix: '/app/' });
    try {
      const headers = { 'content-type': 'application/x-www-form-urlencoded' };
      const put = async (value: string) => {
        const url = v2KeyUrl(server.endpoints[0] ?? '', '/app/a');
        const reply = await request(url, { method: 'PUT', headers, body: `value=${value}`, credentials: app });
        expect(reply.status).toBeLessThan(300);
      };
      const { state } = await followThrough(store.feed, async () => {
        for (const value of ['1', '2', '3']) await put(value);
      });
      expect([...state]).toEqual([['/app/a', '3']]);
    } finally {
      await store.close();
    }
  });
});
