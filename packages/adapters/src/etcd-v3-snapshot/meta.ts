/**
 * What the bucket "meta" of an etcd v3 database says: up to where its history was compacted, and which entry of the log is the
 * last one in it.
 *
 * A compaction takes away the deletions that it covers. Where the last thing written was one, nothing in "key" tells how far the
 * store had come: a server then begins at the revision that was compacted (etcd 3.4 `mvcc/kvstore.go`, restore), and so
 * do we. Of a compaction that was begun and not ended the server says the same, as it goes on with it when it starts.
 */
import type { BoltReader } from '../bbolt/reader.ts';
import { readRevision } from './key-value.ts';

export interface DatabaseMeta {
  /** 0: nothing was ever compacted. */
  readonly compactedRevision: number;
  /** In decimal digits; null where no server was at work on the file. */
  readonly consistentIndex: string | null;
}

const compactions = new Set(['scheduledCompactRev', 'finishedCompactRev']);

/** @throws {BoltDamage} */
export function readDatabaseMeta(bolt: BoltReader): DatabaseMeta {
  let compactedRevision = 0;
  let consistentIndex: string | null = null;
  const bucket = bolt.buckets().get('meta');
  for (const leaf of bucket === undefined ? [] : bolt.leaves(bucket, 'forwards')) {
    for (let i = 0; i < leaf.count; i += 1) {
      const { bytes, keyStart, keyEnd, valueEnd } = leaf.entry(i);
      const name = bytes.toString('latin1', keyStart, keyEnd);
      if (compactions.has(name)) {
        compactedRevision = Math.max(compactedRevision, readRevision(bytes, keyEnd, valueEnd));
      } else if (name === 'consistent_index' && valueEnd - keyEnd === 8) {
        consistentIndex = String(bytes.readBigUInt64BE(keyEnd));
      }
    }
  }
  return { compactedRevision, consistentIndex };
}
