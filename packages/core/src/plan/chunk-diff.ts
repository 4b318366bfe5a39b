/**
 * One chunk's diff: what a merge join over the chunk's range says is to be done, and the digests that tell later
 * whether it still holds. Planning uses it for each chunk it cuts; the staleness check uses it again over the same
 * range and compares the two results, so that both can never judge differently.
 */
import { DigestSum, RecordHasher, type Salt } from '../convergence/digest.ts';
import { recordsEqual } from '../diff/compare-records.ts';
import type { ChunkId } from '../model/ids.ts';
import { keyToJson, type Key } from '../model/key.ts';
import { changedRecord, sourceKeyOf, recordBytes, type StoredRecord } from '../model/record.ts';
import { instantText } from '../model/instant.ts';
import type { PrefixRule } from '../transform/prefix-rule.ts';
import type { TargetCapabilities } from '../ports/store.ts';
import { KeyFamily } from './key-family.ts';
import { noActions, type ActionKind, type ConflictPolicy, type PlannedChange, type PlannedChunk } from './plan.ts';

/** Why a record cannot be written as it is, or null. */
export type BlockReason = 'value.too-large' | 'key.empty' | 'key.reserved' | 'record.unfit' | 'key.below-value';

export interface ChunkDiffContext {
  readonly hasher: RecordHasher;
  readonly blockReason: (targetKey: Key, source: StoredRecord) => BlockReason | null;
  readonly isSensitive: (targetKey: Key) => boolean;
  /** What becomes of a record that differs. */
  readonly differing: 'overwrite' | 'conflict';
  /** Whether a record that no source key maps to is to be deleted. */
  readonly isPruned: (targetKey: Key) => boolean;
  /** Null where a key may hold a value above others. */
  readonly family: KeyFamily | null;
  /** A permanent create gets a row only while this is true; all other changes always do. */
  readonly listCreates: () => boolean;
}

export interface DiffRules {
  readonly rule: PrefixRule;
  readonly salt: Salt;
  /** Key and value bytes of the largest record that the target takes; null: no limit. */
  readonly recordBytesMax: number | null;
  readonly emptyKeys: boolean;
  readonly parentKeys: boolean;
  readonly unfit: TargetCapabilities['unfit'];
  /** Keys under it are keyferry's own; null when the target keeps them elsewhere. */
  readonly reservedPrefix: Key | null;
  readonly isSensitive: (targetKey: Key) => boolean;
  readonly onConflict: ConflictPolicy;
  readonly prune: boolean;
  readonly inScope: (targetKey: Key) => boolean;
}

export function diffContext(rules: DiffRules, listCreates: () => boolean): ChunkDiffContext {
  const family = rules.parentKeys ? null : new KeyFamily();
  return {
    hasher: new RecordHasher(rules.salt),
    family,
    isSensitive: rules.isSensitive,
    differing: rules.onConflict === 'overwrite' ? 'overwrite' : 'conflict',
    // A key beside those that are mapped to, in a wider span, has no place in any chunk, and no rule carries one there.
    isPruned: (targetKey) => rules.prune && targetKey.startsWith(rules.rule.targetPrefix) && rules.inScope(targetKey),
    listCreates,
    blockReason: (targetKey, source) => blockReasonOf(rules, targetKey, source, family?.isBelowValue === true),
  };
}

/** Of what a target says of itself. @param isBelowValue a key above this one holds a value */
export function blockReasonOf(
  {
    recordBytesMax,
    emptyKeys,
    reservedPrefix,
    unfit,
  }: Pick<DiffRules, 'recordBytesMax' | 'emptyKeys' | 'reservedPrefix' | 'unfit'>,
  targetKey: Key,
  { value }: Pick<StoredRecord, 'value'>,
  isBelowValue: boolean,
): BlockReason | null {
  if (targetKey.length === 0 && !emptyKeys) return 'key.empty';
  if (reservedPrefix !== null && targetKey.startsWith(reservedPrefix)) return 'key.reserved';
  if (unfit !== null && unfit({ key: targetKey, value }) !== null) return 'record.unfit';
  if (isBelowValue) return 'key.below-value';
  const bytes = targetKey.length + value.length;
  return recordBytesMax !== null && bytes > recordBytesMax ? 'value.too-large' : null;
}

export interface DiffedRecord {
  readonly action: ActionKind;
  readonly blocked: BlockReason | null;
  readonly row: PlannedChange | null;
}

/** What a chunk holds, as digests and counts. */
export type ChunkSums = Pick<
  PlannedChunk,
  'actions' | 'bytes' | 'permanent' | 'matched' | 'equalExpiring' | 'equalExpiresAt' | 'targetOnly'
>;

export class ChunkDiff {
  private readonly context: ChunkDiffContext;
  private readonly chunk: ChunkId;
  private readonly permanent = new DigestSum();
  private readonly matched = new DigestSum();
  private readonly equalExpiring = new DigestSum();
  private equalExpiresAtMs: number | null = null;
  private readonly actions: Record<ActionKind, number> = noActions();
  private listed = true;
  private targetOnly = 0;
  keys = 0;
  bytes = 0;

  constructor(context: ChunkDiffContext, chunk: ChunkId) {
    this.context = context;
    this.chunk = chunk;
  }

  addSource(source: StoredRecord, targetKey: Key, target: StoredRecord | null): DiffedRecord {
    this.keys += 1;
    this.bytes += recordBytes(source);
    this.context.family?.add(targetKey);
    const equal = target !== null && recordsEqual(source, target);
    const blocked = equal ? null : this.context.blockReason(targetKey, source);
    const action = equal ? 'equal' : blocked !== null ? 'blocked' : target === null ? 'create' : this.context.differing;
    this.actions[action] += 1;
    this.sum(source, target, equal);
    if (action === 'equal') return { action, blocked, row: null };
    if (action === 'create' && source.expiresAtMs === null && !this.context.listCreates()) {
      this.listed = false;
      return { action, blocked, row: null };
    }
    return { action, blocked, row: this.row(action, source, targetKey, target) };
  }

  /**
   * A target record that no source key maps to: the row of its delete, or null where it is left as it is; and whether it
   * lies below a key that is to be written, where the target cannot hold both (a delete may come too late for that).
   */
  addTargetOnly(target: StoredRecord): { readonly row: PlannedChange | null; readonly isBelowValue: boolean } {
    const { family } = this.context;
    family?.add(target.key);
    const isBelowValue = family?.isBelowValue === true;
    if (this.context.isPruned(target.key)) return { row: this.deleteRow(target), isBelowValue };
    this.targetOnly += 1;
    return { row: null, isBelowValue };
  }

  private deleteRow(target: StoredRecord): PlannedChange {
    this.keys += 1;
    this.actions.delete += 1;
    const digest = this.context.hasher.short(target);
    return {
      action: 'delete',
      chunk: this.chunk,
      sourceKey: null,
      targetKey: keyToJson(target.key),
      bytes: target.value.length,
      digest,
      expiresAt: target.expiresAtMs === null ? null : instantText(target.expiresAtMs),
      sensitive: this.context.isSensitive(target.key),
      target: { version: target.version, bytes: target.value.length, digest },
    };
  }

  finish(start: Key, end: Key | null): PlannedChunk {
    return {
      chunk: this.chunk,
      start: keyToJson(start),
      end: end === null ? null : keyToJson(end),
      ...this.sums(),
      listed: this.listed,
    };
  }

  sums(): ChunkSums {
    return {
      actions: { ...this.actions },
      bytes: this.bytes,
      permanent: this.permanent.value(),
      matched: this.matched.value(),
      equalExpiring: this.equalExpiring.value(),
      equalExpiresAt: this.equalExpiresAtMs === null ? null : instantText(this.equalExpiresAtMs),
      targetOnly: this.targetOnly,
    };
  }

  private sum(source: StoredRecord, target: StoredRecord | null, equal: boolean): void {
    const { hasher } = this.context;
    const { expiresAtMs } = source;
    if (expiresAtMs === null) {
      this.permanent.add(hasher.hash(source));
      if (target !== null) this.matched.add(hasher.hashVersioned(target));
    } else if (equal && target !== null) {
      this.equalExpiring.add(hasher.hashVersioned(target));
      if (this.equalExpiresAtMs === null || expiresAtMs < this.equalExpiresAtMs) this.equalExpiresAtMs = expiresAtMs;
    }
  }

  private row(
    action: Exclude<ActionKind, 'equal' | 'delete'>,
    source: StoredRecord,
    targetKey: Key,
    target: StoredRecord | null,
  ): PlannedChange {
    const { hasher, isSensitive } = this.context;
    return {
      action,
      chunk: this.chunk,
      sourceKey: keyToJson(sourceKeyOf(source)),
      targetKey: keyToJson(targetKey),
      bytes: source.value.length,
      digest: hasher.short(source),
      expiresAt: source.expiresAtMs === null ? null : instantText(source.expiresAtMs),
      sensitive: isSensitive(targetKey),
      // A target record is hashed under the key that was scanned, so that equal contents show equal digests.
      target:
        target === null
          ? null
          : {
              version: target.version,
              bytes: target.value.length,
              digest: hasher.short(changedRecord(target, { key: source.key })),
            },
    };
  }
}
