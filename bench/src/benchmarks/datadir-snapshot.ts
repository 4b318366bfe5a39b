/**
 * From the data directory of a stopped member to a database of etcd v3: keyferry into a snapshot file, beside `etcdctl
 * migrate` of 3.4 into the directory's own database, on a copy, in the same round.
 *
 * What is compared is the one command that does the job once it is decided: `apply` of a reviewed plan. It also makes sure that the
 * plan still holds, writes under fences what a kill may not lose, and reads both sides again to prove them equal; migrate
 * does none of that. Beside it the whole way, `plan` and `apply`, as an operator walks it. What is left to gain: reading the
 * same log and writing and syncing the same snapshot with `cat` and `dd`.
 */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadV2Keys, startEtcd } from '@keyferry/servers';
import { Samples, type Benchmark } from '../benchmark.ts';
import { runShell } from '../measure/run-shell.ts';
import { runWatched } from '../measure/run-watched.ts';
import { BenchMigration } from '../workload/migration.ts';
import { records } from '../workload/records.ts';

export const datadirSnapshot: Benchmark = {
  rounds: 5,
  keys: 500_000,
  async run({ rounds, keys, note }) {
    const samples = new Samples();
    const folder = await mkdtemp(join(tmpdir(), 'keyferry-bench-snapshot-'));
    const sizes = [Math.ceil(keys / 50), Math.ceil(keys / 5), keys];
    try {
      for (const size of sizes) {
        const name = size.toLocaleString('en');
        const dataDir = join(folder, String(size));
        const extraArgs = [`--snapshot-count=${size * 10}`];
        const server = await startEtcd({ version: '3.4', enableV2: true, dataDir, extraArgs });
        try {
          await loadV2Keys(server.endpoints[0] ?? '', records(size));
          await server.members[0]?.stop();
          for (let round = 1; round <= rounds; round += 1) {
            note(`${name} keys, round ${round}`);
            await takeRound(samples, name, { folder, dataDir, migrate: join(server.programDirectory, 'etcdctl') });
          }
        } finally {
          await server.stop();
        }
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
    const ratios = (size: number) => {
      const name = size.toLocaleString('en');
      const of = (what: string) => `${name}: ${what}`;
      return [
        samples.ratio(of('migrate / apply'), of('etcdctl migrate'), of('apply'), { atLeast: 5 }),
        samples.ratio(of('migrate / apply, CPU'), of('etcdctl migrate, CPU'), of('apply, CPU'), null),
        samples.ratio(of('migrate / plan + apply'), of('etcdctl migrate'), of('plan + apply'), null),
        samples.ratio(
          of('apply / migrate, peak memory'),
          of('apply, peak memory'),
          of('etcdctl migrate, peak memory'),
          {
            atMost: 0.5,
          },
        ),
        samples.ratio(of('apply / read and write the bytes'), of('apply'), of('cat and dd'), { atMost: 15 }),
      ];
    };
    return {
      workload: `keys of 26 B with values of 100 B in the log of an etcd 3.4, to a database of etcd v3`,
      commands: {
        plan: 'keyferry plan bench --out bench.kfplan',
        apply: 'keyferry apply bench.kfplan --yes',
        peer: 'ETCDCTL_API=3 etcdctl migrate --data-dir COPY',
        floor: 'cat *.wal > /dev/null; dd if=out.snapshot of=bytes bs=1M conv=fsync',
      },
      series: samples.series(),
      ratios: sizes.flatMap(ratios),
      versions: { etcd: '3.4.23' },
      notMeasured: ['directories with a snapshot', 'large values', 'keys with a TTL', 'a cold page cache'],
    };
  },
};

interface Round {
  readonly folder: string;
  readonly dataDir: string;
  readonly migrate: string;
}

async function takeRound(samples: Samples, name: string, { folder, dataDir, migrate }: Round): Promise<void> {
  const snapshot = join(folder, 'out.snapshot');
  const migration = await BenchMigration.create({
    source: { kind: 'etcd-v2-datadir', dataDir },
    target: { kind: 'etcd-v3-snapshot', path: snapshot },
  });
  const copy = join(folder, 'copy');
  try {
    const plan = await migration.plan();
    const apply = await migration.apply();
    samples.add(`${name}: apply`, 'ms', apply.wallMs);
    samples.add(`${name}: apply, CPU`, 'CPU s', apply.cpuSeconds);
    samples.add(`${name}: apply, peak memory`, 'MiB', apply.peakMiB);
    samples.add(`${name}: apply, before the first chunk`, 'ms', apply.phases.beforeMs);
    samples.add(`${name}: apply, backfill`, 'ms', apply.phases.backfillMs);
    samples.add(`${name}: apply, publish and verify`, 'ms', apply.phases.verifyMs);
    samples.add(`${name}: plan, CPU`, 'CPU s', plan.cpuSeconds);
    samples.add(`${name}: plan, peak memory`, 'MiB', plan.peakMiB);
    samples.add(`${name}: plan + apply`, 'ms', plan.wallMs + apply.wallMs);
    await cp(dataDir, copy, { recursive: true });
    const peer = await runWatched(migrate, ['migrate', '--data-dir', copy], { ETCDCTL_API: '3' });
    samples.add(`${name}: etcdctl migrate`, 'ms', peer.wallMs);
    samples.add(`${name}: etcdctl migrate, CPU`, 'CPU s', peer.cpuSeconds);
    samples.add(`${name}: etcdctl migrate, peak memory`, 'MiB', peer.peakMiB);
    const read = await runShell('cat member/wal/0*.wal > /dev/null', dataDir);
    const write = await runShell(`dd if=${snapshot} of=${join(folder, 'bytes')} bs=1M conv=fsync status=none`, folder);
    samples.add(`${name}: cat and dd`, 'ms', read.wallMs + write.wallMs);
  } finally {
    await migration.remove();
    for (const file of [copy, snapshot, join(folder, '.out.snapshot.keyferry')]) {
      await rm(file, { recursive: true, force: true });
    }
  }
}
