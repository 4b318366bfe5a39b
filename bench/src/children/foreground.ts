/**
 * An application that has nothing to do with a migration: gets from one etcd v3 and puts into another, in turns and at a steady
 * rate, under a prefix of its own, until its standard input ends. Then tells how long each request took (ForegroundRun).
 */
import type { TimedRequest } from '../measure/spans.ts';
import { openPlainEtcd } from '../workload/fill-v3.ts';
import { recordAt } from '../workload/records.ts';
import { childOptions } from './measured.ts';

export interface ForegroundRun {
  readonly gets: readonly TimedRequest[];
  readonly puts: readonly TimedRequest[];
}

const ownKeys = 1000;

const { endpoint, targetEndpoint, rate } = childOptions();
const [source, target] = [openPlainEtcd(endpoint), openPlainEtcd(targetEndpoint)];
const told = new AbortController();
process.stdin.on('end', () => told.abort()).resume();
const run: { readonly gets: TimedRequest[]; readonly puts: TimedRequest[] } = { gets: [], puts: [] };
const keyOf = (n: number): Buffer => Buffer.from(`/app/${n % ownKeys}`);
const value = Buffer.from(recordAt(0).value);
for (let n = 0; n < ownKeys; n += 1) await source.kv.put({ key: keyOf(n), value });
process.stdout.write('ready\n');

const startedAtMs = performance.now();
const open: Promise<void>[] = [];
for (let n = 0; !told.signal.aborted; n += 1) {
  while (performance.now() < startedAtMs + (n * 1000) / rate) await new Promise((resolve) => setTimeout(resolve, 1));
  open.push(
    n % 2 === 0
      ? timed(run.gets, () => source.kv.range({ key: keyOf(n) }))
      : timed(run.puts, () => target.kv.put({ key: keyOf(n), value })),
  );
}
await Promise.all(open);
process.stdout.write(`${JSON.stringify(run satisfies ForegroundRun)}\n`, () => process.exit(0));

async function timed(requests: TimedRequest[], request: () => Promise<unknown>): Promise<void> {
  const sentAtMs = performance.now();
  await request();
  requests.push([performance.timeOrigin + sentAtMs, performance.now() - sentAtMs]);
}
