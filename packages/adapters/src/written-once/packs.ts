/**
 * Packs: a batch of new records as one row, for as long as nobody asks for a single one of them.
 *
 *     batch of puts, ascending, where nothing is ──► pack ──► the file, when it is published
 *                                                     └─unpack─► rows of their own, with versions and marks
 *
 * A row a record costs a dozen statements each, and nearly every record that waits for a file is put once and read
 * once. So what a batch creates goes into one row of bytes. Whatever else may happen to a record (it is put
 * again, looked at before a change, rolled back) happens to rows, as in any table: the packs around it are unpacked first.
 *
 * Packs do not overlap, each other or rows. A record in a pack has the version that it would have as a row: versions
 * are taken from the same counter, and unpacking keeps them.
 */
import { keyToBytes, type Key, type KeyRange, type MigrationId, type PackedPage } from '@keyferry/core';
import type { Connection, Row } from '../sqlite/connection.ts';
import type { TableNames } from '../sqlite/schema.ts';
import { pageOfPack, type Pack } from './pack-bytes.ts';

const createPacks = `CREATE TABLE IF NOT EXISTS keyferry_packs (
  last BLOB NOT NULL PRIMARY KEY, first BLOB NOT NULL, migration TEXT NOT NULL, attempt INTEGER NOT NULL,
  version INTEGER NOT NULL, records BLOB NOT NULL
)`;

export function ensurePacks(connection: Connection): void {
  connection.script(createPacks);
}

export function hasPacks(connection: Connection): boolean {
  return connection.get(`SELECT 1 FROM sqlite_schema WHERE name = 'keyferry_packs'`) !== undefined;
}

/** Whether neither a pack nor a row is anywhere between the first and the last key. */
export function isFree(
  connection: Connection,
  { records }: TableNames,
  { first, last }: { readonly first: Key; readonly last: Key },
): boolean {
  const [from, to] = [keyToBytes(first), keyToBytes(last)];
  if (connection.get(`SELECT 1 FROM ${records} WHERE key >= ? AND key <= ? LIMIT 1`, from, to) !== undefined)
    return false;
  const next = connection.get('SELECT first FROM keyferry_packs WHERE last >= ? ORDER BY last LIMIT 1', from);
  return next === undefined || Buffer.compare(next['first'] as Uint8Array, to) > 0;
}

/** @returns the version of the first one; those after it count up */
export function addPack(
  connection: Connection,
  migration: MigrationId,
  attempt: number,
  { first, last, count, bytes }: Pack,
): number {
  connection.run(`UPDATE keyferry_meta SET value = value + ? WHERE name = 'counter'`, count);
  const counter = connection.get(`SELECT value FROM keyferry_meta WHERE name = 'counter'`);
  const version = Number(counter?.['value']) - count + 1;
  connection.run(
    'INSERT INTO keyferry_packs VALUES (?, ?, ?, ?, ?, ?)',
    keyToBytes(last),
    keyToBytes(first),
    migration,
    attempt,
    version,
    bytes,
  );
  return version;
}

/** Packs that hold keys of `range`, in order, one read at a time; of one migration, or of all. */
export function* packsIn(
  connection: Connection,
  range: KeyRange,
  migration: MigrationId | null,
): Generator<PackedPage, void, undefined> {
  if (!hasPacks(connection)) return;
  const whose = migration === null ? '' : 'AND migration = ?';
  let from: Uint8Array = keyToBytes(range.start);
  for (let operator = '>='; ; operator = '>') {
    const row = connection.get(
      `SELECT last, version, records FROM keyferry_packs WHERE last ${operator} ? ${whose} ORDER BY last LIMIT 1`,
      from,
      ...(migration === null ? [] : [migration]),
    );
    if (row === undefined) return;
    const page = pageOf(row);
    if (range.end !== null && page.recordAt(0).key >= range.end) return;
    yield page;
    from = row['last'] as Uint8Array;
  }
}

/** Makes rows of the packs that hold keys from `first` to `last`; null: of all. In a transaction of the caller's. */
export function unpack(
  connection: Connection,
  { records, marks }: TableNames,
  between: { readonly first: Key; readonly last: Key } | null,
): void {
  const packs =
    between === null
      ? connection.all('SELECT * FROM keyferry_packs')
      : connection.all(
          'SELECT * FROM keyferry_packs WHERE last >= ? AND first <= ?',
          keyToBytes(between.first),
          keyToBytes(between.last),
        );
  for (const pack of packs) {
    for (const { key, value, version, expiresAtMs } of pageOf(pack).records) {
      const bytes = keyToBytes(key);
      connection.run(`INSERT INTO ${records} (key, value, expires_at_ms) VALUES (?, ?, ?)`, bytes, value, expiresAtMs);
      // The trigger gave it another one.
      connection.run(`UPDATE ${records} SET version = CAST(? AS INTEGER) WHERE key = ?`, version, bytes);
      connection.run(
        `REPLACE INTO ${marks} VALUES (?, ?, ?, CAST(? AS INTEGER), 1)`,
        pack['migration'] as string,
        bytes,
        pack['attempt'] as number,
        version,
      );
    }
    connection.run('DELETE FROM keyferry_packs WHERE last = ?', pack['last'] as Uint8Array);
  }
}

export function dropPacks(connection: Connection, migration: MigrationId): void {
  connection.run('DELETE FROM keyferry_packs WHERE migration = ?', migration);
}

const pageOf = (row: Row): PackedPage => pageOfPack(row['records'] as Uint8Array, Number(row['version']));
