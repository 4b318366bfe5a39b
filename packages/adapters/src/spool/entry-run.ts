/**
 * A run: as many entries as memory is to hold, as they were added, and then in the order of their keys.
 *
 * It grows from little, since many spools hold little, and is used again for the next run.
 */
import { PackedRows, type RowNames } from '../sort-rows.ts';
import {
  compareEntries,
  entryBytesAt,
  headBytes,
  keyLengthAt,
  keyWord,
  sharedKeyBytes,
  writeHead,
  type Head,
} from './entry.ts';

const bytesMin = 16 * 1024;
const growth = 4;

export class EntryRun {
  bytes: Buffer = Buffer.alloc(0);
  view: DataView = new DataView(new ArrayBuffer(0));
  size = 0;
  count = 0;
  /** Bytes of the largest of them. */
  largest = 0;
  /** Each key is above the one before it. */
  isAscending = true;
  private readonly bytesMax: number;
  private last = -1;

  /** @param bytesMax a run is full with so much, or with one entry that is larger */
  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  hasRoom(entryBytes: number): boolean {
    return this.count === 0 || this.size + entryBytes <= this.bytesMax;
  }

  /**
   * Room for an entry, with its head; key, value, text and created are to be filled in behind that, and then `took` called.
   * @returns where its key begins
   */
  reserve(head: Head): number {
    const { keyLength, valueLength, textLength, createdLength } = head;
    const end = this.size + headBytes + keyLength + valueLength + textLength + (createdLength ?? 0);
    if (end > this.bytes.length) this.grow(end);
    writeHead(this.view, this.size, head);
    return this.size + headBytes;
  }

  took(): void {
    const { view, size, last } = this;
    if (last !== -1 && this.isAscending) this.isAscending = compareEntries(view, last, view, size) < 0;
    const length = entryBytesAt(view, size);
    this.last = size;
    this.size += length;
    this.largest = Math.max(this.largest, length);
    this.count += 1;
  }

  /** Where its entries begin, in the order of their keys; those with one key as they were added. */
  sorted(): Uint32Array {
    const order = new Uint32Array(this.count);
    const { view } = this;
    for (let i = 0, at = 0; i < order.length; i += 1, at += entryBytesAt(view, at)) order[i] = at;
    if (this.isAscending) return order;
    const names: RowNames = {
      length: (at) => keyLengthAt(view, at),
      word: (at, from) => keyWord(view, at, from),
      shared: (a, b, max) => sharedKeyBytes(view, a, view, b, max),
    };
    let shared = keyLengthAt(view, 0);
    for (const at of order) shared = sharedKeyBytes(view, 0, view, at, shared);
    const rows = new PackedRows(order.length);
    for (const [i, at] of order.entries()) rows.set(i, at, keyWord(view, at, shared));
    rows.sort(names, 0, order.length, shared);
    for (let i = 0; i < order.length; i += 1) order[i] = rows.rowAt(i);
    return order;
  }

  /** For the next run. */
  clear(): void {
    this.size = 0;
    this.count = 0;
    this.largest = 0;
    this.last = -1;
    this.isAscending = true;
    if (this.bytes.length > this.bytesMax) this.take(Buffer.alloc(0)); // it held one entry that is larger than others
  }

  /** What it held may still be read by whoever has it. */
  drop(): void {
    this.clear();
    this.take(Buffer.alloc(0));
  }

  private grow(size: number): void {
    const wanted = Math.max(bytesMin, Math.min(this.bytesMax, growth * this.bytes.length));
    const bytes = Buffer.allocUnsafeSlow(Math.max(size, wanted));
    this.bytes.copy(bytes, 0, 0, this.size);
    this.take(bytes);
  }

  private take(bytes: Buffer): void {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }
}
