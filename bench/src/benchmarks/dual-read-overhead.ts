/**
 * What a read costs an application under strategy `dual-read`, etcd v2 → v3, while the mode is `migrating`: requests to both stores,
 * and time, of a get of the client package.
 *
 * Beside it a plain read of the one store that has the key, linearizable as well: a range of etcd v3, or a GET of etcd v2 with
 * quorum, by etcd3 and by fetch. Half of the keys are copied by `apply`; the others come into the source after it, as if the
 * backfill had not got to them yet.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { loadV2Keys } from '@keyferry/servers';
import { Samples, type Benchmark, type Ratio } from '../benchmark.ts';
import type { DualReadRun } from '../children/dual-reads.ts';
import type { ChildOptions } from '../children/measured.ts';
import { BenchMigration, type StoreSettings } from '../workload/migration.ts';
import { recordAt, type BenchRecord } from '../workload/records.ts';
import { endpointOf, startBenchEtcd } from '../workload/servers.ts';

const kinds: Readonly<Record<keyof DualReadRun, { readonly name: string; readonly wanted: Ratio['wanted'] }>> = {
  inTarget: { name: 'key in the target', wanted: { atMost: 1 } },
  inSource: { name: 'key in the source alone', wanted: { atMost: 2 } },
  nowhere: { name: 'no such key', wanted: null },
};
const program = new URL('../children/dual-reads.ts', import.meta.url).pathname;

export const dualReadOverhead: Benchmark = {
  rounds: 3,
  // Of each kind.
  keys: 2000,
  async run({ rounds, keys, note }) {
    const samples = new Samples();
    for (let round = 1; round <= rounds; round += 1) {
      note(`round ${round}`);
      const run = await measure(keys);
      for (const [kind, { name }] of entriesOf(kinds)) {
        const { requestsPerGet, plainP50Ms, plainP99Ms, clientP50Ms, clientP99Ms } = run[kind];
        samples.add(`${name}: requests a get`, 'requests', requestsPerGet);
        samples.add(`${name}: plain, one request`, 'requests', 1);
        samples.add(`${name}: p50 of the client`, 'ms', clientP50Ms);
        samples.add(`${name}: p50 plain`, 'ms', plainP50Ms);
        samples.add(`${name}: p99 of the client`, 'ms', clientP99Ms);
        samples.add(`${name}: p99 plain`, 'ms', plainP99Ms);
      }
    }
    const ratios = entriesOf(kinds).flatMap(([, { name, wanted }]) => [
      samples.ratio(
        `${name}: requests, client / plain`,
        `${name}: requests a get`,
        `${name}: plain, one request`,
        wanted,
      ),
      samples.ratio(`${name}: p50, client / plain`, `${name}: p50 of the client`, `${name}: p50 plain`, null),
    ]);
    return {
      workload: `gets of ${keys.toLocaleString('en')} keys of each kind, one after the other; etcd 3.4 (v2) and etcd 3.5 (v3)`,
      commands: {
        keyferry: 'children/dual-reads.ts: openClient of the client package, after keyferry plan and apply',
        plain: 'kv.range of etcd3; GET /v2/keys/…?quorum=true of fetch',
      },
      series: samples.series(),
      ratios,
      versions: { 'etcd (source)': '3.4.23', 'etcd (target)': '3.5.16', etcd3: '1.1.2' },
      notMeasured: ['many gets at once', 'writes, lists, watches', 'clusters, network latency, TLS'],
    };
  },
};

async function measure(keys: number): Promise<DualReadRun> {
  await using source = await startBenchEtcd({ version: '3.4', enableV2: true });
  await using target = await startBenchEtcd({ version: '3.5' });
  const folder = await mkdtemp(join(tmpdir(), 'keyferry-bench-switch-'));
  const place: StoreSettings = { kind: 'sqlite', file: join(folder, 'switch.db') };
  const migration = await BenchMigration.create({
    source: { kind: 'etcd-v2', endpoints: source.endpoints },
    target: { kind: 'etcd-v3', endpoints: target.endpoints },
    otherStores: { switch: place },
    online: {
      strategy: 'dual-read',
      switch: { store: 'switch', key: 'bench' },
      instances: { min: 1, barrierTimeout: '60s', requestLife: '30s' },
    },
  });
  const options: Partial<ChildOptions> = {
    endpoint: endpointOf(source),
    targetEndpoint: endpointOf(target),
    keys,
    switchFile: place.file,
  };
  const child = spawn(process.execPath, [program, JSON.stringify(options)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  try {
    await loadV2Keys(endpointOf(source), recordsFrom(0, keys));
    await hear();
    await migration.plan();
    await migration.copyOnline();
    await loadV2Keys(endpointOf(source), recordsFrom(keys, keys));
    child.stdin.write('read\n');
    return JSON.parse(await hear()) as DualReadRun;
  } finally {
    child.kill('SIGKILL');
    await migration.remove();
    await rm(folder, { recursive: true, force: true });
  }

  async function hear(): Promise<string> {
    const line = await lines.next();
    if (line.done === true) throw new Error('the instance ended before it told what it saw');
    return line.value;
  }
}

function* recordsFrom(first: number, count: number): Generator<BenchRecord> {
  for (let i = first; i < first + count; i += 1) yield recordAt(i);
}

const entriesOf = <K extends string, V>(record: Readonly<Record<K, V>>) => Object.entries(record) as [K, V][];
