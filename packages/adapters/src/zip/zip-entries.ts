/**
 * A zip that somebody else may have written, read with suspicion: no entry twice, none encrypted, documents no larger than
 * they can sensibly be, sizes and checksums as stated. Entries are only ever read as streams, never unpacked to a path, so
 * their names can lead nowhere. What they have to be is judged by whoever opened it: a plan, or a registry's export.
 */
import { pipeline, type Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { constants, crc32, createInflateRaw, inflateRawSync } from 'node:zlib';
import yauzl from 'yauzl';
import type { KeyferryError } from '@keyferry/core';
import { WindowedFile } from './windowed-file.ts';

/** Of an entry that is read into memory as a whole. A plan's own document has some hundred KiB. */
const documentBytesMax = 64 * 1024 ** 2;

/** Up to so many bytes, packed and unpacked, an entry is read in one piece: a stream for each of some ten thousand is most of the time. */
const pieceBytesMax = 256 * 1024;
/** Of a larger one, unpacked: four times what a stream of zlib gives by itself, each piece of which costs half a dozen turns. */
const inflatedBytes = 64 * 1024;
const [stored, deflated, localHeader, encrypted] = [0, 8, 0x04034b50, 1];
/** Of a local header, besides the name; fields beyond `extraBytesMax` cost one more read. */
const headerBytes = 30;
const extraBytesMax = 256;

export interface ZipOptions {
  /** What to fail with when it is not what it should be. */
  readonly refuse: (why: string) => KeyferryError;
  /** Default true: a name with a backslash is refused. */
  readonly strictFileNames?: boolean;
}

/** What is kept of an entry: yauzl's own has its raw fields too, at a KiB for each of some ten thousand. */
type IndexedEntry = Pick<
  yauzl.Entry,
  | 'fileName'
  | 'fileNameLength'
  | 'crc32'
  | 'compressedSize'
  | 'uncompressedSize'
  | 'compressionMethod'
  | 'generalPurposeBitFlag'
  | 'relativeOffsetOfLocalHeader'
>;

export class ZipEntries {
  private readonly refuse: ZipOptions['refuse'];
  /** Closed with `zip`. */
  private readonly file: WindowedFile;
  private readonly zip: yauzl.ZipFile;
  private readonly entries: ReadonlyMap<string, IndexedEntry>;

  private constructor(
    refuse: ZipOptions['refuse'],
    file: WindowedFile,
    zip: yauzl.ZipFile,
    entries: ReadonlyMap<string, IndexedEntry>,
  ) {
    this.refuse = refuse;
    this.file = file;
    this.zip = zip;
    this.entries = entries;
  }

  /** @throws what `refuse` makes; an error of the filesystem or of the zip's own form as it is. */
  static async open(file: string, { refuse, strictFileNames = true }: ZipOptions): Promise<ZipEntries> {
    const reader = await WindowedFile.open(file);
    const zip = await zipOf(reader, strictFileNames);
    const entries = new Map<string, IndexedEntry>();
    try {
      for await (const entry of zip.eachEntry()) {
        if (entries.has(entry.fileName)) throw refuse(`${entry.fileName} is in it twice`);
        entries.set(entry.fileName, indexed(entry));
      }
    } catch (error) {
      zip.close();
      throw error;
    }
    return new ZipEntries(refuse, reader, zip, entries);
  }

  get names(): readonly string[] {
    return [...this.entries.keys()];
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
    const bytes = (await this.inOnePiece(entry)) ?? (await buffer(await this.stream(name)));
    if (crc32(bytes) !== entry.crc32) throw this.refuse(`${name} is damaged`);
    return bytes;
  }

  /** The bytes of an entry, in one piece where it is small. That their checksum is not the stated one shows behind the last. */
  async *pieces(name: string): AsyncGenerator<Buffer, void, undefined> {
    const entry = this.entry(name);
    const whole = await this.inOnePiece(entry);
    let sum = 0;
    for await (const piece of whole === null ? await this.large(entry) : [whole]) {
      sum = crc32(piece, sum);
      yield piece;
    }
    if (sum !== entry.crc32) throw this.refuse(`${name} is damaged`);
  }

  /** Checksums are left to whoever reads it. */
  async stream(name: string): Promise<Readable> {
    return await this.zip.openReadStreamPromise(openable(this.entry(name)));
  }

  /** Streams that are still open end as they would have. */
  close(): void {
    this.zip.close();
  }

  private async large(entry: IndexedEntry): Promise<AsyncIterable<Buffer>> {
    if (entry.compressionMethod !== deflated || isEncrypted(entry)) return await this.stream(entry.fileName);
    const packed = await this.zip.openReadStreamPromise(openable(entry), { decodeFileData: false });
    return this.inflated(packed, entry);
  }

  private async *inflated(packed: Readable, { fileName, uncompressedSize }: IndexedEntry): AsyncGenerator<Buffer> {
    // What goes wrong ends the last of the two, whose reader is told.
    const stream = pipeline(packed, createInflateRaw({ chunkSize: inflatedBytes }), () => undefined);
    let bytes = 0;
    for await (const piece of stream as AsyncIterable<Buffer>) {
      bytes += piece.byteLength;
      if (bytes > uncompressedSize) break;
      yield piece;
    }
    if (bytes !== uncompressedSize) throw this.refuse(`${fileName} is not of the size that is stated`);
  }

  /** null: a large one, or one that is not as zips mostly are; the stream says what is wrong with it. */
  private async inOnePiece(entry: IndexedEntry): Promise<Buffer | null> {
    const { compressedSize, uncompressedSize, compressionMethod, fileNameLength } = entry;
    if (compressedSize > pieceBytesMax || uncompressedSize > pieceBytesMax) return null;
    if (isEncrypted(entry)) return null;
    if (compressionMethod !== stored && compressionMethod !== deflated) return null;
    const at = entry.relativeOffsetOfLocalHeader;
    const head = await this.file.bytesAt(at, headerBytes + fileNameLength + extraBytesMax + compressedSize);
    if (head.byteLength < headerBytes || head.readUInt32LE(0) !== localHeader) return null;
    const start = headerBytes + head.readUInt16LE(26) + head.readUInt16LE(28);
    const end = start + compressedSize;
    const packed =
      end <= head.byteLength ? head.subarray(start, end) : await this.file.bytesAt(at + start, compressedSize);
    if (packed.byteLength < compressedSize) return null;
    if (compressionMethod === stored) return packed;
    try {
      const bytes = inflateRawSync(packed, {
        maxOutputLength: Math.max(1, uncompressedSize),
        // As large as it needs: by default each of them takes 16 KiB, which is garbage at once.
        chunkSize: Math.max(constants.Z_MIN_CHUNK, uncompressedSize + 1),
      });
      return bytes.byteLength === uncompressedSize ? bytes : null;
    } catch {
      return null; // the stream fails too, in words
    }
  }

  private entry(name: string): IndexedEntry {
    const entry = this.entries.get(name);
    if (entry === undefined) throw this.refuse(`${name} is missing`);
    return entry;
  }
}

const isEncrypted = ({ generalPurposeBitFlag }: IndexedEntry): boolean => (generalPurposeBitFlag & encrypted) !== 0;

const openable = (entry: IndexedEntry): yauzl.Entry => Object.assign(new yauzl.Entry(), entry);

function indexed(entry: yauzl.Entry): IndexedEntry {
  const { fileName, fileNameLength, crc32: sum, compressedSize, uncompressedSize } = entry;
  const { compressionMethod, generalPurposeBitFlag, relativeOffsetOfLocalHeader } = entry;
  return {
    fileName,
    fileNameLength,
    crc32: sum,
    compressedSize,
    uncompressedSize,
    compressionMethod,
    generalPurposeBitFlag,
    relativeOffsetOfLocalHeader,
  };
}

async function zipOf(reader: WindowedFile, strictFileNames: boolean): Promise<yauzl.ZipFile> {
  try {
    const options = { autoClose: false, lazyEntries: true, strictFileNames };
    return await yauzl.fromRandomAccessReaderPromise(reader, reader.bytes, options);
  } catch (error) {
    await reader.abandon();
    throw error;
  }
}
