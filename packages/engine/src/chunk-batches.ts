/**
 * Cuts the pages of a chunk into batches that fit one request of the target, and knows for each batch what the
 * checkpoint behind it says. Pure; the worker sends them.
 *
 * Deletes come in between, where their keys stand in the order. A cursor is a source key, and a key that only the target
 * has stands for the source key that would map to it: so a resume goes on behind a delete as behind a record.
 */
import {
  DigestSum,
  keyToJson,
  recordBytes,
  toSourceKey,
  toTargetKey,
  type ChunkProgress,
  type GuardedChange,
  type Key,
  type NotCarried,
  type PrefixRule,
  type RecordHasher,
  type RecordPage,
  type StoredRecord,
} from '@keyferry/core';
import type { ChunkGuards, Guard } from './chunk-guards.ts';

export interface Batch {
  readonly changes: readonly GuardedChange[];
  /** One for each change; null for a delete. */
  readonly sourceKeys: readonly (Key | null)[];
  /** Target keys that were to be deleted, and that the source has by now: they are left, and so not among the changes. */
  readonly spared: readonly Key[];
  /** The last source key that this batch settles, written or not. */
  readonly lastKey: Key;
  /** Directories and expired records up to `lastKey`. */
  readonly notCarried: number;
  /** Of the permanent source records up to `lastKey`, from the start of the chunk. */
  readonly digest: ChunkProgress['digest'];
}

export interface BatchLimits {
  /** Asked for each record: a throttle may lower it at any time. */
  readonly batchKeysMax: () => number;
  readonly batchBytesMax: number;
}

export class ChunkBatches {
  private readonly rule: PrefixRule;
  private readonly hasher: RecordHasher;
  private readonly digest: DigestSum;
  private readonly limits: BatchLimits;
  private readonly guards: ChunkGuards;

  /** @param guards of the chunk, those behind the cursor of `from` */
  constructor(rule: PrefixRule, hasher: RecordHasher, from: ChunkProgress, limits: BatchLimits, guards: ChunkGuards) {
    this.rule = rule;
    this.hasher = hasher;
    this.digest = new DigestSum(from.digest);
    this.limits = limits;
    this.guards = guards;
  }

  /**
   * A page's batches, in order. Every entry of the page is in exactly one of them.
   * @param now asked for each record that expires: between two batches a throttle may have held the worker back for long
   */
  *cut(page: RecordPage, now: () => number): Generator<Batch> {
    const skipped = [...page.notCarried].toSorted((a, b) => (a.key < b.key ? -1 : 1));
    const draft = new Draft();
    for (const record of page.records) {
      const key = toTargetKey(this.rule, record.key);
      yield* this.deletes(draft, skipped, key, false);
      const size = recordBytes(record);
      if (this.isFull(draft, size)) yield this.close(draft, skipped);
      draft.lastKey = record.key;
      if (record.expiresAtMs === null) this.digest.add(this.hasher.hash(record));
      const guard = this.guards.at(key);
      if (guard?.action === 'delete') draft.spared.push(key);
      if (record.expiresAtMs !== null && record.expiresAtMs <= now()) {
        draft.notCarried += 1; // its TTL ended between the scan and now: writing it would bring it back to life
        continue;
      }
      draft.add(putOf(record, key, guard), record.key, size);
    }
    const lastSkipped = skipped.at(-1)?.key ?? null;
    if (lastSkipped !== null && (draft.lastKey === null || lastSkipped > draft.lastKey)) {
      // The cursor is about to pass them.
      yield* this.deletes(draft, skipped, toTargetKey(this.rule, lastSkipped), true);
      draft.lastKey = lastSkipped;
    }
    if (draft.lastKey === null && skipped.length === 0) return;
    yield this.close(draft, skipped);
  }

  /** The deletes behind the last page: call it once, when the range has been read to its end. */
  *rest(): Generator<Batch> {
    const draft = new Draft();
    yield* this.deletes(draft, [], null, false);
    if (draft.lastKey !== null) yield this.close(draft, []);
  }

  private *deletes(draft: Draft, skipped: NotCarried[], upTo: Key | null, isIncluded: boolean): Generator<Batch> {
    for (;;) {
      const guard = this.guards.nextDelete(upTo, isIncluded);
      if (guard === null) return;
      const { key, version } = guard;
      if (this.isFull(draft, key.length)) yield this.close(draft, skipped);
      draft.lastKey = toSourceKey(this.rule, key);
      draft.add({ kind: 'delete', key, expect: { version } }, null, key.length);
    }
  }

  private isFull({ changes, bytes }: Draft, size: number): boolean {
    const { batchKeysMax, batchBytesMax } = this.limits;
    return changes.length > 0 && (changes.length >= batchKeysMax() || bytes + size > batchBytesMax);
  }

  private close(draft: Draft, skipped: NotCarried[]): Batch {
    const lastKey = draft.lastKey as Key;
    const notCarried = draft.notCarried + takeUpTo(skipped, lastKey);
    return { ...draft.empty(), lastKey, notCarried, digest: this.digest.value() };
  }
}

/** A batch that is being filled. */
class Draft {
  changes: GuardedChange[] = [];
  sourceKeys: (Key | null)[] = [];
  spared: Key[] = [];
  bytes = 0;
  notCarried = 0;
  lastKey: Key | null = null;

  add(change: GuardedChange, sourceKey: Key | null, bytes: number): void {
    this.changes.push(change);
    this.sourceKeys.push(sourceKey);
    this.bytes += bytes;
  }

  /** What is in it, for a batch; the last key stays. */
  empty(): Pick<Batch, 'changes' | 'sourceKeys' | 'spared'> {
    const { changes, sourceKeys, spared } = this;
    [this.changes, this.sourceKeys, this.spared, this.bytes, this.notCarried] = [[], [], [], 0, 0];
    return { changes, sourceKeys, spared };
  }
}

function putOf({ value, expiresAtMs }: StoredRecord, key: Key, guard: Guard | null): GuardedChange {
  const expect = guard?.action === 'overwrite' ? { version: guard.version } : 'absent';
  return { kind: 'put', key, value, expiresAtMs, expect };
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
