/**
 * Of entries with one key, which come one behind the other in the order in which they were added: the first is kept, and the
 * others are told.
 *
 *     k record   k record   k beside   l record   ──►   k record   k\0 beside   l record          told: k
 *
 * An entry that stands beside others takes the least key that nobody has, at or behind its own. So it waits until what is at
 * its own key is known, and what is at the next one.
 */
import type { Key } from '@keyferry/core';
import { writeByteString } from '../bytes.ts';
import { compareEntries, copyWords, entryBytesAt, headBytes, keyLengthAt, kindAt, kinds, placeAt } from './entry.ts';
import type { Sieve } from './entry-sort.ts';
import { keyAt, type EntryBytes, type SortedWriter } from './sorted-entries.ts';

/** @param place as it was added with */
export type TakeRepeat = (key: Key, place: number) => void;

export class OnePerKey implements Sieve {
  private readonly repeated: TakeRepeat;
  /** The last one that was kept. */
  private last: EntryBytes = entryBytes(Buffer.alloc(headBytes));
  private isFirst = true;
  /** Those that wait for a key, each with its own one still. */
  private waiting: EntryBytes[] = [];
  /** The least key that they may have. */
  private free = '' as Key;

  constructor(repeated: TakeRepeat) {
    this.repeated = repeated;
  }

  take(from: EntryBytes, at: number, out: SortedWriter): void {
    if (this.waiting.length > 0) this.settle(keyAt(from.bytes, from.view, at), out);
    const isRepeat = !this.isFirst && compareEntries(this.last.view, 0, from.view, at) === 0;
    if (kindAt(from.view, at) === kinds.beside) this.wait(from, at, isRepeat);
    else if (isRepeat) this.repeated(keyAt(from.bytes, from.view, at), placeAt(from.view, at));
    else this.keep(from, at, out);
  }

  end(out: SortedWriter): void {
    this.settle(null, out);
  }

  private keep(from: EntryBytes, at: number, out: SortedWriter): void {
    out.append(from, at);
    this.isFirst = false;
    // Its head and key are all that is asked of it.
    const length = headBytes + keyLengthAt(from.view, at);
    if (length > this.last.bytes.length) this.last = entryBytes(Buffer.alloc(2 * length));
    copyWords(from.view, at, length, this.last.view, 0);
    if (this.waiting.length > 0) this.free = `${keyAt(from.bytes, from.view, at)}\0` as Key;
  }

  private wait(from: EntryBytes, at: number, isTaken: boolean): void {
    if (this.waiting.length === 0) {
      const own = keyAt(from.bytes, from.view, at);
      this.free = isTaken ? (`${own}\0` as Key) : own;
    }
    this.waiting.push(entryBytes(Buffer.from(from.bytes.subarray(at, at + entryBytesAt(from.view, at)))));
  }

  /** Gives those that wait their keys, up to where somebody has one. @param next null: nobody comes any more */
  private settle(next: Key | null, out: SortedWriter): void {
    const isFree = (): boolean => next === null || this.free < next;
    while (this.waiting.length > 0 && isFree()) {
      const entry = this.waiting.shift() as EntryBytes;
      this.keep(withKey(entry, this.free), 0, out);
    }
  }
}

function withKey({ bytes, view }: EntryBytes, key: Key): EntryBytes {
  const behind = headBytes + keyLengthAt(view, 0);
  const made = entryBytes(Buffer.alloc(bytes.length - behind + headBytes + key.length));
  bytes.copy(made.bytes, 0, 0, headBytes);
  made.view.setUint32(0, key.length, true);
  bytes.copy(made.bytes, writeByteString(key, made.bytes, headBytes), behind);
  return made;
}

function entryBytes(bytes: Buffer): EntryBytes {
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length) };
}
