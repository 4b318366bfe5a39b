/**
 * How far a page asks: windows that tile a range, each a few pages of keys.
 *
 *     [cursor ──────── window ────────)·················· rest of the range ··················)
 *      page page page page              each page makes the server count what is left of its *window*
 *
 * etcd counts all keys up to `range_end` for each page, so asking from the cursor to the end of a large range is
 * quadratic: 500,000 keys in pages of 1,000 came at 12,600 keys/s, with windows at 110,000. Windows end where key
 * prefixes end: the end at depth d is the first key after all those that share d bytes with the last key seen. Going one
 * byte up or down changes the size by the number of branches there, whatever the keys look like, and each answer's
 * `count` tells which way to go. A wrong guess costs an empty answer or one long count, never a key: windows only tile.
 *
 * Pure, so that the law "each key once, in order" is tested without a server. view.ts asks, this decides.
 */
import { invariant, keyAfter, prefixEnd, type Key, type KeyRange } from '@keyferry/core';

/** What an answer said about the window that was asked for. */
export interface WindowAnswer {
  readonly first: Key | null;
  readonly last: Key | null;
  readonly records: number;
  /** Of the page: keys and values, and it may be a little more. */
  readonly bytes: number;
  readonly more: boolean;
  /** Keys in what was asked for, those of the page included. */
  readonly count: number;
}

export interface WindowRequest {
  readonly range: KeyRange;
  readonly limit: number;
}

/** A window of more is narrowed. Fewer would mean more empty answers, more would mean longer counts. */
const windowPagesMax = 16;
/** A page of more is cut short: it waits in memory, with another one on its way. */
const pageBytesMax = 8 * 1024 * 1024;
/** The first page is small, since nobody knows yet how large the values are. */
const firstLimit = 128;

export class ScanWindow {
  private readonly end: Key | null;
  private readonly pageKeysMax: number;
  private cursor: Key;
  private windowEnd: Key | null;
  private limit: number;
  private depth: number | null = null;
  private lastSeen: Key;
  /** Bytes to climb after a window that held too little; doubles while they are empty, to leave a long tail quickly. */
  private climb = 1;
  private done: boolean;

  constructor(range: KeyRange, pageKeysMax: number) {
    this.cursor = range.start;
    this.lastSeen = range.start;
    this.end = range.end;
    this.windowEnd = range.end;
    this.pageKeysMax = pageKeysMax;
    this.limit = Math.min(pageKeysMax, firstLimit);
    this.done = range.end !== null && range.end <= range.start;
  }

  /** What to ask next; null when the range is read. The answer must be given to `take` before the next call. */
  next(): WindowRequest | null {
    return this.done ? null : { range: { start: this.cursor, end: this.windowEnd }, limit: this.limit };
  }

  take(answer: WindowAnswer): void {
    invariant(!answer.more || answer.records > 0, 'an empty page with more behind it');
    if (answer.records > 0) this.adaptLimit(answer);
    if (answer.more && answer.first !== null && answer.last !== null) {
      this.cursor = keyAfter(answer.last);
      this.lastSeen = answer.last;
      if (answer.count <= windowPagesMax * this.pageKeysMax) return;
      // Too far. The page's keys share a prefix: end the window with the branch one byte above that, and if that is still
      // too far, one byte deeper at each try.
      this.depth = Math.max((this.depth ?? -1) + 1, commonLength(answer.first, answer.last) - 1);
      this.climb = 1;
      this.setEnd();
      return;
    }
    if (this.windowEnd === this.end || this.windowEnd === null) {
      this.done = true;
      return;
    }
    this.cursor = this.windowEnd;
    this.lastSeen = this.windowEnd;
    this.depth = Math.min(this.depth ?? 0, this.cursor.length);
    // Less than half a page in it: up. More eagerly, and where a byte has 256 branches every other window is 256 times too wide.
    if (answer.count < this.pageKeysMax / 2) this.depth = Math.max(this.depth - this.climb, 0);
    this.climb = answer.count > 0 ? 1 : this.climb * 2;
    this.setEnd();
  }

  /** The end of the branch at `depth`, or the range's own where that comes first or there is no such branch. */
  private setEnd(): void {
    const branchEnd = prefixEnd(this.lastSeen.slice(0, this.depth ?? 0) as Key);
    const outside = branchEnd === null || (this.end !== null && branchEnd >= this.end);
    this.windowEnd = outside ? this.end : branchEnd;
  }

  private adaptLimit({ records, bytes }: WindowAnswer): void {
    const fitting = Math.floor(pageBytesMax / Math.max(1, bytes / records));
    this.limit = Math.max(1, Math.min(this.pageKeysMax, fitting, this.limit * 8));
  }
}

function commonLength(a: Key, b: Key): number {
  const length = Math.min(a.length, b.length);
  let i = 0;
  while (i < length && a.charCodeAt(i) === b.charCodeAt(i)) i += 1;
  return i;
}
