/** The peer for v3 → v3: `etcdctl make-mirror`, started, watched until the last key is there, and ended. */
import { spawn } from 'node:child_process';
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

export const mirrorArguments = (source: string, target: string): readonly string[] => [
  'make-mirror',
  `--endpoints=${source}`,
  `--prefix=${benchPrefix}`,
  target.replace(/^http:\/\//, ''),
];

/** @param lastKey it copies in key order, so the last key is there when all are */
export async function runMakeMirror(source: EtcdServer, target: EtcdServer, lastKey: string): Promise<MirrorRun> {
  const etcd = openPlainEtcd(endpointOf(target));
  const key = Buffer.from(lastKey);
  const startedAt = performance.now();
  const program = join(source.programDirectory, 'etcdctl');
  const child = spawn(program, mirrorArguments(endpointOf(source), endpointOf(target)), {
    env: { ...process.env, ETCDCTL_API: '3' },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
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
    if (child.exitCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  }
}
