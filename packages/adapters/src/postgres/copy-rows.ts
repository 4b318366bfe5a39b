/**
 * Rows of a COPY in its binary form: key, value, version, and a note where any row may have one. They are of text and bytes, but
 * for a version of four bytes, which is a number (select.ts).
 *
 * They are taken where they lie, each as the places of its columns; `readRows` makes strings and buffers of them.
 */
import { invariant, type Key } from '@keyferry/core';

/** Of a message: its kind and its length. */
export const headLength = 5;
const signatureLength = 11;
const signature = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1');
/** Behind the signature: flags and the length of an extension that nobody uses. */
const fileHeadLength = signatureLength + 8;
const columns = 3;
/** Of a version that is a number. */
const numberLength = 4;

/** Where the columns of a row begin and end; an end of -1: NULL. Good until the next row is taken. */
export interface RowPlaces {
  readonly key: number;
  readonly keyEnd: number;
  readonly value: number;
  readonly valueEnd: number;
  readonly version: number;
  readonly versionEnd: number;
  readonly note: number;
  readonly noteEnd: number;
}

export interface Row {
  readonly key: Key;
  /** Null: NULL. */
  readonly value: Buffer | null;
  readonly version: string;
  readonly note: string | null;
}

/** False: stop behind this row. */
export type TakeRow = (row: Row) => boolean;

export interface RowsRead {
  /** How many bytes were read, up to the last whole row. */
  readonly read: number;
  readonly ended: boolean;
}

/** Rows in the order of their keys, of which any part can be read. */
export interface OrderedRows {
  /** Bytes that can be read by now; all of them once it is whole. */
  readonly length: number;
  readonly isWhole: boolean;
  /** Resolves when there is more than `length`, or all. */
  more(length: number): Promise<void>;
  /** Where to begin so as not to miss `key`. */
  placeBefore(key: Key): number;
  /** @returns up to `length` bytes from `at` */
  read(at: number, length: number): Buffer;
  /** The rows in bytes that begin with one. */
  rows(bytes: Buffer, take: TakeRow): RowsRead;
  /** Safe to repeat. */
  close(): void;
}

/** Goes through bytes that begin with a message. @param take false: stop behind this row */
export function eachRow(bytes: Buffer, take: (row: RowPlaces) => boolean, from = 0): RowsRead {
  const places = { key: 0, keyEnd: 0, value: 0, valueEnd: 0, version: 0, versionEnd: 0, note: 0, noteEnd: 0 };
  let at = from;
  while (at + headLength <= bytes.length) {
    const end = at + 1 + int32(bytes, at + 1);
    if (end > bytes.length) break;
    let field = at + headLength;
    at = end;
    if (isSignature(bytes, field, end)) {
      field += fileHeadLength;
      if (field >= end) continue; // the head alone
    }
    const fields = bytes.readInt16BE(field);
    if (fields === -1) continue; // the end
    const hasNote = fields === columns + 1;
    invariant(hasNote || fields === columns, 'a row of a COPY has other columns than were asked for');
    places.key = field + 6;
    const keyLength = int32(bytes, field + 2);
    // A column that cannot be NULL is taken as it is, and may since have become one that can.
    invariant(keyLength >= 0, 'a key of a COPY is NULL');
    places.keyEnd = places.key + keyLength;
    const valueLength = int32(bytes, places.keyEnd);
    places.value = places.keyEnd + 4;
    places.valueEnd = valueLength < 0 ? -1 : places.value + valueLength;
    const behindValue = places.value + Math.max(valueLength, 0);
    places.version = behindValue + 4;
    places.versionEnd = places.version + int32(bytes, behindValue);
    const noteLength = hasNote ? int32(bytes, places.versionEnd) : -1;
    places.note = places.versionEnd + 4;
    places.noteEnd = noteLength < 0 ? -1 : places.note + noteLength;
    if (!take(places)) return { read: at, ended: true };
  }
  return { read: at, ended: false };
}

/** As `readInt32BE`, which looks at its arguments each time; these were looked at. */
function int32(bytes: Buffer, at: number): number {
  return (
    ((bytes[at] as number) << 24) |
    ((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number)
  );
}

/** Takes a row where it lies; good until it returns. */
export type TakePlaces = (bytes: Buffer, row: RowPlaces) => void;

/** Rows out of regions of whole messages, the last of which may go on in the next region; see copy-out.ts. */
export class RowStream {
  private readonly take: TakePlaces;
  /** Of a row that goes on in the next region, which alone is copied: the region is the socket's, which may use it again. */
  private rest: Buffer = Buffer.alloc(64 * 1024);
  private restLength = 0;

  constructor(take: TakePlaces) {
    this.take = take;
  }

  append(region: Buffer): void {
    let from = 0;
    while (this.restLength > 0 && from < region.length) {
      const wanted = this.restLength < headLength ? headLength : 1 + int32(this.rest, 1);
      from += this.keep(region, from, Math.min(region.length, from + wanted - this.restLength));
      if (this.restLength < headLength || this.restLength < 1 + int32(this.rest, 1)) continue;
      this.takeAll(this.rest.subarray(0, this.restLength), 0);
      this.restLength = 0;
    }
    const read = this.takeAll(region, from);
    this.keep(region, read, region.length);
  }

  private takeAll(bytes: Buffer, from: number): number {
    const next = (row: RowPlaces): boolean => {
      this.take(bytes, row);
      return true;
    };
    return eachRow(bytes, next, from).read;
  }

  /** @returns how many bytes */
  private keep(region: Buffer, from: number, end: number): number {
    const length = this.restLength + end - from;
    if (length > this.rest.length) {
      const larger = Buffer.alloc(2 * length);
      this.rest.copy(larger, 0, 0, this.restLength);
      this.rest = larger;
    }
    region.copy(this.rest, this.restLength, from, end);
    this.restLength = length;
    return end - from;
  }
}

/** As `eachRow`, with what is in the columns. */
export function readRows(bytes: Buffer, take: TakeRow): RowsRead {
  const versions = new Versions(bytes);
  return eachRow(bytes, ({ key, keyEnd, value, valueEnd, version, versionEnd, note, noteEnd }) =>
    take({
      key: bytes.toString('latin1', key, keyEnd) as Key,
      value: valueEnd < 0 ? null : bytes.subarray(value, valueEnd),
      version: versions.at(version, versionEnd),
      note: noteEnd < 0 ? null : bytes.toString('utf8', note, noteEnd),
    }),
  );
}

/** Rows that one transaction wrote lie together, and one string does for all of them. */
export class Versions {
  private readonly bytes: Buffer;
  private last: Buffer;
  private text = '';

  constructor(bytes: Buffer) {
    this.bytes = bytes;
    this.last = bytes.subarray(0, 0);
  }

  at(start: number, end: number): string {
    const { bytes, last } = this;
    if (bytes.compare(last, 0, last.length, start, end) !== 0) {
      this.last = bytes.subarray(start, end);
      this.text =
        end - start === numberLength ? String(bytes.readUInt32BE(start)) : bytes.toString('latin1', start, end);
    }
    return this.text;
  }
}

function isSignature(bytes: Buffer, start: number, end: number): boolean {
  if (bytes[start] !== signature[0]) return false;
  const until = Math.min(start + signatureLength, end);
  return bytes.compare(signature, 0, signatureLength, start, until) === 0;
}
