/**
 * A snapshot file, opened and found whole: `[bbolt image][its SHA-256]`, as `etcdctl snapshot save` writes it.
 *
 * The digest covers every byte, so what is read behind it is what was written; that the image makes sense is checked
 * on the way all the same, because a digest can be right over bytes that no etcd wrote.
 */
import { createHash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { KeyferryError, type Key, type Position } from '@keyferry/core';
import { compareBytes } from '../bbolt/compare-bytes.ts';
import { bytesOfFile } from '../bbolt/page-reader.ts';
import { BoltDamage, BoltReader, type Bucket, type Leaf } from '../bbolt/reader.ts';
import { Malformed } from '../etcd-v2-datadir/protobuf.ts';
import { KeyValueReader, readLease, type Lease } from './decode.ts';
import { readDatabaseMeta } from './meta.ts';

const digestBytes = 32;
/** Sizes of images are multiples of it, and so the digest shows. etcd's own test. */
const sectorBytes = 512;
const pieceBytes = 1024 * 1024;

/** The leaves of "key", where keys ascend with revisions: the first key of each, to find a place by. */
export interface LeafIndex {
  readonly ids: readonly number[];
  readonly firstKeys: readonly Key[];
}

/** sha256 of the whole file. @throws {KeyferryError} `file.unreadable` */
export async function readPosition(file: string): Promise<Position> {
  return await withFile(file, async (handle) => (await hashFile(handle, await sizeOf(file, handle))).position);
}

export class SnapshotFile {
  readonly position: Position;
  /** Of the file, in bytes. */
  readonly size: number;
  private readonly file: string;
  private readonly handle: FileHandle;
  private readonly bolt: BoltReader;
  private readonly keys: Bucket;
  private readonly stamp: string;

  private constructor(file: string, handle: FileHandle, opened: Opened) {
    this.file = file;
    this.handle = handle;
    this.position = opened.position;
    this.size = opened.size;
    this.bolt = opened.bolt;
    this.keys = opened.keys;
    this.stamp = opened.stamp;
  }

  /** @throws {KeyferryError} `snapshot.damaged`, `file.unreadable` */
  static async open(file: string): Promise<SnapshotFile> {
    const handle = await reading(file, () => open(file, 'r'));
    try {
      return new SnapshotFile(file, handle, await openImage(file, handle));
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** The revision that a server which is restored from it begins with. @throws {KeyferryError} `snapshot.damaged` */
  revision(): number {
    return this.guarded(() => {
      const reader = new KeyValueReader();
      const { compactedRevision } = readDatabaseMeta(this.bolt);
      for (const leaf of this.bolt.leaves(this.keys, 'backwards')) {
        if (leaf.count > 0) return Math.max(compactedRevision, this.entry(reader, leaf, leaf.count - 1).revision);
      }
      return Math.max(1, compactedRevision);
    });
  }

  /** What is left of each lease when a server starts on the file, in seconds, by its id. */
  leases(): ReadonlyMap<string, number> {
    return this.guarded(() => {
      const found = new Map<string, number>();
      const bucket = this.bolt.buckets().get('lease');
      if (bucket === undefined) return found;
      for (const leaf of this.bolt.leaves(bucket, 'forwards')) {
        for (let i = 0; i < leaf.count; i += 1) {
          const { id, seconds } = leaseAt(leaf, i);
          found.set(id, seconds);
        }
      }
      return found;
    });
  }

  /** As `indexIfInKeyOrder`, of a file that is known to be in that order: a look at each leaf, and not at each record. */
  indexInKeyOrder(): LeafIndex | null {
    return this.guarded(() => {
      const ids: number[] = [];
      const firstKeys: Key[] = [];
      const reader = new KeyValueReader();
      for (const leaf of this.bolt.leaves(this.keys, 'forwards')) {
        if (leaf.count === 0) continue;
        ids.push(leaf.id);
        firstKeys.push(this.entry(reader, leaf, 0).key);
      }
      return this.keys.kind === 'page' ? { ids, firstKeys } : null;
    });
  }

  /** Null: a key was written again, deleted, or written in another order; what there is has to be sorted. */
  indexIfInKeyOrder(): LeafIndex | null {
    return this.guarded(() => {
      const ids: number[] = [];
      const firstKeys: Key[] = [];
      const reader = new KeyValueReader();
      // The last key: in the leaf at hand, or what was kept of the one before it.
      let last: Buffer | null = null;
      let lastStart = 0;
      let lastEnd = 0;
      for (const leaf of this.bolt.leaves(this.keys, 'forwards')) {
        if (leaf.count > 0) ids.push(leaf.id);
        for (let i = 0; i < leaf.count; i += 1) {
          const { keyStart, keyEnd, isDeletion } = this.entry(reader, leaf, i);
          if (isDeletion) return null;
          if (last !== null && compareBytes(last, lastStart, lastEnd, leaf.bytes, keyStart, keyEnd) >= 0) return null;
          if (i === 0) firstKeys.push(reader.key);
          last = leaf.bytes;
          lastStart = keyStart;
          lastEnd = keyEnd;
        }
        if (last !== null) {
          last = Buffer.from(last.subarray(lastStart, lastEnd));
          lastEnd -= lastStart;
          lastStart = 0;
        }
      }
      return this.keys.kind === 'page' ? { ids, firstKeys } : null;
    });
  }

  /** Every revision of every key, the newest first. `take` gets one object, good until it returns. */
  eachBackwards(take: (record: KeyValueReader, bytes: Buffer) => void): void {
    this.guarded(() => {
      const reader = new KeyValueReader();
      for (const leaf of this.bolt.leaves(this.keys, 'backwards')) {
        for (let i = leaf.count - 1; i >= 0; i -= 1) take(this.entry(reader, leaf, i), leaf.bytes);
      }
    });
  }

  /** The records of one leaf of the index, in order. */
  eachOfLeaf(id: number, take: (record: KeyValueReader, bytes: Buffer) => void): void {
    this.guarded(() => {
      const reader = new KeyValueReader();
      const leaf = this.bolt.leafAt(id);
      for (let i = 0; i < leaf.count; i += 1) take(this.entry(reader, leaf, i), leaf.bytes);
    });
  }

  /** Pages are read again and again from it: what somebody wrote in between would be of another state. */
  async assertUnchanged(): Promise<void> {
    const stamp = await reading(this.file, () => stampOf(this.handle));
    if (stamp !== this.stamp) throw unreadable(this.file, 'it was changed while it was read');
  }

  close(): Promise<void> {
    return this.handle.close();
  }

  private entry(reader: KeyValueReader, leaf: Leaf, i: number): KeyValueReader {
    try {
      return reader.read(leaf.entry(i));
    } catch (error) {
      throw placed(leaf, error);
    }
  }

  private guarded<T>(read: () => T): T {
    return guarded(this.file, read);
  }
}

interface Opened {
  readonly position: Position;
  readonly size: number;
  readonly stamp: string;
  readonly bolt: BoltReader;
  readonly keys: Bucket;
}

async function openImage(file: string, handle: FileHandle): Promise<Opened> {
  const stamp = await reading(file, () => stampOf(handle));
  const size = await sizeOf(file, handle);
  if (size % sectorBytes !== digestBytes) throw damaged(file, size, 'it does not end in a digest');
  const { position, image, stated } = await hashFile(handle, size);
  if (!image.equals(stated)) throw damaged(file, size - digestBytes, 'its digest is not that of its content');
  const { bolt, keys } = guarded(file, () => {
    const reader = BoltReader.open(bytesOfFile(handle.fd, size - digestBytes));
    const bucket = reader.buckets().get('key');
    if (bucket === undefined) throw new BoltDamage(0, 'there is no bucket "key": it is not of etcd');
    return { bolt: reader, keys: bucket };
  });
  return { position, size, stamp, bolt, keys };
}

interface Hashes {
  readonly position: Position;
  /** Of all but the last 32 bytes, and those. */
  readonly image: Buffer;
  readonly stated: Buffer;
}

async function hashFile(handle: FileHandle, size: number): Promise<Hashes> {
  const hash = createHash('sha256');
  const piece = Buffer.allocUnsafeSlow(pieceBytes);
  const imageBytes = Math.max(0, size - digestBytes);
  for (let at = 0; at < imageBytes;) {
    const { bytesRead } = await handle.read(piece, 0, Math.min(pieceBytes, imageBytes - at), at);
    if (bytesRead === 0) break; // it became shorter: the digest will not match
    hash.update(piece.subarray(0, bytesRead));
    at += bytesRead;
  }
  const { bytesRead } = await handle.read(piece, 0, size - imageBytes, imageBytes);
  const stated = Buffer.from(piece.subarray(0, bytesRead));
  const image = hash.copy().digest();
  return { position: `sha256:${hash.update(stated).digest('hex')}` as Position, image, stated };
}

async function withFile<T>(file: string, body: (handle: FileHandle) => Promise<T>): Promise<T> {
  const handle = await reading(file, () => open(file, 'r'));
  try {
    return await reading(file, () => body(handle));
  } finally {
    await handle.close();
  }
}

async function sizeOf(file: string, handle: FileHandle): Promise<number> {
  const stat = await reading(file, () => handle.stat());
  if (!stat.isFile()) throw unreadable(file, 'it is not a regular file');
  return stat.size;
}

async function stampOf(handle: FileHandle): Promise<string> {
  const { size, mtimeNs } = await handle.stat({ bigint: true });
  return `${size} ${mtimeNs}`;
}

function leaseAt(leaf: Leaf, i: number): Lease {
  try {
    return readLease(leaf.entry(i));
  } catch (error) {
    throw placed(leaf, error);
  }
}

/** With where in the file the entry is that cannot be read, which is the one that the leaf shows. */
function placed(leaf: Leaf, error: unknown): unknown {
  return error instanceof Malformed ? new BoltDamage(leaf.offsetOf(leaf.keyStart), error.message) : error;
}

function guarded<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof BoltDamage) throw damaged(file, error.offset, error.message, error);
    if (error instanceof KeyferryError || !isSystemError(error)) throw error;
    throw unreadable(file, error.message, error);
  }
}

const isSystemError = (error: unknown): error is Error => error instanceof Error && 'syscall' in error;

async function reading<T>(file: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof KeyferryError) throw error;
    throw unreadable(file, error instanceof Error ? error.message : String(error), error);
  }
}

function damaged(file: string, offset: number, detail: string, cause?: unknown): KeyferryError<'snapshot.damaged'> {
  return new KeyferryError('snapshot.damaged', { file, offset, detail }, { cause });
}

function unreadable(file: string, detail: string, cause?: unknown): KeyferryError<'file.unreadable'> {
  return new KeyferryError('file.unreadable', { file, detail }, { cause });
}
