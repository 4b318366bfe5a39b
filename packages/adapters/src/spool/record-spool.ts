/**
 * Spool: a sorted scratch of records on disk, for sources that answer only once or in another order.
 *
 *     filling ──add, addNotCarried──► filling ──seal──► sealed ──scan, as often as wanted──► closed
 *
 * An etcd v2 tree comes in sibling order (`a-b` before `a/b`) and a file in any; merging needs byte order, and a plan
 * scans its source more than once. Kept in memory, ten million keys would not fit; asked again, the source would have
 * moved. So everything goes once into a sort (entry-sort.ts), and what that leaves is read in pages, whose keys and values
 * stay where they lie. Memory is one run of the sort while it fills, and then a page.
 */
import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import {
  invariant,
  PackedPage,
  type Key,
  type KeyRange,
  type NotCarried,
  type NotCarriedReason,
  type RecordPage,
  type ScanOptions,
  type Scratch,
  type Spool,
  type StoredRecord,
  type Version,
} from '@keyferry/core';
import { byteString, writeByteString } from '../bytes.ts';
import {
  createdLengthAt,
  entryBytesAt,
  expiresAtMsAt,
  headBytes,
  keyLengthAt,
  kindAt,
  kinds,
  textLengthAt,
  valueLengthAt,
  type Kind,
} from './entry.ts';
import { EntrySort, sortLimits, type SortLimits } from './entry-sort.ts';
import { OnePerKey, type TakeRepeat } from './one-per-key.ts';
import { keyAt, type EntryBytes, type SortedEntries } from './sorted-entries.ts';

/** Bytes after which a page ends early: a page of a thousand values of 1 MiB would not be flat. */
const pageBytesMax = 4 * 1024 * 1024;
/** Read at once at least: a scan that begins in the middle passes over what lies before it. */
const readBytesMin = 64 * 1024;
const noBytes = new Uint8Array(0);

/** What may be said of an entry beside its key and kind. */
interface Content {
  readonly value?: Uint8Array;
  readonly text?: string;
  readonly created?: string | undefined;
  readonly expiresAtMs?: number | null;
}

export class RecordSpool implements Spool {
  private readonly sort: EntrySort;
  private sorted: SortedEntries | null = null;
  private state: 'filling' | 'sealed' | 'closed' = 'filling';
  private count = 0;

  constructor(limits: SortLimits = sortLimits) {
    this.sort = new EntrySort(limits);
  }

  /** @param place where it was found, for `seal`; a whole number of 48 bits at most */
  add({ key, value, version, expiresAtMs, created }: StoredRecord, place = 0): void {
    this.put(kinds.record, key, place, { value, text: version, created, expiresAtMs });
  }

  addNotCarried(entry: NotCarried, place = 0): void {
    this.putNotCarried(kinds.notCarried, entry, place);
  }

  /** One whose key may be another's, as nobody can read it: it then takes the next key that is free. */
  addBeside(entry: NotCarried): void {
    this.putNotCarried(kinds.beside, entry, 0);
  }

  /** Keeps the place of a key that nothing is at: later entries with it are not kept, and no scan shows it. */
  addNothing(key: Key): void {
    this.put(kinds.nothing, key, 0, {});
  }

  /** @throws {KeyferryError} `scratch.unusable` */
  async seal(repeated: TakeRepeat = () => undefined): Promise<void> {
    invariant(this.state === 'filling', 'a spool is sealed once');
    this.state = 'sealed';
    this.sorted = await this.sort.sorted(new OnePerKey(repeated));
  }

  /**
   * Entries of `range` in ascending byte order. Entries not carried take part like records do, so that adjoining
   * ranges report each exactly once, and a page covers all between its first and its last key.
   */
  async *scan(range: KeyRange, { pageKeysMax }: ScanOptions): AsyncGenerator<RecordPage, void, undefined> {
    const sorted = this.readable();
    const within = new Within(range, sorted);
    const usual = Math.ceil((sorted.length / Math.max(this.count, 1)) * (pageKeysMax + 1));
    const readBytes = Math.min(pageBytesMax, Math.max(readBytesMin, usual));
    let wanted = readBytes;
    for (let at = sorted.placeBefore(range.start); at < sorted.length && !within.isPast;) {
      // One synchronous read a page: nothing is open while the consumer works or another scan runs.
      const bytes = this.readable().read(at, wanted);
      const page = new PageCutter(bytes, at, pageKeysMax);
      const read = page.cut(within);
      at += read;
      wanted = read > 0 ? readBytes : page.bytesWanted;
      if (page.count === 0) continue;
      // Without a turn of the loop a pair of embedded stores would starve signals and leases.
      await turnOfTheLoop();
      yield page.page();
    }
  }

  /** Removes everything. Safe to repeat. */
  close(): void {
    if (this.state === 'closed') return;
    this.state = 'closed';
    this.sort.close();
    this.sorted?.close();
  }

  private readable(): SortedEntries {
    invariant(this.state === 'sealed' && this.sorted !== null, 'a spool is read only between sealing and closing');
    return this.sorted;
  }

  /** Its reason lies where a value would, and its detail where a version would. */
  private putNotCarried(kind: Kind, { key, reason, detail }: NotCarried, place: number): void {
    const value = Buffer.from(reason, 'latin1');
    this.put(kind, key, place, { value, ...(detail !== undefined && { text: detail, created: '' }) });
  }

  private put(kind: Kind, key: Key, place: number, content: Content): void {
    invariant(this.state === 'filling', 'a sealed spool takes no more entries');
    const { value = noBytes, text = '', created, expiresAtMs = null } = content;
    const [textLength, createdLength] = [utf8Length(text), created === undefined ? null : utf8Length(created)];
    const { sort } = this;
    const head = {
      keyLength: key.length,
      valueLength: value.length,
      textLength,
      createdLength,
      expiresAtMs,
      place,
      kind,
    };
    let at = sort.reserve(head);
    const { bytes } = sort.filling;
    at = writeByteString(key, bytes, at);
    bytes.set(value, at);
    at = writeText(text, textLength, bytes, at + value.length);
    if (created !== undefined && createdLength !== null) writeText(created, createdLength, bytes, at);
    sort.took();
    this.count += 1;
  }
}

/** Spools on the disk of this machine. */
export const diskScratch: Scratch = { openSpool: () => new RecordSpool() };

/** Where a scan is in its range. */
class Within {
  /** An entry behind the range has come. */
  isPast = false;
  private isBefore: boolean;
  private readonly start: Key;
  private readonly end: Key | null;
  /** Up to here nothing is behind the range: most keys need not be looked at. */
  private readonly insideUntil: number;

  constructor({ start, end }: KeyRange, sorted: SortedEntries) {
    this.start = start;
    this.end = end;
    this.isBefore = start !== '';
    this.insideUntil = end === null ? sorted.length : sorted.placeBefore(end);
  }

  /** Of entries in their order. @param place where in all that is sorted it lies */
  holds({ bytes, view }: EntryBytes, at: number, place: number): boolean {
    if (this.isBefore) this.isBefore = keyAt(bytes, view, at) < this.start;
    if (this.isBefore) return false;
    if (this.end !== null && place >= this.insideUntil) this.isPast = keyAt(bytes, view, at) >= this.end;
    return !this.isPast;
  }
}

/** Makes a page of the entries that some bytes begin with. */
class PageCutter implements EntryBytes {
  readonly bytes: Buffer;
  readonly view: DataView;
  /** Entries of the page, and what keeps a place and is not there. */
  count = 0;
  /** To be read instead, when not even one entry is whole. */
  bytesWanted = headBytes;
  private readonly from: number;
  private readonly pageKeysMax: number;
  private readonly spans: Uint32Array;
  private readonly notCarried: NotCarried[] = [];
  private records = 0;
  private saysCreated = false;

  /** @param from where in all that is sorted they lie */
  constructor(bytes: Buffer, from: number, pageKeysMax: number) {
    this.bytes = bytes;
    this.from = from;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.pageKeysMax = pageKeysMax;
    this.spans = new Uint32Array(4 * Math.min(pageKeysMax, Math.ceil(bytes.length / headBytes)));
  }

  /** @returns how many bytes are done with: whole entries of the page, and those before its range */
  cut(within: Within): number {
    const { bytes, view } = this;
    let at = 0;
    while (this.count < this.pageKeysMax && at + headBytes <= bytes.length) {
      const length = entryBytesAt(view, at);
      this.bytesWanted = length;
      if (at + length > bytes.length) break;
      if (within.holds(this, at, this.from + at)) this.take(at);
      if (within.isPast) break;
      at += length;
    }
    return at;
  }

  page(): RecordPage {
    const { bytes, view, spans, notCarried, saysCreated } = this;
    const headOf = (index: number): number => (spans[4 * index] as number) - headBytes;
    const endOf = (index: number): number => spans[4 * index + 3] as number;
    return new PackedPage(
      {
        bytes,
        spans,
        count: this.records,
        keyOf: (start, end) => byteString(bytes, start, end) as Key,
        valueOf: (start, end) => bytes.subarray(start, end),
        versionOf: (index) => textOf(bytes, endOf(index), textLengthAt(view, headOf(index))) as Version,
        expiresAtMsOf: (index) => expiresAtMsAt(view, headOf(index)),
        ...(saysCreated && { createdOf: (index: number) => this.createdOf(headOf(index), endOf(index)) }),
      },
      notCarried,
    );
  }

  private take(at: number): void {
    const { view } = this;
    const kind = kindAt(view, at);
    this.count += 1;
    if (kind === kinds.nothing) return;
    if (kind !== kinds.record) {
      this.notCarried.push(this.notCarriedAt(at));
      return;
    }
    const key = at + headBytes;
    const value = key + keyLengthAt(view, at);
    const { spans } = this;
    const span = 4 * this.records;
    spans[span] = key;
    spans[span + 1] = value;
    spans[span + 2] = value;
    spans[span + 3] = value + valueLengthAt(view, at);
    this.saysCreated ||= createdLengthAt(view, at) !== null;
    this.records += 1;
  }

  private createdOf(head: number, text: number): Version | undefined {
    const length = createdLengthAt(this.view, head);
    return length === null ? undefined : (textOf(this.bytes, text + textLengthAt(this.view, head), length) as Version);
  }

  private notCarriedAt(at: number): NotCarried {
    const { bytes, view } = this;
    const value = at + headBytes + keyLengthAt(view, at);
    const text = value + valueLengthAt(view, at);
    const reason = byteString(bytes, value, text) as NotCarriedReason;
    const isDetailed = createdLengthAt(view, at) !== null;
    return {
      key: keyAt(bytes, view, at),
      reason,
      ...(isDetailed && { detail: textOf(bytes, text, textLengthAt(view, at)) }),
    };
  }
}

/** Versions are short and of ASCII, and a call into Node costs more than a look at them. */
const fewUnits = 64;

function utf8Length(text: string): number {
  const { length } = text;
  if (length > fewUnits) return Buffer.byteLength(text);
  for (let i = 0; i < length; i += 1) if (text.charCodeAt(i) > 0x7f) return Buffer.byteLength(text);
  return length;
}

/** @returns where it ends */
function writeText(text: string, length: number, into: Buffer, at: number): number {
  if (length === text.length) return writeByteString(text, into, at);
  into.write(text, at, 'utf8');
  return at + length;
}

function textOf(bytes: Buffer, start: number, length: number): string {
  return bytes.toString('utf8', start, start + length);
}
