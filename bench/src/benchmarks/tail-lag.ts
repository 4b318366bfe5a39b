/**
 * How far behind a follower is, while one client puts new keys at 100, 1,000 and 3,000 a second: keyferry's feed and tail of etcd
 * v3 beside `etcdctl make-mirror`.
 *
 * Each gets fresh servers. The lag of a key is the time from the answer to its put until a watch of the target tells of it.
 * Followers are processes of their own, and write alone into their target. Where the writer does not keep its rate, its own
 * rate is what was followed.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { EtcdServer } from '@keyferry/servers';
import { Samples, type Benchmark } from '../benchmark.ts';
import type { ChildOptions } from '../children/measured.ts';
import type { LagRun } from '../children/write-at-rate.ts';
import { cpuSecondsOf } from '../measure/process-usage.ts';
import { runNode } from '../measure/run-node.ts';
import { kill, mirrorArguments, startMirror, untilFollowed } from '../workload/make-mirror.ts';
import { endpointOf, startBenchEtcd } from '../workload/servers.ts';

const rates = [100, 1000, 3000] as const;
const childFile = (name: string): string => new URL(`../children/${name}.ts`, import.meta.url).pathname;

export const tailLag: Benchmark = {
  rounds: 3,
  // At the highest rate; as many seconds at the others.
  keys: 30_000,
  async run({ rounds, keys, note }) {
    const samples = new Samples();
    const seconds = keys / Math.max(...rates);
    for (let round = 1; round <= rounds; round += 1) {
      for (const rate of rates) {
        for (const [name, start] of [
          ['keyferry', startFollower],
          ['make-mirror', followByMirror],
        ] as const) {
          note(`round ${round}: ${name} at ${rate}/s`);
          await measure(`${name} at ${rate}/s`, start, rate, Math.round(seconds * rate), samples);
        }
      }
    }
    return {
      workload: `single puts of new keys of 26 B with values of 100 B for ${seconds} s, between two etcd 3.5`,
      commands: {
        keyferry: 'children/follow-v3.ts: feed and tail of the etcd-v3 adapter, steps of 500 changes, batches of 63',
        'make-mirror': ['etcdctl', ...mirrorArguments('http://127.0.0.1:PORT', 'http://127.0.0.1:PORT')].join(' '),
      },
      series: samples.series(),
      ratios: rates.map((rate) =>
        samples.ratio(
          `p99 at ${rate}/s, keyferry / make-mirror`,
          `keyferry at ${rate}/s, p99`,
          `make-mirror at ${rate}/s, p99`,
          null,
        ),
      ),
      versions: { etcd: '3.5.16', etcdctl: '3.5.16' },
      notMeasured: [
        'rules, and what the engine does beside feed and tail',
        'clusters of three members, network latency, TLS',
        'deletes, transactions of many keys, which make-mirror ends at (more than 128)',
      ],
    };
  },
};

type Start = (source: EtcdServer, target: EtcdServer) => Promise<ChildProcess>;

async function measure(name: string, start: Start, rate: number, keys: number, samples: Samples): Promise<void> {
  await using source = await startBenchEtcd({ version: '3.5' });
  await using target = await startBenchEtcd({ version: '3.5' });
  const follower = await start(source, target);
  try {
    const options: Partial<ChildOptions> = {
      endpoint: endpointOf(source),
      targetEndpoint: endpointOf(target),
      keys,
      rate,
    };
    const { stdout } = await runNode([childFile('write-at-rate'), JSON.stringify(options)]);
    const run = JSON.parse(stdout) as LagRun;
    if (follower.exitCode !== null) throw new Error(`${name} ended with ${follower.exitCode}`);
    if (run.missing > 0) throw new Error(`${name}: ${run.missing} of ${keys} keys never came`);
    samples.add(`${name}, p50`, 'ms', run.p50Ms);
    samples.add(`${name}, p99`, 'ms', run.p99Ms);
    samples.add(`${name}, longest`, 'ms', run.maxMs);
    samples.add(`${name}, p99 of the puts alone`, 'ms', run.putP99Ms);
    samples.add(`${name}, rate of the writer`, 'keys/s', run.writesPerSecond);
    samples.add(`${name}, CPU`, 'CPU s', cpuSecondsOf(follower.pid ?? 0));
  } finally {
    await kill(follower);
  }
}

async function startFollower(source: EtcdServer, target: EtcdServer): Promise<ChildProcess> {
  const options: Partial<ChildOptions> = { endpoint: endpointOf(source), targetEndpoint: endpointOf(target) };
  const child = spawn(process.execPath, [childFile('follow-v3'), JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit').then(() => Promise.reject(new Error('the follower ended before it followed')));
  await Promise.race([once(child.stdout, 'data'), ended]);
  ended.catch(() => undefined); // it is killed in the end
  return child;
}

async function followByMirror(source: EtcdServer, target: EtcdServer): Promise<ChildProcess> {
  const child = startMirror(source, target);
  await untilFollowed(source, target, child);
  return child;
}
