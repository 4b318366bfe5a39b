/**
 * An application that does not stop while its records move: three instances read, write, delete and count, each through its
 * own client. On SIGTERM they say what they did, and whether they find all of it as they left it.
 *
 *     node application.ts > application.log 2>&1 &
 */
import { writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { openEtcdV2OnlineSource } from '@keyferry/adapters/etcd-v2';
import { openEtcdV3OnlineTarget, openEtcdV3Switch } from '@keyferry/adapters/etcd-v3';
import { openClient, type OnlineClient } from '@keyferry/client';

const v2 = ['http://127.0.0.1:23791'];
const v3 = ['http://127.0.0.1:24791'];
const switchKey = '_keyferry/switch';
// As `instances.requestLife` of the migration: longer than any request of this application can take effect.
const requestLifeMs = 10_000;

/** One process of a real application: here three of them share one. */
async function openInstance(name: string) {
  const source = openEtcdV2OnlineSource({ name: 'old', endpoints: v2 });
  // The switch lies in the target, so the target compares it in each write: `switchKey` says so.
  const target = openEtcdV3OnlineTarget({ name: 'new', endpoints: v3, migration: 'config-online', switchKey });
  const place = openEtcdV3Switch({ name: 'new', endpoints: v3, key: switchKey });
  const client = await openClient({ name, switch: place, source, target, requestLifeMs });
  const close = async (): Promise<void> => {
    await client.close();
    for (const store of [source, target, place]) await store.close();
  };
  return { client, close };
}

const stopping = new AbortController();
process.on('SIGTERM', () => stopping.abort());

const text = (record: { readonly value: Uint8Array } | null): string | null =>
  record && Buffer.from(record.value).toString('utf8');

async function work(client: OnlineClient, own: string) {
  const wanted = new Map<string, string>();
  const done = { operations: 0, counted: 0, slowestMs: 0 };
  for (let round = 0; !stopping.signal.aborted; round += 1) {
    const startedAtMs = performance.now();
    const key = `${own}${round % 25}`;
    if (round % 4 === 3) {
      await client.delete(key);
      wanted.delete(key);
    } else {
      await client.put(key, `round ${round}`);
      wanted.set(key, `round ${round}`);
    }
    if (text(await client.get(key)) !== (wanted.get(key) ?? null)) throw new RangeError(`${key} is not as it was left`);
    const count = await client.get('/config/count');
    const next = String(Number(text(count) ?? '0') + 1);
    const swap = await client.compareAndSwap('/config/count', count?.token ?? null, next);
    if (swap.kind === 'written') done.counted += 1;
    done.operations += 1;
    done.slowestMs = Math.max(done.slowestMs, performance.now() - startedAtMs);
    await sleep(5);
  }
  const found = new Map<string, string | null>();
  for await (const page of client.list(own)) for (const record of page) found.set(record.key, text(record));
  const isWhole = found.size === wanted.size && [...wanted].every(([key, value]) => found.get(key) === value);
  if (!isWhole) throw new RangeError(`${own} holds other records than it was left with`);
  return done;
}

const instances = await Promise.all(['app-1', 'app-2', 'app-3'].map((name) => openInstance(name)));
await writeFile('application.pid', String(process.pid));
console.log('three instances are at work');
const tallies = await Promise.all(instances.map(({ client }, i) => work(client, `/config/app/${i + 1}/`)));
const counted = tallies.reduce((sum, each) => sum + each.counted, 0);
const first = instances[0]?.client;
const count = text((await first?.get('/config/count')) ?? null);
console.log(`mode ${first?.status.mode}: every record is as it was left`);
console.log(count === String(counted) ? 'every increment was counted once' : `${counted} increments, ${count} counted`);
console.log(`slowest round ${Math.round(Math.max(...tallies.map(({ slowestMs }) => slowestMs)))} ms`);
await Promise.all(instances.map(({ close }) => close()));
console.log('done');
