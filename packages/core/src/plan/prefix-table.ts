/** The plan's table by prefix: one row for each first path segment under the target prefix, the rest in a last row. */
import { keyToJson, type Key } from '../model/key.ts';
import type { StoredRecord } from '../model/record.ts';
import type { ActionKind, PrefixSummary } from './plan.ts';

/** Rows past this many are added up in one row for the target prefix itself. */
const rowsMax = 40;

interface Row {
  counts: Record<ActionKind, number>;
  expiring: number;
  bytes: number;
  largestBytes: number;
}

export class PrefixTable {
  private readonly targetPrefix: Key;
  private readonly byPrefix = new Map<Key, Row>();

  constructor(targetPrefix: Key) {
    this.targetPrefix = targetPrefix;
  }

  add(targetKey: Key, action: ActionKind, source: StoredRecord): void {
    const row = this.row(this.groupOf(targetKey));
    row.counts[action] += 1;
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
      counts: { create: 0, equal: 0, conflict: 0, blocked: 0 },
      expiring: 0,
      bytes: 0,
      largestBytes: 0,
    };
    this.byPrefix.set(prefix, row);
    return row;
  }
}
