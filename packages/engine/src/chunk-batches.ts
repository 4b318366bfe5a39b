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
  PackedPage,
  sourceKeyOf,
  recordBytes,
  recordCount,
  toSourceKey,
  toTargetKey,
  type ChunkProgress,
  type GuardedChange,
  type Key,
  type MigrationSpec,
  type NotCarried,
  type PackedPuts,
  type PrefixRule,
  type RecordHasher,
  type RecordPage,
  type StoredRecord,
  type Unplaced,
} from '@keyferry/core';
import type { ChunkGuards, Guard } from './chunk-guards.ts';

export interface Batch {
  /** How many changes there are. */
  readonly size: number;
  readonly changes: readonly GuardedChange[];
  /** In the source, one for each change; null for a delete. */
  readonly sourceKeys: readonly (Key | null)[];
  /** The changes as they lie in their page, where they may go so; they are made when somebody looks at them. */
  readonly packed: PackedPuts | null;
  /** Target keys that were to be deleted, and that the source has by now: they are left, and so not among the changes. */
  readonly spared: readonly Key[];
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
  /** Asked for each record: a throttle may lower it at any time. */
  readonly batchKeysMax: () => number;
  readonly batchBytesMax: number;
}

/** What a put carries besides its record. */
export type PutForm = 'plain' | 'with-origin';

/** A comparison with a version of the source must hold on for a record that was copied (SPEC R34). */
export const putFormOf = ({ strategy }: Pick<MigrationSpec, 'strategy'>): PutForm =>
  strategy === 'dual-read' ? 'with-origin' : 'plain';

export class ChunkBatches {
  private readonly rule: PrefixRule;
  private readonly hasher: RecordHasher;
  private readonly digest: DigestSum;
  private readonly limits: BatchLimits;
  private readonly guards: ChunkGuards;
  private readonly form: PutForm;
  private readonly mayPack: boolean;

  /**
   * @param guards of the chunk, those behind the cursor of `from`
   * @param mayPack whether the target takes records as they lie in a page
   */
  constructor(
    rule: PrefixRule,
    hasher: RecordHasher,
    from: ChunkProgress,
    limits: BatchLimits,
    guards: ChunkGuards,
    form: PutForm = 'plain',
    mayPack = false,
  ) {
    this.form = form;
    this.mayPack = mayPack && form === 'plain';
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
    const packed = page instanceof PackedPage ? page : null;
    const count = recordCount(page);
    const skipped = new Skipped(page, this.rule);
    if (packed !== null && count > 0 && this.mayPack && this.guards.areDone && packed.isPermanent) {
      yield* this.cutPacked(packed, skipped);
      return;
    }
    const draft = new Draft();
    for (let index = 0; index < count; index += 1) {
      const record = packed === null ? (page.records[index] as StoredRecord) : packed.recordAt(index);
      const key = toTargetKey(this.rule, record.key);
      yield* this.deletes(draft, skipped, key, false);
      const size = recordBytes(record);
      if (this.isFull(draft, size)) yield this.close(draft, skipped);
      draft.lastKey = record.key;
      if (record.expiresAtMs === null) {
        this.digest.add((packed && this.hasher.hashPacked(packed, index)) ?? this.hasher.hash(record));
      }
      const guard = this.guards.at(key);
      if (guard?.action === 'delete') draft.spared.push(key);
      if (record.expiresAtMs !== null && record.expiresAtMs <= now()) {
        draft.notCarried += 1; // its TTL ended between the scan and now: writing it would bring it back to life
        continue;
      }
      draft.add(this.putOf(record, key, guard), sourceKeyOf(record), size);
    }
    const lastSkipped = skipped.lastKey;
    if (lastSkipped !== null && (draft.lastKey === null || lastSkipped > draft.lastKey)) {
      // The cursor is about to pass them.
      yield* this.deletes(draft, skipped, toTargetKey(this.rule, lastSkipped), true);
      draft.lastKey = lastSkipped;
    }
    if (draft.lastKey !== null) yield this.close(draft, skipped);
  }

  /** What a page holds that is all to be put where nothing is, which most pages are in a first copy. */
  private *cutPacked(page: PackedPage, skipped: Skipped): Generator<Batch> {
    const { count } = page;
    const { sourcePrefix, targetPrefix } = this.rule;
    for (let start = 0, end = 0, bytes = 0; start < count; start = end) {
      ({ end, bytes } = this.takePacked(page, start));
      const lastRecord = page.recordAt(end - 1).key;
      const lastSkipped = end === count ? skipped.lastKey : null;
      const lastKey = lastSkipped !== null && lastSkipped > lastRecord ? lastSkipped : lastRecord;
      const passed = skipped.takeUpTo(lastKey);
      const puts = { page, start, end, bytes, sourcePrefix, targetPrefix };
      yield new PackedBatch(this.rule, puts, lastKey, passed, this.digest.value());
    }
  }

  /** The batch that begins at `start`: where it ends, and its bytes. What is in it is in the digest then. */
  private takePacked(page: PackedPage, start: number): Pick<PackedPuts, 'end' | 'bytes'> {
    const { hasher, digest, limits } = this;
    const keysMax = limits.batchKeysMax();
    let bytes = 0;
    for (let end = start; ; end += 1) {
      const size = end === page.count ? 0 : page.bytesAt(end);
      const isFull = end > start && (end - start >= keysMax || bytes + size > limits.batchBytesMax);
      if (end === page.count || isFull) return { end, bytes };
      bytes += size;
      digest.add(hasher.hashPacked(page, end) ?? hasher.hash(page.recordAt(end)));
    }
  }

  /** The deletes behind the last page: call it once, when the range has been read to its end. */
  *rest(): Generator<Batch> {
    const draft = new Draft();
    const nothing = new Skipped({ records: [], notCarried: [] }, this.rule);
    yield* this.deletes(draft, nothing, null, false);
    if (draft.lastKey !== null) yield this.close(draft, nothing);
  }

  private putOf(record: StoredRecord, key: Key, guard: Guard | null): GuardedChange {
    const { value, expiresAtMs } = record;
    const expect = guard?.action === 'overwrite' ? { version: guard.version } : 'absent';
    const put = { kind: 'put', key, value, expiresAtMs, expect } as const;
    return this.form === 'plain' ? put : { ...put, origin: record.version };
  }

  private *deletes(draft: Draft, skipped: Skipped, upTo: Key | null, isIncluded: boolean): Generator<Batch> {
    for (;;) {
      const guard = this.guards.nextDelete(upTo, isIncluded);
      if (guard === null) return;
      const { key, version } = guard;
      if (this.isFull(draft, key.length)) yield this.close(draft, skipped);
      draft.lastKey = toSourceKey(this.rule, key);
      if (skipped.isWanted(draft.lastKey)) draft.spared.push(key);
      else draft.add({ kind: 'delete', key, expect: { version } }, null, key.length);
    }
  }

  private isFull({ changes, bytes }: Draft, size: number): boolean {
    const { batchKeysMax, batchBytesMax } = this.limits;
    return changes.length > 0 && (changes.length >= batchKeysMax() || bytes + size > batchBytesMax);
  }

  private close(draft: Draft, skipped: Skipped): Batch {
    const lastKey = draft.lastKey as Key;
    const passed = skipped.takeUpTo(lastKey);
    const notCarried = draft.notCarried + passed.notCarried;
    const size = draft.changes.length;
    const digest = this.digest.value();
    return { size, packed: null, ...draft.empty(), lastKey, notCarried, unplaced: passed.unplaced, digest };
  }
}

class PackedBatch implements Batch {
  readonly packed: PackedPuts;
  readonly spared: readonly Key[] = [];
  readonly unplaced: Batch['unplaced'];
  readonly lastKey: Key;
  readonly notCarried: number;
  readonly digest: ChunkProgress['digest'];
  private readonly rule: PrefixRule;
  private madeChanges: readonly GuardedChange[] | null = null;
  private madeKeys: readonly Key[] | null = null;

  constructor(
    rule: PrefixRule,
    packed: PackedPuts,
    lastKey: Key,
    { notCarried, unplaced }: Pick<Batch, 'notCarried' | 'unplaced'>,
    digest: ChunkProgress['digest'],
  ) {
    this.rule = rule;
    this.packed = packed;
    this.lastKey = lastKey;
    this.notCarried = notCarried;
    this.unplaced = unplaced;
    this.digest = digest;
  }

  get size(): number {
    return this.packed.end - this.packed.start;
  }

  get changes(): readonly GuardedChange[] {
    this.madeChanges ??= this.records().map(({ key, value, expiresAtMs }) => {
      return { kind: 'put', key: toTargetKey(this.rule, key), value, expiresAtMs, expect: 'absent' };
    });
    return this.madeChanges;
  }

  get sourceKeys(): readonly Key[] {
    return (this.madeKeys ??= this.records().map(sourceKeyOf));
  }

  private records(): readonly StoredRecord[] {
    const { page, start, end } = this.packed;
    return Array.from({ length: end - start }, (_, i) => page.recordAt(start + i));
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

/** What a page holds beside its records, handed out as the batches pass it. */
class Skipped {
  private readonly rule: PrefixRule;
  private readonly entries: readonly (NotCarried | Unplaced)[];
  private readonly wanted: ReadonlySet<Key>;
  private at = 0;

  constructor({ notCarried, unplaced = [] }: RecordPage, rule: PrefixRule) {
    this.rule = rule;
    this.entries = [...notCarried, ...unplaced].toSorted((a, b) => (a.key < b.key ? -1 : 1));
    this.wanted = new Set(unplaced.map(({ key }) => key));
  }

  /** Whether records are there that would get this key, though none of them can. */
  isWanted(key: Key): boolean {
    return this.wanted.has(key);
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
