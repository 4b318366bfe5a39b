/**
 * A page whose keys and values stay where they were received: one block of bytes, and where in it each begins and ends.
 *
 * Why: a string a key costs more than the rest of a diff. Here a merge join compares keys where they lie, and a key is made
 * a string, a value a view, when somebody asks for it. `records` has plain records, as every page has; those of `recordAt`
 * are getters over the page, and are changed by `changedRecord`, as spreading one gives nothing.
 */
import type { Key } from './key.ts';
import type { NotCarried, RecordPage, StoredRecord, Version } from './record.ts';

/** What a page is packed from. All offsets count from the start of `bytes`. */
export interface PackedRecords {
  readonly bytes: Uint8Array;
  readonly count: number;
  /** Four numbers a record: start and end of its key, start and end of its value. */
  readonly spans: Uint32Array;
  /** The bytes of a span as a key. */
  readonly keyOf: (start: number, end: number) => Key;
  readonly valueOf: (start: number, end: number) => Uint8Array;
  readonly versionOf: (index: number) => Version;
  readonly expiresAtMsOf: (index: number) => number | null;
  /** As `created` of a record; absent where the source says none of any. */
  readonly createdOf?: (index: number) => Version | undefined;
}

const fieldsPerRecord = 4;

export class PackedPage implements RecordPage {
  readonly packed: PackedRecords;
  readonly notCarried: readonly NotCarried[];
  /** Over all of `packed.bytes`. */
  readonly view: DataView;
  private all: readonly StoredRecord[] | null = null;

  constructor(packed: PackedRecords, notCarried: readonly NotCarried[] = []) {
    const { bytes } = packed;
    this.packed = packed;
    this.notCarried = notCarried;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get count(): number {
    return this.packed.count;
  }

  get records(): readonly StoredRecord[] {
    this.all ??= plainRecords(this.packed);
    return this.all;
  }

  /** One of `count`; each call makes another object. @param twin has the same key, and may have made it already */
  recordAt(index: number, twin: StoredRecord | null = null): StoredRecord {
    return new PackedRecord(this.packed, index, twin);
  }

  /** As `recordBytes` of one of them. */
  bytesAt(index: number): number {
    const { spans } = this.packed;
    const at = index * fieldsPerRecord;
    const keyBytes = (spans[at + 1] as number) - (spans[at] as number);
    return keyBytes + (spans[at + 3] as number) - (spans[at + 2] as number);
  }

  /** Whether none of them expires. */
  get isPermanent(): boolean {
    const { count, expiresAtMsOf } = this.packed;
    for (let index = 0; index < count; index += 1) if (expiresAtMsOf(index) !== null) return false;
    return true;
  }

  /** Whether both records stay for ever and have the same value: nothing is made of either. */
  samePermanentValue(index: number, other: PackedPage, otherIndex: number): boolean {
    const { spans, expiresAtMsOf } = this.packed;
    const { spans: otherSpans, expiresAtMsOf: otherExpiresAtMsOf } = other.packed;
    const at = index * fieldsPerRecord + 2;
    const otherAt = otherIndex * fieldsPerRecord + 2;
    const start = spans[at] as number;
    const otherStart = otherSpans[otherAt] as number;
    const length = (spans[at + 1] as number) - start;
    if (length !== (otherSpans[otherAt + 1] as number) - otherStart) return false;
    if (expiresAtMsOf(index) !== null || otherExpiresAtMsOf(otherIndex) !== null) return false;
    return sameBytes(this.view, start, other.view, otherStart, length);
  }

  /** The first index whose key is not above the one before it; null when all are in order. */
  firstOutOfOrder(): number | null {
    const { view, packed } = this;
    const { spans, count } = packed;
    for (let index = 1, at = fieldsPerRecord; index < count; index += 1, at += fieldsPerRecord) {
      const before = at - fieldsPerRecord;
      const order = compareSpans(
        view,
        spans[before] as number,
        spans[before + 1] as number,
        view,
        spans[at] as number,
        spans[at + 1] as number,
      );
      if (order >= 0) return index;
    }
    return null;
  }

  /**
   * Below zero, zero, above zero: as the key at `index` is before, the same as, behind that of `other`; both from behind a
   * prefix of so many bytes, which they must have.
   */
  compareKeys(index: number, prefix: number, other: PackedPage, otherIndex: number, otherPrefix: number): number {
    const { spans } = this.packed;
    const { spans: otherSpans } = other.packed;
    const at = index * fieldsPerRecord;
    const otherAt = otherIndex * fieldsPerRecord;
    return compareSpans(
      this.view,
      (spans[at] as number) + prefix,
      spans[at + 1] as number,
      other.view,
      (otherSpans[otherAt] as number) + otherPrefix,
      otherSpans[otherAt + 1] as number,
    );
  }

  /** How many keys from `index` on are the same as those of `other` from `otherIndex` on; prefixes as for `compareKeys`. */
  matchingKeys(index: number, prefix: number, other: PackedPage, otherIndex: number, otherPrefix: number): number {
    const { view, packed } = this;
    const { view: otherView, packed: otherPacked } = other;
    const { spans } = packed;
    const { spans: otherSpans } = otherPacked;
    const max = Math.min(this.count - index, other.count - otherIndex);
    let at = index * fieldsPerRecord;
    let otherAt = otherIndex * fieldsPerRecord;
    for (let matching = 0; matching < max; matching += 1) {
      const start = (spans[at] as number) + prefix;
      const otherStart = (otherSpans[otherAt] as number) + otherPrefix;
      const length = (spans[at + 1] as number) - start;
      if (length !== (otherSpans[otherAt + 1] as number) - otherStart) return matching;
      if (!sameBytes(view, start, otherView, otherStart, length)) return matching;
      at += fieldsPerRecord;
      otherAt += fieldsPerRecord;
    }
    return max;
  }
}

/** How many records a page has, without making them. */
export function recordCount(page: RecordPage): number {
  return page instanceof PackedPage ? page.count : page.records.length;
}

/** The greatest key of a page's records, without making the others; null when it has none. */
export function lastKey(page: RecordPage): Key | null {
  const last = recordCount(page) - 1;
  if (last < 0) return null;
  return (page instanceof PackedPage ? page.recordAt(last) : (page.records[last] as StoredRecord)).key;
}

/** Four bytes at a time; the last four may overlap those before them. */
function sameBytes(a: DataView, aStart: number, b: DataView, bStart: number, length: number): boolean {
  if (length < 4) {
    for (let i = 0; i < length; i += 1) if (a.getUint8(aStart + i) !== b.getUint8(bStart + i)) return false;
    return true;
  }
  const last = length - 4;
  for (let i = 0; i < last; i += 4) if (a.getInt32(aStart + i) !== b.getInt32(bStart + i)) return false;
  return a.getInt32(aStart + last) === b.getInt32(bStart + last);
}

/** Four bytes at a time: big-endian words are in the order of their bytes. */
function compareSpans(a: DataView, aStart: number, aEnd: number, b: DataView, bStart: number, bEnd: number): number {
  const aLength = aEnd - aStart;
  const bLength = bEnd - bStart;
  const length = aLength < bLength ? aLength : bLength;
  let i = 0;
  for (; i + 4 <= length; i += 4) {
    const order = a.getUint32(aStart + i) - b.getUint32(bStart + i);
    if (order !== 0) return order;
  }
  for (; i < length; i += 1) {
    const order = a.getUint8(aStart + i) - b.getUint8(bStart + i);
    if (order !== 0) return order;
  }
  return aLength - bLength;
}

function plainRecords({
  count,
  spans,
  keyOf,
  valueOf,
  versionOf,
  expiresAtMsOf,
  createdOf,
}: PackedRecords): readonly StoredRecord[] {
  const records: StoredRecord[] = [];
  for (let index = 0; index < count; index += 1) {
    const at = index * fieldsPerRecord;
    records.push({
      key: keyOf(spans[at] as number, spans[at + 1] as number),
      value: valueOf(spans[at + 2] as number, spans[at + 3] as number),
      version: versionOf(index),
      expiresAtMs: expiresAtMsOf(index),
      ...(createdOf === undefined ? {} : { created: createdOf(index) }),
    });
  }
  return records;
}

class PackedRecord implements StoredRecord {
  private readonly packed: PackedRecords;
  private readonly index: number;
  private readonly twin: StoredRecord | null;
  private madeKey: Key | null = null;
  private madeValue: Uint8Array | null = null;

  constructor(packed: PackedRecords, index: number, twin: StoredRecord | null) {
    this.packed = packed;
    this.index = index;
    this.twin = twin;
  }

  get key(): Key {
    if (this.madeKey !== null) return this.madeKey;
    if (this.twin !== null) return this.twin.key;
    const { spans, keyOf } = this.packed;
    const at = this.index * fieldsPerRecord;
    return (this.madeKey = keyOf(spans[at] as number, spans[at + 1] as number));
  }

  get value(): Uint8Array {
    if (this.madeValue !== null) return this.madeValue;
    const { spans, valueOf } = this.packed;
    const at = this.index * fieldsPerRecord;
    return (this.madeValue = valueOf(spans[at + 2] as number, spans[at + 3] as number));
  }

  get version(): Version {
    return this.packed.versionOf(this.index);
  }

  get expiresAtMs(): number | null {
    return this.packed.expiresAtMsOf(this.index);
  }

  get created(): Version | undefined {
    return this.packed.createdOf?.(this.index);
  }
}
