/**
 * keyferry's own tables in the target's database, in a schema of their own: made with the first write of a migration, by
 * keyferry if it may, else by whoever runs `controlSql` before.
 */
import { KeyferryError, keyToBytes, type Key, type MigrationId } from '@keyferry/core';
import { byteaArray } from './arrays.ts';
import { makeOwnTables, withSchema } from './own-schema.ts';
import { quoteName } from './sql.ts';
import type { Session } from './session.ts';

const format = 1;
export const controlTableNames = [
  'epochs',
  'fences',
  'marks',
  'deletions',
  'tombstones',
  'origins',
  'tails',
  'done',
  'format',
] as const;

export type ControlTables = Readonly<Record<(typeof controlTableNames)[number], string>>;

/** Their names in SQL. */
export function controlTables(schema: string): ControlTables {
  const entries = controlTableNames.map((name) => [name, `${quoteName(schema)}.${quoteName(name)}`]);
  return Object.fromEntries(entries) as ControlTables;
}

/**
 * The SQL of keyferry's own tables. Harmless to repeat.
 *
 * @example
 *     await client.query(controlSql('keyferry'));
 */
export function controlSql(schema: string): string {
  return withSchema(schema, tablesSql(schema));
}

function tablesSql(schema: string): string {
  const { epochs, fences, marks, deletions, tombstones, origins, tails, done, format: formats } = controlTables(schema);
  return `CREATE TABLE IF NOT EXISTS ${epochs} (
  migration text PRIMARY KEY, attempt bigint NOT NULL, token bigint NOT NULL
);
CREATE TABLE IF NOT EXISTS ${fences} (
  migration text, chunk text, attempt bigint NOT NULL, token bigint NOT NULL, PRIMARY KEY (migration, chunk)
);
CREATE TABLE IF NOT EXISTS ${marks} (
  migration text, key bytea, attempt bigint NOT NULL, version text NOT NULL, created boolean NOT NULL,
  PRIMARY KEY (migration, key)
);
CREATE TABLE IF NOT EXISTS ${deletions} (
  migration text, key bytea, attempt bigint NOT NULL, PRIMARY KEY (migration, key)
);
CREATE TABLE IF NOT EXISTS ${tombstones} (migration text, key bytea, PRIMARY KEY (migration, key));
CREATE TABLE IF NOT EXISTS ${origins} (
  migration text, key bytea, version text NOT NULL, origin text NOT NULL, PRIMARY KEY (migration, key)
);
CREATE TABLE IF NOT EXISTS ${tails} (
  migration text, tail text, attempt bigint NOT NULL, token bigint NOT NULL, position text, sequence bigint NOT NULL,
  answer json NOT NULL, PRIMARY KEY (migration, tail)
);
CREATE TABLE IF NOT EXISTS ${done} (migration text PRIMARY KEY, marker text NOT NULL);
CREATE TABLE IF NOT EXISTS ${formats} (format integer PRIMARY KEY);
INSERT INTO ${formats} VALUES (${format}) ON CONFLICT DO NOTHING;`;
}

/** @throws {KeyferryError} `store.unsupported`: they are of a newer format */
export async function hasControlTables(session: Session, store: string, schema: string): Promise<boolean> {
  const tables = controlTables(schema);
  // Of the schema's and not by to_regclass, which fails where the user may not enter the schema at all.
  const { rows } = await session.query<{ readonly count: number; readonly open: boolean | null }>(
    `SELECT count(c.oid)::int AS count, has_schema_privilege(n.oid, 'USAGE') AS open
     FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = ANY($2::text[]) AND c.relkind = 'r'
     WHERE n.nspname = $1 GROUP BY n.oid`,
    [schema, controlTableNames],
  );
  const [found] = rows;
  if (found === undefined) return false;
  if (found.open === false) {
    const detail = `the user may not use the schema ${schema}, where keyferry's own tables are`;
    throw new KeyferryError('store.permission-denied', { store, detail });
  }
  if (found.count < controlTableNames.length) return false;
  const { rows: formats } = await session.query<{ readonly format: number }>(
    `SELECT max(format) AS format FROM ${tables.format}`,
  );
  const other = formats[0]?.format ?? format;
  if (other !== format) {
    const detail = `keyferry's own tables in schema ${schema} have format ${other}, this keyferry knows ${format}`;
    throw new KeyferryError('store.unsupported', { store, detail });
  }
  return true;
}

export async function ensureControlTables(session: Session, store: string, schema: string): Promise<void> {
  if (await hasControlTables(session, store, schema)) return;
  await makeOwnTables(session, schema, tablesSql(schema));
}

export const keysParameter = (keys: readonly Key[]): Buffer => byteaArray(keys.map(keyToBytes));

/** Of one migration. */
export interface ControlContext {
  readonly store: string;
  readonly migration: MigrationId;
  readonly tables: ControlTables;
}
