/**
 * An instance of an application under strategy `dual-read`, which reads when it is told to by a line on standard input: each key by
 * the client package and by a plain request of one store, in turns. Says `ready` once it takes part, and tells what it saw
 * (DualReadRun). Requests are counted by the servers' own metrics, in turns of their own, while nothing else asks them.
 */
import { createInterface } from 'node:readline';
import { openEtcdV2OnlineSource } from '@keyferry/adapters/etcd-v2';
import { openEtcdV3OnlineTarget } from '@keyferry/adapters/etcd-v3';
import { openSqliteSwitch } from '@keyferry/adapters/sqlite';
import { openClient } from '@keyferry/client';
import { v2KeyUrl } from '@keyferry/servers';
import { quantile } from '../measure/spread.ts';
import { openPlainEtcd } from '../workload/fill-v3.ts';
import { recordAt } from '../workload/records.ts';
import { childOptions } from './measured.ts';

/** Of the keys of one kind. */
export interface ReadRun {
  /** Of the client, to both stores together. */
  readonly requestsPerGet: number;
  readonly plainP50Ms: number;
  readonly plainP99Ms: number;
  readonly clientP50Ms: number;
  readonly clientP99Ms: number;
}

export interface DualReadRun {
  readonly inTarget: ReadRun;
  /** In the source alone. */
  readonly inSource: ReadRun;
  /** In neither; beside a plain read of the target. */
  readonly nowhere: ReadRun;
}

const { endpoint, targetEndpoint, keys, switchFile } = childOptions();
const etcd = openPlainEtcd(targetEndpoint);
const client = await openClient({
  name: 'bench',
  // In neither of both stores, so that the looks at it are not among the requests.
  switch: await openSqliteSwitch({ name: 'switch', file: switchFile, key: 'bench' }),
  source: openEtcdV2OnlineSource({ name: 'source', endpoints: [endpoint] }),
  target: openEtcdV3OnlineTarget({ name: 'target', endpoints: [targetEndpoint], migration: 'bench' }),
});
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
process.stdout.write('ready\n');
await lines.next();
if (client.status.mode !== 'migrating') throw new Error(`the mode is ${client.status.mode}`);
const run: DualReadRun = {
  inTarget: await read(0, plainFromTarget, true),
  inSource: await read(keys, plainFromSource, true),
  nowhere: await read(2 * keys, plainFromTarget, false),
};
process.stdout.write(`${JSON.stringify(run)}\n`);
await client.close();
process.exit(0);

async function read(from: number, plain: (key: string) => Promise<boolean>, isThere: boolean): Promise<ReadRun> {
  const names = Array.from({ length: keys }, (_, i) => recordAt(from + i).key);
  const before = await requestsSoFar();
  for (const key of names) await byClient(key);
  const requests = (await requestsSoFar()) - before;
  const [plainMs, clientMs]: [number[], number[]] = [[], []];
  for (const key of names) {
    plainMs.push(await timed(plain, key));
    clientMs.push(await timed(byClient, key));
  }
  return {
    requestsPerGet: requests / keys,
    plainP50Ms: quantile(plainMs, 0.5),
    plainP99Ms: quantile(plainMs, 0.99),
    clientP50Ms: quantile(clientMs, 0.5),
    clientP99Ms: quantile(clientMs, 0.99),
  };

  async function timed(get: (key: string) => Promise<boolean>, key: string): Promise<number> {
    const startedAtMs = performance.now();
    const found = await get(key);
    const tookMs = performance.now() - startedAtMs;
    if (found !== isThere) throw new Error(`${key} is ${found ? '' : 'not '}there`);
    return tookMs;
  }
}

async function byClient(key: string): Promise<boolean> {
  return (await client.get(key)) !== null;
}

async function plainFromTarget(key: string): Promise<boolean> {
  return (await etcd.kv.range({ key: Buffer.from(key) })).kvs.length > 0;
}

async function plainFromSource(key: string): Promise<boolean> {
  const response = await fetch(`${v2KeyUrl(endpoint, key)}?quorum=true`);
  await response.text();
  return response.ok;
}

/** Of keys, to both servers, by any client; looking at the metrics is none. */
async function requestsSoFar(): Promise<number> {
  const pattern = /^(?:etcd_http_received_total\{.*\}|grpc_server_started_total\{.*"etcdserverpb\.KV".*\}) (\d+)$/gm;
  let sum = 0;
  for (const server of [endpoint, targetEndpoint]) {
    const metrics = await (await fetch(`${server}/metrics`)).text();
    for (const [, count] of metrics.matchAll(pattern)) sum += Number(count);
  }
  return sum;
}
