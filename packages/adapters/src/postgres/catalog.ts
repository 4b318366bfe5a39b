/**
 * What the server knows of the tables of a store: their columns and types, and whether they can be what the
 * configuration makes of them.
 *
 * Every column has to go somewhere: into the key, into the value, or by name into `leaveOut`. A column that nobody
 * thought of is an error and not a loss.
 */
import type { QueryResult } from 'pg';
import { KeyferryError } from '@keyferry/core';
import type { KeyTemplate } from './key-template.ts';
import type { Session } from './session.ts';
import { quoteName } from './sql.ts';
import { keyForms, type Column } from './types.ts';

/** Rows of a table, a view or a query, and what they are as records. */
export interface TableMapping {
  /** A table or view by its name, or a query. */
  readonly from: { readonly table: string } | { readonly query: string };
  readonly key: KeyTemplate;
  /** row: a JSON object of all other columns. A column: its content alone. */
  readonly value: 'row' | { readonly column: string };
  /** Columns that are not carried. */
  readonly leaveOut: readonly string[];
  /** An audit log: its rows are carried, but do not show that somebody uses the store. */
  readonly audit: boolean;
}

export interface ResolvedTable {
  readonly mapping: TableMapping;
  /** For people: `jm.jobs`, `query 2`. */
  readonly label: string;
  /** SQL to select from, in quotes. */
  readonly sql: string;
  /** Null for a query. */
  readonly oid: string | null;
  /** Rows carry the transaction that wrote them; those of views and queries do not. */
  readonly hasTransaction: boolean;
  /** Of the key, in the order of the template. */
  readonly keyColumns: readonly Column[];
  /** In byte order of their names, as they stand in the value. */
  readonly valueColumns: readonly Column[];
  /** All that keyferry writes. */
  readonly writable: readonly Column[];
}

interface CatalogRow {
  readonly name: string;
  readonly type: string;
  readonly declared: string;
  readonly isArray: boolean;
  readonly notNull: boolean;
  readonly hasDefault: boolean;
  readonly generated: boolean;
}

interface RelationRow {
  readonly oid: string;
  readonly schema: string;
  readonly name: string;
  readonly kind: string;
}

/** Null: there is no such table. @throws {KeyferryError} `store.unsupported`: it does not fit its mapping. */
export async function resolveTable(
  session: Session,
  store: string,
  mapping: TableMapping,
  nth: number,
): Promise<ResolvedTable | null> {
  const { from } = mapping;
  if ('query' in from) {
    const sql = `(${withoutEnd(from.query)})`;
    const label = `query ${nth + 1}`;
    const columns = await columnsOfQuery(session, sql);
    return fitted(store, { mapping, label, sql, oid: null, hasTransaction: false }, columns);
  }
  const relations: QueryResult<RelationRow> = await session.query(
    `SELECT c.oid::text AS oid, n.nspname AS schema, c.relname AS name, c.relkind AS kind
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1)`,
    [from.table],
  );
  const [relation] = relations.rows;
  if (relation === undefined) return null;
  const { oid, schema, name, kind } = relation;
  const label = `${schema}.${name}`;
  if (!'rpmvf'.includes(kind)) throw unsupported(store, `${label} is neither a table nor a view`);
  const { rows } = await session.query<CatalogRow>(
    `${columnSql} WHERE a.attrelid = $1 AND a.attnum > 0 ORDER BY a.attnum`,
    [oid],
  );
  const sql = `${quoteName(schema)}.${quoteName(name)}`;
  return fitted(store, { mapping, label, sql, oid, hasTransaction: 'rpm'.includes(kind) }, rows);
}

/** Behind a domain is the type that it rests on; what a value is cast to is the domain itself, with its checks. */
const columnSql = `
  SELECT a.attname AS name, format_type(base.oid, NULL) AS type, format_type(a.atttypid, a.atttypmod) AS declared,
    base.typcategory = 'A' AS "isArray", a.attnotnull AS "notNull",
    (a.atthasdef AND a.attgenerated = '') OR a.attidentity <> '' AS "hasDefault", a.attgenerated <> '' AS generated
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid AND NOT a.attisdropped
    JOIN pg_type base ON base.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END`;

async function columnsOfQuery(session: Session, sql: string): Promise<readonly CatalogRow[]> {
  const { fields } = await session.query(`SELECT * FROM ${sql} AS q LIMIT 0`);
  const { rows } = await session.query<{ readonly oid: string; readonly type: string; readonly isArray: boolean }>(
    `SELECT oid::text AS oid, format_type(oid, NULL) AS type, typcategory = 'A' AS "isArray"
     FROM pg_type WHERE oid = ANY($1::oid[])`,
    [fields.map(({ dataTypeID }) => dataTypeID)],
  );
  const types = new Map(rows.map((row) => [row.oid, row]));
  return fields.map(({ name, dataTypeID }) => {
    const { type = 'unknown', isArray = false } = types.get(String(dataTypeID)) ?? {};
    return { name, type, declared: type, isArray, notNull: false, hasDefault: false, generated: false };
  });
}

const withoutEnd = (query: string): string => query.replace(/[;\s]+$/, '');

function fitted(
  store: string,
  table: Pick<ResolvedTable, 'mapping' | 'label' | 'sql' | 'oid' | 'hasTransaction'>,
  rows: readonly CatalogRow[],
): ResolvedTable {
  const { mapping, label } = table;
  const columns = rows.map(({ generated, ...column }): Column => ({ ...column, isGenerated: generated }));
  const twice = columns.find(({ name }, at) => columns.findIndex((other) => other.name === name) !== at);
  if (twice !== undefined) throw unsupported(store, `${label} has two columns ${twice.name}`);
  const named = (name: string, where: string): Column => {
    const column = columns.find((each) => each.name === name);
    if (column !== undefined) return column;
    const known = columns.map((each) => each.name).join(', ');
    throw unsupported(store, `${label} has no column ${name}, which its ${where} names; it has ${known}`);
  };
  const keyColumns = mapping.key.columns.map((name) => named(name, 'key'));
  for (const name of mapping.leaveOut) named(name, 'leaveOut');
  const isKey = ({ name }: Column) => mapping.key.columns.includes(name);
  // What is made from other columns says nothing of its own, and nobody could write it back.
  const others = columns.filter((column) => !isKey(column) && !column.isGenerated);
  const wanted = others.filter(({ name }) => !mapping.leaveOut.includes(name));
  const valueColumns = mapping.value === 'row' ? wanted.toSorted(byName) : [named(mapping.value.column, 'value')];
  const forgotten = wanted.filter((column) => !valueColumns.includes(column)).map(({ name }) => name);
  if (forgotten.length > 0) {
    const names = forgotten.join(', ');
    throw unsupported(
      store,
      `${label}: ${names} would be carried nowhere; name them in leaveOut, or take   value: row`,
    );
  }
  return { ...table, keyColumns, valueColumns, writable: [...keyColumns, ...valueColumns] };
}

/** What a table needs so that keyferry can write to it, beside what reading needs. */
export async function assertWritable(session: Session, store: string, table: ResolvedTable): Promise<void> {
  const { label, oid, keyColumns, writable } = table;
  if (oid === null) throw unsupported(store, `${label}: nothing can be written to a query; name a table`);
  const { rows } = await session.query<{ readonly kind: string }>(
    'SELECT relkind AS kind FROM pg_class WHERE oid = $1',
    [oid],
  );
  if (!'rp'.includes(rows[0]?.kind ?? ''))
    throw unsupported(store, `${label} is no table, so nothing is written to it`);
  for (const { name, type } of keyColumns) {
    if (keyForms[type] !== undefined) continue;
    const known = Object.keys(keyForms).join(', ');
    throw unsupported(store, `${label}: column ${name} of the key is of type ${type}; a target's can be ${known}`);
  }
  const unique = await session.query(
    `SELECT 1 FROM pg_index i WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indimmediate
       AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indnkeyatts = cardinality($2::text[])
       AND (SELECT array_agg(a.attname::text) FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, at)
            JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum WHERE k.at <= i.indnkeyatts) @> $2::text[]`,
    [oid, keyColumns.map(({ name }) => name)],
  );
  if (unique.rowCount === 0) {
    const names = keyColumns.map(({ name }) => name).join(', ');
    throw unsupported(store, `${label} has no unique index on (${names}), so two writers could make one key twice`);
  }
  const columns = await session.query<CatalogRow>(`${columnSql} WHERE a.attrelid = $1 AND a.attnum > 0`, [oid]);
  const lacking = columns.rows.filter(
    ({ name, notNull, hasDefault, generated }) =>
      notNull && !hasDefault && !generated && !writable.some((column) => column.name === name),
  );
  if (lacking.length > 0) {
    const names = lacking.map(({ name }) => name).join(', ');
    throw unsupported(store, `${label}: ${names} may not be NULL and is left out, so no row could be written`);
  }
}

export function unsupported(store: string, detail: string): KeyferryError {
  return new KeyferryError('store.unsupported', { store, detail });
}

/** By bytes of UTF-8, which a JavaScript string does not compare by. */
const byName = (a: Column, b: Column): number => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name));
