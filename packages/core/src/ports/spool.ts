/**
 * Spool: a scratch of records that sorts them by their keys, private to one process and gone with it. For what comes in
 * another order than it is needed in, and is too much for memory.
 *
 *     filling ──add, addNotCarried──► filling ──seal──► sealed ──scan, as often as wanted──► closed
 */
import type { KeyRange } from '../model/key.ts';
import type { NotCarried, RecordPage, StoredRecord } from '../model/record.ts';
import type { ScanOptions } from './store.ts';

export interface Spool {
  /** False, and nothing kept, when an entry with this key is already there. `sourceKey` and `oneWay` are not kept. */
  add(record: StoredRecord): boolean;
  /** False, and nothing kept, when an entry with this key is already there. */
  addNotCarried(entry: NotCarried): boolean;
  seal(): void;
  /**
   * Entries of `range` in ascending byte order. Entries not carried take part like records do: a page covers all
   * between its first and its last key. A page ends early where its values are large. Several scans may run at once.
   */
  scan(range: KeyRange, options: ScanOptions): AsyncIterable<RecordPage>;
  /** Removes everything. Safe to repeat. */
  close(): void;
}

export interface Scratch {
  /** @throws {KeyferryError} `file.unreadable` when there is no place for it. */
  openSpool(): Spool;
}
