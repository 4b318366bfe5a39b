/**
 * Reads bbolt files, whoever wrote them: the entries of a bucket in the order of their keys, or backwards.
 *
 * Nothing in the file is trusted: ids, counts, positions and the order of keys are checked before they are used, and no
 * page is visited more often than the file has pages, so that a damaged file ends in `BoltDamage` and never in a loop,
 * in bytes of another page or in keys out of order. A value that was changed in its place cannot be seen from here: who
 * needs that has a checksum over the file, as etcd's snapshots do.
 */
import { compareBytes } from './compare-bytes.ts';
import { bucketElementFlag, bucketHeaderBytes, elementBytes, pageFlags, pageHeaderBytes, readMeta } from './format.ts';
import type { Meta } from './format.ts';
import { PageReader, type ByteSource } from './page-reader.ts';

/** The file is not one that bbolt writes. The caller says which file. */
export class BoltDamage extends Error {
  /** Of the page or field that is wrong, in bytes from the start of the file. */
  readonly offset: number;

  constructor(offset: number, detail: string) {
    super(detail);
    this.offset = offset;
  }
}

/** Where a bucket's entries are. */
export type Bucket =
  | { readonly kind: 'page'; readonly page: number }
  /** In a leaf page inside of the bucket's value, at this offset in the file. */
  | { readonly kind: 'inline'; readonly offset: number; readonly length: number };

export type Direction = 'forwards' | 'backwards';

/** Deeper than any tree that fits a disk: four levels of branches hold a thousand million entries. */
const depthMax = 32;

export class BoltReader {
  readonly meta: Meta;
  private readonly pages: PageReader;

  private constructor(pages: PageReader, meta: Meta) {
    this.pages = pages;
    this.meta = meta;
  }

  /** @throws {BoltDamage} */
  static open(source: ByteSource): BoltReader {
    const pages = new PageReader(source);
    const meta = newestMeta(pages);
    if (meta.highWater * meta.pageBytes > source.size) {
      throw new BoltDamage(0, `it says that it has ${meta.highWater} pages, and ends before`);
    }
    return new BoltReader(pages, meta);
  }

  /** Buckets by their names, as byte strings. @throws {BoltDamage} */
  buckets(): ReadonlyMap<string, Bucket> {
    const found = new Map<string, Bucket>();
    for (const leaf of this.leaves({ kind: 'page', page: this.meta.root }, 'forwards')) {
      for (let i = 0; i < leaf.count; i += 1) {
        const entry = leaf.entry(i);
        if (!entry.isBucket) throw new BoltDamage(leaf.offset, 'it has an entry beside its buckets');
        found.set(entry.bytes.toString('latin1', entry.keyStart, entry.keyEnd), bucketOf(leaf, entry));
      }
    }
    return found;
  }

  /**
   * Leaf pages of a bucket, one object filled again and again: good until the next one. Within a leaf, entries are always
   * ascending; `backwards` gives the last leaf first.
   * @throws {BoltDamage}
   */
  *leaves(bucket: Bucket, direction: Direction): Generator<Leaf, void, undefined> {
    const leaf = new Leaf();
    if (bucket.kind === 'inline') {
      const at = this.pages.at(bucket.offset, bucket.length);
      if (at === null) throw new BoltDamage(bucket.offset, 'a bucket goes past its end');
      leaf.read({ bytes: this.pages.bytes, at, length: bucket.length, offset: bucket.offset, id: 0 });
      yield leaf;
      return;
    }
    const order = new OrderCheck(direction);
    // A path through the branches: for each the children that are still to come, the next one last.
    const path: number[][] = [[bucket.page]];
    for (let visits = 0; path.length > 0;) {
      const children = path.at(-1) as number[];
      const id = children.pop();
      if (id === undefined) {
        path.pop();
        continue;
      }
      visits += 1;
      if (visits > this.meta.highWater || path.length > depthMax) {
        throw new BoltDamage(id * this.meta.pageBytes, `page ${id} is reached a second time`);
      }
      const page = this.page(id);
      if (page.flags === pageFlags.branch) {
        const ids = childrenOf(page);
        path.push(direction === 'forwards' ? ids.toReversed() : ids);
        continue;
      }
      if (page.flags !== pageFlags.leaf) throw new BoltDamage(page.offset, `page ${id} is neither a branch nor a leaf`);
      leaf.read(page);
      order.check(leaf);
      yield leaf;
    }
  }

  /** One leaf page that `leaves` came by, once more. @throws {BoltDamage} */
  leafAt(id: number): Leaf {
    const page = this.page(id);
    if (page.flags !== pageFlags.leaf) throw new BoltDamage(page.offset, `page ${id} is no leaf`);
    const leaf = new Leaf();
    leaf.read(page);
    return leaf;
  }

  private page(id: number): RawPage & { readonly flags: number } {
    const { pageBytes, highWater } = this.meta;
    const offset = id * pageBytes;
    if (!(id > 1 && id < highWater)) throw new BoltDamage(0, `there is no page ${id}`);
    let at = this.pages.at(offset, pageBytes);
    if (at === null) throw new BoltDamage(offset, 'it ends within a page');
    const stated = Number(this.pages.bytes.readBigUInt64LE(at));
    if (stated !== id) throw new BoltDamage(offset, `page ${id} says that it is page ${stated}`);
    const flags = this.pages.bytes.readUInt16LE(at + 8);
    const overflow = this.pages.bytes.readUInt32LE(at + 12);
    if (id + overflow >= highWater) throw new BoltDamage(offset, `page ${id} goes past the end of the file`);
    const length = (1 + overflow) * pageBytes;
    if (overflow > 0) at = this.pages.at(offset, length);
    if (at === null) throw new BoltDamage(offset, 'it ends within a page');
    return { bytes: this.pages.bytes, at, length, offset, id, flags };
  }
}

/** A page and the pages that it goes over, as they lie in the window. */
interface RawPage {
  readonly bytes: Buffer;
  readonly at: number;
  readonly length: number;
  /** In the file. */
  readonly offset: number;
  readonly id: number;
}

/** An entry of a leaf: where in `bytes` its key begins, where its value begins, where that ends. */
export interface LeafEntry {
  readonly bytes: Buffer;
  readonly isBucket: boolean;
  readonly keyStart: number;
  readonly keyEnd: number;
  readonly valueEnd: number;
}

export class Leaf implements LeafEntry {
  id = 0;
  /** Of the page, in the file. */
  offset = 0;
  count = 0;
  bytes: Buffer = Buffer.alloc(0);
  isBucket = false;
  keyStart = 0;
  keyEnd = 0;
  valueEnd = 0;
  private at = 0;
  private end = 0;

  /** Checks all entries. @throws {BoltDamage} */
  read({ bytes, at, length, offset, id }: RawPage): void {
    this.bytes = bytes;
    this.at = at;
    this.end = at + length;
    this.offset = offset;
    this.id = id;
    if (length < pageHeaderBytes) throw new BoltDamage(offset, 'a page is shorter than its header');
    this.count = bytes.readUInt16LE(at + 10);
    const data = at + pageHeaderBytes + this.count * elementBytes;
    if (data > this.end) throw new BoltDamage(offset, `page ${id} has no room for ${this.count} entries`);
    let lastStart = -1;
    let lastEnd = -1;
    for (let i = 0; i < this.count; i += 1) {
      const { keyStart, keyEnd, valueEnd } = this.entry(i);
      if (keyStart < data || valueEnd > this.end) throw new BoltDamage(offset, `entry ${i} of page ${id} lies outside`);
      if (lastStart >= 0 && compareBytes(bytes, lastStart, lastEnd, bytes, keyStart, keyEnd) >= 0) {
        throw new BoltDamage(offset, `the keys of page ${id} do not ascend`);
      }
      lastStart = keyStart;
      lastEnd = keyEnd;
    }
  }

  /** @param i 0 to `count` - 1. The leaf itself, which shows that entry until the next call. */
  entry(i: number): LeafEntry {
    const { bytes } = this;
    const element = this.at + pageHeaderBytes + i * elementBytes;
    this.isBucket = (read32(bytes, element) & bucketElementFlag) !== 0;
    this.keyStart = element + read32(bytes, element + 4);
    this.keyEnd = this.keyStart + read32(bytes, element + 8);
    this.valueEnd = this.keyEnd + read32(bytes, element + 12);
    return this;
  }

  /** Where in the file something in `bytes` is. */
  offsetOf(at: number): number {
    return this.offset + (at - this.at);
  }
}

/** Keys ascend from leaf to leaf too, or descend when those come backwards. */
class OrderCheck {
  private readonly direction: Direction;
  private edge: Buffer | null = null;

  constructor(direction: Direction) {
    this.direction = direction;
  }

  check(leaf: Leaf): void {
    if (leaf.count === 0) return;
    const forwards = this.direction === 'forwards';
    const near = leaf.entry(forwards ? 0 : leaf.count - 1);
    if (this.edge !== null) {
      const compared = leaf.bytes.compare(this.edge, 0, this.edge.length, near.keyStart, near.keyEnd);
      if (forwards ? compared <= 0 : compared >= 0)
        throw new BoltDamage(leaf.offset, 'the keys of pages do not ascend');
    }
    const far = leaf.entry(forwards ? leaf.count - 1 : 0);
    this.edge = Buffer.from(leaf.bytes.subarray(far.keyStart, far.keyEnd));
  }
}

function childrenOf({ bytes, at, length, offset, id }: RawPage): number[] {
  const count = bytes.readUInt16LE(at + 10);
  if (count === 0 || pageHeaderBytes + count * elementBytes > length) {
    throw new BoltDamage(offset, `page ${id} has no room for ${count} children`);
  }
  return Array.from({ length: count }, (_, i) =>
    Number(bytes.readBigUInt64LE(at + pageHeaderBytes + i * elementBytes + 8)),
  );
}

function bucketOf(leaf: Leaf, { bytes, keyEnd, valueEnd }: LeafEntry): Bucket {
  if (valueEnd - keyEnd < bucketHeaderBytes) throw new BoltDamage(leaf.offset, 'a bucket is shorter than its header');
  const page = Number(bytes.readBigUInt64LE(keyEnd));
  if (page !== 0) return { kind: 'page', page };
  const start = keyEnd + bucketHeaderBytes;
  return { kind: 'inline', offset: leaf.offsetOf(start), length: valueEnd - start };
}

/** Of two metas the newest that is whole. Where the second one is depends on the page size, which the first one may lack. */
function newestMeta(pages: PageReader): Meta {
  const read = (offset: number): Meta | string => {
    const at = pages.at(offset + pageHeaderBytes, 64);
    return at === null ? 'it is cut off' : readMeta(pages.bytes, at);
  };
  const first = read(0);
  if (typeof first !== 'string') {
    const second = read(first.pageBytes);
    return typeof second !== 'string' && second.transaction > first.transaction ? second : first;
  }
  for (let pageBytes = 512; pageBytes <= 65_536; pageBytes *= 2) {
    const second = read(pageBytes);
    if (typeof second !== 'string' && second.pageBytes === pageBytes) return second;
  }
  throw new BoltDamage(0, `it has no whole meta page: ${first}`);
}

function read32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)) >>>
    0
  );
}
