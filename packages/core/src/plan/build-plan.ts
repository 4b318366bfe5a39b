/**
 * Builds a plan from a merge join of source and target: cuts chunks, counts, groups, keeps what a reviewer should look
 * at first. It sees each record once and remembers no more than the current chunk's sums and a bounded list of rows
 * that wait to be drained, so its memory does not grow with the number of keys.
 */
import { ExceptionList, type Exceptions } from '../convergence/exceptions.ts';
import type { JoinVisitor } from '../diff/merge-join.ts';
import { chunkId } from '../model/ids.ts';
import { keyToJson, prefixEnd, type Key, type KeyJson } from '../model/key.ts';
import {
  sourceKeyOf,
  recordBytes,
  type NotCarried,
  type NotCarriedReason,
  type StoredRecord,
  type Unplaced,
  type UnplacedReason,
} from '../model/record.ts';
import { targetSpanOf, toSourceKey } from '../transform/prefix-rule.ts';
import {
  ChunkDiff,
  diffContext,
  type BlockReason,
  type ChunkDiffContext,
  type DiffedRecord,
  type DiffRules,
} from './chunk-diff.ts';
import { writeUnitBytes } from './cost.ts';
import type { FindingCase } from './finding.ts';
import { LookFirst } from './look-first.ts';
import { holdsReplacement } from './replaced-text.ts';
import { PrefixTable, type DeletedShare } from './prefix-table.ts';
import {
  actionKinds,
  type ActionKind,
  type ActionTotals,
  type KeysAndBytes,
  type PlannedChange,
  type PlannedChunk,
  type PlanTotals,
  type PrefixSummary,
} from './plan.ts';

export interface PlanLimits {
  readonly chunkKeysMax: number;
  readonly chunkBytesMax: number;
  /** Creates past this many get no row of their own; their chunk's digest stands for them. */
  readonly createRowsMax: number;
}

/** What is asked about records beyond what is to be done with them. */
export interface PlanQuestions {
  /** Which hold U+FFFD, in key or value: for a source that puts it in place of bytes that it cannot show. */
  readonly replacedText: boolean;
  /** Into how many spans of this length do expiries fall? Each will be a lease. Absent: nobody asks. */
  readonly leaseBucketMs?: number;
  /** How many write units of DynamoDB do the changes take, with so many bytes beside key and value? Absent: nobody asks. */
  readonly itemOverheadBytes?: number;
}

export interface CountedKeys {
  readonly count: number;
  /** The first few. */
  readonly keys: readonly KeyJson[];
}

/** With the keys in the source of `keys`, one each; fewer where what blocks them has none. */
export interface BlockedKeys extends CountedKeys {
  readonly sourceKeys: readonly KeyJson[];
}

export interface UnplacedRecords {
  /** Records, and the places that they are in each other's way at. */
  readonly count: number;
  readonly places: number;
  /** The first few. */
  readonly cases: readonly FindingCase[];
}

/** Leases are counted up to here: beyond it the number is as bad, and the memory of the count would grow with the keys. */
export const leasesCountedMax = 100_000;

/** How many keys of one finding are kept to be shown. */
const findingKeysMax = 5;

export interface BuiltPlan {
  readonly totals: PlanTotals;
  readonly byPrefix: readonly PrefixSummary[];
  readonly lookFirst: readonly PlannedChange[];
  readonly blocked: ReadonlyMap<BlockReason, BlockedKeys>;
  /** Why records have no form in the target, and how many for each reason. */
  readonly unfitReasons: ReadonlyMap<string, number>;
  readonly unplaced: ReadonlyMap<UnplacedReason, UnplacedRecords>;
  /** The first few items of the source that are no records under its mapping; `totals` has their number. */
  readonly unmapped: readonly FindingCase[];
  /** Those that the inverse of the rules would not lead back. */
  readonly oneWay: number;
  readonly conflictKeys: readonly KeyJson[];
  readonly replacedText: CountedKeys;
  readonly exceptions: Exceptions;
  readonly deletions: Exceptions;
  /** Records in the target now that match one of the source, or are to be deleted. */
  readonly targetKeys: number;
  /** Prefixes of which a larger share than this is to be deleted. */
  readonly deletedBeyond: (shareMax: number) => readonly DeletedShare[];
  readonly chunks: number;
  readonly changesListed: number;
  readonly changesOmitted: number;
  /** Leases that the expiries need, `leasesCountedMax` at most; null when nobody asked. */
  readonly leases: number | null;
  /** Write units of the changes, one by one; 0 when nobody asked. */
  readonly itemUnits: number;
  /** How many source records expire before an instant, to the minute. */
  readonly expiringBefore: (atMs: number) => number;
}

export class PlanBuilder implements JoinVisitor {
  private readonly rules: DiffRules;
  private readonly limits: PlanLimits;
  private readonly context: ChunkDiffContext;
  private chunk: ChunkDiff;
  private chunkStart: Key;
  private chunkCount = 0;
  private changes: PlannedChange[] = [];
  private chunks: PlannedChunk[] = [];
  private readonly totals = new Map<ActionKind, { keys: number; bytes: number }>();
  private readonly notCarriedBy = new Map<NotCarriedReason, number>();
  private readonly table: PrefixTable;
  private readonly look = new LookFirst();
  private readonly questions: PlanQuestions;
  private readonly blocked = new Map<BlockReason, { count: number; keys: KeyJson[]; sourceKeys: KeyJson[] }>();
  private readonly unfitReasons = new Map<string, number>();
  private readonly unplacedBy = new Map<UnplacedReason, { count: number; places: number; cases: FindingCase[] }>();
  private readonly unmapped: FindingCase[] = [];
  private itemUnits = 0;
  private oneWay = 0;
  private readonly conflictKeys: KeyJson[] = [];
  private readonly replacedText = { count: 0, keys: [] as KeyJson[] };
  private readonly exceptions: ExceptionList;
  private readonly deletions: ExceptionList;
  private readonly leaseBuckets = new Set<number>();
  private readonly expiryMinutes = new Map<number, number>();
  private expiring = 0;
  private targetOnlyCount = 0;
  private targetKeys = 0;
  private listed = 0;
  private omitted = 0;

  constructor(rules: DiffRules, limits: PlanLimits, questions: PlanQuestions = { replacedText: false }) {
    this.rules = rules;
    this.limits = limits;
    this.questions = questions;
    this.context = diffContext(rules, () => this.listed < limits.createRowsMax);
    this.table = new PrefixTable(targetSpanOf(rules.rule));
    this.exceptions = new ExceptionList(this.context.hasher);
    this.deletions = new ExceptionList(this.context.hasher);
    this.chunk = new ChunkDiff(this.context, chunkId(0));
    this.chunkStart = rules.rule.sourcePrefix;
    for (const kind of actionKinds) this.totals.set(kind, { keys: 0, bytes: 0 });
  }

  sourceOnly(source: StoredRecord, targetKey: Key): void {
    this.add(source, targetKey, null);
  }

  matched(source: StoredRecord, target: StoredRecord): void {
    this.add(source, target.key, target);
  }

  targetOnly(target: StoredRecord): void {
    if (this.context.isPruned(target.key)) this.cutBefore(toSourceKey(this.rules.rule, target.key));
    const { row, isBelowValue } = this.chunk.addTargetOnly(target);
    if (isBelowValue) countKey(this.blockedOf('key.below-value'), target.key);
    if (row === null) {
      this.targetOnlyCount += 1;
      return;
    }
    this.targetKeys += 1;
    this.table.addDelete(target);
    this.count('delete', recordBytes(target));
    this.deletions.add(target, target.expiresAtMs !== null);
    this.list(row);
  }

  notCarried(entry: NotCarried): void {
    this.notCarriedBy.set(entry.reason, (this.notCarriedBy.get(entry.reason) ?? 0) + 1);
    const { key: at, reason, detail = '' } = entry;
    if (reason !== 'item.unmapped' || this.unmapped.length >= findingKeysMax) return;
    const key = keyToJson(at);
    this.unmapped.push({ key, sourceKeys: [key], count: 1, detail });
  }

  unplaced(entry: Unplaced, targetKey: Key): void {
    const { reason, sourceKeys, count, bytes, detail } = entry;
    const total = this.totals.get('blocked');
    if (total !== undefined) {
      total.keys += count;
      total.bytes += bytes;
    }
    this.table.addBlocked(targetKey, count);
    const seen = this.unplacedBy.get(reason) ?? { count: 0, places: 0, cases: [] };
    this.unplacedBy.set(reason, seen);
    seen.count += count;
    seen.places += 1;
    if (seen.cases.length >= findingKeysMax) return;
    const [sourceKey = entry.key] = sourceKeys;
    const key = keyToJson(reason === 'key.collision' ? targetKey : sourceKey);
    seen.cases.push({ key, sourceKeys: sourceKeys.map(keyToJson), count, detail });
  }

  /** The rows that have gathered since the last call. */
  drain(): { readonly changes: readonly PlannedChange[]; readonly chunks: readonly PlannedChunk[] } {
    const drained = { changes: this.changes, chunks: this.chunks };
    this.changes = [];
    this.chunks = [];
    return drained;
  }

  /** Closes the last chunk; its rows are there for a last `drain`. */
  finish(): BuiltPlan {
    this.closeChunk(prefixEnd(this.rules.rule.sourcePrefix));
    const actions = Object.fromEntries(this.totals) as Record<ActionKind, KeysAndBytes> as ActionTotals;
    let scanned = 0;
    for (const [kind, { keys }] of this.totals) if (kind !== 'delete') scanned += keys;
    for (const count of this.notCarriedBy.values()) scanned += count;
    return {
      totals: {
        actions,
        notCarried: Object.fromEntries(this.notCarriedBy),
        scanned,
        expiring: this.expiring,
        targetOnly: this.targetOnlyCount,
      },
      byPrefix: this.table.rows(),
      lookFirst: this.look.rows(),
      blocked: this.blocked,
      unfitReasons: this.unfitReasons,
      unplaced: this.unplacedBy,
      unmapped: this.unmapped,
      oneWay: this.oneWay,
      conflictKeys: this.conflictKeys,
      replacedText: this.replacedText,
      exceptions: this.exceptions.value(),
      deletions: this.deletions.value(),
      targetKeys: this.targetKeys,
      deletedBeyond: (shareMax) => this.table.deletedBeyond(shareMax),
      chunks: this.chunkCount,
      itemUnits: this.itemUnits,
      leases: this.questions.leaseBucketMs === undefined ? null : this.leaseBuckets.size,
      changesListed: this.listed,
      changesOmitted: this.omitted,
      expiringBefore: (atMs) => this.expiringBefore(atMs),
    };
  }

  private add(source: StoredRecord, targetKey: Key, target: StoredRecord | null): void {
    if (target !== null) this.targetKeys += 1;
    this.cutBefore(source.key);
    const diffed = this.chunk.addSource(source, targetKey, target);
    this.count(diffed.action, recordBytes(source));
    this.table.add(targetKey, diffed.action, source, target !== null);
    if (diffed.action === 'conflict' && target !== null) this.exceptions.add(target, source.expiresAtMs !== null);
    this.note(source, targetKey, diffed);
  }

  /** Ends the chunk in front of a source key, or of the place of one, when it is full. */
  private cutBefore(sourceKey: Key): void {
    const { chunkKeysMax, chunkBytesMax } = this.limits;
    if (this.chunk.keys >= chunkKeysMax || (this.chunk.keys > 0 && this.chunk.bytes >= chunkBytesMax)) {
      this.closeChunk(sourceKey);
    }
  }

  private count(action: ActionKind, bytes: number): void {
    const total = this.totals.get(action);
    if (total === undefined) return;
    total.keys += 1;
    total.bytes += bytes;
    const { itemOverheadBytes } = this.questions;
    if (itemOverheadBytes === undefined || (action !== 'create' && action !== 'overwrite' && action !== 'delete'))
      return;
    this.itemUnits += Math.ceil((bytes + itemOverheadBytes) / writeUnitBytes);
  }

  private list(row: PlannedChange): void {
    this.listed += 1;
    this.changes.push(row);
    this.look.offer(row);
  }

  private note(source: StoredRecord, targetKey: Key, diffed: DiffedRecord): void {
    if (source.expiresAtMs !== null) {
      this.expiring += 1;
      const minute = Math.floor(source.expiresAtMs / 60_000);
      this.expiryMinutes.set(minute, (this.expiryMinutes.get(minute) ?? 0) + 1);
      this.countLease(source.expiresAtMs);
    }
    if (diffed.blocked !== null) {
      const blocked = this.blockedOf(diffed.blocked);
      countKey(blocked, targetKey);
      if (blocked.sourceKeys.length < findingKeysMax) blocked.sourceKeys.push(keyToJson(sourceKeyOf(source)));
    }
    if (diffed.blocked === 'record.unfit') this.noteUnfit(source, targetKey);
    if (this.questions.replacedText && holdsReplacement(source)) countKey(this.replacedText, sourceKeyOf(source));
    if (source.oneWay === true) this.oneWay += 1;
    if (diffed.action === 'conflict' && this.conflictKeys.length < findingKeysMax) {
      this.conflictKeys.push(keyToJson(targetKey));
    }
    if (diffed.row !== null) {
      this.list(diffed.row);
    } else if (diffed.action === 'create') {
      this.omitted += 1;
    }
  }

  private countLease(expiresAtMs: number): void {
    const { leaseBucketMs } = this.questions;
    if (leaseBucketMs === undefined || this.leaseBuckets.size >= leasesCountedMax) return;
    this.leaseBuckets.add(Math.ceil(expiresAtMs / leaseBucketMs));
  }

  private blockedOf(reason: BlockReason): { count: number; keys: KeyJson[]; sourceKeys: KeyJson[] } {
    const seen = this.blocked.get(reason) ?? { count: 0, keys: [], sourceKeys: [] };
    this.blocked.set(reason, seen);
    return seen;
  }

  private noteUnfit(source: StoredRecord, targetKey: Key): void {
    const why = this.rules.unfit?.({ key: targetKey, value: source.value }) ?? '';
    this.unfitReasons.set(why, (this.unfitReasons.get(why) ?? 0) + 1);
  }

  private closeChunk(end: Key | null): void {
    this.chunks.push(this.chunk.finish(this.chunkStart, end));
    this.chunkCount += 1;
    this.chunk = new ChunkDiff(this.context, chunkId(this.chunkCount));
    if (end !== null) this.chunkStart = end;
  }

  private expiringBefore(atMs: number): number {
    let count = 0;
    for (const [minute, keys] of this.expiryMinutes) if (minute * 60_000 < atMs) count += keys;
    return count;
  }
}

function countKey(counted: { count: number; keys: KeyJson[] }, key: Key): void {
  counted.count += 1;
  if (counted.keys.length < findingKeysMax) counted.keys.push(keyToJson(key));
}
