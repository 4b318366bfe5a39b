/**
 * The keys of a store as they were at the last look, on disk, and those that have gone since the first one.
 *
 *     key        its index     look that saw it last     found gone at
 *
 * A listing tells nothing of what was deleted, so that is found here: what the look before saw and this one did not. A key
 * stays known as gone until it is seen again, so whoever asks from an older position is told of it as well. To be told
 * twice is harmless: it is not there. The file is SQLite's own temporary one: unlinked, for its owner only, gone with the
 * process.
 */
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { keyFromBytes, keyToBytes, type Key } from '@keyferry/core';

export class KeyImage {
  private readonly database: DatabaseSync;
  private readonly index: StatementSync;
  private readonly put: StatementSync;
  private look = 0;

  constructor() {
    this.database = new DatabaseSync('');
    this.database.exec(`PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
      CREATE TABLE image (key BLOB PRIMARY KEY, at INTEGER, look INTEGER, gone INTEGER) STRICT, WITHOUT ROWID;
      CREATE INDEX image_gone ON image (gone) WHERE gone IS NOT NULL;
      BEGIN`);
    this.index = this.database.prepare('SELECT at FROM image WHERE key = ? AND gone IS NULL');
    this.put = this.database.prepare(
      `INSERT INTO image VALUES (?1, ?2, ?3, NULL) ON CONFLICT (key) DO UPDATE SET at = ?2, look = ?3, gone = NULL`,
    );
  }

  beginLook(): void {
    this.look += 1;
  }

  /** @returns the index at which a look before saw it; null: none did, or it was gone since */
  see(key: Key, index: number): number | null {
    const bytes = keyToBytes(key);
    const before = this.index.get(bytes)?.['at'] ?? null;
    this.put.run(bytes, index, this.look);
    return before === null ? null : Number(before);
  }

  /** All of it was seen. What was not is gone, at `index` or before. */
  endLook(index: number): void {
    this.database.prepare('UPDATE image SET gone = ? WHERE look < ? AND gone IS NULL').run(index, this.look);
  }

  /** Keys that were found gone after `index`, and not seen since. */
  *goneAfter(index: number): Generator<Key> {
    const rows = this.database.prepare('SELECT key FROM image WHERE gone > ? ORDER BY key').iterate(index);
    for (const { key } of rows) yield keyFromBytes(key as Uint8Array);
  }

  close(): void {
    this.database.close();
  }
}
