/**
 * keyferry's table format: the records, triggers that give each change a version, and keyferry's own tables.
 *
 * Versions and the position come from one counter of the file. Triggers raise it, and not the code that writes, so that
 * an application's INSERT or DELETE moves the position as keyferry's own writes do. A table of that shape without the
 * triggers is refused: changes behind keyferry's back could not be seen there, and nothing is installed on a table
 * that somebody else made.
 */
import { KeyferryError } from '@keyferry/core';
import type { Connection } from './connection.ts';

const format = 1;

export interface TableNames {
  readonly records: string;
  readonly epochs: string;
  readonly fences: string;
  readonly marks: string;
  readonly tombstones: string;
  readonly deletions: string;
  readonly done: string;
  readonly tails: string;
  readonly changes: string;
  readonly triggers: readonly string[];
  /** Of the feed's log. */
  readonly logTriggers: readonly string[];
}

/** @throws {KeyferryError} `store.unsupported`: a name that needs quoting, or one of keyferry's or SQLite's own. */
export function tableNames(store: string, table: string): TableNames {
  if (!/^[A-Za-z_]\w*$/.test(table) || /^(?:keyferry|sqlite)_/i.test(table)) {
    const detail = `'${table}' cannot be the name of a table of records: letters, digits and _ only, and not keyferry_…`;
    throw new KeyferryError('store.unsupported', { store, detail });
  }
  const own = (what: string) => `keyferry_${table}_${what}`;
  return {
    records: table,
    epochs: own('epochs'),
    fences: own('fences'),
    marks: own('marks'),
    tombstones: own('tombstones'),
    deletions: own('deletions'),
    done: own('done'),
    tails: own('tails'),
    changes: own('changes'),
    logTriggers: [own('put_logged'), own('move_logged'), own('delete_logged')],
    triggers: [own('inserted'), own('updated'), own('deleted')],
  };
}

/**
 * The SQL of an empty table of records, to be run by whoever creates it before keyferry does. Harmless to repeat.
 *
 * @example
 *     new DatabaseSync('app.db').exec(sqliteTableSql('settings'));
 */
export function sqliteTableSql(table = 'records'): string {
  const { records, triggers } = tableNames('sqlite', table);
  const [inserted, updated, deleted] = triggers;
  const count = `UPDATE keyferry_meta SET value = value + 1 WHERE name = 'counter';`;
  // `UPDATE OF` leaves the version out, so that these updates do not set off the trigger again.
  const stamp = `UPDATE ${records} SET version = (SELECT value FROM keyferry_meta WHERE name = 'counter') WHERE key = NEW.key;`;
  return `
CREATE TABLE IF NOT EXISTS ${records} (
  key BLOB NOT NULL PRIMARY KEY CHECK (typeof(key) = 'blob'),
  value BLOB NOT NULL CHECK (typeof(value) = 'blob'),
  version INTEGER NOT NULL DEFAULT 0,
  expires_at_ms INTEGER CHECK (typeof(expires_at_ms) IN ('integer', 'null'))
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS keyferry_${records}_expiry ON ${records} (expires_at_ms) WHERE expires_at_ms IS NOT NULL;
CREATE TABLE IF NOT EXISTS keyferry_meta (name TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT OR IGNORE INTO keyferry_meta VALUES ('format', ${format}), ('counter', 0), ('generation', random());
CREATE TRIGGER IF NOT EXISTS ${inserted} AFTER INSERT ON ${records} BEGIN
  ${count}
  ${stamp}
END;
CREATE TRIGGER IF NOT EXISTS ${updated} AFTER UPDATE OF key, value, expires_at_ms ON ${records} BEGIN
  ${count}
  ${stamp}
END;
CREATE TRIGGER IF NOT EXISTS ${deleted} AFTER DELETE ON ${records} BEGIN
  ${count}
END;`;
}

function controlSql({ epochs, fences, marks, tombstones, deletions }: TableNames): string {
  return `
CREATE TABLE IF NOT EXISTS ${epochs} (
  migration TEXT NOT NULL PRIMARY KEY, attempt INTEGER NOT NULL, token INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ${fences} (
  migration TEXT NOT NULL, chunk TEXT NOT NULL, attempt INTEGER NOT NULL, token INTEGER NOT NULL,
  PRIMARY KEY (migration, chunk)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ${marks} (
  migration TEXT NOT NULL, key BLOB NOT NULL,
  attempt INTEGER NOT NULL, version INTEGER NOT NULL, created INTEGER NOT NULL,
  PRIMARY KEY (migration, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ${tombstones} (
  migration TEXT NOT NULL, key BLOB NOT NULL, PRIMARY KEY (migration, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ${deletions} (
  migration TEXT NOT NULL, key BLOB NOT NULL, attempt INTEGER NOT NULL, PRIMARY KEY (migration, key)
) WITHOUT ROWID;`;
}

/** Made with the first done marker and not before: a file without one is as whole. */
export function ensureDoneTable(connection: Connection, { done }: TableNames): void {
  connection.script(
    `CREATE TABLE IF NOT EXISTS ${done} (migration TEXT NOT NULL PRIMARY KEY, marker TEXT NOT NULL) WITHOUT ROWID`,
  );
}

export function hasDoneTable(connection: Connection, { done }: TableNames): boolean {
  return hasTable(connection, done);
}

/** Made with the first claim of a tail, likewise. */
export function ensureTailTable(connection: Connection, { tails }: TableNames): void {
  connection.script(`
CREATE TABLE IF NOT EXISTS ${tails} (
  migration TEXT NOT NULL, tail TEXT NOT NULL, attempt INTEGER NOT NULL, token INTEGER NOT NULL, position TEXT,
  PRIMARY KEY (migration, tail)
) WITHOUT ROWID`);
}

export function hasTailTable(connection: Connection, { tails }: TableNames): boolean {
  return hasTable(connection, tails);
}

function hasTable(connection: Connection, name: string): boolean {
  return connection.get('SELECT 1 FROM sqlite_schema WHERE name = ?', name) !== undefined;
}

/** absent: no table of records. records: only that. whole: with keyferry's own tables that have been there always. */
export type SchemaState = 'absent' | 'records' | 'whole';

/** @throws {KeyferryError} `store.unsupported`: a table of that name that is not in keyferry's format, or in a newer. */
export function readSchema(connection: Connection, store: string, names: TableNames): SchemaState {
  const present = new Set(connection.all('SELECT name FROM sqlite_schema').map((row) => row['name']));
  if (!present.has(names.records)) return 'absent';
  const missing = [...names.triggers, 'keyferry_meta'].filter((name) => !present.has(name));
  if (missing.length > 0) {
    const detail = `table ${names.records} is not in keyferry's format: it has no ${missing.join(', ')}`;
    throw new KeyferryError('store.unsupported', { store, detail });
  }
  const found = connection.get(`SELECT value FROM keyferry_meta WHERE name = 'format'`)?.['value'];
  if (found !== format) {
    const detail = `table ${names.records} has format ${String(found)}, this keyferry knows ${format}`;
    throw new KeyferryError('store.unsupported', { store, detail });
  }
  return [names.epochs, names.fences, names.marks, names.tombstones].every((name) => present.has(name))
    ? 'whole'
    : 'records';
}

/** 16 hexadecimal digits; null for a file that was made before there was one. The table must be there. */
export function readGeneration(connection: Connection): string | null {
  const row = connection.get(`SELECT printf('%016x', value) AS text FROM keyferry_meta WHERE name = 'generation'`);
  return row === undefined ? null : String(row['text']);
}

/** Creates what is missing; safe when several processes do it at once. */
export function ensureSchema(connection: Connection, store: string, names: TableNames): void {
  const lacksNone = () => connection.get('SELECT 1 FROM sqlite_schema WHERE name = ?', names.deletions) !== undefined;
  if (readSchema(connection, store, names) === 'whole' && lacksNone()) return;
  connection.ensureWriteAheadLog();
  connection.writeTransaction(() => {
    if (readSchema(connection, store, names) === 'absent') connection.script(sqliteTableSql(names.records));
    connection.script(controlSql(names));
  });
}
