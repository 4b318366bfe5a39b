/** The peer for v3 → v3: `etcdctl make-mirror`, started, watched until the last key is there, and ended. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EtcdServer } from '@keyferry/servers';
import { cpuSecondsOf, peakMiBOf } from '../measure/process-usage.ts';
import { openPlainEtcd } from './fill-v3.ts';
import { benchPrefix } from './records.ts';
import { endpointOf } from './servers.ts';

export interface MirrorRun {
  readonly wallMs: number;
  readonly cpuSeconds: number;
  readonly peakMiB: number;
}

/** It never ends by itself: it goes on following the source. */
const pollMs = 20;
const carriedPollMs = 2;
const carriedMaxMs = 120_000;

export const mirrorArguments = (source: string, target: string): readonly string[] => [
  'make-mirror',
  `--endpoints=${source}`,
  `--prefix=${benchPrefix}`,
  target.replace(/^http:\/\//, ''),
];

export function startMirror(source: EtcdServer, target: EtcdServer): ChildProcess {
  const program = join(source.programDirectory, 'etcdctl');
  return spawn(program, mirrorArguments(endpointOf(source), endpointOf(target)), {
    env: { ...process.env, ETCDCTL_API: '3' },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

/** Until it carries what changes in the source. The first marker may come with the copy of what was there, the second cannot. */
export async function untilFollowed(source: EtcdServer, target: EtcdServer, follower: ChildProcess): Promise<void> {
  await untilCarried(source, target, follower);
  await untilCarried(source, target, follower);
}

/** Until all that was written before is in the target: a follower says nothing of it, so a marker is put, and looked for. */
export async function untilCarried(source: EtcdServer, target: EtcdServer, follower: ChildProcess): Promise<void> {
  const key = Buffer.from(`${benchPrefix}marker`);
  const startedAtMs = performance.now();
  const value = String(startedAtMs);
  const [from, to] = [openPlainEtcd(endpointOf(source)), openPlainEtcd(endpointOf(target))];
  try {
    await from.kv.put({ key, value: Buffer.from(value) });
    while ((await to.kv.range({ key })).kvs[0]?.value.toString() !== value) {
      if (follower.exitCode !== null) throw new Error(`the follower ended with ${follower.exitCode}`);
      if (performance.now() - startedAtMs > carriedMaxMs) throw new Error('the follower does not keep up');
      await sleep(carriedPollMs);
    }
  } finally {
    from.close();
    to.close();
  }
}

export async function kill(follower: ChildProcess): Promise<void> {
  if (follower.exitCode !== null || follower.signalCode !== null) return;
  follower.kill('SIGKILL');
  await once(follower, 'exit');
}

/** @param lastKey it copies in key order, so the last key is there when all are */
export async function runMakeMirror(source: EtcdServer, target: EtcdServer, lastKey: string): Promise<MirrorRun> {
  const etcd = openPlainEtcd(endpointOf(target));
  const key = Buffer.from(lastKey);
  const startedAt = performance.now();
  const child = startMirror(source, target);
  try {
    await once(child, 'spawn');
    const pid = child.pid ?? 0;
    while ((await etcd.kv.range({ key, keys_only: true })).kvs.length === 0) {
      if (child.exitCode !== null) throw new Error(`make-mirror ended with ${child.exitCode}`);
      await sleep(pollMs);
    }
    const wallMs = performance.now() - startedAt;
    return { wallMs, cpuSeconds: cpuSecondsOf(pid), peakMiB: peakMiBOf(pid) };
  } finally {
    etcd.close();
    await kill(child);
  }
}
