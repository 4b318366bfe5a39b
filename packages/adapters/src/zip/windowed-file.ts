/**
 * A file that is read at positions which mostly follow each other, as a zip's directory and its entries do: a window of it is
 * kept, so that ten thousand small entries cost some hundred reads of the system and not three each.
 *
 * The window is replaced as a whole once it is read: whoever holds a part of an older one keeps that.
 */
import { close, fstat, open, read } from 'node:fs';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import yauzl from 'yauzl';

const windowBytes = 1024 * 1024;
const pieceBytes = 256 * 1024;

const [openFile, closeFile, statFile, readFile] = [
  promisify(open),
  promisify(close),
  promisify(fstat),
  promisify(read),
];

export class WindowedFile extends yauzl.RandomAccessReader {
  readonly bytes: number;
  private readonly fd: number;
  private window: { readonly from: number; readonly bytes: Buffer } = { from: 0, bytes: Buffer.alloc(0) };

  private constructor(fd: number, bytes: number) {
    super();
    this.fd = fd;
    this.bytes = bytes;
  }

  /** @throws what the filesystem throws */
  static async open(file: string): Promise<WindowedFile> {
    const fd = await openFile(file, 'r');
    try {
      return new WindowedFile(fd, (await statFile(fd)).size);
    } catch (error) {
      await closeFile(fd);
      throw error;
    }
  }

  /** Fewer at the end of the file. Not to be written into. */
  async bytesAt(position: number, length: number): Promise<Buffer> {
    return this.inWindow(position, length) ?? (await this.readWindow(position, length));
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null) => void,
  ): void {
    const take = (found: Buffer): void => {
      found.copy(buffer, offset);
      callback(found.byteLength < length ? new RangeError('the file ends too early') : null);
    };
    // A directory is read at two places an entry, next to always within the window.
    const found = this.inWindow(position, length);
    if (found !== null) queueMicrotask(() => take(found));
    else this.readWindow(position, length).then(take, callback);
  }

  override _readStreamForRange(start: number, end: number): Readable {
    return Readable.from(this.piecesOf(start, end), { objectMode: false });
  }

  /** Of a file that turned out to be no zip. */
  async abandon(): Promise<void> {
    await closeFile(this.fd);
  }

  /** Called once nobody reads it any more. */
  override close(callback: (error: Error | null) => void): void {
    close(this.fd, callback);
  }

  private inWindow(position: number, length: number): Buffer | null {
    const { from, bytes } = this.window;
    const start = position - from;
    const isAtEnd = from + bytes.byteLength === this.bytes;
    if (start < 0 || (start + length > bytes.byteLength && !isAtEnd)) return null;
    return bytes.subarray(start, start + length);
  }

  /** A read stream of the system would close the descriptor with itself, and this one is everybody's. */
  private async *piecesOf(start: number, end: number): AsyncGenerator<Buffer, void, undefined> {
    for (let at = start; at < end; at += pieceBytes) yield await this.readAt(at, Math.min(pieceBytes, end - at));
  }

  private async readWindow(position: number, length: number): Promise<Buffer> {
    const bytes = await this.readAt(position, Math.max(length, windowBytes));
    this.window = { from: position, bytes };
    return bytes.subarray(0, length);
  }

  private async readAt(position: number, length: number): Promise<Buffer> {
    const into = Buffer.allocUnsafe(Math.max(0, Math.min(length, this.bytes - position)));
    let filled = 0;
    while (filled < into.byteLength) {
      const { bytesRead } = await readFile(this.fd, into, filled, into.byteLength - filled, position + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return into.subarray(0, filled);
  }
}
