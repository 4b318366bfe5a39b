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
import {
  keyToBytes,
  type GuardedChange,
  type Key,
  type KeyRange,
  type MigrationId,
  type StoredRecord,
  type Version,
} from '@keyferry/core';
import type { Connection, Row } from '../sqlite/connection.ts';
import type { TableNames } from '../sqlite/schema.ts';

const createPacks = `CREATE TABLE IF NOT EXISTS keyferry_packs (
  last BLOB NOT NULL PRIMARY KEY, first BLOB NOT NULL, migration TEXT NOT NULL, attempt INTEGER NOT NULL,
  version INTEGER NOT NULL, records BLOB NOT NULL
)`;

/** Key bytes, value bytes, expiry (NaN: none); then both. */
const headerBytes = 16;
/** Of one pack; larger batches become rows, of which SQLite needs no second copy. */
const packBytesMax = 16 * 1024 * 1024;

export function ensurePacks(connection: Connection): void {
  connection.script(createPacks);
}

export function hasPacks(connection: Connection): boolean {
  return connection.get(`SELECT 1 FROM sqlite_schema WHERE name = 'keyferry_packs'`) !== undefined;
}

type NewPut = Extract<GuardedChange, { readonly kind: 'put' }>;

/** The batch as puts of new records in ascending order; null: it is something else. */
export function newPuts(changes: readonly GuardedChange[]): readonly NewPut[] | null {
  let last: Key | null = null;
  let bytes = 0;
  for (const change of changes) {
    if (change.kind !== 'put' || change.expect !== 'absent' || (last !== null && change.key <= last)) return null;
    last = change.key;
    bytes += change.key.length + change.value.length;
  }
  return last === null || bytes > packBytesMax ? null : (changes as readonly NewPut[]);
}

/** Whether neither a pack nor a row is anywhere between the first and the last key. */
export function isFree(connection: Connection, { records }: TableNames, first: Key, last: Key): boolean {
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
  puts: readonly NewPut[],
): number {
  const [first, last] = [puts[0] as NewPut, puts.at(-1) as NewPut];
  connection.run(`UPDATE keyferry_meta SET value = value + ? WHERE name = 'counter'`, puts.length);
  const counter = connection.get(`SELECT value FROM keyferry_meta WHERE name = 'counter'`);
  const version = Number(counter?.['value']) - puts.length + 1;
  connection.run(
    'INSERT INTO keyferry_packs VALUES (?, ?, ?, ?, ?, ?)',
    keyToBytes(last.key),
    keyToBytes(first.key),
    migration,
    attempt,
    version,
    encode(puts),
  );
  return version;
}

/** Packs that hold keys of `range`, in order, one read at a time; of one migration, or of all. */
export function* packsIn(
  connection: Connection,
  range: KeyRange,
  migration: MigrationId | null,
): Generator<readonly StoredRecord[], void, undefined> {
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
    const records = decode(row);
    const [{ key } = { key: '' as Key }] = records;
    if (range.end !== null && key >= range.end) return;
    yield records;
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
    for (const { key, value, version, expiresAtMs } of decode(pack)) {
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

function encode(puts: readonly NewPut[]): Buffer {
  let size = 0;
  for (const { key, value } of puts) size += headerBytes + key.length + value.length;
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  for (const { key, value, expiresAtMs } of puts) {
    bytes.writeUInt32LE(key.length, at);
    bytes.writeUInt32LE(value.length, at + 4);
    bytes.writeDoubleLE(expiresAtMs === null ? NaN : Math.ceil(expiresAtMs), at + 8);
    at += headerBytes;
    at += bytes.write(key, at, 'latin1');
    bytes.set(value, at);
    at += value.length;
  }
  return bytes;
}

function decode(row: Row): StoredRecord[] {
  const { buffer, byteOffset, byteLength } = row['records'] as Uint8Array;
  const bytes = Buffer.from(buffer, byteOffset, byteLength);
  const records: StoredRecord[] = [];
  let version = Number(row['version']);
  for (let at = 0; at < byteLength; version += 1) {
    const keyStart = at + headerBytes;
    const keyEnd = keyStart + bytes.readUInt32LE(at);
    const valueEnd = keyEnd + bytes.readUInt32LE(at + 4);
    const expiry = bytes.readDoubleLE(at + 8);
    records.push({
      key: bytes.toString('latin1', keyStart, keyEnd) as Key,
      value: bytes.subarray(keyEnd, valueEnd),
      version: String(version) as Version,
      expiresAtMs: Number.isNaN(expiry) ? null : expiry,
    });
    at = valueEnd;
  }
  return records;
}
