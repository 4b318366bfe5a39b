/**
 * Gathers a page of records as bytes, key and value of each one behind the other: for stores that hold their records as bytes
 * themselves. Half a dozen objects a record, which nobody looks at, would be most of what such a store costs.
 */
import { PackedPage, type Key, type NotCarried, type RecordPage, type Version } from '@keyferry/core';
import { byteString } from './bytes.ts';

const bytesMin = 4096;

export interface PackedAs {
  readonly version: number;
  /** Only where the source says so, and then of each. */
  readonly created?: number;
  readonly expiresAtMs: number | null;
}

export class RecordPacker {
  count = 0;
  /** Of keys and values. */
  size = 0;
  /** What `reserve` speaks of; another one after each call. */
  bytes: Buffer;
  private spans: Uint32Array;
  private versions: number[] = [];
  private created: number[] = [];
  /** Null while there is none. */
  private expiries: (number | null)[] | null = null;

  /** @param like how large a page of it was: the next one will be much the same */
  constructor(like: RecordPacker | null = null) {
    this.bytes = Buffer.allocUnsafeSlow(Math.max(bytesMin, like === null ? 0 : Math.ceil(like.size * 1.1)));
    this.spans = new Uint32Array(like === null ? 256 : Math.max(256, 4 * like.count));
  }

  /** Room for the next record, to be filled before the next call: key first, then value. @returns where the key begins */
  reserve(keyLength: number, valueLength: number, { version, created, expiresAtMs }: PackedAs): number {
    const start = this.size;
    const end = start + keyLength + valueLength;
    if (end > this.bytes.length) this.grow(end);
    const at = 4 * this.count;
    if (at === this.spans.length) {
      const spans = new Uint32Array(2 * at);
      spans.set(this.spans);
      this.spans = spans;
    }
    this.spans[at] = start;
    this.spans[at + 1] = start + keyLength;
    this.spans[at + 2] = start + keyLength;
    this.spans[at + 3] = end;
    this.versions.push(version);
    if (created !== undefined) this.created.push(created);
    if (expiresAtMs !== null) this.expiries ??= Array.from({ length: this.count }, () => null);
    this.expiries?.push(expiresAtMs);
    this.count += 1;
    this.size = end;
    return start;
  }

  /** What was gathered. The packer is done with it. */
  page(notCarried: readonly NotCarried[] = []): PackedPage {
    const { bytes, spans, count, versions, created, expiries } = this;
    return new PackedPage(
      {
        bytes,
        spans,
        count,
        keyOf: (start, end) => byteString(bytes, start, end) as Key,
        valueOf: (start, end) => bytes.subarray(start, end),
        versionOf: (index) => String(versions[index]) as Version,
        expiresAtMsOf: expiries === null ? never : (index) => expiries[index] ?? null,
        ...(created.length === 0 ? {} : { createdOf: (index: number) => String(created[index]) as Version }),
      },
      notCarried,
    );
  }

  private grow(size: number): void {
    const bytes = Buffer.allocUnsafeSlow(Math.max(size, 2 * this.bytes.length));
    this.bytes.copy(bytes, 0, 0, this.size);
    this.bytes = bytes;
  }
}

const never = (): null => null;

/** A page as one whose records lie packed, for who wants their bytes and no versions. */
export function packedPage(page: RecordPage): PackedPage {
  if (page instanceof PackedPage) return page;
  const packer = new RecordPacker();
  for (const { key, value, expiresAtMs } of page.records) {
    const at = packer.reserve(key.length, value.length, { version: 0, expiresAtMs });
    packer.bytes.write(key, at, 'latin1');
    packer.bytes.set(value, at + key.length);
  }
  return packer.page(page.notCarried);
}
