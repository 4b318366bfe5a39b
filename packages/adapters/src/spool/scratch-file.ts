/**
 * A scratch file: private to one process, and gone with it however that ends.
 *
 * It is unlinked as soon as it is open, before anything is in it, and readable by its owner only. What is written grows it
 * at its end; what is read is read from anywhere. Both are synchronous, and as large as the caller makes them.
 *
 * It lies in TMPDIR where that is set, else in /var/tmp: /tmp is memory on many a machine. Where nobody may write to that,
 * it lies where Node's own temporary files do.
 */
import { closeSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { invariant, KeyferryError } from '@keyferry/core';

const onDisk = '/var/tmp';

export class ScratchFile {
  private readonly folder: string;
  private readonly file: number;
  private written = 0;
  private isClosed = false;

  /** @throws {KeyferryError} `scratch.unusable` when there is no place for it. */
  constructor() {
    const { folder, file } = opened();
    this.folder = folder;
    this.file = file;
  }

  get length(): number {
    return this.written;
  }

  /** @throws {KeyferryError} `scratch.unusable` when the disk is full, or fails. */
  append(bytes: Uint8Array, start = 0, end = bytes.length): void {
    this.guarded(() => {
      for (let at = start; at < end;) at += writeSync(this.file, bytes, at, end - at, this.written + at - start);
    });
    this.written += end - start;
  }

  /** Fills all of a part of `into`. @throws {KeyferryError} `scratch.unusable` when the disk fails, or has less than was written. */
  read(from: number, into: Uint8Array, start = 0, end = into.length): void {
    invariant(!this.isClosed, 'a scratch file is read after it was closed');
    this.guarded(() => {
      for (let at = start; at < end;) {
        const got = readSync(this.file, into, at, end - at, from + at - start);
        if (got === 0) throw this.unusable(`it ends at byte ${from + at - start} of ${this.written}`);
        at += got;
      }
    });
  }

  /** Safe to repeat. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    closeSync(this.file);
  }

  private guarded(run: () => void): void {
    try {
      run();
    } catch (error) {
      if (error instanceof KeyferryError) throw error;
      throw this.unusable(error instanceof Error ? error.message : String(error), error);
    }
  }

  private unusable(detail: string, cause?: unknown): KeyferryError {
    return new KeyferryError('scratch.unusable', { folder: this.folder, detail }, { cause });
  }
}

function opened(): { readonly folder: string; readonly file: number } {
  const named = process.env['TMPDIR'];
  const folders = named === undefined || named === '' ? [onDisk, tmpdir()] : [named];
  let failure: unknown;
  for (const folder of folders) {
    const path = join(folder, `keyferry-${randomUUID()}`);
    try {
      const file = openSync(path, 'wx+', 0o600);
      try {
        rmSync(path);
      } catch (error) {
        closeSync(file);
        throw error;
      }
      return { folder, file };
    } catch (error) {
      failure = error;
    }
  }
  const detail = failure instanceof Error ? failure.message : String(failure);
  throw new KeyferryError('scratch.unusable', { folder: folders.join(' and '), detail }, { cause: failure });
}
