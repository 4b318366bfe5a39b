/** What a user waits for before anything happens: `--help`, and a whole plan of few keys; beside an empty Node program. */
import { Samples, type Benchmark } from '../benchmark.ts';
import { runNode } from '../measure/run-node.ts';
import { fillV3 } from '../workload/fill-v3.ts';
import { BenchMigration, keyferryProgram } from '../workload/migration.ts';
import { endpointOf, startBenchEtcd } from '../workload/servers.ts';

export const startup: Benchmark = {
  rounds: 15,
  keys: 1000,
  async run({ rounds, keys, note }) {
    const samples = new Samples();
    await using source = await startBenchEtcd({ version: '3.5' });
    await using target = await startBenchEtcd({ version: '3.5' });
    await fillV3(endpointOf(source), keys);
    const migration = await BenchMigration.create({
      source: { kind: 'etcd-v3', endpoints: source.endpoints },
      target: { kind: 'etcd-v3', endpoints: target.endpoints },
    });
    try {
      await migration.plan(); // files are in the page cache from here on
      for (let round = 1; round <= rounds; round += 1) {
        note(`round ${round}`);
        const runs = {
          'node -e 0': await runNode(['-e', '0']),
          'keyferry --help': await runNode([keyferryProgram, '--help']),
          'keyferry plan': await migration.plan(),
        };
        for (const [name, { wallMs, cpuSeconds, peakMiB }] of Object.entries(runs)) {
          samples.add(name, 'ms', wallMs);
          samples.add(`${name}, CPU`, 'CPU s', cpuSeconds);
          samples.add(`${name}, peak memory`, 'MiB', peakMiB);
        }
      }
    } finally {
      await migration.remove();
    }
    return {
      workload: `program start; plan of ${keys.toLocaleString('en')} keys between two etcd 3.5 on loopback`,
      commands: {
        'node -e 0': 'node -e 0',
        'keyferry --help': 'keyferry --help',
        'keyferry plan': 'keyferry plan bench --out bench.kfplan',
      },
      series: samples.series(),
      ratios: [
        { name: 'keyferry --help, ms', samples: samples.of('keyferry --help'), wanted: { atMost: 300 } },
        { name: 'keyferry plan, ms', samples: samples.of('keyferry plan'), wanted: { atMost: 1000 } },
        samples.ratio('keyferry --help / node -e 0', 'keyferry --help', 'node -e 0', null),
      ],
      versions: { etcd: '3.5.16' },
      notMeasured: ['a cold page cache'],
    };
  },
};
