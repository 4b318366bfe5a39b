/**
 * The zip around a plan, read with suspicion: no entry twice, none encrypted, documents no larger than they can sensibly
 * be, sizes and checksums as stated. Entries are only ever read as streams, never unpacked to a path, so their names
 * can lead nowhere. What they have to be is judged by open-plan-file.ts.
 */
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { crc32 } from 'node:zlib';
import yauzl from 'yauzl';
import { fileInvalid } from './format.ts';

/** Of an entry that is read into memory as a whole. A plan's own document has some hundred KiB. */
const documentBytesMax = 64 * 1024 ** 2;

export class ZipEntries {
  private readonly file: string;
  private readonly zip: yauzl.ZipFile;
  private readonly entries: ReadonlyMap<string, yauzl.Entry>;

  private constructor(file: string, zip: yauzl.ZipFile, entries: ReadonlyMap<string, yauzl.Entry>) {
    this.file = file;
    this.zip = zip;
    this.entries = entries;
  }

  /** @throws {KeyferryError} `plan.file-invalid`; an error of the filesystem as it is. */
  static async open(file: string): Promise<ZipEntries> {
    const zip = await yauzl.openPromise(file, { autoClose: false, lazyEntries: true, strictFileNames: true });
    const entries = new Map<string, yauzl.Entry>();
    try {
      for await (const entry of zip.eachEntry()) {
        if (entries.has(entry.fileName)) throw fileInvalid(file, `${entry.fileName} is in it twice`);
        entries.set(entry.fileName, entry);
      }
    } catch (error) {
      zip.close();
      throw error;
    }
    return new ZipEntries(file, zip, entries);
  }

  get names(): readonly string[] {
    return [...this.entries.keys()];
  }

  async readDocument(name: string): Promise<Buffer> {
    const entry = this.entry(name);
    if (entry.uncompressedSize > documentBytesMax) throw fileInvalid(this.file, `${name} is too large to be one`);
    const bytes = await buffer(await this.stream(name));
    if (crc32(bytes) !== entry.crc32) throw fileInvalid(this.file, `${name} is damaged`);
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
    if (entry === undefined) throw fileInvalid(this.file, `${name} is missing`);
    return entry;
  }
}
