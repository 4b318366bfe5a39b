/**
 * Writes a bbolt file from sorted entries in one pass, as B+trees that are full from the start.
 *
 *     entries ──► leaf page, full ──► sink        its first key and id ──► branch page, full ──► sink        … ──► root
 *
 * Pages go out in the order of their ids and are never looked at again, so memory is one page a level, whatever the
 * number of entries. A bucket is written whole before the next one begins. What cannot be known before the end, where
 * the root is and how many pages there are, stands in the first two pages: the caller writes them last.
 *
 * The same entries give the same bytes: what a page does not use is zeros.
 */
import { invariant } from '@keyferry/core';
import {
  bucketElementFlag,
  bucketHeaderBytes,
  elementBytes,
  firstPage,
  pageFlags,
  pageHeaderBytes,
  writeMeta,
  writtenPageBytes,
  type Meta,
} from './format.ts';

/** Takes the pages from `firstPage` on, in order; `bytes` is good until it returns. */
export interface PageSink {
  write(bytes: Buffer): void;
}

/** What goes out at once. */
const outBytes = 1024 * 1024;
/** bbolt keeps a bucket of up to a quarter page in its parent. */
const inlineBytesMax = writtenPageBytes / 4;
const elementsMax = Math.floor((writtenPageBytes - pageHeaderBytes) / elementBytes);

export class BoltWriter {
  private readonly pages: PageStream;
  private readonly roots = new Map<string, Buffer>();
  private open: BucketWriter | null = null;

  constructor(sink: PageSink) {
    this.pages = new PageStream(sink);
  }

  /** A bucket of the file's own bucket of buckets. The one before must have ended. */
  bucket(name: string): BucketWriter {
    invariant(this.open === null, 'a bucket is written whole before the next one');
    invariant(!this.roots.has(name), `bucket ${name} is written twice`);
    this.open = new BucketWriter(this.pages, (value) => {
      this.roots.set(name, value);
      this.open = null;
    });
    return this.open;
  }

  /** Writes the root and hands over what is left. The first two pages then hold the meta: `metaPages`. */
  finish(): Meta {
    invariant(this.open === null, 'a bucket has not ended');
    const names = [...this.roots].map(([name, value]) => ({ name: Buffer.from(name, 'latin1'), value }));
    const tree = new TreeWriter(this.pages, bucketElementFlag);
    for (const { name, value } of names.toSorted((a, b) => Buffer.compare(a.name, b.name))) {
      const at = tree.reserve(name.length, value.length);
      tree.data.set(name, at);
      tree.data.set(value, at + name.length);
    }
    const root = tree.finish();
    this.pages.flush();
    return { pageBytes: writtenPageBytes, root, highWater: this.pages.next, transaction: 1 };
  }
}

/** Both metas, for the start of the file. bbolt takes the newest that is whole, so each is as good as the other. */
export function metaPages(meta: Meta): Buffer {
  const bytes = Buffer.alloc(firstPage * meta.pageBytes);
  for (let page = 0; page < firstPage; page += 1) {
    const at = page * meta.pageBytes;
    writePageHeader(bytes, at, { id: page, flags: pageFlags.meta, count: 0, overflow: 0 });
    writeMeta(bytes, at + pageHeaderBytes, { ...meta, transaction: page });
  }
  return bytes;
}

export class BucketWriter {
  private readonly tree: TreeWriter;
  private readonly onEnd: (value: Buffer) => void;
  private last: Buffer | null = null;

  constructor(pages: PageStream, onEnd: (value: Buffer) => void) {
    this.tree = new TreeWriter(pages, 0);
    this.onEnd = onEnd;
  }

  /** Keys strictly ascending by their bytes. */
  put(key: Uint8Array, value: Uint8Array): void {
    invariant(this.last === null || Buffer.compare(this.last, key) < 0, 'keys of a bucket ascend');
    this.last = Buffer.from(key);
    const at = this.reserve(key.length, value.length);
    this.data.set(key, at);
    this.data.set(value, at + key.length);
  }

  /**
   * Room for an entry, which the caller writes into `data` from the returned index on, key first, before the next call.
   * The caller keeps the order: for those who make keys that ascend by themselves.
   */
  reserve(keyBytes: number, valueBytes: number): number {
    return this.tree.reserve(keyBytes, valueBytes);
  }

  /** Another one after each `reserve`. */
  get data(): Buffer {
    return this.tree.data;
  }

  end(): void {
    const inline = this.tree.inlineIfSmall();
    const value = Buffer.alloc(bucketHeaderBytes + (inline?.length ?? 0));
    if (inline === null) writeId(value, 0, this.tree.finish());
    else value.set(inline, bucketHeaderBytes);
    this.onEnd(value);
  }
}

interface Child {
  readonly key: Buffer;
  readonly page: number;
}

/** A branch page that is being filled. */
class BranchPage {
  children: Child[] = [];
  bytes = pageHeaderBytes;
  /** One of this level is written already, so that this one cannot be the root alone. */
  hasSiblings = false;
}

/** One B+tree: leaf pages, and above them as many levels of branches as it takes. */
class TreeWriter {
  /** Keys and values of the leaf that is being filled, one behind the other. */
  data = Buffer.allocUnsafeSlow(2 * writtenPageBytes);
  private readonly pages: PageStream;
  private readonly elementFlags: number;
  private readonly keyBytes = new Int32Array(elementsMax);
  private readonly valueBytes = new Int32Array(elementsMax);
  private count = 0;
  private dataEnd = 0;
  private hasLeaves = false;
  private readonly levels: BranchPage[] = [];

  constructor(pages: PageStream, elementFlags: number) {
    this.pages = pages;
    this.elementFlags = elementFlags;
  }

  reserve(keyBytes: number, valueBytes: number): number {
    const bytes = keyBytes + valueBytes;
    if (this.count > 0 && this.leafBytes + elementBytes + bytes > writtenPageBytes) this.writeLeaf();
    const start = this.dataEnd;
    const end = start + bytes;
    if (end > this.data.length) {
      const grown = Buffer.allocUnsafeSlow(end);
      this.data.copy(grown, 0, 0, start);
      this.data = grown;
    }
    this.keyBytes[this.count] = keyBytes;
    this.valueBytes[this.count] = valueBytes;
    this.count += 1;
    this.dataEnd = end;
    return start;
  }

  /** The whole tree as one leaf of its parent; null when it is too large for that. */
  inlineIfSmall(): Buffer | null {
    if (this.hasLeaves || this.leafBytes > inlineBytesMax) return null;
    const bytes = Buffer.alloc(this.leafBytes);
    this.fillLeaf(bytes, 0, 0, 0);
    return bytes;
  }

  /** @returns the page of the root */
  finish(): number {
    if (this.count > 0 || !this.hasLeaves) this.writeLeaf();
    for (let level = 0; ; level += 1) {
      const branch = this.levels[level] as BranchPage;
      const [only] = branch.children;
      if (only !== undefined && branch.children.length === 1 && !branch.hasSiblings) return only.page;
      this.writeBranch(level);
    }
  }

  private get leafBytes(): number {
    return pageHeaderBytes + this.count * elementBytes + this.dataEnd;
  }

  private writeLeaf(): void {
    const overflow = Math.ceil(this.leafBytes / writtenPageBytes) - 1;
    const id = this.pages.next;
    const at = this.pages.reserve(1 + overflow);
    this.fillLeaf(this.pages.bytes, at, id, overflow);
    const key = Buffer.from(this.data.subarray(0, this.keyBytes[0]));
    this.hasLeaves = true;
    this.count = 0;
    this.dataEnd = 0;
    this.addChild(0, { key, page: id });
  }

  private fillLeaf(bytes: Buffer, at: number, id: number, overflow: number): void {
    const { count, keyBytes, valueBytes, elementFlags } = this;
    writePageHeader(bytes, at, { id, flags: pageFlags.leaf, count, overflow });
    let element = at + pageHeaderBytes;
    let key = element + count * elementBytes;
    for (let i = 0; i < count; i += 1) {
      const keyLength = keyBytes[i] as number;
      const valueLength = valueBytes[i] as number;
      write32(bytes, element, elementFlags);
      write32(bytes, element + 4, key - element);
      write32(bytes, element + 8, keyLength);
      write32(bytes, element + 12, valueLength);
      element += elementBytes;
      key += keyLength + valueLength;
    }
    this.data.copy(bytes, element, 0, this.dataEnd);
  }

  private addChild(level: number, child: Child): void {
    const branch = (this.levels[level] ??= new BranchPage());
    const bytes = elementBytes + child.key.length;
    if (branch.children.length > 1 && branch.bytes + bytes > writtenPageBytes) this.writeBranch(level);
    branch.children.push(child);
    branch.bytes += bytes;
  }

  private writeBranch(level: number): void {
    const branch = this.levels[level] as BranchPage;
    const { children } = branch;
    const overflow = Math.ceil(branch.bytes / writtenPageBytes) - 1;
    const id = this.pages.next;
    const at = this.pages.reserve(1 + overflow);
    const { bytes } = this.pages;
    writePageHeader(bytes, at, { id, flags: pageFlags.branch, count: children.length, overflow });
    let element = at + pageHeaderBytes;
    let keyAt = element + children.length * elementBytes;
    for (const { key, page } of children) {
      write32(bytes, element, keyAt - element);
      write32(bytes, element + 4, key.length);
      writeId(bytes, element + 8, page);
      key.copy(bytes, keyAt);
      element += elementBytes;
      keyAt += key.length;
    }
    const [first] = children as [Child];
    branch.children = [];
    branch.bytes = pageHeaderBytes;
    branch.hasSiblings = true;
    this.addChild(level + 1, { key: first.key, page: id });
  }
}

/** Pages in the order of their ids, gathered until they are worth a write. */
class PageStream {
  next = firstPage;
  bytes = Buffer.alloc(outBytes);
  private readonly sink: PageSink;
  private used = 0;

  constructor(sink: PageSink) {
    this.sink = sink;
  }

  /** Zeros for the next pages, to be filled before the next call; @returns where they begin in `bytes` */
  reserve(count: number): number {
    const size = count * writtenPageBytes;
    if (this.used + size > this.bytes.length) this.flush();
    if (size > this.bytes.length) this.bytes = Buffer.alloc(size);
    const at = this.used;
    this.bytes.fill(0, at, at + size);
    this.used += size;
    this.next += count;
    return at;
  }

  flush(): void {
    if (this.used > 0) this.sink.write(this.bytes.subarray(0, this.used));
    this.used = 0;
  }
}

interface PageHeader {
  readonly id: number;
  readonly flags: number;
  readonly count: number;
  readonly overflow: number;
}

function writePageHeader(bytes: Buffer, at: number, { id, flags, count, overflow }: PageHeader): void {
  writeId(bytes, at, id);
  bytes.writeUInt16LE(flags, at + 8);
  bytes.writeUInt16LE(count, at + 10);
  bytes.writeUInt32LE(overflow, at + 12);
}

function writeId(bytes: Buffer, at: number, id: number): void {
  write32(bytes, at, id);
  write32(bytes, at + 4, Math.floor(id / 2 ** 32));
}

/** Four stores cost a third of a call of writeUInt32LE, and there are sixteen an entry. */
function write32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}
