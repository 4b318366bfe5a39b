/**
 * Writes a snapshot file from records in the order of their keys, in one pass.
 *
 *     records ──► pages of "key" ──► "lease" ──► eight empty buckets ──► root ──► the two meta pages ──► digest at the end
 *
 * Each record is as if it had been put once into an etcd that nothing was written to before, one after another: version 1,
 * and revisions that count up from `firstRevision` in the order of the keys. So the same records give the same
 * file, and "key", which etcd keeps in the order of revisions, is written from start to end.
 *
 * Records that end within the same bucket of time share a lease, as on a live etcd. A server counts a lease from
 * when it starts on the file: time in between is on top.
 *
 * `etcdutl snapshot restore` needs "key" and from 3.5 on "meta"; it fills in members, term and index by itself. The others
 * are those that every server has, empty.
 */
import { createHash } from 'node:crypto';
import { writeSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { invariant, type Position, type RecordPage } from '@keyferry/core';
import { firstPage, writtenPageBytes } from '../bbolt/format.ts';
import { BoltWriter, metaPages } from '../bbolt/writer.ts';
import { packedPage } from '../record-packer.ts';
import { encodeLease, keyValueBytes, revisionBytes, writeBig, writeKeyValue, writeRevision } from './key-value.ts';

export interface SnapshotWriting {
  /** In byte order. */
  readonly pages: AsyncIterable<RecordPage>;
  /** What counts as past, and from when leases count. */
  readonly nowMs: number;
  readonly leaseBucketMs: number;
  /** 2 or more: 1 is an etcd in which nothing was written. */
  readonly firstRevision: number;
}

const emptyBuckets = ['alarm', 'auth', 'authRoles', 'authUsers', 'cluster', 'members', 'members_removed', 'meta'];
/** lease/lessor.go: no less is granted with default timings, and no more at all. */
const [ttlMinSeconds, ttlMaxSeconds] = [2, 9_000_000_000];
const pieceBytes = 1024 * 1024;

/** Into an empty file. @returns sha256 of the file, as `sha256sum` prints it */
export async function writeSnapshot(handle: FileHandle, writing: SnapshotWriting): Promise<Position> {
  let end = firstPage * writtenPageBytes;
  const bolt = new BoltWriter({
    write: (bytes) => {
      writeAll(handle, bytes, end);
      end += bytes.length;
    },
  });
  const leases = await writeKeys(bolt, writing);
  writeLeases(bolt, leases, writing.nowMs);
  for (const name of emptyBuckets) bolt.bucket(name).end();
  const meta = bolt.finish();
  invariant(meta.highWater * meta.pageBytes === end, 'the pages written are those of the file');
  writeAll(handle, metaPages(meta), 0);
  // Most of it is on its way to the disk while it is hashed; what comes behind is synced by whoever gave the file.
  const [digest] = await Promise.all([hashOf(handle, end), handle.sync()]);
  const image = digest.copy().digest();
  writeAll(handle, image, end);
  return `sha256:${digest.update(image).digest('hex')}` as Position;
}

/** @returns the ends of the leases, each its id too, in milliseconds since 1970 */
async function writeKeys(bolt: BoltWriter, writing: SnapshotWriting): Promise<readonly number[]> {
  const { pages, leaseBucketMs, firstRevision, nowMs } = writing;
  const leases = new Set<number>();
  const bucket = bolt.bucket('key');
  let revision = firstRevision;
  for await (const page of pages) {
    const { count, spans, expiresAtMsOf, bytes: packed } = packedPage(page).packed;
    const bytes = Buffer.from(packed.buffer, packed.byteOffset, packed.byteLength);
    for (let index = 0, field = 0; index < count; index += 1, field += 4) {
      const expiresAtMs = expiresAtMsOf(index);
      const lease = expiresAtMs === null ? 0 : Math.ceil(Math.max(expiresAtMs, nowMs) / leaseBucketMs) * leaseBucketMs;
      if (lease > 0) leases.add(lease);
      const keyStart = spans[field] as number;
      const keyEnd = spans[field + 1] as number;
      const valueStart = spans[field + 2] as number;
      const valueEnd = spans[field + 3] as number;
      const record = { bytes, keyStart, keyEnd, valueStart, valueEnd, revision, lease };
      const at = bucket.reserve(revisionBytes, keyValueBytes(record));
      writeRevision(bucket.data, at, revision);
      writeKeyValue(bucket.data, at + revisionBytes, record);
      revision += 1;
    }
  }
  bucket.end();
  return [...leases].toSorted((a, b) => a - b);
}

function writeLeases(bolt: BoltWriter, leases: readonly number[], nowMs: number): void {
  const bucket = bolt.bucket('lease');
  for (const endsAtMs of leases) {
    const id = Buffer.alloc(8);
    writeBig(id, 0, endsAtMs);
    const seconds = Math.ceil((endsAtMs - nowMs) / 1000);
    bucket.put(id, encodeLease(endsAtMs, Math.min(Math.max(ttlMinSeconds, seconds), ttlMaxSeconds)));
  }
  bucket.end();
}

function writeAll({ fd }: FileHandle, bytes: Buffer, position: number): void {
  for (let done = 0; done < bytes.length;) {
    done += writeSync(fd, bytes, done, bytes.length - done, position + done);
  }
}

/** The meta pages come first in the file and last in time: only now it can be hashed from its start. */
async function hashOf(handle: FileHandle, size: number) {
  const hash = createHash('sha256');
  const piece = Buffer.allocUnsafeSlow(pieceBytes);
  for (let at = 0; at < size;) {
    const { bytesRead } = await handle.read(piece, 0, Math.min(pieceBytes, size - at), at);
    invariant(bytesRead > 0, 'the file became shorter while it was written');
    hash.update(piece.subarray(0, bytesRead));
    at += bytesRead;
  }
  return hash;
}
