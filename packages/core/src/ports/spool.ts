/**
 * Spool: a scratch of records that sorts them by their keys, private to one process and gone with it. For what comes in
 * another order than it is needed in, and is too much for memory.
 *
 *     filling ──add, addNotCarried──► filling ──seal──► sealed ──scan, as often as wanted──► closed
 *
 * Whether a key is there already nobody can say while it fills: that is known once all has been sorted. So `seal` tells it.
 */
import type { Key, KeyRange } from '../model/key.ts';
import type { NotCarried, RecordPage, StoredRecord } from '../model/record.ts';
import type { ScanOptions } from './store.ts';

export interface Spool {
  /** `sourceKey` and `oneWay` are not kept. */
  add(record: StoredRecord): void;
  addNotCarried(entry: NotCarried): void;
  /**
   * Sorts. Of entries with one key the one that was added first is kept.
   *
   * @param repeated hears of each that is not kept, in the order of their keys
   */
  seal(repeated?: (key: Key) => void): Promise<void>;
  /**
   * Entries of `range` in ascending byte order. Entries not carried take part like records do: a page covers all
   * between its first and its last key. A page ends early where its values are large. Several scans may run at once.
   */
  scan(range: KeyRange, options: ScanOptions): AsyncIterable<RecordPage>;
  /** Removes everything. Safe to repeat. */
  close(): void;
}

export interface Scratch {
  /** What holds little needs no disk; so a disk that cannot be used fails where it is needed: `scratch.unusable`. */
  openSpool(): Spool;
}
