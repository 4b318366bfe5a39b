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
 * The file is unlinked as soon as it is open and readable by its owner only, as the spool's is (record-spool.ts).
 */
import { closeSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { invariant, KeyferryError, type Key } from '@keyferry/core';

const headLength = 5;
const signatureLength = 11;
const signature = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1');
/** Behind the signature: flags and the length of an extension that nobody uses. */
const fileHeadLength = signatureLength + 8;
const indexedEveryBytes = 64 * 1024;

/** Where a row begins, and its key. */
interface Place {
  readonly key: Key;
  readonly at: number;
}

export class SortedFile {
  private readonly file: number;
  private readonly index: Place[] = [];
  private written = 0;
  /** Of the row that goes on in the next bytes. */
  private missing = 0;
  private indexedTo = 0;
  private sealed = false;
  private closed = false;
  private failure: unknown = null;
  private wake: (() => void)[] = [];

  /** @throws {KeyferryError} `file.unwritable` when the temporary directory cannot be used. */
  constructor() {
    const path = join(tmpdir(), `keyferry-${randomUUID()}`);
    this.file = guarded(() => openSync(path, 'wx+', 0o600));
    rmSync(path);
  }

  /** How many bytes can be read by now. */
  get length(): number {
    return this.written;
  }

  get isWhole(): boolean {
    return this.sealed;
  }

  /** Takes regions of whole messages, the last of which may go on in the next region; see copy-out.ts. */
  append(bytes: Buffer): void {
    if (this.closed) return;
    this.note(bytes);
    guarded(() => {
      for (let at = 0; at < bytes.length;) at += writeSync(this.file, bytes, at, bytes.length - at);
    });
    this.written += bytes.length;
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
    while (this.written <= length && !this.sealed) {
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

  /** @returns a buffer of its own with up to `length` bytes from `at` */
  read(at: number, length: number): Buffer {
    invariant(!this.closed, 'a scan of a view that was closed');
    const bytes = Buffer.allocUnsafeSlow(Math.min(length, this.written - at));
    guarded(() => {
      for (let got = 0; got < bytes.length;) {
        const more = readSync(this.file, bytes, got, bytes.length - got, at + got);
        invariant(more > 0, 'a scratch file became shorter');
        got += more;
      }
    });
    return bytes;
  }

  /** Safe to repeat. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    closeSync(this.file);
    this.notify();
  }

  private note(bytes: Buffer): void {
    let at = Math.min(this.missing, bytes.length);
    this.missing -= at;
    while (at < bytes.length) {
      const length = 1 + bytes.readUInt32BE(at + 1);
      if (this.written + at - this.indexedTo >= indexedEveryBytes) this.noteRow(bytes, at, length);
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
    this.index.push({ key: bytes.toString('latin1', at + key, at + key + keyLength) as Key, at: this.written + at });
    this.indexedTo = this.written + at;
  }

  private notify(): void {
    const waiting = this.wake;
    if (waiting.length === 0) return;
    this.wake = [];
    for (const resolve of waiting) resolve();
  }
}

/** One row of a COPY in its binary form, of text and bytes alone. */
export interface Row {
  readonly key: Key;
  /** Null: NULL. */
  readonly value: Buffer | null;
  readonly version: string;
  readonly note: string | null;
}

/**
 * Reads rows out of bytes that begin with a message.
 *
 * @param take false: stop behind this row
 * @returns how many bytes were read, up to the last whole message
 */
export function readRows(
  bytes: Buffer,
  take: (row: Row) => boolean,
): { readonly read: number; readonly ended: boolean } {
  let at = 0;
  let lastVersion = '';
  let lastVersionBytes = bytes.subarray(0, 0);
  while (at + headLength <= bytes.length) {
    const end = at + 1 + bytes.readUInt32BE(at + 1);
    if (end > bytes.length) break;
    let field = at + headLength;
    at = end;
    if (
      bytes[field] === signature[0] &&
      bytes.compare(signature, 0, signatureLength, field, Math.min(field + signatureLength, end)) === 0
    ) {
      field += fileHeadLength;
      if (field >= end) continue; // the head alone
    }
    const fields = bytes.readInt16BE(field);
    if (fields === -1) continue; // the end
    invariant(fields === 4, 'a row of a COPY has other columns than were asked for');
    const key = field + 6;
    const keyEnd = key + bytes.readInt32BE(field + 2);
    const valueLength = bytes.readInt32BE(keyEnd);
    const value = keyEnd + 4;
    const valueEnd = value + Math.max(valueLength, 0);
    const version = valueEnd + 4;
    const versionEnd = version + bytes.readInt32BE(valueEnd);
    const noteLength = bytes.readInt32BE(versionEnd);
    // Rows that one transaction wrote lie together, and one string does for all of them.
    if (bytes.compare(lastVersionBytes, 0, lastVersionBytes.length, version, versionEnd) !== 0) {
      lastVersionBytes = bytes.subarray(version, versionEnd);
      lastVersion = bytes.toString('latin1', version, versionEnd);
    }
    const goesOn = take({
      key: bytes.toString('latin1', key, keyEnd) as Key,
      value: valueLength < 0 ? null : bytes.subarray(value, valueEnd),
      version: lastVersion,
      note: noteLength < 0 ? null : bytes.toString('utf8', versionEnd + 4, versionEnd + 4 + noteLength),
    });
    if (!goesOn) return { read: at, ended: true };
  }
  return { read: at, ended: false };
}

function guarded<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof KeyferryError) throw error;
    const detail = error instanceof Error ? error.message : String(error);
    throw new KeyferryError('file.unwritable', { file: 'the scratch file in TMPDIR', detail }, { cause: error });
  }
}
