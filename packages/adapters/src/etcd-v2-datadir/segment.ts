/**
 * One file of the write-ahead log as records, each checked before it is handed out.
 *
 *     frame = 8 bytes, little-endian: the length in the lower 56 bits; from etcd 3.0 on also, if the highest bit is set,
 *             0 to 7 bytes of padding (bits 56 to 58) ── then the record, a message ── then the padding
 *     record = { 1 type, 2 crc, 3 data }     crc: CRC-32C of the data of all records so far, over all segments
 *
 * etcd 2.x writes bare lengths and lets the file end with its last record; from 3.0 on files are made 64 MB long at once,
 * so that a length of 0 is the end. A record of type crc begins each segment and says where the running value stands.
 *
 * Only the last segment may end torn, by a record that was being written when the power went: a frame that the file
 * is too short for, or one that does not fit its checksum and of which a whole sector is zeros. etcd cuts such a tail
 * off when it starts. It also takes a *length* that was damaged for a torn tail and cuts off everything behind it; here the
 * record has to say the same length, or it is damage. Anything else that is wrong is damage, in both.
 *
 * Source: etcd 3.4 `wal/decoder.go`, `wal/encoder.go`; 2.3 `wal/decoder.go`.
 */
import { crc32cWord } from './crc32c.ts';
import { damaged } from './errors.ts';
import { FileWindow } from './file-window.ts';
import { FieldReader, Malformed, UsualFields } from './protobuf.ts';
import { recordTypes } from './raft-messages.ts';

export interface LogRecord {
  readonly type: number;
  /** The data, good until the next record. */
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
  /** Its frame says how it is padded, as only etcd from 3.0 on writes it. */
  readonly padded: boolean;
}

export type SegmentEnd =
  | { readonly kind: 'whole' }
  /** `offset`: where the record begins that was not written to its end, or was followed by something. */
  | { readonly kind: 'torn'; readonly offset: number; readonly bytes: number };

export interface SegmentRead {
  readonly end: SegmentEnd;
  /** Of the records so far, for the next segment. */
  readonly crc: number;
}

export interface SegmentOptions {
  readonly file: string;
  /** Of the segments before; null to begin with this one. */
  readonly crc: number | null;
  /** Only the last one may end torn. */
  readonly isLast: boolean;
  /** The checksums were found right before, and are not looked at again. */
  readonly isChecked?: boolean;
  /** May throw `Malformed`: then the record is damaged. */
  readonly take: (record: LogRecord) => void;
}

const lengthBytes = 8;
const sectorBytes = 512;

/** @throws {KeyferryError} `datadir.damaged` at the first record that is wrong; those before it were handed out */
export async function readSegment({
  file,
  crc,
  isLast,
  isChecked = false,
  take,
}: SegmentOptions): Promise<SegmentRead> {
  return await FileWindow.over(file, async (window) => {
    const frame = new Frame();
    const record = new RecordReader();
    let running = crc ?? 0;
    const ended = (end: SegmentEnd): SegmentRead => ({ end, crc: running });
    for (;;) {
      if (window.available < lengthBytes) await window.fill(lengthBytes);
      const { offset } = window;
      if (window.available === 0) return ended({ kind: 'whole' });
      if (window.available < lengthBytes) {
        if (!isLast) throw damaged(file, offset, 'it ends within the length of a record');
        return ended({ kind: 'torn', offset, bytes: window.available });
      }
      frame.read(window.bytes, window.start);
      if (frame.length === 0 && frame.padding === 0) return ended(await endAtZeros(window, isLast));
      if (!frame.isWritten) throw damaged(file, offset, 'its length is written as no etcd writes one');
      const whole = lengthBytes + frame.length + frame.padding;
      if (whole > window.remaining) {
        const bytes = window.remaining;
        await window.fill(lengthBytes + 64);
        const isTorn = record.agrees(window, frame.length);
        if (isLast && isTorn) return ended({ kind: 'torn', offset, bytes });
        throw damaged(
          file,
          offset,
          `it holds a record of ${frame.length} bytes, and ends after ${bytes - lengthBytes}`,
        );
      }
      if (window.available < whole) await window.fill(whole);
      if (window.available < whole) throw damaged(file, offset, 'it became shorter while it was read');
      const from = window.start + lengthBytes;
      try {
        record.read(window.bytes, from, from + frame.length, frame.marked);
        if (!isChecked) running = record.checked(running);
      } catch (error) {
        if (!(error instanceof Malformed)) throw error;
        const isTorn =
          isLast &&
          hasEmptySector(window.bytes, from, frame.length + frame.padding, offset + lengthBytes) &&
          record.agrees(window, frame.length);
        if (isTorn) return ended({ kind: 'torn', offset, bytes: window.remaining });
        throw damaged(file, offset, error.message, error);
      }
      try {
        take(record);
      } catch (error) {
        throw error instanceof Malformed ? damaged(file, offset, error.message, error) : error;
      }
      window.start += whole;
    }
  });
}

/** etcd 3.0 to 3.5, wal/encoder.go, encodeFrameSize; before 3.0 a length alone. One object is filled again and again. */
class Frame {
  length = 0;
  padding = 0;
  marked = false;
  /** Some etcd writes such a frame: without a mark, or marked and padded to a multiple of 8 that it was not yet. */
  isWritten = false;

  read(bytes: Buffer, at: number): void {
    const top = bytes[at + 7] as number;
    const high = read24(bytes, at + 3) + (bytes[at + 6] as number) * 2 ** 24;
    // No product where there is none: see UsualFields.
    this.length = high === 0 ? read24(bytes, at) : read24(bytes, at) + high * 2 ** 24;
    this.marked = top >= 0x80;
    this.padding = this.marked ? top & 7 : 0;
    this.isWritten = this.marked ? this.padding > 0 && top === (0x80 | ((8 - (this.length % 8)) % 8)) : top === 0;
  }
}

/** Three bytes make a small integer, which no memory is asked for. */
function read24(bytes: Buffer, at: number): number {
  return (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16);
}

/** Zeros to the end of the file; if not, what follows was part of a write that did not come to its end. */
async function endAtZeros(window: FileWindow, isLast: boolean): Promise<SegmentEnd> {
  const { file, offset, size } = window;
  let last = -1;
  let at = offset;
  await window.pieces(offset, size, (bytes, start, end) => {
    const found = lastWritten(bytes, start, end);
    if (found !== null) last = at + (found - start);
    at += end - start;
  });
  if (last < 0) return { kind: 'whole' };
  if (!isLast) throw damaged(file, offset, 'the length of a record is zero, and more follows');
  return { kind: 'torn', offset, bytes: last + 1 - offset };
}

const zeros = Buffer.alloc(64 * 1024);

/** The last byte that is not zero. From 3.0 on most of the last file is zeros: whole blocks are compared at once. */
function lastWritten(bytes: Buffer, start: number, end: number): number | null {
  for (let blockEnd = end; blockEnd > start;) {
    const from = Math.max(start, blockEnd - zeros.length);
    if (bytes.compare(zeros, 0, blockEnd - from, from, blockEnd) !== 0) {
      let at = blockEnd - 1;
      while (bytes[at] === 0) at -= 1;
      return at;
    }
    blockEnd = from;
  }
  return null;
}

/** etcd's own test for a torn write: part of it never reached the disk. */
function hasEmptySector(bytes: Buffer, start: number, length: number, fileOffset: number): boolean {
  let at = 0;
  while (at < length) {
    const chunk = Math.min(sectorBytes - ((fileOffset + at) % sectorBytes), length - at);
    let isEmpty = true;
    for (let i = start + at; i < start + at + chunk && isEmpty; i += 1) isEmpty = bytes[i] === 0;
    if (isEmpty) return true;
    at += chunk;
  }
  return false;
}

/** walpb.Record. One object is filled again and again. */
class RecordReader implements LogRecord {
  type = 0;
  bytes: Buffer = Buffer.alloc(0);
  start = 0;
  end = 0;
  padded = false;
  /** With a sign. */
  private crc = 0;
  private readonly fields = new UsualFields();

  read(bytes: Buffer, start: number, end: number, padded: boolean): void {
    this.padded = padded;
    this.bytes = bytes;
    if (this.readUsual(start, end)) return;
    this.type = 0;
    this.crc = 0;
    this.start = start;
    this.end = start;
    const message = new FieldReader(bytes, start, end);
    while (message.next()) {
      if (message.field === 1) this.type = message.number();
      else if (message.field === 2) this.crc = wordOf(message.number());
      else if (message.field === 3) {
        message.byteLength();
        this.start = message.start;
        this.end = message.end;
      }
    }
  }

  /** Type, checksum, data. @returns false, with nothing said of it: it is written in another way, or wrong */
  private readUsual(start: number, end: number): boolean {
    const { bytes, fields } = this;
    fields.at = start;
    this.type = fields.number(bytes, end, 0x08);
    if (this.type < 0 || !fields.isWord(bytes, end, 0x10)) return false;
    this.crc = fields.word;
    const dataBytes = fields.number(bytes, end, 0x1a);
    if (dataBytes < 0) return false;
    this.start = fields.at;
    this.end = fields.at + dataBytes;
    return this.end === end;
  }

  /** @returns the running checksum after this record. @throws {Malformed} when the record states another one */
  checked(running: number): number {
    if (this.type === recordTypes.crc) {
      // 0 is a reader that has seen nothing yet.
      if (running !== 0 && running !== this.crc) throw new Malformed(wrongChecksum(running, this.crc));
      return this.crc;
    }
    const sum = crc32cWord(running, this.bytes, this.start, this.end);
    if (sum !== this.crc) throw new Malformed(wrongChecksum(sum, this.crc));
    return sum;
  }

  /** Whether what can be seen of a record whose end is missing is one of `length` bytes. */
  agrees({ bytes, start, available }: FileWindow, length: number): boolean {
    const from = start + lengthBytes;
    const visible = Math.min(available - lengthBytes, length);
    const header = new RecordHeader(bytes, from, from + visible);
    return header.length === null || header.length === length;
  }
}

/** Type, checksum and the length of the data, of a record that may end anywhere. */
class RecordHeader {
  /** Length of the whole record as its own fields state it; null when they are not all there. */
  readonly length: number | null;

  constructor(bytes: Buffer, start: number, end: number) {
    let at = start;
    const varint = (): number | null => {
      let value = 0;
      for (let factor = 1; at < end && factor < 2 ** 63; factor *= 128) {
        const byte = bytes[at] as number;
        at += 1;
        value += (byte & 0x7f) * factor;
        if (byte < 0x80) return value;
      }
      return null;
    };
    for (;;) {
      const tag = varint();
      const value = tag === null ? null : varint();
      if (tag === null || value === null) {
        this.length = null;
        return;
      }
      if (tag === 0x1a) {
        this.length = at - start + value;
        return;
      }
      if (tag !== 0x08 && tag !== 0x10) {
        this.length = tag === 0 ? null : -1; // zeros never reached the disk; no record begins in another way
        return;
      }
    }
  }
}

/** As 32 bits with a sign. @throws {Malformed} */
function wordOf(checksum: number): number {
  if (checksum > 0xffffffff) throw new Malformed('it states a checksum of more than 32 bits');
  return checksum | 0;
}

function wrongChecksum(is: number, stated: number): string {
  return `the checksum does not match: it is ${hex(is)}, and ${hex(stated)} is stated`;
}

const hex = (value: number): string => (value >>> 0).toString(16).padStart(8, '0');
