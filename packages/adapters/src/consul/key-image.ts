/**
 * The keys of a store as they were at the last look, on disk, and those that have gone since the first one.
 *
 *     image    key ─ its index ─ found gone at              seen    what a look sees, until it is whole
 *     looks    the first one; the last one                           └──────merged at once, or not at all──────► image
 *
 * A listing tells nothing of what was deleted, so that is found here: what was there and is not seen any more. A key stays known
 * as gone until it is seen again, so whoever asks from an older position is told of it as well. To be told twice is
 * harmless: it is not there.
 *
 * In a file it outlives the process, and several may use it: a look that is older than the last one changes nothing. Without
 * one it is SQLite's own temporary file: unlinked, for its owner only, gone with the process.
 */
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { keyFromBytes, keyToBytes, type Key } from '@keyferry/core';

const busyTimeoutMs = 30_000;

export class KeyImage {
  private readonly database: DatabaseSync;
  private readonly note: StatementSync;
  private readonly file: string | null;

  /** @param file null: for this process alone */
  constructor(file: string | null) {
    this.file = file;
    if (file !== null) mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    this.database = new DatabaseSync(file ?? '', { timeout: busyTimeoutMs });
    if (file !== null) chmodSync(file, 0o600);
    this.database.exec(`PRAGMA synchronous = NORMAL;
      CREATE TABLE IF NOT EXISTS image (key BLOB PRIMARY KEY, at INTEGER NOT NULL, gone INTEGER) STRICT, WITHOUT ROWID;
      CREATE INDEX IF NOT EXISTS image_gone ON image (gone) WHERE gone IS NOT NULL;
      CREATE TABLE IF NOT EXISTS looks (first INTEGER NOT NULL, last INTEGER NOT NULL) STRICT;
      CREATE TEMP TABLE seen (key BLOB PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID`);
    this.note = this.database.prepare('INSERT OR REPLACE INTO seen VALUES (?, ?)');
  }

  /** Nothing is known of what was deleted before this index; null: nothing at all. */
  get base(): number | null {
    const row = this.database.prepare('SELECT first FROM looks').get();
    return row === undefined ? null : Number(row['first']);
  }

  beginLook(): void {
    this.database.exec('DELETE FROM seen');
  }

  see(key: Key, index: number): void {
    this.note.run(keyToBytes(key), index);
  }

  /**
   * All of it was seen. An index below one that was known before shows that the store went back: then it begins anew.
   * @param before the store's index before the look
   * @param after and after it: what was not seen is gone by then
   */
  endLook(before: number, after: number): void {
    const { database } = this;
    database.exec('BEGIN IMMEDIATE');
    try {
      const last = database.prepare('SELECT last FROM looks').get()?.['last'] ?? null;
      if (last === null) database.prepare('INSERT INTO looks VALUES (?, ?)').run(before, before);
      if (last === null || Number(last) <= before) this.merge(last === null ? 0 : Number(last), before, after);
      database.exec('COMMIT');
    } catch (error) {
      database.exec('ROLLBACK');
      throw error;
    }
  }

  /** Keys that were found gone after `index`, and not seen since. */
  *goneAfter(index: number): Generator<Key> {
    const rows = this.database.prepare('SELECT key FROM image WHERE gone > ? ORDER BY key').iterate(index);
    for (const { key } of rows) yield keyFromBytes(key as Uint8Array);
  }

  close(): void {
    this.database.close();
  }

  /** Closes it and takes its file away. */
  remove(): void {
    this.close();
    if (this.file !== null) rmSync(this.file, { force: true });
  }

  private merge(last: number, before: number, after: number): void {
    const { database } = this;
    const older = database
      .prepare(
        `SELECT 1 FROM seen s LEFT JOIN image i ON i.key = s.key AND i.gone IS NULL
         WHERE s.at < coalesce(i.at, ?) LIMIT 1`,
      )
      .get(last);
    database
      .prepare(
        'UPDATE image SET gone = ? WHERE gone IS NULL AND NOT EXISTS (SELECT 1 FROM seen s WHERE s.key = image.key)',
      )
      .run(after);
    database.exec(`INSERT INTO image SELECT key, at, NULL FROM seen WHERE true
      ON CONFLICT (key) DO UPDATE SET at = excluded.at, gone = NULL WHERE at <> excluded.at OR gone IS NOT NULL`);
    if (older !== undefined) database.prepare('UPDATE looks SET first = ?').run(after);
    database.prepare('UPDATE looks SET last = ?').run(before);
  }
}
