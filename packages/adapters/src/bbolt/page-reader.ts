/**
 * Pages of a file through one window: a run of pages that lie one behind the other costs one read a megabyte, pages here
 * and there one small read each.
 */
import { readSync } from 'node:fs';

const windowBytesMin = 16 * 1024;
const windowBytesMax = 1024 * 1024;

/** Bytes of a file; `read` fills what it can. */
export interface ByteSource {
  /** What counts as the file; what lies behind it is not looked at. */
  readonly size: number;
  /** Fills `into` from `offset` on. @returns how many bytes; fewer only at the end of the file */
  read(into: Buffer, offset: number): number;
}

export function bytesOfFile(descriptor: number, size: number): ByteSource {
  return {
    size,
    read(into, offset) {
      let done = 0;
      while (done < into.length) {
        const bytes = readSync(descriptor, into, done, into.length - done, offset + done);
        if (bytes === 0) break;
        done += bytes;
      }
      return done;
    },
  };
}

export class PageReader {
  private readonly source: ByteSource;
  /** What `at` speaks of. */
  bytes = Buffer.alloc(0);
  private windowStart = 0;
  private windowEnd = 0;
  private nextBytes = windowBytesMin;

  constructor(source: ByteSource) {
    this.source = source;
  }

  get size(): number {
    return this.source.size;
  }

  /** Where `length` bytes from `offset` of the file on lie in `bytes`, until the next call; null: the file ends before. */
  at(offset: number, length: number): number | null {
    if (offset < this.windowStart || offset + length > this.windowEnd) {
      if (offset + length > this.source.size) return null;
      this.fill(offset, length);
      if (offset + length > this.windowEnd) return null;
    }
    return offset - this.windowStart;
  }

  private fill(offset: number, length: number): void {
    const goesOn = offset >= this.windowStart && offset <= this.windowEnd;
    this.nextBytes = goesOn ? Math.min(this.nextBytes * 2, windowBytesMax) : windowBytesMin;
    const wanted = Math.min(Math.max(length, this.nextBytes), this.source.size - offset);
    if (this.bytes.length < wanted) this.bytes = Buffer.allocUnsafeSlow(wanted);
    const read = this.source.read(this.bytes.subarray(0, wanted), offset);
    this.windowStart = offset;
    this.windowEnd = offset + read;
  }
}
