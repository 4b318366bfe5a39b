/**
 * etcd v3 → v3 beside `etcdctl make-mirror`, and beside bare transactions of 128 puts through the same client library.
 *
 * Each of the three gets a fresh, empty target in each round; the source is one and the same. The tool does more than
 * either: it plans, writes under guards, checkpoints, and verifies both sides. So three spans are held against
 * make-mirror: the backfill alone, as the log of that same apply times it, the whole apply, and plan and apply together;
 * against the bare transactions only the backfill.
 */
import type { EtcdServer } from '@keyferry/servers';
import { Samples, type Benchmark } from '../benchmark.ts';
import { runChild } from '../measure/run-node.ts';
import { countV3, fillV3 } from '../workload/fill-v3.ts';
import { mirrorArguments, runMakeMirror } from '../workload/make-mirror.ts';
import { BenchMigration } from '../workload/migration.ts';
import { records } from '../workload/records.ts';
import { endpointOf, serverCpu, startBenchEtcd } from '../workload/servers.ts';

export const copyV3: Benchmark = {
  rounds: 5,
  keys: 100_000,
  async run({ rounds, keys, note }) {
    const samples = new Samples();
    await using source = await startBenchEtcd({ version: '3.5' });
    await fillV3(endpointOf(source), keys);
    let lastKey = '';
    for (const { key } of records(keys)) if (key > lastKey) lastKey = key;
    for (let round = 1; round <= rounds; round += 1) {
      note(`round ${round}: keyferry`);
      await withTarget(source, keys, (target) => measureKeyferry(source, target, keys, samples));
      note(`round ${round}: transactions`);
      await withTarget(source, keys, (target) => measureTransactions(target, keys, samples));
      note(`round ${round}: make-mirror`);
      await withTarget(source, keys, (target) => measureMirror(source, target, keys, lastKey, samples));
    }
    return {
      workload: `${keys.toLocaleString('en')} keys of 26 B with values of 100 B between two etcd 3.5`,
      commands: {
        'make-mirror': ['etcdctl', ...mirrorArguments('http://127.0.0.1:PORT', 'http://127.0.0.1:PORT')].join(' '),
        keyferry: 'keyferry plan bench --out bench.kfplan; keyferry apply bench.kfplan --yes',
        transactions: 'children/raw-transactions.ts: etcd3 1.1.2, 128 puts a transaction, 16 in flight',
      },
      series: samples.series(),
      ratios: [
        samples.ratio('backfill / make-mirror', 'backfill', 'make-mirror', { atLeast: 10 }),
        samples.ratio('apply / make-mirror', 'apply, whole', 'make-mirror', { atLeast: 10 }),
        samples.ratio('plan + apply / make-mirror', 'plan + apply', 'make-mirror', null),
        samples.ratio('backfill / transactions', 'backfill', 'transactions', { atLeast: 0.5 }),
      ],
      versions: { etcd: '3.5.16', etcdctl: '3.5.16' },
      notMeasured: [
        'clusters of three members, network latency, TLS, disks with a slow fsync',
        'memory of the transactions script, which holds all records to start with',
      ],
    };
  },
};

async function withTarget(
  source: EtcdServer,
  keys: number,
  measure: (target: EtcdServer) => Promise<void>,
): Promise<void> {
  await using target = await startBenchEtcd({ version: '3.5' });
  await measure(target);
  const copied = await countV3(endpointOf(target));
  if (copied !== keys) throw new Error(`${copied} of ${keys} keys are in the target of ${endpointOf(source)}`);
}

async function measureKeyferry(source: EtcdServer, target: EtcdServer, keys: number, samples: Samples) {
  const migration = await BenchMigration.create({
    source: { kind: 'etcd-v3', endpoints: source.endpoints },
    target: { kind: 'etcd-v3', endpoints: target.endpoints },
  });
  try {
    const cpuBefore = serverCpu(source, target);
    const plan = await migration.plan();
    const apply = await migration.apply();
    const { phases } = apply;
    samples.add('backfill', 'keys/s', (keys / phases.backfillMs) * 1000);
    samples.add('plan + apply', 'keys/s', (keys / (plan.wallMs + apply.wallMs)) * 1000);
    samples.add('apply, whole', 'keys/s', (keys / apply.wallMs) * 1000);
    samples.add('plan', 'ms', plan.wallMs);
    samples.add('apply', 'ms', apply.wallMs);
    samples.add('apply: before', 'ms', phases.beforeMs);
    samples.add('apply: backfill', 'ms', phases.backfillMs);
    samples.add('apply: verify', 'ms', phases.verifyMs);
    samples.add('plan, CPU', 'CPU s', plan.cpuSeconds);
    samples.add('apply, CPU', 'CPU s', apply.cpuSeconds);
    samples.add('plan + apply, CPU of both servers', 'CPU s', serverCpu(source, target) - cpuBefore);
    samples.add('plan, peak memory', 'MiB', plan.peakMiB);
    samples.add('apply, peak memory', 'MiB', apply.peakMiB);
  } finally {
    await migration.remove();
  }
}

async function measureTransactions(target: EtcdServer, keys: number, samples: Samples): Promise<void> {
  const cpuBefore = serverCpu(target);
  const run = await runChild('raw-transactions', { endpoint: endpointOf(target), keys });
  samples.add('transactions', 'keys/s', (keys / run.wallMs) * 1000);
  samples.add('transactions, CPU', 'CPU s', run.cpuSeconds);
  samples.add('transactions, CPU of the server', 'CPU s', serverCpu(target) - cpuBefore);
}

async function measureMirror(
  source: EtcdServer,
  target: EtcdServer,
  keys: number,
  lastKey: string,
  samples: Samples,
): Promise<void> {
  const cpuBefore = serverCpu(source, target);
  const run = await runMakeMirror(source, target, lastKey);
  samples.add('make-mirror', 'keys/s', (keys / run.wallMs) * 1000);
  samples.add('make-mirror, CPU', 'CPU s', run.cpuSeconds);
  samples.add('make-mirror, CPU of both servers', 'CPU s', serverCpu(source, target) - cpuBefore);
  samples.add('make-mirror, peak memory', 'MiB', run.peakMiB);
}
