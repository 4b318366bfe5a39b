/**
 * Entries in the order of their keys, written once and read from anywhere: in memory while they are few, else in a scratch file.
 *
 *     entries, in order ──► chunk of 1 MiB ──full──► scratch file │ one key in 32 KiB ──► index
 *     read(placeBefore(key), …)
 *
 * Memory is the index (about 100 bytes of 32 KiB).
 */
import { invariant, type Key } from '@keyferry/core';
import { byteString } from '../bytes.ts';
import { copyWords, entryBytesAt, headBytes, keyLengthAt } from './entry.ts';
import { ScratchFile } from './scratch-file.ts';

const chunkBytes = 1024 * 1024;
const indexedEveryBytes = 32 * 1024;
/** Above this a call that copies costs less than doing it here. */
const wordsMax = 512;

/** Of bytes that hold entries one behind the other; both are of the same memory. */
export interface EntryBytes {
  readonly bytes: Buffer;
  readonly view: DataView;
}

/** Where an entry begins, and its key. */
interface Place {
  readonly key: Key;
  readonly at: number;
}

export class PlaceIndex {
  private readonly places: Place[] = [];
  private indexedTo = 0;

  /** @param at where in all that is sorted it will lie; above those before */
  note({ bytes, view }: EntryBytes, start: number, at: number): void {
    if (at - this.indexedTo < indexedEveryBytes) return;
    this.places.push({ key: keyAt(bytes, view, start), at });
    this.indexedTo = at;
  }

  /** Where to begin so as not to miss `key`. */
  before(key: Key): number {
    const { places } = this;
    let [low, high] = [0, places.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((places[middle] as Place).key < key) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? 0 : (places[low - 1] as Place).at;
  }
}

export class SortedEntries {
  /** Bytes of all entries. */
  readonly length: number;
  private readonly index: PlaceIndex;
  private readonly held: ScratchFile | Buffer;

  constructor(held: ScratchFile | Buffer, index: PlaceIndex) {
    this.held = held;
    this.length = held.length;
    this.index = index;
  }

  /** Where an entry begins before which all keys are below `key`. */
  placeBefore(key: Key): number {
    return this.index.before(key);
  }

  /** @returns up to `length` bytes from `at`, which nobody changes any more */
  read(at: number, length: number): Buffer {
    const end = Math.min(this.length, at + length);
    if (Buffer.isBuffer(this.held)) return this.held.subarray(at, end);
    const bytes = Buffer.allocUnsafeSlow(end - at);
    this.held.read(at, bytes);
    return bytes;
  }

  /** Safe to repeat. */
  close(): void {
    if (!Buffer.isBuffer(this.held)) this.held.close();
  }
}

export interface WriterOptions {
  readonly bytes: number;
  readonly memoryBytes: number;
  readonly into?: ScratchFile;
}

export class SortedWriter {
  /** Something has been written to the disk since this was last made false. */
  hasWritten = false;
  private readonly index: PlaceIndex | null;
  private file: ScratchFile | null;
  private chunk: Buffer;
  private view: DataView;
  private used = 0;
  private flushed: number;

  /**
   * @param options.bytes about how much it will be; `memoryBytes` of it stay in memory if that is all
   * @param options.into a file that this is to lie at the end of, instead of by itself
   */
  constructor({ bytes, memoryBytes, into }: WriterOptions) {
    this.file = into ?? null;
    this.flushed = into?.length ?? 0;
    this.index = into === undefined ? new PlaceIndex() : null;
    this.chunk = Buffer.allocUnsafeSlow(Math.min(bytes, bytes <= memoryBytes ? memoryBytes : chunkBytes));
    this.view = new DataView(this.chunk.buffer);
  }

  append(from: EntryBytes, start: number): void {
    const length = entryBytesAt(from.view, start);
    this.index?.note(from, start, this.flushed + this.used);
    if (this.used + length > this.chunk.length) this.flush();
    if (length > this.chunk.length) {
      this.write(from.bytes, start, start + length);
      return;
    }
    if (length > wordsMax) from.bytes.copy(this.chunk, this.used, start, start + length);
    else copyWords(from.view, start, length, this.view, this.used);
    this.used += length;
  }

  /** What was written, where it lies by itself. */
  entries(): SortedEntries {
    invariant(this.index !== null, 'what lies behind something else is no file of its own');
    if (this.file === null) return new SortedEntries(this.chunk.subarray(0, this.used), this.index);
    this.flush();
    return new SortedEntries(this.file, this.index);
  }

  flush(): void {
    if (this.used > 0) this.write(this.chunk, 0, this.used);
    this.used = 0;
  }

  /** What was written is nobody's; not for a file that was given. */
  discard(): void {
    this.file?.close();
  }

  private write(bytes: Buffer, start: number, end: number): void {
    this.file ??= new ScratchFile();
    this.file.append(bytes, start, end);
    this.flushed += end - start;
    this.hasWritten = true;
  }
}

export function keyAt(bytes: Buffer, view: DataView, start: number): Key {
  const key = start + headBytes;
  return byteString(bytes, key, key + keyLengthAt(view, start)) as Key;
}
