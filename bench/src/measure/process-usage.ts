/** What another process has used so far, from /proc: for servers and for peers. Linux only. */
import { readFileSync } from 'node:fs';

/** USER_HZ: what /proc counts in on every Linux that Node runs on (proc_pid_stat(5)). */
const ticksPerSecond = 100;

/** User and system time, in seconds; 0 for a process that is gone. */
export function cpuSecondsOf(pid: number): number {
  const fields = read(pid, 'stat')
    .replace(/^.*\) /s, '')
    .split(' ');
  // Counted from the state, which is field 3: utime is field 14, stime 15.
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / ticksPerSecond;
}

/** Most memory that was resident at once. */
export function peakMiBOf(pid: number): number {
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(read(pid, 'status'))?.[1] ?? 0) / 1024;
}

function read(pid: number, file: 'stat' | 'status'): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return ''; // it has ended: what it used can no longer be asked for
  }
}
