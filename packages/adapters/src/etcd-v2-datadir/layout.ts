/**
 * Where a member keeps what: which files are its snapshots and its log, and how they are told from what lies beside them.
 *
 *     <data-dir>/member/snap/<term>-<index>.snap      v2 snapshots          (16 hex digits each)
 *     <data-dir>/member/snap/db                       the v3 store, from 3.0 on
 *     <data-dir>/member/wal/<seq>-<index>.wal         the log; elsewhere with --wal-dir
 *
 * `etcdctl backup` writes the same tree. The member directory itself is accepted too. Files that etcd leaves behind while
 * it works (`0.tmp`, `*.broken`, `*.snap.db`, `db.tmp…`) are none of these. Nothing is created, opened for writing or locked.
 *
 * Source: etcd 3.4 `etcdserver/config.go`, `wal/util.go`, `etcdserver/api/snap/snapshotter.go`; the same since 2.0.
 */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { KeyferryError } from '@keyferry/core';
import { reading } from './errors.ts';

export interface DataDirectory {
  /** As it was named. */
  readonly path: string;
  /** Where its log lies. */
  readonly logPath: string;
  /** Newest first. */
  readonly snapshots: readonly string[];
  /** Oldest first, without a gap in their sequence. */
  readonly segments: readonly Segment[];
  /** The v3 store; null when there is none. */
  readonly backend: { readonly file: string; readonly bytes: number } | null;
  /** Changes when any of these files does. */
  readonly fingerprint: string;
}

export interface Segment {
  readonly file: string;
  /** Index of the first entry that it may hold. */
  readonly firstIndex: number;
  readonly bytes: number;
}

const snapshotName = /^[0-9a-f]{16}-[0-9a-f]{16}\.snap$/;
const segmentName = /^([0-9a-f]{16})-([0-9a-f]{16})\.wal$/;

/** @throws {KeyferryError} `datadir.not-found`, `datadir.incomplete`, `file.unreadable` */
export async function findDataDirectory(path: string, walPath: string | null): Promise<DataDirectory> {
  const entries = await namesOf(path);
  if (entries === null) throw notFound(path, 'there is no such directory');
  const member = entries.includes('member') ? join(path, 'member') : path;
  const inside = (await namesOf(member)) ?? [];
  const wal = walPath ?? join(member, 'wal');
  const segmentNames = await namesOf(wal);
  if (walPath === null && !inside.includes('wal') && !inside.includes('snap')) {
    throw notFound(path, 'it holds neither member/snap and member/wal nor snap and wal');
  }
  if (segmentNames === null) {
    const why =
      walPath === null
        ? `its log is not in ${wal}: a member that was started with --wal-dir keeps it elsewhere, which walDir: in the store tells, or   inspect --wal-dir DIR`
        : `its log is to be in ${walPath}, and there is no such directory`;
    throw notFound(path, why);
  }
  const snap = join(member, 'snap');
  const snapNames = (await namesOf(snap)) ?? [];
  const snapshots = snapNames
    .filter((name) => snapshotName.test(name))
    .toSorted()
    .toReversed();
  const segments = await segmentsOf(wal, segmentNames);
  const backend = snapNames.includes('db') ? join(snap, 'db') : null;
  const files = [...snapshots.map((name) => join(snap, name)), ...segments.map(({ file }) => file)];
  return {
    path,
    logPath: wal,
    snapshots: snapshots.map((name) => join(snap, name)),
    segments,
    backend: backend === null ? null : { file: backend, bytes: (await reading(backend, () => stat(backend))).size },
    fingerprint: await fingerprintOf(files),
  };
}

/** Sizes and times as they are now: a file that was written to, replaced or added since shows. */
async function fingerprintOf(files: readonly string[]): Promise<string> {
  const lines = await Promise.all(
    files.map(async (file) => {
      const { dev, ino, size, mtimeNs } = await reading(file, () => stat(file, { bigint: true }));
      return `${file} ${dev} ${ino} ${size} ${mtimeNs}`;
    }),
  );
  return lines.join('\n');
}

async function segmentsOf(directory: string, names: readonly string[]): Promise<readonly Segment[]> {
  const segments: Segment[] = [];
  let expected: bigint | null = null;
  for (const name of names.toSorted()) {
    const [, sequence, index] = segmentName.exec(name) ?? [];
    if (sequence === undefined || index === undefined) continue;
    const number = BigInt(`0x${sequence}`);
    // What lies before a gap can be of no use: the log has to be read without one up to its end.
    if (expected !== null && number !== expected) segments.length = 0;
    expected = number + 1n;
    const file = join(directory, name);
    const { size } = await reading(file, () => stat(file));
    segments.push({ file, firstIndex: Number.parseInt(index, 16), bytes: size });
  }
  return segments;
}

async function namesOf(directory: string): Promise<readonly string[] | null> {
  try {
    return await readdir(directory);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw new KeyferryError('file.unreadable', { file: directory, detail: (error as Error).message }, { cause: error });
  }
}

function notFound(directory: string, detail: string): KeyferryError {
  return new KeyferryError('datadir.not-found', { directory, detail });
}
