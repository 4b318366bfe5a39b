/**
 * Records on their way from a COPY, in a scratch file: written once, in order, as they came, and read in any part and as
 * often as wanted, also while they still come.
 *
 *     COPY ──bytes──► file │ one key in 64 KiB ──► index
 *     scan(range) ──index──► where to begin ──► pages
 *
 * The server may forget its snapshot as soon as the last row has come: no transaction stays open while a migration
 * goes on, which would keep vacuum from its work, and no table stays locked. Memory is the index (40 bytes of 64 KiB).
 *
 * The file is gone with the process, however that ends (scratch-file.ts).
 */
import { invariant, type Key } from '@keyferry/core';
import { ScratchFile } from '../spool/scratch-file.ts';
import { headLength, readRows, type OrderedRows, type RowsRead, type TakeRow } from './copy-rows.ts';

const indexedEveryBytes = 64 * 1024;

/** Where a row begins, and its key. */
interface Place {
  readonly key: Key;
  readonly at: number;
}

/** @throws {KeyferryError} `scratch.unusable`, when it is made and later */
export class SortedFile implements OrderedRows {
  private readonly file = new ScratchFile();
  private readonly index: Place[] = [];
  /** Of the row that goes on in the next bytes. */
  private missing = 0;
  private indexedTo = 0;
  private sealed = false;
  private closed = false;
  private failure: unknown = null;
  private wake: (() => void)[] = [];

  /** How many bytes can be read by now. */
  get length(): number {
    return this.file.length;
  }

  get isWhole(): boolean {
    return this.sealed;
  }

  /** Takes regions of whole messages, the last of which may go on in the next region; see copy-out.ts. */
  append(bytes: Buffer): void {
    if (this.closed) return;
    this.note(bytes);
    this.file.append(bytes);
    this.notify();
  }

  /** All is there. */
  seal(): void {
    this.sealed = true;
    this.notify();
  }

  /** No more comes, and why: whoever waits for it gets this. */
  fail(error: unknown): void {
    this.failure = error;
    this.notify();
  }

  /** Resolves when there is more than `length`, or all. @throws what `fail` was given */
  async more(length: number): Promise<void> {
    while (this.length <= length && !this.sealed) {
      if (this.failure !== null) throw this.failure as Error;
      invariant(!this.closed, 'a scan of a view that was closed');
      await new Promise<void>((resolve) => this.wake.push(resolve));
    }
  }

  /** Where to begin so as not to miss `key`. */
  placeBefore(key: Key): number {
    let [low, high] = [0, this.index.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.index[middle] as Place).key < key) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? 0 : (this.index[low - 1] as Place).at;
  }

  rows(bytes: Buffer, take: TakeRow): RowsRead {
    return readRows(bytes, take);
  }

  /** @returns a buffer of its own with up to `length` bytes from `at` */
  read(at: number, length: number): Buffer {
    invariant(!this.closed, 'a scan of a view that was closed');
    const bytes = Buffer.allocUnsafeSlow(Math.min(length, this.length - at));
    this.file.read(at, bytes);
    return bytes;
  }

  /** Safe to repeat. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.file.close();
    this.notify();
  }

  private note(bytes: Buffer): void {
    let at = Math.min(this.missing, bytes.length);
    this.missing -= at;
    while (at < bytes.length) {
      const length = 1 + bytes.readUInt32BE(at + 1);
      if (this.length + at - this.indexedTo >= indexedEveryBytes) this.noteRow(bytes, at, length);
      const end = at + length;
      at = Math.min(end, bytes.length);
      this.missing = end - at;
    }
  }

  /** A row whose key is not whole in these bytes is passed over: the next one is as good. */
  private noteRow(bytes: Buffer, at: number, length: number): void {
    const key = headLength + 2 + 4;
    if (length < key || at + key > bytes.length) return;
    const keyLength = bytes.readInt32BE(at + headLength + 2);
    if (keyLength < 0 || at + key + keyLength > bytes.length) return;
    this.index.push({ key: bytes.toString('latin1', at + key, at + key + keyLength) as Key, at: this.length + at });
    this.indexedTo = this.length + at;
  }

  private notify(): void {
    const waiting = this.wake;
    if (waiting.length === 0) return;
    this.wake = [];
    for (const resolve of waiting) resolve();
  }
}
