/**
 * Reading etcd v3: keyferry's view, whose pages end in windows, beside pages of 1,000 that ask to the end of the prefix.
 *
 * The server counts what is left of the asked range for each page, so plain paging is quadratic. A second server with a
 * fifth of the keys shows whether the view's time grows as the keys do.
 */
import { Samples, type Benchmark } from '../benchmark.ts';
import { runChild } from '../measure/run-node.ts';
import { fillV3 } from '../workload/fill-v3.ts';
import { endpointOf, serverCpu, startBenchEtcd } from '../workload/servers.ts';

export const readV3: Benchmark = {
  rounds: 5,
  keys: 500_000,
  async run({ rounds, keys, note }) {
    const samples = new Samples();
    const fewer = Math.round(keys / 5);
    await using large = await startBenchEtcd({ version: '3.5' });
    await using small = await startBenchEtcd({ version: '3.5' });
    await fillV3(endpointOf(large), keys);
    await fillV3(endpointOf(small), fewer);
    const measure = async (name: string, script: string, server: typeof large, count: number): Promise<void> => {
      const cpuBefore = serverCpu(server);
      const run = await runChild(script, { endpoint: endpointOf(server) });
      if (run.keys !== count) throw new Error(`${script} read ${run.keys} of ${count} keys`);
      samples.add(name, 'keys/s', (count / run.wallMs) * 1000);
      samples.add(`${name}, CPU`, 'CPU s', run.cpuSeconds);
      samples.add(`${name}, CPU of the server`, 'CPU s', serverCpu(server) - cpuBefore);
    };
    for (let round = 1; round <= rounds; round += 1) {
      note(`round ${round}`);
      await measure('view', 'scan-v3', large, keys);
      await measure('view, a fifth of the keys', 'scan-v3', small, fewer);
      await measure('plain pages', 'plain-paging', large, keys);
    }
    return {
      workload: `${keys.toLocaleString('en')} keys of 26 B with values of 100 B, read once from etcd 3.5`,
      commands: {
        view: 'children/scan-v3.ts: openView and scan of the etcd-v3 adapter, pages of 1,000 keys',
        'plain pages': 'children/plain-paging.ts: etcd3 1.1.2, limit 1000, range_end at the end of the prefix',
      },
      series: samples.series(),
      ratios: [
        samples.ratio('view / plain pages', 'view', 'plain pages', { atLeast: 8 }),
        samples.ratio(
          "the server's CPU time, plain pages / view",
          'plain pages, CPU of the server',
          'view, CPU of the server',
          null,
        ),
        // 1: the time grows as the keys do.
        samples.ratio('rate at all / at a fifth of the keys', 'view', 'view, a fifth of the keys', null),
      ],
      versions: { etcd: '3.5.16' },
      notMeasured: ['large values', 'clusters, network latency, TLS', 'keys with a lease'],
    };
  },
};
