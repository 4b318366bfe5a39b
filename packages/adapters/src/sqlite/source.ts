/**
 * Reading a table of records: its head, pinned views, counts.
 *
 * A view is a read transaction on a connection of its own. With a write-ahead log it holds nobody up; the log only
 * grows while the view is open. In the older journal modes writers wait for the view to close.
 *
 * The position is the counter of changes and the last expiry that has passed: a row that expires changes what is read
 * although nobody writes.
 */
import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import {
  keyFromBytes,
  keyToBytes,
  invariant,
  intersectRanges,
  type Key,
  type KeyRange,
  type Position,
  type RecordPage,
  type ScanOptions,
  type StoredRecord,
  type StoreView,
  type Version,
} from '@keyferry/core';
import type { Connection, Row } from './connection.ts';
import type { TableNames } from './schema.ts';

/** A page ends early when it holds this much, so that large values do not pile up in memory. */
const pageBytesMax = 8 * 1024 * 1024;

export const emptyPosition = '0' as Position;

/** SQL condition on a row that has not expired; its parameter is the time. */
export const isAlive = '(expires_at_ms IS NULL OR expires_at_ms > ?)';

export function readPosition(connection: Connection, { records }: TableNames, nowMs: number): Position {
  const row = connection.get(
    `SELECT CAST(value AS TEXT) AS counter,
       (SELECT max(expires_at_ms) FROM ${records} WHERE expires_at_ms IS NOT NULL AND expires_at_ms <= ?) AS expired
     FROM keyferry_meta WHERE name = 'counter'`,
    nowMs,
  );
  const { counter, expired } = row ?? {};
  return (expired === null ? String(counter) : `${String(counter)}.${String(expired)}`) as Position;
}

/** SQL of a range of keys and the parameters that it needs. */
export function inRange(
  { start, end }: KeyRange,
  column = 'key',
): { readonly sql: string; readonly keys: Uint8Array[] } {
  return end === null
    ? { sql: `${column} >= ?`, keys: [keyToBytes(start)] }
    : { sql: `${column} >= ? AND ${column} < ?`, keys: [keyToBytes(start), keyToBytes(end)] };
}

export function countRecords(
  connection: Connection,
  { records }: TableNames,
  range: KeyRange,
  max: number,
  nowMs: number,
): number {
  const { sql, keys } = inRange(range);
  const counted = connection.get(
    `SELECT count(*) AS count FROM (SELECT 1 FROM ${records} WHERE ${sql} AND ${isAlive} LIMIT ?)`,
    ...keys,
    nowMs,
    max,
  );
  return Number(counted?.['count'] ?? 0);
}

export function readRecord(
  connection: Connection,
  { records }: TableNames,
  key: Key,
  nowMs: number,
): StoredRecord | null {
  const row = connection.get(
    `SELECT key, value, CAST(version AS TEXT) AS version, expires_at_ms FROM ${records} WHERE key = ? AND ${isAlive}`,
    keyToBytes(key),
    nowMs,
  );
  return row === undefined ? null : recordOf(row);
}

/** Takes over the connection: closing the view closes it. */
export class SqliteView implements StoreView {
  readonly position: Position;
  private readonly connection: Connection;
  private readonly names: TableNames;
  private readonly range: KeyRange;
  private readonly openedAtMs: number;
  private closed = false;

  constructor(connection: Connection, names: TableNames, range: KeyRange, nowMs: number) {
    this.connection = connection;
    this.names = names;
    this.range = range;
    this.openedAtMs = nowMs;
    // A deferred transaction takes its snapshot with its first read: the position and all pages are of one state.
    connection.script('BEGIN');
    this.position = readPosition(connection, names, nowMs);
  }

  async *scan(part: KeyRange, { pageKeysMax }: ScanOptions): AsyncIterable<RecordPage> {
    const range = intersectRanges(this.range, part);
    if (range === null) return;
    let after: Key | null = null;
    for (;;) {
      const records = this.readPage(range, after, pageKeysMax);
      after = records.at(-1)?.key ?? null;
      if (after === null) return;
      await turnOfTheLoop(); // all of it is synchronous: signals and leases need their turn
      yield { records, notCarried: [] };
    }
  }

  async close(): Promise<void> {
    this.closed = true;
    this.connection.close();
  }

  private readPage(range: KeyRange, after: Key | null, pageKeysMax: number): readonly StoredRecord[] {
    invariant(!this.closed, 'a scan of a view that was closed');
    const { sql, keys } = inRange(after === null ? range : { start: after, end: range.end });
    const beyond = after === null ? sql : sql.replace('>=', '>');
    const records: StoredRecord[] = [];
    let bytes = 0;
    this.connection.each(
      `SELECT key, value, CAST(version AS TEXT) AS version, expires_at_ms FROM ${this.names.records}
       WHERE ${beyond} AND ${isAlive} ORDER BY key LIMIT ?`,
      [...keys, this.openedAtMs, pageKeysMax],
      (row) => {
        const record = recordOf(row);
        records.push(record);
        bytes += record.key.length + record.value.length;
        return bytes < pageBytesMax;
      },
    );
    return records;
  }
}

/** A view of a table that does not exist yet. */
export const emptyView: StoreView = {
  position: emptyPosition,
  async *scan() {
    // no table, no pages
  },
  close: async () => undefined,
};

export function recordOf(row: Row): StoredRecord {
  return {
    key: keyFromBytes(row['key'] as Uint8Array),
    value: row['value'] as Uint8Array,
    version: row['version'] as Version,
    expiresAtMs: row['expires_at_ms'] as number | null,
  };
}
