/**
 * The records of a memory store: one map, a revision that grows with each change, expiry by the caller's clock.
 *
 * A sorted array is made when somebody reads and kept until the next write. It is never changed afterwards, so that a
 * pinned view is nothing but the array that was current when it was opened.
 */
import {
  compareKeys,
  rangeHolds,
  type Key,
  type KeyRange,
  type SourceChange,
  type StoredRecord,
  type Version,
} from '../src/index.ts';

/** One change, and the revision that it made. */
export interface LoggedChange {
  readonly revision: number;
  readonly change: SourceChange;
}

export class MemoryData {
  readonly nowMs: () => number;
  private readonly records = new Map<Key, StoredRecord>();
  private sorted: readonly StoredRecord[] | null = null;
  private currentRevision = 0;
  private nextExpiryAtMs = Number.POSITIVE_INFINITY;
  /** What came after `logStart`, a revision each. */
  private log: LoggedChange[] = [];
  private logStart = 0;

  constructor(nowMs: () => number) {
    this.nowMs = nowMs;
  }

  /** Grows by one with each put, delete and expiry. */
  revision(): number {
    this.dropExpired();
    return this.currentRevision;
  }

  get(key: Key): StoredRecord | undefined {
    this.dropExpired();
    return this.records.get(key);
  }

  /** Bytes are copied: what the caller does to its array later is not seen here. */
  put(key: Key, value: Uint8Array, expiresAtMs: number | null): Version {
    this.dropExpired();
    const version = this.nextVersion();
    const record = { key, value: value.slice(), version, expiresAtMs };
    this.records.set(key, record);
    this.note({ kind: 'put', ...record });
    if (expiresAtMs !== null) this.nextExpiryAtMs = Math.min(this.nextExpiryAtMs, expiresAtMs);
    return version;
  }

  delete(key: Key): boolean {
    this.dropExpired();
    if (!this.records.delete(key)) return false;
    this.nextVersion();
    this.note({ kind: 'delete', key });
    return true;
  }

  /** As one change, of which the log says no more than the range. */
  deleteRange(range: KeyRange): void {
    this.dropExpired();
    for (const key of this.records.keys()) if (rangeHolds(range, key)) this.records.delete(key);
    this.nextVersion();
    this.note({ kind: 'delete-range', range });
  }

  /** Null: what followed that revision is no longer known. */
  changesAfter(revision: number): readonly LoggedChange[] | null {
    this.dropExpired();
    return revision < this.logStart ? null : this.log.slice(revision - this.logStart);
  }

  /** Forgets the changes up to now. */
  compact(): void {
    this.logStart = this.revision();
    this.log = [];
  }

  /** Ascending by bytes. The array stays as it is, whatever is written later. */
  all(): readonly StoredRecord[] {
    this.dropExpired();
    this.sorted ??= [...this.records.values()].toSorted((a, b) => compareKeys(a.key, b.key));
    return this.sorted;
  }

  private note(change: SourceChange): void {
    this.log.push({ revision: this.currentRevision, change });
  }

  private nextVersion(): Version {
    this.currentRevision += 1;
    this.sorted = null;
    return String(this.currentRevision) as Version;
  }

  /** A record ends at its expiry, not after it. */
  private dropExpired(): void {
    const nowMs = this.nowMs();
    if (nowMs < this.nextExpiryAtMs) return;
    this.nextExpiryAtMs = Number.POSITIVE_INFINITY;
    for (const { key, expiresAtMs } of this.records.values()) {
      if (expiresAtMs === null) continue;
      if (expiresAtMs > nowMs) {
        this.nextExpiryAtMs = Math.min(this.nextExpiryAtMs, expiresAtMs);
      } else {
        this.records.delete(key);
        this.nextVersion();
        this.note({ kind: 'delete', key });
      }
    }
  }
}

/** The first of ascending records that lie in a range, `max` of them at most. */
export function sliceRange(
  records: readonly StoredRecord[],
  range: KeyRange,
  max = Number.POSITIVE_INFINITY,
): readonly StoredRecord[] {
  const start = firstAtOrAfter(records, range.start);
  const end = range.end === null ? records.length : firstAtOrAfter(records, range.end);
  return records.slice(start, Math.max(start, Math.min(end, start + max)));
}

function firstAtOrAfter(records: readonly StoredRecord[], key: Key): number {
  let low = 0;
  let high = records.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((records[middle] as StoredRecord).key < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
