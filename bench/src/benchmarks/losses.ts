/**
 * What an application loses on its way from one etcd v3 to another: keys whose last acknowledged put is not there in the end, and
 * keys that were deleted and are there again.
 *
 * Each tool has the same load (four instances, puts and deletes) and the same fate: it is killed once it carries changes, and
 * started again two seconds later (make-mirror is looked at without that, too); then the application goes over. keyferry leads
 * it (strategy `replicate`). Beside the others its instances change over one a second, as a rolling restart has it. The copy
 * script lists and puts twice, the second time right before the change; nothing kills it. What the application was
 * answered is held against what is in the target in the end, by the same lines for all.
 */
import type { ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EtcdServer } from '@keyferry/servers';
import { Samples, type Benchmark } from '../benchmark.ts';
import { BenchApplication, instanceCount, lossesOf } from '../workload/application.ts';
import { copyByScript, fillV3 } from '../workload/fill-v3.ts';
import { kill, mirrorArguments, startMirror, untilCarried, untilFollowed } from '../workload/make-mirror.ts';
import { createReplicate } from '../workload/replicate.ts';
import { endpointOf, startBenchEtcd } from '../workload/servers.ts';

/** As much as make-mirror still follows on a busy machine: it puts one key after the other. */
const rate = 200;
const deadMs = 2000;
const betweenInstancesMs = 1000;
/** At work before anything begins, and after all is over. */
const aroundMs = 3000;

type Move = (application: BenchApplication, source: EtcdServer, target: EtcdServer) => Promise<void>;

const tools: Readonly<Record<string, Move>> = {
  keyferry: moveByKeyferry,
  'make-mirror': moveByMirror,
  'make-mirror, never killed': moveByLivingMirror,
  'copy script': moveByScript,
};

export const losses: Benchmark = {
  rounds: 3,
  keys: 10_000,
  async run({ rounds, keys, note }) {
    const samples = new Samples();
    for (let round = 1; round <= rounds; round += 1) {
      for (const [name, move] of Object.entries(tools)) {
        note(`round ${round}: ${name}`);
        await measure(name, move, keys, samples);
      }
    }
    return {
      workload: `${rate} puts and deletes a second, ${keys.toLocaleString('en')} keys of 26 B, values of 100 B, two etcd 3.5`,
      commands: {
        keyferry: 'keyferry plan; keyferry apply --follow, killed, and again; keyferry cutover',
        'make-mirror': ['etcdctl', ...mirrorArguments('http://127.0.0.1:PORT', 'http://127.0.0.1:PORT')].join(' '),
        'copy script': 'workload/fill-v3.ts, copyByScript: pages of 1,000, transactions of 128 puts',
      },
      series: samples.series(),
      ratios: Object.keys(tools).flatMap((name) =>
        (['lost', 'resurrected'] as const).map((what) =>
          samples.ratio(
            `${name}: keys ${what} / keys written`,
            `${name}, ${what}`,
            `${name}, keys written`,
            name === 'keyferry' ? { atMost: 0 } : null,
          ),
        ),
      ),
      versions: { etcd: '3.5.16', etcdctl: '3.5.16' },
      notMeasured: ['what readers saw meanwhile', 'clusters of three members, network latency, TLS'],
    };
  },
};

async function measure(name: string, move: Move, keys: number, samples: Samples): Promise<void> {
  await using source = await startBenchEtcd({ version: '3.5' });
  await using target = await startBenchEtcd({ version: '3.5' });
  await fillV3(endpointOf(source), keys);
  const follows = move === moveByKeyferry;
  await using application = await BenchApplication.start({ source, target, keys, rate, follows });
  await sleep(aroundMs);
  await move(application, source, target);
  const run = await application.end();
  const { lost, resurrected } = await lossesOf(run, keys, target);
  samples.add(`${name}, lost`, 'keys', lost);
  samples.add(`${name}, resurrected`, 'keys', resurrected);
  samples.add(`${name}, keys written`, 'keys', run.last.length);
  samples.add(`${name}, rate of the writers`, 'keys/s', run.writesPerSecond);
}

async function moveByKeyferry(...[, source, target]: Parameters<Move>): Promise<void> {
  const migration = await createReplicate(source, target);
  try {
    await migration.plan();
    const follower = await followedThroughKill(source, target, () => migration.follow());
    try {
      await migration.untilProven(follower);
      await migration.cutOver();
      await sleep(aroundMs);
    } finally {
      await kill(follower);
    }
  } finally {
    await migration.remove();
  }
}

async function moveByMirror(...[application, source, target]: Parameters<Move>): Promise<void> {
  const mirror = await followedThroughKill(source, target, () => startMirror(source, target));
  await leadFrom(mirror, application, source, target);
}

async function moveByLivingMirror(...[application, source, target]: Parameters<Move>): Promise<void> {
  const mirror = await followed(source, target, () => startMirror(source, target));
  await leadFrom(mirror, application, source, target);
}

async function leadFrom(mirror: ChildProcess, ...[application, source, target]: Parameters<Move>): Promise<void> {
  try {
    await leadOver(application);
    // What it has not carried yet is late, and not lost.
    await untilCarried(source, target, mirror);
    await sleep(aroundMs);
  } finally {
    await kill(mirror);
  }
}

async function moveByScript(...[application, source, target]: Parameters<Move>): Promise<void> {
  for (let pass = 0; pass < 2; pass += 1) await copyByScript(endpointOf(source), endpointOf(target));
  await leadOver(application);
  await sleep(aroundMs);
}

type Start = () => ChildProcess;

/** @returns the second one, which follows */
async function followedThroughKill(source: EtcdServer, target: EtcdServer, start: Start): Promise<ChildProcess> {
  const first = await followed(source, target, start);
  await kill(first);
  await sleep(deadMs);
  return await followed(source, target, start);
}

async function followed(source: EtcdServer, target: EtcdServer, start: Start): Promise<ChildProcess> {
  const follower = start();
  try {
    await untilFollowed(source, target, follower);
    return follower;
  } catch (error) {
    await kill(follower);
    throw error;
  }
}

async function leadOver(application: BenchApplication): Promise<void> {
  for (let instance = 0; instance < instanceCount; instance += 1) {
    application.lead(instance);
    await sleep(betweenInstancesMs);
  }
}
