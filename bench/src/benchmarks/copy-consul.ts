/**
 * A dump into Consul, beside `consul kv import`, a script that puts one key after the other, and bare guarded
 * transactions of 64 operations.
 *
 * Each gets a fresh, empty Consul in each round. The two that put key by key get a tenth of the records: their rate does
 * not change with the number, and a round would take minutes. The tool does more than any of them: it plans, checkpoints
 * and verifies. So two spans are held against `kv import`: the backfill, as the log of that same apply times it, and the
 * whole apply; against the bare transactions only the backfill. The source is a file, so that Consul's work is Consul's.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startConsul, type ConsulServer } from '@keyferry/servers';
import { Samples, type Benchmark } from '../benchmark.ts';
import { runChild } from '../measure/run-node.ts';
import { runShell } from '../measure/run-shell.ts';
import { consulCpu, consulKey, consulPrefix, countConsul } from '../workload/consul.ts';
import { BenchMigration } from '../workload/migration.ts';
import { records, sortedRecords } from '../workload/records.ts';

/** Of the records that go through a transaction, so many go key by key. */
const keyByKeyShare = 10;

export const copyConsul: Benchmark = {
  rounds: 5,
  keys: 60_000,
  async run({ rounds, keys, note }) {
    const samples = new Samples();
    const few = Math.ceil(keys / keyByKeyShare);
    const folder = await mkdtemp(join(tmpdir(), 'keyferry-bench-consul-'));
    const dump = join(folder, 'dump.ndjson');
    const exported = join(folder, 'export.json');
    try {
      await writeFile(
        dump,
        sortedRecords(keys)
          .map((record) => `${JSON.stringify(record)}\n`)
          .join(''),
      );
      await writeFile(exported, exportText(few));
      for (let round = 1; round <= rounds; round += 1) {
        note(`round ${round}: keyferry`);
        await withTarget(keys, (target) => measureKeyferry(dump, target, keys, samples));
        note(`round ${round}: transactions`);
        await withTarget(keys, (target) => measureChild('consul-transactions', 'transactions', target, keys, samples));
        note(`round ${round}: kv import`);
        await withTarget(few, (target) => measureImport(exported, target, few, samples));
        note(`round ${round}: puts`);
        await withTarget(few, (target) => measureChild('consul-puts', 'puts', target, few, samples));
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
    const counted = (count: number): string => count.toLocaleString('en');
    return {
      workload: `${counted(keys)} keys of 25 B with values of 100 B from a file into one Consul 1.8; ${counted(few)} key by key`,
      commands: {
        keyferry: 'keyferry plan bench --out bench.kfplan; keyferry apply bench.kfplan --yes',
        transactions: 'children/consul-transactions.ts: 64 operations a transaction, 60 records, 16 in flight',
        'kv import': 'consul kv import -http-addr=127.0.0.1:PORT @export.json',
        puts: 'children/consul-puts.ts: PUT /v1/kv/KEY, one after the other',
      },
      series: samples.series(),
      ratios: [
        samples.ratio('backfill / kv import', 'backfill', 'kv import', { atLeast: 15 }),
        samples.ratio('apply / kv import', 'apply, whole', 'kv import', null),
        samples.ratio('backfill / puts', 'backfill', 'puts', { atLeast: 15 }),
        samples.ratio('backfill / transactions', 'backfill', 'transactions', { atLeast: 0.9 }),
      ],
      versions: { consul: '1.8.7' },
      notMeasured: [
        'three servers, network latency, TLS, ACLs, disks with a slow fsync',
        'a Consul that serves anybody else meanwhile',
      ],
    };
  },
};

/** What `consul kv export` writes. */
function exportText(count: number): string {
  const entries = [...records(count)].map((record) => ({
    key: consulKey(record),
    flags: 0,
    value: Buffer.from(record.value).toString('base64'),
  }));
  return JSON.stringify(entries);
}

async function withTarget(keys: number, measure: (target: ConsulServer) => Promise<void>): Promise<void> {
  await using target = await startConsul();
  await measure(target);
  const copied = await countConsul(target.endpoints[0] ?? '');
  if (copied !== keys) throw new Error(`${copied} of ${keys} keys are in the target`);
}

async function measureKeyferry(dump: string, target: ConsulServer, keys: number, samples: Samples): Promise<void> {
  const migration = await BenchMigration.create({
    source: { kind: 'file', path: dump, format: 'ndjson' },
    target: { kind: 'consul', endpoints: target.endpoints },
    targetPrefix: consulPrefix,
  });
  try {
    const plan = await migration.plan();
    const cpuBefore = consulCpu(target);
    const apply = await migration.apply();
    const { phases } = apply;
    samples.add('backfill', 'keys/s', (keys / phases.backfillMs) * 1000);
    samples.add('apply, whole', 'keys/s', (keys / apply.wallMs) * 1000);
    samples.add('plan', 'ms', plan.wallMs);
    samples.add('apply: before', 'ms', phases.beforeMs);
    samples.add('apply: backfill', 'ms', phases.backfillMs);
    samples.add('apply: verify', 'ms', phases.verifyMs);
    samples.add('apply, CPU', 'CPU s', apply.cpuSeconds);
    samples.add('apply, CPU of Consul', 'CPU s', consulCpu(target) - cpuBefore);
    samples.add('apply, peak memory', 'MiB', apply.peakMiB);
  } finally {
    await migration.remove();
  }
}

async function measureChild(
  script: string,
  name: string,
  target: ConsulServer,
  keys: number,
  samples: Samples,
): Promise<void> {
  const cpuBefore = consulCpu(target);
  const run = await runChild(script, { endpoint: target.endpoints[0] ?? '', keys });
  samples.add(name, 'keys/s', (keys / run.wallMs) * 1000);
  samples.add(`${name}, CPU`, 'CPU s', run.cpuSeconds);
  samples.add(`${name}, CPU of Consul`, 'CPU s', consulCpu(target) - cpuBefore);
}

async function measureImport(exported: string, target: ConsulServer, keys: number, samples: Samples): Promise<void> {
  const cpuBefore = consulCpu(target);
  const program = join(target.programDirectory, 'consul');
  const run = await runShell(
    `${program} kv import -http-addr=${target.endpoints[0] ?? ''} @${exported} > /dev/null`,
    tmpdir(),
  );
  samples.add('kv import', 'keys/s', (keys / run.wallMs) * 1000);
  samples.add('kv import, CPU', 'CPU s', run.cpuSeconds);
  samples.add('kv import, CPU of Consul', 'CPU s', consulCpu(target) - cpuBefore);
}
