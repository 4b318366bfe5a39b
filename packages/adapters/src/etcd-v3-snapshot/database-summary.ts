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

export interface DatabaseSummary {
  /** Keys that are not deleted. */
  readonly keys: number;
  /** Of those keys and their values. */
  readonly bytes: number;
  /** Of those keys, the ones that hang on a lease. */
  readonly leasedKeys: number;
  readonly leases: number;
  readonly users: number;
  readonly revision: number;
  /** The last entry of the log that is in it, where it says so; later ones are only in the log. */
  readonly consistentIndex: string | null;
}

export type ReadDatabase =
  | { readonly kind: 'read'; readonly summary: DatabaseSummary }
  /** `offset`: of the page or entry, in bytes from the start of the file. */
  | { readonly kind: 'damaged'; readonly offset: number; readonly detail: string };

/** @throws what the file system answers */
export async function readDatabase(file: string): Promise<ReadDatabase> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    return { kind: 'read', summary: summaryOf(BoltReader.open(bytesOfFile(handle.fd, size))) };
  } catch (error) {
    if (error instanceof BoltDamage) return { kind: 'damaged', offset: error.offset, detail: error.message };
    throw error;
  } finally {
    await handle.close();
  }
}

/** @throws {BoltDamage} */
function summaryOf(bolt: BoltReader): DatabaseSummary {
  const buckets = bolt.buckets();
  const keys = buckets.get('key');
  if (keys === undefined) throw new BoltDamage(0, 'there is no bucket "key": it is not of etcd');
  return {
    ...latestOf(bolt, keys),
    leases: countOf(bolt, buckets.get('lease')),
    users: countOf(bolt, buckets.get('authUsers')),
    consistentIndex: consistentIndexOf(bolt, buckets.get('meta')),
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

/** 8 bytes where a server was at work on the file. */
function consistentIndexOf(bolt: BoltReader, bucket: Bucket | undefined): string | null {
  for (const leaf of bucket === undefined ? [] : bolt.leaves(bucket, 'forwards')) {
    for (let i = 0; i < leaf.count; i += 1) {
      const { bytes, keyStart, keyEnd, valueEnd } = leaf.entry(i);
      if (bytes.toString('latin1', keyStart, keyEnd) !== 'consistent_index' || valueEnd - keyEnd !== 8) continue;
      return String(bytes.readBigUInt64BE(keyEnd));
    }
  }
  return null;
}
