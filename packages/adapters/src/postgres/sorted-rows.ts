/**
 * Records on their way from a COPY in any order, sorted here: all of them must have come before the first can be read.
 *
 *     COPY ──bytes──► entries of a sort (spool/) ──sealed──► rows in the order of their keys, in any part
 *
 * No string is made of a row before somebody reads it. Rows of one key stay: they are a collision, for whoever makes pages.
 */
import type { Key } from '@keyferry/core';
import { byteString, copyBytes } from '../bytes.ts';
import {
  createdLengthAt,
  entryBytesAt,
  headBytes,
  keyLengthAt,
  kinds,
  textLengthAt,
  valueLengthAt,
} from '../spool/entry.ts';
import { EntrySort } from '../spool/entry-sort.ts';
import type { SortedEntries } from '../spool/sorted-entries.ts';
import { Versions, type OrderedRows, type RowPlaces, type RowsRead, type TakeRow } from './copy-rows.ts';

export class RowSort {
  private readonly sort = new EntrySort();

  /** The version lies where a text does, the note where the token of a creation does; NULL as no bytes. */
  add(bytes: Buffer, row: RowPlaces): void {
    const { sort } = this;
    const valueEnd = Math.max(row.valueEnd, row.value);
    let at = sort.reserve({
      keyLength: row.keyEnd - row.key,
      valueLength: valueEnd - row.value,
      textLength: row.versionEnd - row.version,
      createdLength: row.noteEnd < 0 ? null : row.noteEnd - row.note,
      expiresAtMs: null,
      place: 0,
      kind: kinds.record,
    });
    const { bytes: into } = sort.filling;
    const put = (start: number, end: number): void => {
      copyBytes(bytes, start, end, into, at);
      at += end - start;
    };
    put(row.key, row.keyEnd);
    put(row.value, valueEnd);
    put(row.version, row.versionEnd);
    if (row.noteEnd >= 0) put(row.note, row.noteEnd);
    sort.took();
  }

  /** Once, when all have come. @throws {KeyferryError} `scratch.unusable` */
  async sorted(): Promise<OrderedRows> {
    return new SortedRows(await this.sort.sorted());
  }

  close(): void {
    this.sort.close();
  }
}

class SortedRows implements OrderedRows {
  readonly isWhole = true;
  private readonly entries: SortedEntries;

  constructor(entries: SortedEntries) {
    this.entries = entries;
  }

  get length(): number {
    return this.entries.length;
  }

  more(): Promise<void> {
    return Promise.resolve();
  }

  placeBefore(key: Key): number {
    return this.entries.placeBefore(key);
  }

  read(at: number, length: number): Buffer {
    return this.entries.read(at, length);
  }

  rows(bytes: Buffer, take: TakeRow): RowsRead {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const versions = new Versions(bytes);
    let at = 0;
    while (at + headBytes <= bytes.length) {
      const end = at + entryBytesAt(view, at);
      if (end > bytes.length) break;
      const key = at + headBytes;
      const value = key + keyLengthAt(view, at);
      const version = value + valueLengthAt(view, at);
      const note = version + textLengthAt(view, at);
      const noteLength = createdLengthAt(view, at);
      at = end;
      const goesOn = take({
        key: byteString(bytes, key, value) as Key,
        value: bytes.subarray(value, version),
        version: versions.at(version, note),
        note: noteLength === null ? null : bytes.toString('utf8', note, note + noteLength),
      });
      if (!goesOn) return { read: at, ended: true };
    }
    return { read: at, ended: false };
  }

  close(): void {
    this.entries.close();
  }
}
