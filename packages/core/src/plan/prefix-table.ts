/** The plan's table by prefix: one row for each first path segment under the target prefix, the rest in a last row. */
import { keyToJson, type Key, type KeyJson } from '../model/key.ts';
import type { StoredRecord } from '../model/record.ts';
import { noActions, type ActionKind, type PrefixSummary } from './plan.ts';

/** Rows past this many are added up in one row for the target prefix itself. */
const rowsMax = 40;

interface Row {
  counts: Record<ActionKind, number>;
  /** Records that are in the target now: those that match, and those that are to be deleted. */
  targetKeys: number;
  expiring: number;
  bytes: number;
  largestBytes: number;
}

/** How many keys of a prefix are to be deleted, of how many that the target holds there. */
export interface DeletedShare {
  readonly prefix: KeyJson;
  readonly deleted: number;
  readonly of: number;
}

export class PrefixTable {
  private readonly targetPrefix: Key;
  private readonly byPrefix = new Map<Key, Row>();

  constructor(targetPrefix: Key) {
    this.targetPrefix = targetPrefix;
  }

  addDelete(target: StoredRecord): void {
    const row = this.row(this.groupOf(target.key));
    row.targetKeys += 1;
    row.counts.delete += 1;
    row.bytes += target.value.length;
    if (target.value.length > row.largestBytes) row.largestBytes = target.value.length;
  }

  add(targetKey: Key, action: ActionKind, source: StoredRecord, isThere: boolean): void {
    const row = this.row(this.groupOf(targetKey));
    row.counts[action] += 1;
    if (isThere) row.targetKeys += 1;
    if (source.expiresAtMs !== null) row.expiring += 1;
    row.bytes += source.value.length;
    if (source.value.length > row.largestBytes) row.largestBytes = source.value.length;
  }

  addBlocked(targetKey: Key, count: number): void {
    this.row(this.groupOf(targetKey)).counts.blocked += count;
  }

  rows(): readonly PrefixSummary[] {
    return [...this.byPrefix]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([prefix, row]) => ({
        prefix: keyToJson(prefix),
        ...row.counts,
        expiring: row.expiring,
        bytes: row.bytes,
        largestBytes: row.largestBytes,
      }));
  }

  /** Prefixes of which a larger share than this is deleted, the largest share first. */
  deletedBeyond(shareMax: number): readonly DeletedShare[] {
    return [...this.byPrefix]
      .map(([prefix, { counts, targetKeys }]) => ({
        prefix: keyToJson(prefix),
        deleted: counts.delete,
        of: targetKeys,
      }))
      .filter(({ deleted, of }) => deleted > shareMax * of)
      .toSorted((a, b) => b.deleted / b.of - a.deleted / a.of);
  }

  private groupOf(key: Key): Key {
    // A prefix without its final slash still groups by the segment that follows the slash.
    const from = this.targetPrefix.length + (key.charAt(this.targetPrefix.length) === '/' ? 1 : 0);
    const slash = key.indexOf('/', from);
    return slash < 0 ? this.targetPrefix : (key.slice(0, slash + 1) as Key);
  }

  private row(prefix: Key): Row {
    const known = this.byPrefix.get(prefix);
    if (known !== undefined) return known;
    if (this.byPrefix.size >= rowsMax && prefix !== this.targetPrefix) return this.row(this.targetPrefix);
    const row: Row = {
      counts: noActions(),
      targetKeys: 0,
      expiring: 0,
      bytes: 0,
      largestBytes: 0,
    };
    this.byPrefix.set(prefix, row);
    return row;
  }
}
