/**
 * A zip that somebody else may have written, read with suspicion: no entry twice, none encrypted, documents no larger than
 * they can sensibly be, sizes and checksums as stated. Entries are only ever read as streams, never unpacked to a path, so
 * their names can lead nowhere. What they have to be is judged by whoever opened it: a plan, or a registry's export.
 */
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { crc32 } from 'node:zlib';
import yauzl from 'yauzl';
import type { KeyferryError } from '@keyferry/core';

/** Of an entry that is read into memory as a whole. A plan's own document has some hundred KiB. */
const documentBytesMax = 64 * 1024 ** 2;

export interface ZipOptions {
  /** What to fail with when it is not what it should be. */
  readonly refuse: (why: string) => KeyferryError;
  /** Default true: a name with a backslash is refused. */
  readonly strictFileNames?: boolean;
}

export class ZipEntries {
  private readonly refuse: ZipOptions['refuse'];
  private readonly zip: yauzl.ZipFile;
  private readonly entries: ReadonlyMap<string, yauzl.Entry>;

  private constructor(refuse: ZipOptions['refuse'], zip: yauzl.ZipFile, entries: ReadonlyMap<string, yauzl.Entry>) {
    this.refuse = refuse;
    this.zip = zip;
    this.entries = entries;
  }

  /** @throws what `refuse` makes; an error of the filesystem or of the zip's own form as it is. */
  static async open(file: string, { refuse, strictFileNames = true }: ZipOptions): Promise<ZipEntries> {
    const zip = await yauzl.openPromise(file, { autoClose: false, lazyEntries: true, strictFileNames });
    const entries = new Map<string, yauzl.Entry>();
    try {
      for await (const entry of zip.eachEntry()) {
        if (entries.has(entry.fileName)) throw refuse(`${entry.fileName} is in it twice`);
        entries.set(entry.fileName, entry);
      }
    } catch (error) {
      zip.close();
      throw error;
    }
    return new ZipEntries(refuse, zip, entries);
  }

  get names(): readonly string[] {
    return [...this.entries.keys()];
  }

  /** What the zip states of an entry's bytes, for whoever streams it. */
  crc32Of(name: string): number {
    return this.entry(name).crc32;
  }

  has(name: string): boolean {
    return this.entries.has(name);
  }

  /** Bytes of an entry, unpacked, as the zip states them. */
  sizeOf(name: string): number {
    return this.entry(name).uncompressedSize;
  }

  async readDocument(name: string): Promise<Buffer> {
    const entry = this.entry(name);
    if (entry.uncompressedSize > documentBytesMax) throw this.refuse(`${name} is too large to be one`);
    const bytes = await buffer(await this.stream(name));
    if (crc32(bytes) !== entry.crc32) throw this.refuse(`${name} is damaged`);
    return bytes;
  }

  async stream(name: string): Promise<Readable> {
    return await this.zip.openReadStreamPromise(this.entry(name));
  }

  /** Streams that are still open end as they would have. */
  close(): void {
    this.zip.close();
  }

  private entry(name: string): yauzl.Entry {
    const entry = this.entries.get(name);
    if (entry === undefined) throw this.refuse(`${name} is missing`);
    return entry;
  }
}
