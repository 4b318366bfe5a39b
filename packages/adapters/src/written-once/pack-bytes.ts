/**
 * The bytes of a pack: a batch of new records, written at once and read where they lie.
 *
 *     count │ key bytes, value bytes, expiry (NaN: none) │ … │ key value key value …
 *
 * Keys and values lie in a pack as in a packed page (record-packer.ts), so that one becomes the other by one copy, and no object
 * a record is made on the way from a source to a file.
 */
import {
  invariant,
  keyToBytes,
  PackedPage,
  type GuardedChange,
  type Key,
  type PackedPuts,
  type Version,
} from '@keyferry/core';
import { byteString } from '../bytes.ts';

const [countBytes, headerBytes] = [8, 16];
/** Of one pack; larger batches become rows, of which SQLite needs no second copy. */
const packBytesMax = 16 * 1024 * 1024;

export interface Pack {
  readonly first: Key;
  readonly last: Key;
  readonly count: number;
  readonly bytes: Buffer;
}

type NewPut = Extract<GuardedChange, { readonly kind: 'put' }>;

/** The batch as puts of new records in ascending order; null: it is something else. */
export function newPuts(changes: readonly GuardedChange[]): readonly NewPut[] | null {
  let last: Key | null = null;
  let bytes = 0;
  for (const change of changes) {
    if (change.kind !== 'put' || change.expect !== 'absent' || (last !== null && change.key <= last)) return null;
    last = change.key;
    bytes += change.key.length + change.value.length;
  }
  return last === null || bytes > packBytesMax ? null : (changes as readonly NewPut[]);
}

/** @param puts one at least */
export function packOf(puts: readonly NewPut[]): Pack {
  let size = 0;
  for (const { key, value } of puts) size += key.length + value.length;
  const bytes = emptyPack(puts.length, size);
  let at = bytes.length - size;
  for (const [i, { key, value, expiresAtMs }] of puts.entries()) {
    writeHeader(bytes, i, key.length, value.length, expiresAtMs);
    at += bytes.write(key, at, 'latin1');
    bytes.set(value, at);
    at += value.length;
  }
  const [first, last] = [puts[0] as NewPut, puts.at(-1) as NewPut];
  return { first: first.key, last: last.key, count: puts.length, bytes };
}

/** The same of records as they lie in a page; null: they do not ascend, or are too large. */
export function packOfPage({ page, start, end, bytes: held, sourcePrefix, targetPrefix }: PackedPuts): Pack | null {
  const count = end - start;
  const grows = targetPrefix.length - sourcePrefix.length;
  const size = held + count * grows;
  if (size > packBytesMax || page.firstOutOfOrder() !== null) return null;
  const { spans } = page.packed;
  const bytes = emptyPack(count, size);
  const copier = new SpanCopier(page.packed.bytes, bytes, bytes.length - size);
  const prefix = sourcePrefix === targetPrefix ? null : keyToBytes(targetPrefix);
  for (let index = start, field = 4 * start; index < end; index += 1, field += 4) {
    const keyStart = spans[field] as number;
    const keyEnd = spans[field + 1] as number;
    const valueStart = spans[field + 2] as number;
    const valueEnd = spans[field + 3] as number;
    writeHeader(bytes, index - start, keyEnd - keyStart + grows, valueEnd - valueStart, null);
    if (prefix === null) copier.copy(keyStart, keyEnd);
    else {
      copier.write(prefix);
      copier.copy(keyStart + sourcePrefix.length, keyEnd);
    }
    copier.copy(valueStart, valueEnd);
  }
  invariant(copier.flush() === bytes.length, 'a pack is as large as its records');
  const keyAt = (index: number) => (targetPrefix + page.recordAt(index).key.slice(sourcePrefix.length)) as Key;
  return { first: keyAt(start), last: keyAt(end - 1), count, bytes };
}

/** Copies spans of a block one behind the other, those that lie so already in one go. */
class SpanCopier {
  private readonly from: Uint8Array;
  private readonly into: Buffer;
  private at: number;
  private start = 0;
  private end = 0;

  constructor(from: Uint8Array, into: Buffer, at: number) {
    this.from = from;
    this.into = into;
    this.at = at;
  }

  copy(start: number, end: number): void {
    if (start !== this.end) {
      this.flush();
      this.start = start;
    }
    this.end = end;
  }

  write(bytes: Uint8Array): void {
    this.flush();
    this.into.set(bytes, this.at);
    this.at += bytes.length;
  }

  /** @returns where in the other block the last one ends */
  flush(): number {
    if (this.end > this.start) this.into.set(this.from.subarray(this.start, this.end), this.at);
    this.at += this.end - this.start;
    this.start = this.end;
    return this.at;
  }
}

/** With room for keys and values of `size` bytes at its end. */
function emptyPack(count: number, size: number): Buffer {
  const bytes = Buffer.allocUnsafe(countBytes + count * headerBytes + size);
  bytes.writeDoubleLE(count, 0);
  return bytes;
}

function writeHeader(
  bytes: Buffer,
  index: number,
  keyBytes: number,
  valueBytes: number,
  expiresAtMs: number | null,
): void {
  const at = countBytes + index * headerBytes;
  bytes.writeUInt32LE(keyBytes, at);
  bytes.writeUInt32LE(valueBytes, at + 4);
  bytes.writeDoubleLE(expiresAtMs === null ? NaN : Math.ceil(expiresAtMs), at + 8);
}

/** What is in a pack, where it lies; versions count up from the first. */
export function pageOfPack({ buffer, byteOffset, byteLength }: Uint8Array, firstVersion: number): PackedPage {
  const bytes = Buffer.from(buffer, byteOffset, byteLength);
  const count = bytes.readDoubleLE(0);
  const spans = new Uint32Array(4 * count);
  let at = countBytes + count * headerBytes;
  let isPermanent = true;
  for (let index = 0, header = countBytes; index < count; index += 1, header += headerBytes) {
    const keyEnd = at + bytes.readUInt32LE(header);
    const valueEnd = keyEnd + bytes.readUInt32LE(header + 4);
    spans[4 * index] = at;
    spans[4 * index + 1] = keyEnd;
    spans[4 * index + 2] = keyEnd;
    spans[4 * index + 3] = valueEnd;
    isPermanent &&= Number.isNaN(bytes.readDoubleLE(header + 8));
    at = valueEnd;
  }
  const expiryOf = (index: number): number | null => {
    const expiry = bytes.readDoubleLE(countBytes + index * headerBytes + 8);
    return Number.isNaN(expiry) ? null : expiry;
  };
  return new PackedPage({
    bytes,
    spans,
    count,
    keyOf: (start, end) => byteString(bytes, start, end) as Key,
    valueOf: (start, end) => bytes.subarray(start, end),
    versionOf: (index) => String(firstVersion + index) as Version,
    expiresAtMsOf: isPermanent ? () => null : expiryOf,
  });
}
