/** What a reviewer should look at first: conflicts, overwrites and deletes, the largest value, the shortest time left, a sensitive key. */
import { instantMs } from '../model/instant.ts';
import type { PlannedChange } from './plan.ts';

/** Of each kind but creates. */
const eachMax = 5;
const lookOrder = ['blocked', 'conflict', 'delete', 'overwrite'] as const;

export class LookFirst {
  private readonly first = new Map<PlannedChange['action'], PlannedChange[]>();
  private largest: PlannedChange | null = null;
  private shortest: PlannedChange | null = null;
  private sensitive: PlannedChange | null = null;

  offer(row: PlannedChange): void {
    if (row.action !== 'create') {
      const rows = this.first.get(row.action) ?? [];
      this.first.set(row.action, rows);
      if (rows.length < eachMax) rows.push(row);
      return;
    }
    if (this.largest === null || row.bytes > this.largest.bytes) this.largest = row;
    if (row.expiresAt !== null && (this.shortest === null || expiry(row) < expiry(this.shortest))) this.shortest = row;
    if (row.sensitive) this.sensitive ??= row;
  }

  rows(): readonly PlannedChange[] {
    const rows = lookOrder.flatMap((action) => this.first.get(action) ?? []);
    for (const row of [this.largest, this.shortest, this.sensitive]) {
      if (row !== null && !rows.includes(row)) rows.push(row);
    }
    return rows;
  }
}

function expiry(row: PlannedChange): number {
  return row.expiresAt === null ? Infinity : instantMs(row.expiresAt);
}
