/**
 * Cuts the pages of a chunk into batches that fit one request of the target, and knows for each batch what the
 * checkpoint behind it says. Pure; the worker sends them.
 */
import {
  DigestSum,
  keyToJson,
  sourceKeyOf,
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
  type Unplaced,
} from '@keyferry/core';

export interface Batch {
  readonly puts: readonly GuardedPut[];
  readonly sourceKeys: readonly Key[];
  /** What the rules find no place for up to `lastKey`, with the key that it would have in the target. */
  readonly unplaced: readonly { readonly entry: Unplaced; readonly targetKey: Key }[];
  /** The last of the scanned keys that this batch settles, written or not. */
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
    const skipped = new Skipped(page, this.rule);
    let puts: GuardedPut[] = [];
    let sourceKeys: Key[] = [];
    let bytes = 0;
    let notCarried = 0;
    let lastKey: Key | null = null;
    for (const record of page.records) {
      const size = recordBytes(record);
      const full = puts.length >= this.limits.batchKeysMax || bytes + size > this.limits.batchBytesMax;
      if (lastKey !== null && puts.length > 0 && full) {
        const passed = skipped.takeUpTo(lastKey);
        notCarried += passed.notCarried;
        const { unplaced } = passed;
        yield { puts, sourceKeys, unplaced, lastKey, notCarried, digest: this.digest.value() };
        [puts, sourceKeys, bytes, notCarried] = [[], [], 0, 0];
      }
      lastKey = record.key;
      if (record.expiresAtMs === null) this.digest.add(this.hasher.hash(record));
      if (record.expiresAtMs !== null && record.expiresAtMs <= nowMs) {
        notCarried += 1; // its TTL ended between the scan and now: writing it would bring it back to life
        continue;
      }
      puts.push(this.put(record));
      sourceKeys.push(sourceKeyOf(record));
      bytes += size;
    }
    const lastSkipped = skipped.lastKey;
    if (lastSkipped !== null && (lastKey === null || lastSkipped > lastKey)) lastKey = lastSkipped;
    if (lastKey === null) return;
    const passed = skipped.takeUpTo(lastKey);
    notCarried += passed.notCarried;
    yield { puts, sourceKeys, unplaced: passed.unplaced, lastKey, notCarried, digest: this.digest.value() };
  }

  private put(record: StoredRecord): GuardedPut {
    const key = toTargetKey(this.rule, record.key);
    return { kind: 'put', key, value: record.value, expiresAtMs: record.expiresAtMs, expect: 'absent' };
  }
}

/** What a page holds beside its records, handed out as the batches pass it. */
class Skipped {
  private readonly rule: PrefixRule;
  private readonly entries: readonly (NotCarried | Unplaced)[];
  private at = 0;

  constructor({ notCarried, unplaced = [] }: RecordPage, rule: PrefixRule) {
    this.rule = rule;
    this.entries = [...notCarried, ...unplaced].toSorted((a, b) => (a.key < b.key ? -1 : 1));
  }

  get lastKey(): Key | null {
    return this.entries.at(-1)?.key ?? null;
  }

  takeUpTo(key: Key): Pick<Batch, 'notCarried' | 'unplaced'> {
    const unplaced: Batch['unplaced'][number][] = [];
    let notCarried = 0;
    for (let entry = this.entries[this.at]; entry !== undefined && entry.key <= key; entry = this.entries[this.at]) {
      if ('sourceKeys' in entry) unplaced.push({ entry, targetKey: toTargetKey(this.rule, entry.key) });
      else notCarried += 1;
      this.at += 1;
    }
    return { notCarried, unplaced };
  }
}

/** The cursor as a checkpoint holds it. */
export const cursorOf = (batch: Batch) => keyToJson(batch.lastKey);
