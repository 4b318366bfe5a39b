/**
 * SQL that makes records of rows: key and value of one row of a table, and the one SELECT that reads them all, in the order
 * of their keys where that is asked for.
 *
 *     SELECT key, value, version, note FROM jobs UNION ALL … FROM packages … ORDER BY key
 *
 * Only the server can say what a column's text is. Where it sorts, it sorts bytes: text under the collation "C" in a database
 * of UTF-8, else bytea.
 */
import { isUtf8 } from 'node:buffer';
import { keyToBytes, prefixRange, type KeyRange } from '@keyferry/core';
import type { ResolvedTable } from './catalog.ts';
import { quoteBytes, quoteName, quoteText } from './sql.ts';
import { isJson, keyTextSql, memberSql, plainKeyTypes, type Column } from './types.ts';

/** What a note begins with; nothing is noted of a good row of a store with one table. */
export const problemSign = '!';

/** SQL of a row's key: text unless its last column is of bytes. Columns that are NULL stand as `{name}`, in braces. */
function keySql(
  { mapping, keyColumns }: ResolvedTable,
  row: string,
  orNull: boolean,
): { sql: string; isBytes: boolean } {
  const reference = (column: Column) => `${row}.${quoteName(column.name)}`;
  const pieces = mapping.key.parts.map((part): { sql: string; isBytes: boolean } => {
    if (part.kind === 'text') return { sql: quoteText(part.text), isBytes: false };
    const column = keyColumns.find(({ name }) => name === part.column) as Column;
    const shown = quoteText(`{${column.name}}`);
    const asItIs = orNull || column.notNull;
    if (part.kind === 'rest' && column.type === 'bytea') {
      const sql = reference(column);
      return { sql: asItIs ? sql : `coalesce(${sql}, convert_to(${shown}, 'UTF8'))`, isBytes: true };
    }
    const text = keyTextSql(column, reference(column));
    const isPlain = part.kind === 'rest' || plainKeyTypes.has(column.type);
    const escaped = isPlain ? text : `replace(replace(${text}, '%', '%25'), '/', '%2F')`;
    return { sql: asItIs ? escaped : `coalesce(${escaped}, ${shown})`, isBytes: false };
  });
  const isBytes = pieces.some((piece) => piece.isBytes);
  const sql = pieces.map((piece) => (isBytes && !piece.isBytes ? `convert_to(${piece.sql}, 'UTF8')` : piece.sql));
  return { sql: sql.length === 1 ? String(sql[0]) : `(${sql.join(' || ')})`, isBytes };
}

/** SQL of a row's key as bytea. @param row alias of the row */
export function keyBytesSql(table: ResolvedTable, row: string): string {
  const { sql, isBytes } = keySql(table, row, true);
  return isBytes ? sql : `convert_to(${sql}, 'UTF8')`;
}

/** SQL of a row's value; bytea if the column is, else text. NULL only where the column that is the value is. */
export function valueSql({ mapping, valueColumns }: ResolvedTable, row: string): { sql: string; isBytes: boolean } {
  const reference = (column: Column) => `${row}.${quoteName(column.name)}`;
  if (mapping.value !== 'row') {
    const [column] = valueColumns as readonly [Column];
    return column.type === 'bytea'
      ? { sql: reference(column), isBytes: true }
      : { sql: `(${reference(column)})::text`, isBytes: false };
  }
  if (valueColumns.length === 0) return { sql: "'{}'", isBytes: false };
  const members = valueColumns.map((column) => {
    const name = `${JSON.stringify(column.name)}:`;
    return `${quoteText(name)} || ${memberSql(column, reference(column))}`;
  });
  // A member that is NULL drops out, and its comma with it.
  const joined = valueColumns.some(isJson) ? `concat_ws(',', ${members.join(', ')})` : members.join(" || ',' || ");
  return { sql: `('{' || ${joined} || '}')`, isBytes: false };
}

/** SQL of a row's value as bytea. */
export function valueBytesSql(table: ResolvedTable, row: string): string {
  const { sql, isBytes } = valueSql(table, row);
  return isBytes ? sql : `convert_to(${sql}, 'UTF8')`;
}

/**
 * SQL of what tells one state of a row from another: who wrote it, as the four bytes of xmin, or what is in it, as text.
 * @param besideTexts other rows of the same SELECT have texts, so it has to be of their type
 */
function versionSql(table: ResolvedTable, row: string, besideTexts: boolean): string {
  // Of each row the server has to make a text otherwise, and the text is longer.
  if (table.hasTransaction) return besideTexts ? `xidsend(${row}.xmin)` : `${row}.xmin`;
  const { sql } = valueSql(table, row);
  return `convert_to(coalesce(md5(${sql}), ''), 'UTF8')`;
}

/** SQL of why a row is no record; NULL: it is one. */
function problemSql({ mapping, label, keyColumns, valueColumns }: ResolvedTable, row: string): string | null {
  const columns = [
    ...keyColumns.filter(({ notNull }) => !notNull).map((column) => ({ column, of: 'key' })),
    ...(mapping.value === 'row'
      ? []
      : valueColumns.filter(({ notNull }) => !notNull).map((column) => ({ column, of: 'value' }))),
  ];
  if (columns.length === 0) return null;
  const cases = columns.map(({ column, of }) => {
    const text = quoteText(`${problemSign}a row of ${label} is no record: column ${column.name} of its ${of} is NULL`);
    return `WHEN ${row}.${quoteName(column.name)} IS NULL THEN ${text}`;
  });
  return `CASE ${cases.join(' ')} END`;
}

/** The SELECT of all records of `range` in ascending order of their keys. */
export function orderedRecordsSql(tables: readonly ResolvedTable[], range: KeyRange, serverIsUtf8: boolean): string {
  const [only] = tables;
  const ownOrder = tables.length === 1 && only !== undefined ? orderByColumn(only, serverIsUtf8) : null;
  return `${selectsSql(tables, range, { serverIsUtf8, comparesText: false })}\nORDER BY ${ownOrder ?? '1'}`;
}

/**
 * The SELECT of all records of `range`, in no order: key, value, version, and a note where any row may have one. A note is the
 * number of the table, where there are several, or says why the row is no record. What is computed here is so for each
 * row, and a column that is always NULL costs the server a fifth of all.
 */
export function recordsSql(tables: readonly ResolvedTable[], range: KeyRange, serverIsUtf8: boolean): string {
  return selectsSql(tables, range, { serverIsUtf8, comparesText: serverIsUtf8 });
}

interface Comparison {
  readonly serverIsUtf8: boolean;
  /** See `rangeSql`. */
  readonly comparesText: boolean;
}

function selectsSql(
  tables: readonly ResolvedTable[],
  range: KeyRange,
  { serverIsUtf8, comparesText }: Comparison,
): string {
  const anyBytesValue = tables.some((table) => valueSql(table, 'r').isBytes);
  const anyBytesKey = !serverIsUtf8 || tables.some((table) => keySql(table, 'r', false).isBytes);
  const anyTextVersion = tables.some((table) => !table.hasTransaction);
  const selects = tables.map((table, nth) => {
    const key = keySql(table, 'r', false);
    const keyColumn = anyBytesKey
      ? key.isBytes
        ? key.sql
        : `convert_to(${key.sql}, 'UTF8')`
      : `(${key.sql}) COLLATE "C"`;
    const value = anyBytesValue ? valueBytesSql(table, 'r') : valueSql(table, 'r').sql;
    const place = tables.length === 1 ? null : quoteText(String(nth));
    const problem = problemSql(table, 'r');
    const note = [problem, place].filter((sql) => sql !== null);
    const noteColumn = note.length === 0 ? '' : `, coalesce(${note.join(', ')})::text AS note`;
    const where = rangeSql(table, range, comparesText);
    return `SELECT ${keyColumn} AS key, ${value} AS value, ${versionSql(table, 'r', anyTextVersion)} AS version${noteColumn}
FROM ${table.sql} AS r${where === null ? '' : ` WHERE ${where}`}`;
  });
  return selects.join('\nUNION ALL\n');
}

/** Where the key is fixed text and then one column as it is, their order is the column's, and an index may have it. */
function orderByColumn({ mapping, keyColumns }: ResolvedTable, serverIsUtf8: boolean): string | null {
  const last = mapping.key.parts.at(-1);
  const [column, ...others] = keyColumns;
  if (column === undefined || others.length > 0 || last?.kind !== 'rest' || !column.notNull) return null;
  const reference = `r.${quoteName(column.name)}`;
  if (column.type === 'bytea') return reference;
  const isText = column.type === 'text' || column.type === 'character varying';
  return isText && serverIsUtf8 ? `${reference} COLLATE "C"` : null;
}

/**
 * SQL of a row's key being in a range; null: each key of the table is.
 * @param comparesText texts as they are, in a server of UTF-8: an index that has this order finds a narrow range. Whoever wants
 *   rows in this order has to sort a wide one all the same, which is quicker than going to each row by the index: so of an
 *   ordered SELECT the server is not led to it
 */
export function rangeSql(table: ResolvedTable, { start, end }: KeyRange, comparesText: boolean): string | null {
  const { prefix } = table.mapping.key;
  const own = prefixRange(prefix);
  const isBelow = own.end === null ? end === null : end === null || own.end <= end;
  if (prefix >= start && isBelow) return null;
  const { sql, isBytes } = keySql(table, 'r', false);
  const bounds = [start, ...(end === null ? [] : [end])].map(keyToBytes);
  const asText = comparesText && !isBytes && bounds.every((bound) => isUtf8(bound) && !bound.includes(0));
  const key = asText ? `(${sql}) COLLATE "C"` : isBytes ? sql : `convert_to(${sql}, 'UTF8')`;
  const [from, to] = bounds.map((bound) =>
    asText ? quoteText(Buffer.from(bound).toString('utf8')) : quoteBytes(bound),
  );
  return [`${key} >= ${from}`, ...(to === undefined ? [] : [`${key} < ${to}`])].join(' AND ');
}
