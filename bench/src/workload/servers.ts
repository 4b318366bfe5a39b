/** Servers of a benchmark, and their CPU time. */
import { startEtcd, type EtcdOptions, type EtcdServer } from '@keyferry/servers';
import { cpuSecondsOf } from '../measure/process-usage.ts';

/** Keys and history of a million records fit; compaction off, so that no round meets it by chance. */
const extraArgs = ['--quota-backend-bytes=8589934592', '--snapshot-count=100000'];

export function startBenchEtcd(options: EtcdOptions): Promise<EtcdServer> {
  return startEtcd({ ...options, extraArgs });
}

export function endpointOf(server: EtcdServer): string {
  return server.endpoints[0] ?? '';
}

/** CPU seconds of all its members so far. */
export function serverCpu(...servers: readonly EtcdServer[]): number {
  let seconds = 0;
  for (const { members } of servers) for (const { pid } of members) if (pid !== undefined) seconds += cpuSecondsOf(pid);
  return seconds;
}
