/**
 * Does a planned chunk still hold? Diffed again by the same code over the same range as when it was planned, and held
 * against its rows while it is read, so that each key that moved can be named; then against its digests, for the keys
 * that have no row: equal ones, and permanent creates past the row limit.
 *
 * A key whose TTL ended since the plan is no staleness: that is what a TTL is for. Neither are target keys that no
 * source key maps to and that the plan does not delete: new ones are left as they are. Everything else that a planned key rests on is. Records that expire have rows, but for those that
 * are equal: these may become fewer once the first of them has ended, and nothing else of the chunk may move with them.
 *
 * Memory is the chunk's planned rows, however much it has grown since.
 */
import { digestsEqual } from '../convergence/digest.ts';
import type { JoinVisitor } from '../diff/merge-join.ts';
import type { StaleKey } from '../errors/details.ts';
import { instantMs } from '../model/instant.ts';
import { keyForDisplay, keyFromJson, keyToJson, type Key } from '../model/key.ts';
import type { StoredRecord, Unplaced } from '../model/record.ts';
import { ChunkDiff, diffContext, type ChunkSums, type DiffRules } from './chunk-diff.ts';
import type { PlannedChange, PlannedChunk } from './plan.ts';

/** Stale keys kept to be named; the rest is counted. */
export const staleKeysNamed = 20;

/** How many keys without a source are kept to be named. */
const orphansMax = 5;

export interface RecheckClock {
  readonly nowMs: number;
  /** A key that went this long before its planned end counts as expired: ends are estimates, of several clocks. */
  readonly clockSkewMs: number;
}

export interface StaleKeys {
  /** What moved, each key once, the first `staleKeysNamed` of them. Empty when only TTLs ended. */
  readonly keys: readonly StaleKey[];
  readonly total: number;
}

export class ChunkRecheck implements JoinVisitor {
  private readonly planned: PlannedChunk;
  private readonly rows: readonly PlannedChange[];
  private readonly endedByMs: number;
  private readonly diff: ChunkDiff;
  private at = 0;
  private readonly orphans: Key[] = [];
  /** Keys that were named as such, so that they are not named once more as gone. */
  private readonly withoutPlace = new Set<Key>();
  /** Target keys without a source that the plan does not delete. */
  private orphansTotal = 0;
  private readonly named: StaleKey[] = [];
  private total = 0;

  /** @param rows the planned rows of this chunk, ascending */
  constructor(rules: DiffRules, planned: PlannedChunk, rows: readonly PlannedChange[], clock: RecheckClock) {
    this.planned = planned;
    this.rows = rows;
    this.endedByMs = clock.nowMs + clock.clockSkewMs;
    const listCreates = (): boolean => true;
    this.diff = new ChunkDiff(diffContext(rules, listCreates), planned.chunk);
  }

  sourceOnly(source: StoredRecord, targetKey: Key): void {
    this.compare(source, targetKey, null);
  }

  matched(source: StoredRecord, target: StoredRecord): void {
    this.compare(source, target.key, target);
  }

  targetOnly(target: StoredRecord): void {
    this.passRowsBefore(target.key);
    const { row: now } = this.diff.addTargetOnly(target);
    const then = this.takeRow(target.key);
    if (then?.action === 'delete') {
      // What the rules would no longer delete is another configuration, which is refused before this.
      if (now === null || then.target?.version !== now.target?.version) this.stale(target.key, 'changed in the target');
      return;
    }
    if (then !== null && !this.hasEnded(then.expiresAt)) this.stale(target.key, 'gone from the source');
    this.orphansTotal += 1;
    if (this.orphans.length < orphansMax) this.orphans.push(target.key);
  }

  notCarried(): void {
    // No planned key rests on it.
  }

  /** No plan that is applied has any. */
  unplaced({ sourceKeys, reason, detail }: Unplaced, targetKey: Key): void {
    const [sourceKey = targetKey] = sourceKeys;
    const key = reason === 'key.collision' ? targetKey : sourceKey;
    if (this.hasRow(targetKey)) this.withoutPlace.add(targetKey);
    this.stale(key, detail);
  }

  /** Call once, when all of the chunk's range was read. */
  finish(): StaleKeys {
    this.passRowsBefore(null);
    if (this.total === 0) this.compareUnlisted(this.diff.sums());
    return { keys: this.named, total: this.total };
  }

  private compare(source: StoredRecord, targetKey: Key, target: StoredRecord | null): void {
    this.passRowsBefore(targetKey);
    const { row: now } = this.diff.addSource(source, targetKey, target);
    const then = this.takeRow(targetKey);
    if (then === null) {
      const mayBeUnlisted = !this.planned.listed && now?.action === 'create' && now.expiresAt === null;
      if (now !== null && !mayBeUnlisted) this.stale(targetKey, whatAppeared(now));
      return;
    }
    if (then.action === 'delete') {
      this.stale(targetKey, 'was to be deleted, and is in the source now');
      return;
    }
    const what = now === null ? 'equal in the target by now' : whatChanged(then, now);
    if (what !== null) this.stale(targetKey, what);
  }

  /** Planned rows that the source, or for a delete the target, has no record for any more. */
  private passRowsBefore(targetKey: Key | null): void {
    for (let row = this.rows[this.at]; row !== undefined; row = this.rows[this.at]) {
      const key = keyFromJson(row.targetKey);
      if (targetKey !== null && key >= targetKey) return;
      const where = row.action === 'delete' ? 'target' : 'source';
      if (!this.hasEnded(row.expiresAt) && !this.withoutPlace.has(key)) this.stale(key, `gone from the ${where}`);
      this.at += 1;
    }
  }

  private hasRow(targetKey: Key): boolean {
    let [low, high] = [this.at, this.rows.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const key = keyFromJson((this.rows[middle] as PlannedChange).targetKey);
      if (key === targetKey) return true;
      if (key < targetKey) low = middle + 1;
      else high = middle;
    }
    return false;
  }

  private takeRow(targetKey: Key): PlannedChange | null {
    const row = this.rows[this.at];
    if (row === undefined || keyFromJson(row.targetKey) !== targetKey) return null;
    this.at += 1;
    return row;
  }

  /** No row moved; do the digests say that a key without one did? */
  private compareUnlisted(now: ChunkSums): void {
    const { planned } = this;
    const holds = digestsEqual(planned.permanent, now.permanent) && digestsEqual(planned.matched, now.matched);
    if (holds && this.onlyEnded(now)) return;
    const wentFromSource = now.permanent.count < planned.permanent.count && this.sameExpiring(now);
    if (wentFromSource && planned.targetOnly === 0 && this.orphansTotal > 0) {
      for (const key of this.orphans) this.stale(key, 'no longer in the source');
      this.total = this.orphansTotal;
      return;
    }
    const end = planned.end === null ? '(end)' : keyForDisplay(keyFromJson(planned.end));
    const what = `up to ${end}, chunk ${planned.chunk}: keys that the plan does not list one by one changed`;
    this.total = this.named.push({ key: planned.start, what });
  }

  private sameExpiring(now: ChunkSums): boolean {
    return digestsEqual(this.planned.equalExpiring, now.equalExpiring);
  }

  private onlyEnded(now: ChunkSums): boolean {
    const { equalExpiring, equalExpiresAt } = this.planned;
    if (now.equalExpiring.count < equalExpiring.count) return this.hasEnded(equalExpiresAt);
    return this.sameExpiring(now);
  }

  private hasEnded(expiresAt: string | null): boolean {
    return expiresAt !== null && instantMs(expiresAt) <= this.endedByMs;
  }

  private stale(key: Key, what: string): void {
    this.total += 1;
    if (this.named.length < staleKeysNamed) this.named.push({ key: keyToJson(key), what });
  }
}

function whatChanged(then: PlannedChange, now: PlannedChange): string | null {
  if (then.digest !== now.digest) return 'changed in the source';
  if (then.target === null && now.target !== null) return 'appeared in the target';
  if (then.target !== null && now.target === null) return 'gone from the target';
  if (then.target?.version !== now.target?.version) return 'changed in the target';
  return then.action === now.action ? null : `was ${then.action}, is ${now.action}`;
}

function whatAppeared(now: PlannedChange): string {
  return now.action === 'create' ? 'new in the source, or gone from the target' : 'differs now, was equal or absent';
}
