/**
 * Row spool: the rows of a plan while it is being made, one canonical JSON document a line, on disk, so that memory
 * stays flat. It hashes and counts what passes, because the manifest of a plan file stands before the rows.
 */
import { createHash, type Hash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { canonicalJson } from '@keyferry/core';

export class RowSpool {
  readonly path: string;
  private readonly hash: Hash = createHash('sha256');
  private handle: Promise<FileHandle> | null = null;
  private written = 0;

  constructor(path: string) {
    this.path = path;
  }

  async write(rows: readonly object[]): Promise<void> {
    this.handle ??= open(this.path, 'wx');
    const handle = await this.handle;
    const bytes = Buffer.from(rows.map((row) => `${canonicalJson(row)}\n`).join(''));
    await handle.appendFile(bytes);
    this.hash.update(bytes);
    this.written += bytes.length;
  }

  /** After this the file is there, empty when nothing was written. Once only. */
  async finish(): Promise<{ readonly bytes: number; readonly sha256: string }> {
    if (this.handle === null) await this.write([]);
    await this.close();
    return { bytes: this.written, sha256: this.hash.digest('hex') };
  }

  async close(): Promise<void> {
    const handle = await this.handle?.catch(() => null); // one that never opened needs no closing
    this.handle = null;
    await handle?.close();
  }
}
