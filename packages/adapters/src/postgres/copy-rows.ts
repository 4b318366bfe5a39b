/**
 * Rows of a COPY in its binary form, of four columns of text and bytes: key, value, version, note.
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
const columns = 4;

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
export function eachRow(bytes: Buffer, take: (row: RowPlaces) => boolean): RowsRead {
  const places = { key: 0, keyEnd: 0, value: 0, valueEnd: 0, version: 0, versionEnd: 0, note: 0, noteEnd: 0 };
  let at = 0;
  while (at + headLength <= bytes.length) {
    const end = at + 1 + bytes.readUInt32BE(at + 1);
    if (end > bytes.length) break;
    let field = at + headLength;
    at = end;
    if (isSignature(bytes, field, end)) {
      field += fileHeadLength;
      if (field >= end) continue; // the head alone
    }
    const fields = bytes.readInt16BE(field);
    if (fields === -1) continue; // the end
    invariant(fields === columns, 'a row of a COPY has other columns than were asked for');
    places.key = field + 6;
    places.keyEnd = places.key + bytes.readInt32BE(field + 2);
    const valueLength = bytes.readInt32BE(places.keyEnd);
    places.value = places.keyEnd + 4;
    places.valueEnd = valueLength < 0 ? -1 : places.value + valueLength;
    const behindValue = places.value + Math.max(valueLength, 0);
    places.version = behindValue + 4;
    places.versionEnd = places.version + bytes.readInt32BE(behindValue);
    const noteLength = bytes.readInt32BE(places.versionEnd);
    places.note = places.versionEnd + 4;
    places.noteEnd = noteLength < 0 ? -1 : places.note + noteLength;
    if (!take(places)) return { read: at, ended: true };
  }
  return { read: at, ended: false };
}

/** Takes a row where it lies; good until it returns. */
export type TakePlaces = (bytes: Buffer, row: RowPlaces) => void;

/** Rows out of regions of whole messages, the last of which may go on in the next region; see copy-out.ts. */
export class RowStream {
  private readonly take: TakePlaces;
  /** Of a row that goes on in the next region. */
  private rest: Buffer = Buffer.alloc(0);

  constructor(take: TakePlaces) {
    this.take = take;
  }

  append(region: Buffer): void {
    const bytes = this.rest.length === 0 ? region : Buffer.concat([this.rest, region]);
    const { read } = eachRow(bytes, (row) => {
      this.take(bytes, row);
      return true;
    });
    // The region is the socket's, which may use it again.
    this.rest = Buffer.from(bytes.subarray(read));
  }
}

/** As `eachRow`, with what is in the columns. */
export function readRows(bytes: Buffer, take: TakeRow): RowsRead {
  const versions = new SameText(bytes);
  return eachRow(bytes, ({ key, keyEnd, value, valueEnd, version, versionEnd, note, noteEnd }) =>
    take({
      key: bytes.toString('latin1', key, keyEnd) as Key,
      value: valueEnd < 0 ? null : bytes.subarray(value, valueEnd),
      version: versions.at(version, versionEnd),
      note: noteEnd < 0 ? null : bytes.toString('utf8', note, noteEnd),
    }),
  );
}

/** Versions: rows that one transaction wrote lie together, and one string does for all of them. */
export class SameText {
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
      this.text = bytes.toString('latin1', start, end);
    }
    return this.text;
  }
}

function isSignature(bytes: Buffer, start: number, end: number): boolean {
  const until = Math.min(start + signatureLength, end);
  return bytes[start] === signature[0] && bytes.compare(signature, 0, signatureLength, start, until) === 0;
}
