/** etcd v2 (live) → v3: what plan and apply take, and which share of it each phase has. There is no live peer. */
import { loadV2Keys, type EtcdServer } from '@keyferry/servers';
import { Samples, type Benchmark } from '../benchmark.ts';
import { countV3 } from '../workload/fill-v3.ts';
import { BenchMigration } from '../workload/migration.ts';
import { records } from '../workload/records.ts';
import { endpointOf, serverCpu, startBenchEtcd } from '../workload/servers.ts';

export const copyV2: Benchmark = {
  rounds: 5,
  keys: 100_000,
  async run({ rounds, keys, note }) {
    const samples = new Samples();
    await using source = await startBenchEtcd({ version: '3.4', enableV2: true });
    await loadV2Keys(endpointOf(source), records(keys));
    for (let round = 1; round <= rounds; round += 1) {
      note(`round ${round}`);
      await measure(source, keys, samples);
    }
    return {
      workload: `${keys.toLocaleString('en')} keys of 26 B with values of 100 B from a live etcd 3.4 (v2) to etcd 3.5 (v3)`,
      commands: { keyferry: 'keyferry plan bench --out bench.kfplan; keyferry apply bench.kfplan --yes' },
      series: samples.series(),
      ratios: [
        samples.ratio('share of apply: before', 'apply: before', 'apply', null),
        samples.ratio('share of apply: backfill', 'apply: backfill', 'apply', null),
        samples.ratio('share of apply: verify', 'apply: verify', 'apply', null),
      ],
      versions: { 'etcd (source)': '3.4.23', 'etcd (target)': '3.5.16' },
      notMeasured: ['clusters, network latency, TLS', 'keys with a TTL', 'deep trees'],
    };
  },
};

async function measure(source: EtcdServer, keys: number, samples: Samples): Promise<void> {
  await using target = await startBenchEtcd({ version: '3.5' });
  const migration = await BenchMigration.create({
    source: { kind: 'etcd-v2', endpoints: source.endpoints },
    target: { kind: 'etcd-v3', endpoints: target.endpoints },
  });
  try {
    const [sourceCpu, targetCpu] = [serverCpu(source), serverCpu(target)];
    const plan = await migration.plan();
    const apply = await migration.apply();
    const copied = await countV3(endpointOf(target));
    if (copied !== keys) throw new Error(`${copied} of ${keys} keys are in the target`);
    samples.add('plan', 'ms', plan.wallMs);
    samples.add('apply', 'ms', apply.wallMs);
    samples.add('apply: before', 'ms', apply.phases.beforeMs);
    samples.add('apply: backfill', 'ms', apply.phases.backfillMs);
    samples.add('apply: verify', 'ms', apply.phases.verifyMs);
    samples.add('backfill', 'keys/s', (keys / apply.phases.backfillMs) * 1000);
    samples.add('plan + apply', 'keys/s', (keys / (plan.wallMs + apply.wallMs)) * 1000);
    samples.add('plan, CPU', 'CPU s', plan.cpuSeconds);
    samples.add('apply, CPU', 'CPU s', apply.cpuSeconds);
    samples.add('CPU of the source server', 'CPU s', serverCpu(source) - sourceCpu);
    samples.add('CPU of the target server', 'CPU s', serverCpu(target) - targetCpu);
    samples.add('plan, peak memory', 'MiB', plan.peakMiB);
    samples.add('apply, peak memory', 'MiB', apply.peakMiB);
  } finally {
    await migration.remove();
  }
}
