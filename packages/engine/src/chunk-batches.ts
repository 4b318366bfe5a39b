/**
 * Cuts the pages of a chunk into batches that fit one request of the target, and knows for each batch what the
 * checkpoint behind it says. Pure; the worker sends them.
 */
import {
  DigestSum,
  keyToJson,
  recordBytes,
  toTargetKey,
  type ChunkProgress,
  type GuardedPut,
  type Key,
  type NotCarried,
  type PrefixRule,
  type RecordHasher,
  type RecordPage,
  type StoredRecord,
} from '@keyferry/core';

export interface Batch {
  readonly puts: readonly GuardedPut[];
  readonly sourceKeys: readonly Key[];
  /** The last source key that this batch settles, written or not. */
  readonly lastKey: Key;
  /** Directories and expired records up to `lastKey`. */
  readonly notCarried: number;
  /** Of the permanent source records up to `lastKey`, from the start of the chunk. */
  readonly digest: ChunkProgress['digest'];
}

export interface BatchLimits {
  readonly batchKeysMax: number;
  readonly batchBytesMax: number;
}

export class ChunkBatches {
  private readonly rule: PrefixRule;
  private readonly hasher: RecordHasher;
  private readonly digest: DigestSum;
  private readonly limits: BatchLimits;

  constructor(rule: PrefixRule, hasher: RecordHasher, from: ChunkProgress, limits: BatchLimits) {
    this.rule = rule;
    this.hasher = hasher;
    this.digest = new DigestSum(from.digest);
    this.limits = limits;
  }

  /** A page's batches, in order. Every entry of the page is in exactly one of them. */
  *cut(page: RecordPage, nowMs: number): Generator<Batch> {
    const skipped = [...page.notCarried].toSorted((a, b) => (a.key < b.key ? -1 : 1));
    let puts: GuardedPut[] = [];
    let sourceKeys: Key[] = [];
    let bytes = 0;
    let notCarried = 0;
    let lastKey: Key | null = null;
    for (const record of page.records) {
      const size = recordBytes(record);
      const full = puts.length >= this.limits.batchKeysMax || bytes + size > this.limits.batchBytesMax;
      if (lastKey !== null && puts.length > 0 && full) {
        notCarried += takeUpTo(skipped, lastKey);
        yield { puts, sourceKeys, lastKey, notCarried, digest: this.digest.value() };
        [puts, sourceKeys, bytes, notCarried] = [[], [], 0, 0];
      }
      lastKey = record.key;
      if (record.expiresAtMs === null) this.digest.add(this.hasher.hash(record));
      if (record.expiresAtMs !== null && record.expiresAtMs <= nowMs) {
        notCarried += 1; // its TTL ended between the scan and now: writing it would bring it back to life
        continue;
      }
      puts.push(this.put(record));
      sourceKeys.push(record.key);
      bytes += size;
    }
    const lastSkipped = skipped.at(-1)?.key ?? null;
    if (lastSkipped !== null && (lastKey === null || lastSkipped > lastKey)) lastKey = lastSkipped;
    if (lastKey === null) return;
    notCarried += skipped.length;
    yield { puts, sourceKeys, lastKey, notCarried, digest: this.digest.value() };
  }

  private put(record: StoredRecord): GuardedPut {
    const key = toTargetKey(this.rule, record.key);
    return { kind: 'put', key, value: record.value, expiresAtMs: record.expiresAtMs, expect: 'absent' };
  }
}

/** Removes the entries up to `key` from an ascending list and says how many there were. */
function takeUpTo(skipped: NotCarried[], key: Key): number {
  let count = 0;
  while (count < skipped.length && (skipped[count] as NotCarried).key <= key) count += 1;
  skipped.splice(0, count);
  return count;
}

/** The cursor as a checkpoint holds it. */
export const cursorOf = (batch: Batch) => keyToJson(batch.lastKey);
