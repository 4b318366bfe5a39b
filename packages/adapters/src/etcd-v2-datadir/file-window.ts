/**
 * A window that moves over a file from start to end: one buffer, used again and again, that grows only as far as the
 * largest thing that must be seen whole. Logs and snapshots may be larger than the memory.
 */
import { open, type FileHandle } from 'node:fs/promises';
import { reading } from './errors.ts';

const bytesAtOnce = 1024 * 1024;

export class FileWindow {
  readonly file: string;
  /** Of the file when it was opened. What is appended later is not looked at. */
  readonly size: number;
  bytes: Buffer;
  /** What is in the window: `bytes[start]` to `bytes[end - 1]`. */
  start = 0;
  end = 0;
  private readonly handle: FileHandle;
  private readAt = 0;

  private constructor(file: string, handle: FileHandle, size: number) {
    this.file = file;
    this.handle = handle;
    this.size = size;
    this.bytes = Buffer.allocUnsafeSlow(Math.min(bytesAtOnce, size)); // fresh memory is dear, and small files are many
  }

  /** Opens, hands out, closes. @throws {KeyferryError} `file.unreadable`; what `use` throws passes through */
  static async over<T>(file: string, use: (window: FileWindow) => Promise<T>): Promise<T> {
    const handle = await reading(file, () => open(file, 'r'));
    try {
      const { size } = await reading(file, () => handle.stat());
      return await use(new FileWindow(file, handle, size));
    } finally {
      await handle.close();
    }
  }

  /** Place in the file of the first byte of the window. */
  get offset(): number {
    return this.readAt - (this.end - this.start);
  }

  /** Bytes in the window. */
  get available(): number {
    return this.end - this.start;
  }

  /** Bytes of the file from the start of the window on. */
  get remaining(): number {
    return this.size - this.offset;
  }

  /** Moves the start of the window to a place of the file. */
  seek(offset: number): void {
    if (offset >= this.offset && offset <= this.readAt) {
      this.start += offset - this.offset;
      return;
    }
    this.start = 0;
    this.end = 0;
    this.readAt = offset;
  }

  /** Reads on until `wanted` bytes are in the window, or all that are left. Moves what is in it. */
  async fill(wanted: number): Promise<void> {
    const goal = Math.min(wanted, this.remaining);
    if (this.available >= goal) return;
    const kept = this.bytes.subarray(this.start, this.end);
    if (this.bytes.length < goal) this.bytes = Buffer.allocUnsafeSlow(Math.min(goal * 2, this.remaining));
    kept.copy(this.bytes, 0);
    this.end = kept.length;
    this.start = 0;
    while (this.available < goal) {
      const { bytesRead } = await reading(this.file, () =>
        this.handle.read(
          this.bytes,
          this.end,
          Math.min(this.bytes.length - this.end, this.size - this.readAt),
          this.readAt,
        ),
      );
      if (bytesRead === 0) return; // shorter than it was: whoever asked sees that less is there
      this.end += bytesRead;
      this.readAt += bytesRead;
    }
  }

  /** Calls `take` for what lies from `offset` to `end`, piece by piece. A piece is only good until the next one. */
  async pieces(offset: number, end: number, take: (bytes: Buffer, start: number, end: number) => void): Promise<void> {
    this.seek(offset);
    while (this.offset < end) {
      if (this.available === 0) await this.fill(1);
      const stop = Math.min(this.end, this.start + (end - this.offset));
      if (stop === this.start) return;
      take(this.bytes, this.start, stop);
      this.start = stop;
    }
  }
}
