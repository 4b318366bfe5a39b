/**
 * What the v3 database of a member holds (`member/snap/db`): how many keys, how large, under how many leases and users.
 *
 * It has no digest, and what an etcd that was killed had not yet written to it is only in the log, where the server finds it
 * when it starts: so this is for people who look, and never a source. Memory is that of the keys.
 */
import { open } from 'node:fs/promises';
import { bytesOfFile } from '../bbolt/page-reader.ts';
import { BoltDamage, BoltReader, type Bucket } from '../bbolt/reader.ts';
import { Malformed } from '../etcd-v2-datadir/protobuf.ts';
import { KeyValueReader } from './decode.ts';
import { readDatabaseMeta } from './meta.ts';

export interface DatabaseSummary {
  /** Keys that are not deleted. */
  readonly keys: number;
  /** Of those keys and their values. */
  readonly bytes: number;
  /** Of those keys, the ones that hang on a lease. */
  readonly leasedKeys: number;
  readonly leases: number;
  readonly users: number;
  /** That a server begins with which is started on it. */
  readonly revision: number;
  /** The last entry of the log that is in it, where it says so; later ones are only in the log. */
  readonly consistentIndex: string | null;
}

export type ReadDatabase =
  | { readonly kind: 'read'; readonly summary: DatabaseSummary }
  /** A database of etcd without the v3 store: `etcdctl backup` leaves that out unless it is told `--with-v3`. */
  | { readonly kind: 'without-keys' }
  /** `offset`: of the page or entry, in bytes from the start of the file. */
  | { readonly kind: 'damaged'; readonly offset: number; readonly detail: string };

/** @throws what the file system answers */
export async function readDatabase(file: string): Promise<ReadDatabase> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    const bolt = BoltReader.open(bytesOfFile(handle.fd, size));
    const buckets = bolt.buckets();
    const keys = buckets.get('key');
    if (keys !== undefined) return { kind: 'read', summary: summaryOf(bolt, buckets, keys) };
    if (etcdBuckets.some((name) => buckets.has(name))) return { kind: 'without-keys' };
    throw new BoltDamage(0, 'there is no bucket "key": it is not of etcd');
  } catch (error) {
    if (error instanceof BoltDamage) return { kind: 'damaged', offset: error.offset, detail: error.message };
    throw error;
  } finally {
    await handle.close();
  }
}

/** The last entry of the log that is in it. Null: it does not say, or cannot be read. @throws what the file system answers */
export async function readConsistentIndex(file: string): Promise<bigint | null> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    const { consistentIndex } = readDatabaseMeta(BoltReader.open(bytesOfFile(handle.fd, size)));
    return consistentIndex === null ? null : BigInt(consistentIndex);
  } catch (error) {
    if (error instanceof BoltDamage) return null;
    throw error;
  } finally {
    await handle.close();
  }
}

/** Some of those that every server has, and a backup too. */
const etcdBuckets = ['cluster', 'members', 'meta'];

/** @throws {BoltDamage} */
function summaryOf(bolt: BoltReader, buckets: ReadonlyMap<string, Bucket>, keys: Bucket): DatabaseSummary {
  const latest = latestOf(bolt, keys);
  const { compactedRevision, consistentIndex } = readDatabaseMeta(bolt);
  return {
    ...latest,
    revision: Math.max(latest.revision, compactedRevision),
    leases: countOf(bolt, buckets.get('lease')),
    users: countOf(bolt, buckets.get('authUsers')),
    consistentIndex,
  };
}

/** Of each key the newest revision is met first, and is what counts. */
function latestOf(bolt: BoltReader, bucket: Bucket) {
  const seen = new Set<string>();
  const record = new KeyValueReader();
  let [keys, bytes, leasedKeys, revision] = [0, 0, 0, 1];
  for (const leaf of bolt.leaves(bucket, 'backwards')) {
    for (let i = leaf.count - 1; i >= 0; i -= 1) {
      try {
        record.read(leaf.entry(i));
      } catch (error) {
        if (!(error instanceof Malformed)) throw error;
        throw new BoltDamage(leaf.offsetOf(leaf.keyStart), error.message);
      }
      revision = Math.max(revision, record.revision);
      const { key } = record;
      if (seen.has(key)) continue;
      seen.add(key);
      if (record.isDeletion) continue;
      keys += 1;
      bytes += key.length + record.valueEnd - record.valueStart;
      if (record.lease !== null) leasedKeys += 1;
    }
  }
  return { keys, bytes, leasedKeys, revision };
}

function countOf(bolt: BoltReader, bucket: Bucket | undefined): number {
  let count = 0;
  for (const leaf of bucket === undefined ? [] : bolt.leaves(bucket, 'forwards')) count += leaf.count;
  return count;
}
