/**
 * Who holds a lock, in a text that people read and that keyferry can later ask: does that process still run?
 *
 *     deploy@ci-17, pid 4711 [3f1c9a2e.4026531836.8812345]
 *                             boot     pid namespace  start of the process, in clock ticks since boot
 *
 * A lock whose process is known to be gone need not be waited for. A wrong "gone" would let two runs write at once
 * (the fences would still hold them apart), so anything unknown means "not gone": another host, another boot, another
 * container with the same host name. The start tells a reused process id from the old one.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import type { LockState } from '@keyferry/core';

/** What of the machine is asked; replaced in tests. */
export interface ProcessTable {
  readonly host: string;
  readonly user: string;
  readonly pid: number;
  /** `boot.namespace`; null where the system does not tell. */
  readonly place: string | null;
  /** The process's start in ticks since boot; null when unknown. */
  startOf(pid: number): string | null;
  isRunning(pid: number): boolean;
}

export function holderText(table: ProcessTable): string {
  const start = table.startOf(table.pid);
  const mark = table.place === null || start === null ? '' : ` [${table.place}.${start}]`;
  return `${table.user}@${table.host}, pid ${table.pid}${mark}`;
}

export { holderForPeople } from '@keyferry/core';

export function holderIsGone(table: ProcessTable): (lock: Pick<LockState, 'holder'>) => boolean {
  return ({ holder }) => {
    const match = /@([^,]+), pid (\d+)(?: \[(.*)\.(\d+)\])?$/.exec(holder);
    if (match?.[1] !== table.host) return false;
    const pid = Number(match[2]);
    const [, , , place, start] = match;
    // Without a mark the process ids of both sides may come from different containers.
    if (place === undefined || table.place !== place) return false;
    if (!table.isRunning(pid)) return true;
    const startNow = table.startOf(pid);
    return startNow !== null && startNow !== start;
  };
}

export function thisMachine(): ProcessTable {
  return {
    host: hostname(),
    user: userName(),
    pid: process.pid,
    place: readPlace(),
    startOf: readStart,
    isRunning,
  };
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`; // a container's user need not be in its passwd file
  }
}

function readPlace(): string | null {
  const boot = readText('/proc/sys/kernel/random/boot_id')?.slice(0, 8);
  const namespace = /\d+/.exec(readLink('/proc/self/ns/pid') ?? '')?.[0];
  return boot === undefined || namespace === undefined ? null : `${boot}.${namespace}`;
}

function readStart(pid: number): string | null {
  const stat = readText(`/proc/${pid}/stat`);
  // Field 22; counted from behind the program's name, which may hold spaces and brackets (proc(5)).
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'; // EPERM: it runs as somebody else
  }
}

function readText(file: string): string | null {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return null;
  }
}

function readLink(file: string): string | null {
  try {
    return readlinkSync(file);
  } catch {
    return null;
  }
}
