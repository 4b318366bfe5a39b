/**
 * For how long an application waits at a cutover and at the way back: 500 writes a second by four instances that follow the
 * switch of a migration (strategy `replicate`, etcd v3 → v3) and acknowledge the hold.
 *
 * Beside it a cutover by hand, the shortest there is: `etcdctl make-mirror` follows, writers are held, a marker is waited for,
 * and writers are led over. That compares nothing, keeps nobody out who did not hear of it, and has no way back. The wait of a write
 * is the time from asking for it to its answer, held or not; what it is without a cutover stands beside.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { EtcdServer } from '@keyferry/servers';
import { Samples, type Benchmark } from '../benchmark.ts';
import { spanOf, timesWithin, type Span } from '../measure/spans.ts';
import { quantile } from '../measure/spread.ts';
import { BenchApplication, instanceCount, lossesOf } from '../workload/application.ts';
import { fillV3 } from '../workload/fill-v3.ts';
import { kill, mirrorArguments, startMirror, untilCarried, untilFollowed } from '../workload/make-mirror.ts';
import { createReplicate } from '../workload/replicate.ts';
import { endpointOf, startBenchEtcd } from '../workload/servers.ts';

const rate = 500;
/** Writes without anything beside them, and between two steps. */
const quietMs = 4000;
const pauseWantedMs = 1000;

export const cutoverPause: Benchmark = {
  rounds: 3,
  keys: 10_000,
  async run({ rounds, keys, note }) {
    const samples = new Samples();
    for (let round = 1; round <= rounds; round += 1) {
      note(`round ${round}: keyferry`);
      await measure(keys, true, samples, ledByKeyferry);
      note(`round ${round}: by hand`);
      await measure(keys, false, samples, ledByHand);
    }
    const inWanted = (step: string) => ({
      name: `longest wait at ${step} / 1 s`,
      samples: samples.of(`keyferry, ${step}: longest wait`).map((ms) => ms / pauseWantedMs),
      wanted: { atMost: 1 },
    });
    return {
      workload: `${rate} puts and deletes a second, ${keys.toLocaleString('en')} keys of 26 B, values of 100 B, two etcd 3.5`,
      commands: {
        keyferry: 'keyferry plan; keyferry apply; keyferry cutover; keyferry rollback',
        'by hand': ['etcdctl', ...mirrorArguments('http://127.0.0.1:PORT', 'http://127.0.0.1:PORT')].join(' '),
      },
      series: samples.series(),
      ratios: [
        inWanted('cutover'),
        inWanted('rollback'),
        samples.ratio(
          'longest wait at cutover, keyferry / by hand',
          'keyferry, cutover: longest wait',
          'by hand, cutover: longest wait',
          null,
        ),
      ],
      versions: { etcd: '3.5.16', etcdctl: '3.5.16' },
      notMeasured: [
        'applications that do not acknowledge: they are held for a request life at least',
        'clusters of three members, network latency, TLS',
      ],
    };
  },
};

type Lead = (
  application: BenchApplication,
  source: EtcdServer,
  target: EtcdServer,
  step: <T>(name: string, work: () => Promise<T>) => Promise<T>,
  samples: Samples,
) => Promise<EtcdServer>;

async function measure(keys: number, follows: boolean, samples: Samples, lead: Lead): Promise<void> {
  const name = follows ? 'keyferry' : 'by hand';
  await using source = await startBenchEtcd({ version: '3.5' });
  await using target = await startBenchEtcd({ version: '3.5' });
  await fillV3(endpointOf(source), keys);
  await using application = await BenchApplication.start({ source, target, keys, rate, follows });
  const spans = new Map<string, Span>();
  const step = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    const { span, result } = await spanOf(work);
    spans.set(what, span);
    await sleep(quietMs);
    return result;
  };
  await sleep(quietMs / 2); // connections and caches are warm
  await step('alone', () => sleep(quietMs));
  const primary = await lead(application, source, target, step, samples);
  const run = await application.end();
  const { lost, resurrected } = await lossesOf(run, keys, primary);
  if (lost + resurrected > 0) throw new Error(`${name}: ${lost} keys lost, ${resurrected} came back`);
  samples.add(`${name}, rate of the writers`, 'keys/s', run.writesPerSecond);
  for (const [what, span] of spans) {
    const waits = timesWithin(run.writes, span);
    samples.add(`${name}, ${what}: longest wait`, 'ms', quantile(waits, 1));
    samples.add(`${name}, ${what}: p99`, 'ms', quantile(waits, 0.99));
  }
}

async function ledByKeyferry(...[, source, target, step, samples]: Parameters<Lead>): Promise<EtcdServer> {
  const migration = await createReplicate(source, target);
  try {
    await step('copying', async () => {
      await migration.plan();
      await migration.copyOnline();
    });
    const holds = {
      cutover: await step('cutover', () => migration.cutOver()),
      rollback: await step('rollback', () => migration.rollBack()),
    };
    for (const [what, { heldMs, compared }] of Object.entries(holds)) {
      samples.add(`keyferry, ${what}: held, as it says`, 'ms', heldMs);
      samples.add(`keyferry, ${what}: compared in the hold`, 'keys', compared);
    }
    return source;
  } finally {
    await migration.remove();
  }
}

async function ledByHand(...[application, source, target, step]: Parameters<Lead>): Promise<EtcdServer> {
  const mirror = startMirror(source, target);
  try {
    await step('copying', () => untilFollowed(source, target, mirror));
    await step('cutover', async () => {
      await application.hold();
      await untilCarried(source, target, mirror);
      for (let instance = 0; instance < instanceCount; instance += 1) application.lead(instance);
    });
    return target;
  } finally {
    await kill(mirror);
  }
}
