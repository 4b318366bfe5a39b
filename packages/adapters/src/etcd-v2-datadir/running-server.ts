/**
 * Is a server at work on the directory? What it would write next is missing from what is read, so nothing is planned then.
 *
 * etcd holds exclusive locks for as long as it runs: on the v3 store (`flock`) and on its log (`flock` up to 2.3, locks of
 * the open file from 3.0 on). Node can take neither, and taking one for a moment could make a server that starts just then
 * give up. Linux lists who holds what in /proc/locks, by device and inode; that is only looked at. It does not show
 * locks taken on another machine (NFS), nor `flock`s of another PID namespace, nor is it there on other systems: so the
 * files are compared before and after reading as well (source.ts), which shows every server that writes meanwhile.
 */
import { readFile, stat } from 'node:fs/promises';
import type { KeyferryError } from '@keyferry/core';
import { inUse, reading } from './errors.ts';
import type { DataDirectory } from './layout.ts';

export type ServerState =
  | { readonly kind: 'none' }
  /** `process`: null when the system does not say which. */
  | { readonly kind: 'running'; readonly file: string; readonly process: number | null }
  /** The system has no list of locks. */
  | { readonly kind: 'unknown' };

const exclusiveLock = /^\d+: (?:FLOCK|OFDLCK|POSIX)\s+\w+\s+WRITE\s+(-?\d+)\s+([0-9a-f]+):([0-9a-f]+):(\d+)\s/;

export async function serverOn({ segments, backend }: DataDirectory): Promise<ServerState> {
  const list = await readFile('/proc/locks', 'utf8').catch(() => null); // not Linux, or not permitted
  if (list === null) return { kind: 'unknown' };
  const holders = new Map<string, number>();
  for (const line of list.split('\n')) {
    const [, process = '', major = '', minor = '', inode = ''] = exclusiveLock.exec(line) ?? [];
    if (inode === '') continue;
    const place = `${Number.parseInt(major, 16)}:${Number.parseInt(minor, 16)}:${inode}`;
    holders.set(place, Math.max(Number(process), holders.get(place) ?? -1));
  }
  for (const file of [...(backend === null ? [] : [backend.file]), ...segments.map((segment) => segment.file)]) {
    const holder = holders.get(await placeOf(file));
    if (holder !== undefined) return { kind: 'running', file, process: holder > 0 ? holder : null };
  }
  return { kind: 'none' };
}

/** What to say of a directory that a server is at work on: who it is and by what it shows. */
export function inUseBy(
  { path }: Pick<DataDirectory, 'path'>,
  { file, process }: Extract<ServerState, { readonly kind: 'running' }>,
): KeyferryError<'datadir.in-use'> {
  const who = process === null ? 'a process' : `process ${process}`;
  return inUse(path, `${who} holds the lock of ${file}`);
}

/** Device and inode as /proc/locks writes them; the device's number is put together as in glibc's `makedev`. */
async function placeOf(file: string): Promise<string> {
  const { dev, ino } = await reading(file, () => stat(file, { bigint: true }));
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn);
  const minor = (dev & 0xffn) | ((dev >> 12n) & ~0xffn);
  return `${major}:${minor}:${ino}`;
}
