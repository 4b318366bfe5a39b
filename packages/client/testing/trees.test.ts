/**
 * Goal: trees, directories and keys in order do what is said of them when several are at it, and when something fails.
 * Method: clients on memory stores in virtual time. What holds over a whole migration: tools/online/sim and tools/online/test.
 */
import { KeyferryError, type OnlineSource } from '@keyferry/core';
import { MemoryOnlineSource, MemoryOnlineTarget, MemorySwitch, MemorySwitchData } from '@keyferry/core/testing';
import { describe, expect, it } from 'vitest';
import { directory, inOrder, openClient, type OnlineClient } from '../src/index.ts';
import { VirtualClock } from './virtual-clock.ts';

const clock = new VirtualClock();

async function open(change: (source: MemoryOnlineSource) => OnlineSource = (source) => source) {
  const place = new MemorySwitch(new MemorySwitchData());
  const source = new MemoryOnlineSource(() => clock.nowMs());
  const target = new MemoryOnlineTarget(() => clock.nowMs());
  const stores = { switch: place, source: change(source), target, clock };
  const clients: OnlineClient[] = [];
  for (const id of ['0', '1', '2']) clients.push(await openClient({ name: 'app', uniqueId: () => id, ...stores }));
  return { clients: clients as [OnlineClient, OnlineClient, OnlineClient], source };
}

async function keysOf(client: OnlineClient, prefix: string): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const page of client.list(prefix)) keys.push(...page.map(({ key }) => key));
  return keys;
}

const app = directory('/app');

describe('a tree', () => {
  it('is deleted with the record of its name, and nothing beside it', async () => {
    const { clients } = await open();
    const [client] = clients;
    for (const key of ['/app', '/app/a', '/app/b/c', '/app-2', '/apple/x']) await client.put(key, 'v');
    expect(await client.deleteTree(app)).toEqual({ deleted: 3 });
    expect(await keysOf(client, '/')).toEqual(['/app-2', '/apple/x']);
    expect(await client.deleteTree(app)).toEqual({ deleted: 0 });
  });

  it('of which a key cannot be deleted is told to be unfinished, and by which key', async () => {
    const { clients } = await open((source) => refusing(source, '/app/07'));
    const [client] = clients;
    const keys = Array.from({ length: 40 }, (_, i) => `/app/${String(i).padStart(2, '0')}`);
    for (const key of keys) await client.put(key, 'v');
    const error: unknown = await client.deleteTree(app).catch((thrown: unknown) => thrown);
    const left = await keysOf(client, '/app/');
    expect(error).toMatchObject({
      code: 'client.tree-unfinished',
      details: { directory: '/app', key: '/app/07', deleted: keys.length - left.length, total: keys.length },
      cause: { code: 'store.request-refused' },
    });
    expect(left).toContain('/app/07');
  });
});

describe('a directory', () => {
  it('is listed with what lies in it, once each, and without its mark', async () => {
    const { clients } = await open();
    const [client] = clients;
    for (const key of ['/app/x', '/app/x-1', '/app/x/1', '/app/x/2', '/app/y/z/1']) await client.put(key, key);
    await client.createDirectory(directory('/app/empty'));
    await client.createDirectory(app);
    const entries: string[] = [];
    for await (const page of client.listDirectory(app)) {
      entries.push(...page.map((each) => (each.kind === 'record' ? each.key : `${each.directory}/`)));
    }
    expect(entries).toEqual(['/app/empty/', '/app/x', '/app/x-1', '/app/x/', '/app/y/']);
  });

  it('is made by one of several, and deleted only while nothing is in it', async () => {
    const { clients } = await open();
    const [one, two] = clients;
    const outcomes = await Promise.all(clients.map((client) => client.createDirectory(app)));
    expect(outcomes.toSorted()).toEqual(['created', 'exists', 'exists']);
    await one.put('/app/a', 'v');
    expect(await two.deleteDirectory(app)).toBe('not-empty');
    await one.delete('/app/a');
    expect(await two.createDirectory(app)).toBe('exists');
    expect((await Promise.all(clients.map((client) => client.deleteDirectory(app)))).toSorted()).toEqual([
      'deleted',
      'missing',
      'missing',
    ]);
  });
});

describe('keys in order', () => {
  const queue = inOrder(app, '/app.last');

  it('are given once each, whoever asks at once, and to each instance in its order', async () => {
    const { clients } = await open();
    const mine = clients.map((): string[] => []);
    await Promise.all(
      clients.map(async (client, i) => {
        for (let n = 0; n < 20; n += 1) mine[i]?.push((await client.createInOrder(queue, `${i} ${n}`)).key);
      }),
    );
    for (const keys of mine) expect(keys).toEqual(keys.toSorted());
    expect(await keysOf(clients[0], '/app/')).toEqual(mine.flat().toSorted());
    expect(new Set(mine.flat()).size).toBe(60);
  });

  it('lie behind a name that the source gave by itself, and pass over one that is taken', async () => {
    const { clients } = await open();
    const [client] = clients;
    for (let i = 0; i < 8; i += 1) await client.put('/other', String(i));
    // The source has counted to 8: the counter is written as its 9th change, then with the number.
    await client.put(`/app/${'9'.padStart(20, '0')}`, 'posted');
    const { key } = await client.createInOrder(queue, 'mine');
    expect(key > `/app/${'9'.padStart(20, '0')}`).toBe(true);
    const next = `/app/${String(Number(key.slice('/app/'.length)) + 3).padStart(20, '0')}`;
    await client.put(next, 'in the way');
    const made = [await client.createInOrder(queue, 'a'), await client.createInOrder(queue, 'b')].map(
      (each) => each.key,
    );
    expect(made).not.toContain(next);
    expect(made).toEqual(made.toSorted());
  });

  it('are refused where the counter holds something else', async () => {
    const { clients } = await open();
    await clients[0].put(queue.counter, 'seven');
    await expect(clients[0].createInOrder(queue, 'v')).rejects.toMatchObject({ code: 'client.counter-unreadable' });
    expect(await keysOf(clients[0], '/app/')).toEqual([]);
  });
});

function refusing(source: MemoryOnlineSource, refused: string): OnlineSource {
  return {
    role: 'source',
    ask: async (key, request) => {
      if (key === refused && request.kind === 'write' && request.write.kind === 'delete')
        throw new KeyferryError('store.request-refused', { store: 's', detail: 'planted' });
      return source.ask(key, request);
    },
    list: (range) => source.list(range),
    cameAfter: () => false,
    close: () => source.close(),
  };
}
