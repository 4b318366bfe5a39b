/**
 * Puts new keys into one etcd v3 at a steady rate, one request each, and watches another for when they come: the time
 * from a put's answer to hearing of it there; 0 where that came first. Ends when all have come, or none for a while.
 */
import { openEtcdV3Store } from '@keyferry/adapters/etcd-v3';
import { keyFromText, prefixRange } from '@keyferry/core';
import { quantile } from '../measure/spread.ts';
import { openPlainEtcd } from '../workload/fill-v3.ts';
import { benchPrefix, records } from '../workload/records.ts';
import { childOptions } from './measured.ts';

export interface LagRun {
  readonly written: number;
  readonly missing: number;
  readonly writesPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Of the puts alone. */
  readonly putP99Ms: number;
}

/** Nothing came for so long: the rest is not coming. */
const patienceMs = 15_000;

const { endpoint, targetEndpoint, keys, rate } = childOptions();
const target = openEtcdV3Store({ name: 'target', endpoints: [targetEndpoint], nowMs: () => Date.now() });
const feed = await target.feed.open(prefixRange(keyFromText(benchPrefix)), await target.feed.head());
const etcd = openPlainEtcd(endpoint);
const answeredAtMs = new Map<string, number>();
const heardAtMs = new Map<string, number>();
const puts: number[] = [];

const writing = write();
let lastAtMs = performance.now();
while (heardAtMs.size < keys && (answeredAtMs.size < keys || performance.now() - lastAtMs < patienceMs)) {
  const step = await feed.read({ changesMax: 1000, waitMs: 100 });
  if (step.kind === 'lost') throw new Error(step.why);
  const nowMs = performance.now();
  for (const change of step.changes) {
    if (change.kind !== 'put') continue;
    heardAtMs.set(change.key, nowMs);
    lastAtMs = nowMs;
  }
}
const wallMs = await writing;
const lags = [...heardAtMs].map(([key, heard]) => Math.max(0, heard - (answeredAtMs.get(key) ?? heard)));
const result: LagRun = {
  written: keys,
  missing: keys - heardAtMs.size,
  writesPerSecond: (keys / wallMs) * 1000,
  p50Ms: quantile(lags, 0.5),
  p99Ms: quantile(lags, 0.99),
  maxMs: quantile(lags, 1),
  putP99Ms: quantile(puts, 0.99),
};
process.stdout.write(JSON.stringify(result));
process.exit(0);

/** On schedule and not one after the other: a slow put holds no later one up. @returns how long it took */
async function write(): Promise<number> {
  const startedAtMs = performance.now();
  const open: Promise<void>[] = [];
  const put = async (key: string, value: string): Promise<void> => {
    const sent = performance.now();
    await etcd.kv.put({ key: Buffer.from(key), value: Buffer.from(value) });
    const answered = performance.now();
    puts.push(answered - sent);
    answeredAtMs.set(key, answered);
  };
  let n = 0;
  for (const { key, value } of records(keys)) {
    const dueMs = startedAtMs + (n * 1000) / rate;
    while (performance.now() < dueMs) await new Promise((resolve) => setTimeout(resolve, 1));
    open.push(put(key, value));
    n += 1;
  }
  await Promise.all(open);
  return performance.now() - startedAtMs;
}
