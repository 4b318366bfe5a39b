/**
 * The data directory of a stopped member, read into ordered pages of records, beside `etcdctl migrate` of 3.4 on a copy.
 *
 * migrate reads the same files and also writes the keys into the v3 store, which the view does not; it checks neither what
 * is committed nor an order. So the ratio says what a migration from files can cost at most before its target does. The
 * floor is the bytes themselves: `cat` of the same files.
 */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadV2Keys, startEtcd } from '@keyferry/servers';
import { Samples, type Benchmark } from '../benchmark.ts';
import { runChild } from '../measure/run-node.ts';
import { runShell } from '../measure/run-shell.ts';
import { records } from '../workload/records.ts';

export const datadir: Benchmark = {
  rounds: 5,
  keys: 500_000,
  async run({ rounds, keys, note }) {
    const samples = new Samples();
    const folder = await mkdtemp(join(tmpdir(), 'keyferry-bench-datadir-'));
    try {
      for (const shape of ['log only', 'snapshot and log'] as const) {
        const dataDir = join(folder, shape.replaceAll(' ', '-'));
        // Below this many entries a server writes no snapshot, and the log is all there is.
        const snapshotCount = shape === 'log only' ? keys * 10 : Math.ceil(keys * 0.9);
        const extraArgs = [`--snapshot-count=${snapshotCount}`];
        const server = await startEtcd({ version: '3.4', enableV2: true, dataDir, extraArgs });
        try {
          await loadV2Keys(server.endpoints[0] ?? '', records(keys));
          await server.members[0]?.stop();
          for (let round = 1; round <= rounds; round += 1) {
            note(`${shape}, round ${round}`);
            const view = await runChild('read-datadir', { dataDir });
            if (view.keys !== keys) throw new Error(`${view.keys} of ${keys} keys were read`);
            samples.add(`${shape}: view`, 'ms', view.wallMs);
            samples.add(`${shape}: view, CPU`, 'CPU s', view.cpuSeconds);
            samples.add(`${shape}: view, peak memory`, 'MiB', view.peakMiB);
            const copy = join(folder, 'copy');
            await cp(dataDir, copy, { recursive: true });
            const migrate = `ETCDCTL_API=3 ${server.programDirectory}/etcdctl migrate --data-dir ${copy} > migrate.log 2>&1`;
            const peer = await runShell(migrate, folder);
            samples.add(`${shape}: etcdctl migrate`, 'ms', peer.wallMs);
            samples.add(`${shape}: etcdctl migrate, CPU`, 'CPU s', peer.cpuSeconds);
            await rm(copy, { recursive: true });
            const cat = `cat wal/*.wal${shape === 'log only' ? '' : ' snap/*.snap'} > /dev/null`;
            const { wallMs } = await runShell(cat, join(dataDir, 'member'));
            samples.add(`${shape}: cat of the files`, 'ms', wallMs);
          }
        } finally {
          await server.stop();
        }
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
    const ratios = (shape: string) => [
      samples.ratio(`${shape}: migrate / view`, `${shape}: etcdctl migrate`, `${shape}: view`, { atLeast: 5 }),
      samples.ratio(`${shape}: migrate / view, CPU`, `${shape}: etcdctl migrate, CPU`, `${shape}: view, CPU`, null),
      floor(shape),
    ];
    const floor = (shape: string) =>
      samples.ratio(`${shape}: view / cat`, `${shape}: view`, `${shape}: cat of the files`, null);
    return {
      workload: `${keys.toLocaleString('en')} keys of 26 B with values of 100 B in the data directory of an etcd 3.4`,
      commands: { view: 'the etcd-v2-datadir source, all pages of one view', peer: 'etcdctl migrate --data-dir COPY' },
      series: samples.series(),
      ratios: [...ratios('log only'), ...ratios('snapshot and log')],
      versions: { etcd: '3.4.23' },
      notMeasured: ["the peer's memory", 'large values', 'logs of many times the store', 'a cold page cache'],
    };
  },
};
