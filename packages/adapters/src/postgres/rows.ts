/**
 * Statements over many rows of one table at once, by the keys of records: look at, insert, update, delete.
 *
 *     unnest of arrays ──► i(ord, key, c1 … cn, v, expect) ──cast──► r, the row that key and value mean
 *
 * A row counts as a key's only if its key, made anew from it, has the same bytes; a value is written only if the row
 * that it means has the same bytes as a value. So whatever a type does to what it is given is found out here.
 */
import { keyFromBytes, keyToBytes, type Key } from '@keyferry/core';
import { byteaArray, intArray, textArray } from './arrays.ts';
import type { ResolvedTable } from './catalog.ts';
import { keyBytesSql, valueBytesSql } from './select.ts';
import type { Session } from './session.ts';
import { quoteName } from './sql.ts';
import { fromMemberSql, isJson, type Column } from './types.ts';

/** What one statement is told of one record. */
export interface RowInput {
  /** By which its answer is found again. */
  readonly ord: number;
  readonly key: Key;
  /** As in `Located`. */
  readonly columns: readonly string[];
  /** Null: none is written. */
  readonly value: Uint8Array | null;
  /** Null: none is expected. */
  readonly expect: string | null;
}

/** What is there at a key. */
export interface RowFound {
  readonly ord: number;
  /** Null: nothing is. */
  readonly version: string | null;
  /** Its value has the bytes of the one that was given. */
  readonly equal: boolean;
  /** The value that was given can be a row, and would be read again as it is. */
  readonly fits: boolean;
  /** Only where it was asked for. */
  readonly value?: Buffer | null;
}

const keyColumnName = (nth: number): string => `c${nth + 1}`;

function inputSql(table: ResolvedTable): string {
  const columns = table.keyColumns.map((_, nth) => keyColumnName(nth));
  const arrays = columns.map((_, nth) => `$${nth + 5}::text[]`);
  const fixed = '$1::int4[], $2::bytea[], $3::bytea[], $4::text[]';
  return `unnest(${[fixed, ...arrays].join(', ')}) AS i(${['ord', 'key', 'v', 'expect', ...columns].join(', ')})`;
}

function parametersOf(table: ResolvedTable, inputs: readonly RowInput[]): Buffer[] {
  return [
    intArray(inputs.map(({ ord }) => ord)),
    byteaArray(inputs.map(({ key }) => keyToBytes(key))),
    byteaArray(inputs.map(({ value }) => value)),
    textArray(inputs.map(({ expect }) => expect)),
    ...table.keyColumns.map((_, nth) => textArray(inputs.map(({ columns }) => columns[nth] ?? ''))),
  ];
}

function keyValueSql({ type }: Column, nth: number): string {
  const text = `i.${keyColumnName(nth)}`;
  return type === 'bytea' ? `decode(${text}, 'hex')` : `${text}::${type}`;
}

/** The row of a key: by its unique index, and by its bytes. */
function isRowSql(table: ResolvedTable): string {
  const equal = table.keyColumns.map((column, nth) => `t.${quoteName(column.name)} = ${keyValueSql(column, nth)}`);
  return [...equal, `${keyBytesSql(table, 't')} = i.key`].join(' AND ');
}

/** LATERAL: the row `r` that the key and value of `i` mean. */
function rowSql(table: ResolvedTable): string {
  const { mapping, keyColumns, valueColumns } = table;
  const keys = keyColumns.map((column, nth) => `${keyValueSql(column, nth)} AS ${quoteName(column.name)}`);
  if (mapping.value !== 'row') {
    const [column] = valueColumns as readonly [Column];
    const value = column.type === 'bytea' ? 'i.v' : `convert_from(i.v, 'UTF8')::${column.declared}`;
    return `LATERAL (SELECT ${[...keys, `${value} AS ${quoteName(column.name)}`].join(', ')}) AS r`;
  }
  const values = valueColumns.map((column) => {
    return `${fromMemberSql(column, 'j.j', `p.${quoteName(column.name)}`)} AS ${quoteName(column.name)}`;
  });
  const json = "(SELECT convert_from(i.v, 'UTF8')::json AS j) AS j";
  const populated = valueColumns.every(isJson) ? '' : `, LATERAL json_populate_record(NULL::${table.sql}, j.j) AS p`;
  return `LATERAL (SELECT ${[...keys, ...values].join(', ')} FROM ${json}${populated}) AS r`;
}

/** @param lock FOR UPDATE: what is there stays so until the transaction ends */
export async function lookAtRows(
  session: Session,
  table: ResolvedTable,
  inputs: readonly RowInput[],
  { value = false, lock = false }: { readonly value?: boolean; readonly lock?: boolean } = {},
): Promise<readonly RowFound[]> {
  const own = valueBytesSql(table, 't');
  const withValues = inputs.some((input) => input.value !== null);
  const fits = withValues
    ? `coalesce(${keyBytesSql(table, 'r')} = i.key AND ${valueBytesSql(table, 'r')} = i.v, false)`
    : 'true';
  // A lock cannot be taken on what may be missing, so the rows are locked first, and then looked at.
  if (lock) {
    const sql = `SELECT 1 FROM ${inputSql(table)} JOIN ${table.sql} AS t ON ${isRowSql(table)} ORDER BY i.key FOR UPDATE OF t`;
    await session.query(sql, parametersOf(table, inputs));
  }
  const { rows } = await session.query<RowFound>(
    `SELECT i.ord, t.xmin::text AS version, coalesce(${own} = i.v, false) AS equal, ${fits} AS fits
       ${value ? `, ${own} AS value` : ''}
     FROM ${inputSql(table)}${withValues ? ` CROSS JOIN ${rowSql(table)}` : ''} LEFT JOIN ${table.sql} AS t ON ${isRowSql(table)}`,
    parametersOf(table, inputs),
  );
  return rows;
}

/** Inserts where no row is. @returns the keys that it inserted */
export async function insertRows(
  session: Session,
  table: ResolvedTable,
  inputs: readonly RowInput[],
): Promise<ReadonlySet<Key>> {
  const names = table.writable.map(({ name }) => quoteName(name));
  const conflict = table.keyColumns.map(({ name }) => quoteName(name)).join(', ');
  const { rows } = await session.query<{ readonly key: Buffer }>(
    `INSERT INTO ${table.sql} AS t (${names.join(', ')}) OVERRIDING SYSTEM VALUE
     SELECT ${names.map((name) => `r.${name}`).join(', ')} FROM ${inputSql(table)} CROSS JOIN ${rowSql(table)} ORDER BY i.key
     ON CONFLICT (${conflict}) DO NOTHING RETURNING ${keyBytesSql(table, 't')} AS key`,
    parametersOf(table, inputs),
  );
  return new Set(rows.map(({ key }) => keyFromBytes(key)));
}

/** Changes rows that are still what is expected. @returns the `ord` of those */
export async function updateRows(
  session: Session,
  table: ResolvedTable,
  inputs: readonly RowInput[],
): Promise<ReadonlySet<number>> {
  const { valueColumns, keyColumns } = table;
  const changed = valueColumns.map(({ name }) => `${quoteName(name)} = r.${quoteName(name)}`);
  // A row without values still gets a new version.
  const [first] = keyColumns as readonly [Column];
  const set = changed.length > 0 ? changed.join(', ') : `${quoteName(first.name)} = t.${quoteName(first.name)}`;
  const { rows } = await session.query<{ readonly ord: number }>(
    `UPDATE ${table.sql} AS t SET ${set} FROM ${inputSql(table)} CROSS JOIN ${rowSql(table)}
     WHERE ${isRowSql(table)} AND t.xmin = i.expect::xid RETURNING i.ord`,
    parametersOf(table, inputs),
  );
  return new Set(rows.map(({ ord }) => ord));
}

/** Deletes rows that are still what is expected. @returns the `ord` of those */
export async function deleteRows(
  session: Session,
  table: ResolvedTable,
  inputs: readonly RowInput[],
): Promise<ReadonlySet<number>> {
  const { rows } = await session.query<{ readonly ord: number }>(
    `DELETE FROM ${table.sql} AS t USING ${inputSql(table)} WHERE ${isRowSql(table)} AND t.xmin = i.expect::xid RETURNING i.ord`,
    parametersOf(table, inputs),
  );
  return new Set(rows.map(({ ord }) => ord));
}

/** SQL of the version that everything has which this transaction writes: xmin keeps the low half of its number. */
export const ownVersionSql = '(pg_current_xact_id()::text::numeric % 4294967296)::text';

/** The version of all that the transaction under way writes. */
export async function ownVersion(session: Session): Promise<string> {
  const { rows } = await session.query<{ readonly own: string }>(`SELECT ${ownVersionSql} AS own`);
  return rows[0]?.own ?? '';
}

/** Each table with what is to be done there. */
export function byTable<T extends { readonly table: ResolvedTable }>(
  entries: readonly T[],
): ReadonlyMap<ResolvedTable, readonly T[]> {
  const groups = new Map<ResolvedTable, T[]>();
  for (const entry of entries) {
    const group = groups.get(entry.table);
    if (group === undefined) groups.set(entry.table, [entry]);
    else group.push(entry);
  }
  return groups;
}
