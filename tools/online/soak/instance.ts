/**
 * One instance of the application, a process of its own: it writes, deletes, takes, compares, lists and watches keys that all
 * instances share, as fast as it is answered, until its input ends. It says `at work` on its output when it begins.
 *
 *     node --conditions=keyferry-source instance.ts '{"name":"app-1",…}'
 */
import { openEtcdV2OnlineSource } from '@keyferry/adapters/etcd-v2';
import { openEtcdV3OnlineTarget, openEtcdV3Switch } from '@keyferry/adapters/etcd-v3';
import { openClient, type OnlineClient } from '@keyferry/client';
import { isKeyferryError, KeyferryError, type Token } from '@keyferry/core';
import { Prng } from '@keyferry/engine/testing';
import { nothing, type Asked, type HistoryId, type Said } from '../sim/tally.ts';
import { InstanceLog } from './instance-log.ts';

export interface InstanceOptions {
  readonly name: string;
  readonly source: string;
  readonly target: string;
  readonly migration: string;
  readonly switchKey: string;
  readonly requestLifeMs: number;
  readonly leaseMs: number;
  readonly requestTimeoutMs: number;
  /** Of its operations, which are numbered upwards from here. */
  readonly firstId: number;
  readonly seed: string;
  readonly keys: readonly [string, ...string[]];
  readonly prefix: string;
  /** Operations under way at a time. */
  readonly lanes: number;
  readonly log: string;
}

const kinds = ['get', 'get', 'put', 'put', 'put-ttl', 'delete', 'take', 'compare', 'compare', 'list'] as const;
type Kind = (typeof kinds)[number];
export const ttlMs = 4000;
/** The way back rounds what is left of a TTL down to whole seconds. */
const roundedDownMs = 1500;

const options = JSON.parse(process.argv[2] ?? '{}') as InstanceOptions;
const log = new InstanceLog(options.log);
let lastId = options.firstId;
const ending = new AbortController();
let mode = '';
process.stdin.on('end', () => ending.abort()).resume();

const endpoints = { source: [options.source], target: [options.target] };
const { migration, switchKey, requestLifeMs, leaseMs, requestTimeoutMs } = options;
const source = openEtcdV2OnlineSource({ name: 'old', endpoints: endpoints.source, requestTimeoutMs });
const target = openEtcdV3OnlineTarget({
  name: 'new',
  endpoints: endpoints.target,
  migration,
  switchKey,
  requestTimeoutMs,
});
const place = openEtcdV3Switch({ name: 'new', endpoints: endpoints.target, key: switchKey, requestTimeoutMs });
const client = await untilOpen();
process.stdout.write('at work\n');
await Promise.all([
  ...Array.from({ length: options.lanes }, (_, lane) => work(new Prng(`${options.seed} ${options.name} ${lane}`))),
  watch(),
]);
await client.close();
for (const store of [source, target, place]) await store.close();
log.close();
process.exit(0);

async function untilOpen(): Promise<OnlineClient> {
  for (;;) {
    try {
      return await openClient({
        name: options.name,
        switch: place,
        source,
        target,
        leaseMs,
        requestLifeMs,
        waitMaxMs: 60_000,
      });
    } catch (error) {
      if (!(error instanceof KeyferryError)) throw error;
      await pause(200);
    }
  }
}

async function work(prng: Prng): Promise<void> {
  const known = new Map<string, Token | null>();
  const values = new Map<string, HistoryId>();
  while (!ending.signal.aborted) {
    if (mode !== client.status.mode) log.write({ kind: 'mode', mode: (mode = client.status.mode) });
    const kind = prng.pick(kinds);
    const key = prng.pick(options.keys);
    if (kind === 'list') await list();
    else await act(kind, key, known, values);
  }
}

async function act(
  kind: Exclude<Kind, 'list'>,
  key: string,
  known: Map<string, Token | null>,
  values: Map<string, HistoryId>,
): Promise<void> {
  lastId += 1;
  const op = lastId;
  const atMs = log.write({ kind: 'asked', key, op, what: askedOf(kind, op, values.get(key) ?? nothing) });
  if (kind === 'put-ttl') log.write({ kind: 'ttl', op, endsAtMs: atMs + ttlMs - roundedDownMs });
  try {
    const said = await ask(kind, key, op, known, values);
    if (said === null) log.write({ kind: 'withdrawn', key, op, why: 'outdated' });
    else log.write({ kind: 'told', key, op, said });
  } catch (error) {
    if (!(error instanceof KeyferryError)) throw error;
    if (isKeyferryError(error, 'client.outcome-unknown')) log.write({ kind: 'unknown', key, op });
    else log.write({ kind: 'withdrawn', key, op, why: error.code });
    await pause(20);
  }
}

/** Each record of a list is as a read of its key would have found it while the list ran. */
async function list(): Promise<void> {
  const reads = options.keys.map((key) => ({ key, op: (lastId += 1) }));
  for (const { key, op } of reads) log.write({ kind: 'asked', key, op, what: { kind: 'get' } });
  try {
    const found = new Map<string, HistoryId>();
    for await (const page of client.list(options.prefix))
      for (const each of page) found.set(each.key, idOf(each.value));
    for (const { key, op } of reads) log.write({ kind: 'told', key, op, said: found.get(key) ?? nothing });
  } catch (error) {
    if (!(error instanceof KeyferryError)) throw error;
    for (const { key, op } of reads) log.write({ kind: 'withdrawn', key, op, why: error.code });
    await pause(20);
  }
}

/** From the beginning to the end; one that was lost is opened anew, and what changed in between is not looked for. */
async function watch(): Promise<void> {
  while (!ending.signal.aborted) {
    try {
      const watched = await client.watch(options.prefix);
      log.write({ kind: 'watch', open: true });
      const ended = setInterval(() => ending.signal.aborted && void watched.close(), 50);
      try {
        for await (const page of watched) {
          for (const change of page) {
            const op = change.kind === 'put' ? idOf(change.value) : nothing;
            log.write({ kind: 'shown', key: change.key, op });
          }
        }
      } finally {
        clearInterval(ended);
      }
    } catch (error) {
      if (!(error instanceof KeyferryError)) throw error;
      log.write({ kind: 'watch', open: false });
      await pause(50);
    }
  }
}

function askedOf(kind: Exclude<Kind, 'list'>, id: HistoryId, expect: HistoryId): Asked {
  switch (kind) {
    case 'put':
    case 'put-ttl':
      return { kind: 'put', id };
    case 'compare':
      return { kind, expect, id };
    case 'get':
    case 'delete':
    case 'take':
      return { kind };
  }
}

/** Null: nothing was said, and nothing written. */
async function ask(
  kind: Exclude<Kind, 'list'>,
  key: string,
  id: HistoryId,
  known: Map<string, Token | null>,
  values: Map<string, HistoryId>,
): Promise<Said | null> {
  switch (kind) {
    case 'get': {
      const record = await client.get(key);
      known.set(key, record?.token ?? null);
      values.set(key, idOf(record?.value));
      return idOf(record?.value);
    }
    case 'put':
      await client.put(key, `v${id}`);
      return 'done';
    case 'put-ttl':
      await client.put(key, `v${id}`, { ttlMs });
      return 'done';
    case 'delete':
      await client.delete(key);
      return 'done';
    case 'take':
      return idOf((await client.deleteAndGet(key))?.value);
    case 'compare': {
      const swap = await client.compareAndSwap(key, known.get(key) ?? null, `v${id}`);
      return swap.kind === 'written' ? 'done' : swap.kind === 'unmet' ? 'unmet' : null;
    }
  }
}

function idOf(value: Uint8Array | undefined): HistoryId {
  return value === undefined ? nothing : Number(Buffer.from(value).toString().slice(1));
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
