/**
 * Rows as a replication stream tells them, made into records by the server: the stream has a text for each column, and what a
 * row's key and value are is SQL (select.ts). So a change has the bytes that a scan would find.
 *
 *     texts ──unnest──► i(ord, v1 … vn) ──cast──► r, the row ──keyBytesSql, valueBytesSql──► record
 */
import { keyFromBytes, type Key } from '@keyferry/core';
import { intArray, textArray } from '../arrays.ts';
import type { ResolvedTable } from '../catalog.ts';
import { keyBytesSql, valueBytesSql } from '../select.ts';
import type { Session } from '../session.ts';
import { quoteName } from '../sql.ts';
import type { Column } from '../types.ts';

export interface ToldRow {
  readonly ord: number;
  /** One for each of the columns asked for, in their order. */
  readonly texts: readonly (string | null)[];
}

export interface ToldRecord {
  /** Null: a column of it is NULL, so that the row is no record. */
  readonly key: Key | null;
  readonly value: Uint8Array | null;
}

/** The columns that make a row's key, and with `value` all that make a record. */
export function columnsNeeded(table: ResolvedTable, value: boolean): readonly Column[] {
  return value ? table.writable : table.keyColumns;
}

/** @param value false: keys alone, from the columns of the key alone */
export async function recordsOfRows(
  session: Session,
  table: ResolvedTable,
  rows: readonly ToldRow[],
  value: boolean,
): Promise<ReadonlyMap<number, ToldRecord>> {
  if (rows.length === 0) return new Map();
  const columns = columnsNeeded(table, value);
  const names = columns.map((_, nth) => `v${nth + 1}`);
  const arrays = columns.map((_, nth) => `$${nth + 2}::text[]`);
  const casts = columns.map(({ name, declared }, nth) => `i.v${nth + 1}::${declared} AS ${quoteName(name)}`);
  const valueColumn = value ? valueBytesSql(table, 'r') : 'NULL::bytea';
  const answer = await session.query<{
    readonly ord: number;
    readonly key: Buffer | null;
    readonly value: Buffer | null;
  }>(
    `SELECT i.ord, ${keyBytesSql(table, 'r')} AS key, ${valueColumn} AS value
     FROM unnest(${['$1::int4[]', ...arrays].join(', ')}) AS i(${['ord', ...names].join(', ')}),
       LATERAL (SELECT ${casts.join(', ')}) AS r`,
    [
      intArray(rows.map(({ ord }) => ord)),
      ...columns.map((_, nth) => textArray(rows.map(({ texts }) => texts[nth] ?? null))),
    ],
  );
  return new Map(
    answer.rows.map(({ ord, key, value: found }) => [ord, { key: key && keyFromBytes(key), value: found }]),
  );
}
