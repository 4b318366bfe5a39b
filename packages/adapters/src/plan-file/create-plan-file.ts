/**
 * Writes a plan file: whole or not at all.
 *
 *     rows ──► spools in a folder beside the file ──finish──► zip in that folder ──fsync, rename──► NAME.kfplan
 *
 * Everything happens beside the file, so that the last step is a rename within one filesystem: a reader sees the old
 * file or the new one. A plan that was aborted, or whose process was killed, leaves no file that looks like a plan.
 *
 * Same inputs, same bytes: entries in a fixed order with a fixed date and mode, JSON in canonical form. (Compression is
 * the platform's: two machines may differ in it. The SHA-256 of each entry, in the manifest, never does.)
 */
import { createHash } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { PassThrough } from 'node:stream';
import {
  canonicalJson,
  KeyferryError,
  planFormat,
  planFormatVersion,
  type PlanDocument,
  type PlannedChange,
  type PlannedChunk,
  type PlanWriter,
} from '@keyferry/core';
import yazl from 'yazl';
import type { PlanConfig } from '../config/resolved-config.ts';
import { manifestEntry, type ContentEntry, type Manifest } from './format.ts';
import { RowSpool } from './row-spool.ts';

/** Local time on purpose: a zip holds local dates, so noon of this day is the same number everywhere. */
const entryOptions = () => ({
  mtime: new Date(2000, 0, 1, 12),
  mode: 0o100644,
  forceDosTimestamp: true,
  compressionLevel: 6,
});

/**
 * Makes a folder for its spools beside `path` at once, so that a path that cannot be written is known before stores
 * are read. `finish` or `abort` removes it.
 * @throws {KeyferryError} `file.unwritable` when the path cannot be written.
 */
export function createPlanFile(path: string, options: { readonly config: PlanConfig }): PlanWriter {
  return new PlanFileWriter(path, options.config);
}

class PlanFileWriter implements PlanWriter {
  private readonly path: string;
  private readonly config: PlanConfig;
  private readonly folder: string;
  private readonly changes: RowSpool;
  private readonly chunks: RowSpool;

  constructor(path: string, config: PlanConfig) {
    this.path = path;
    this.config = config;
    try {
      this.folder = mkdtempSync(join(dirname(resolve(path)), `.${basename(path)}.`));
    } catch (cause) {
      throw notWritable(path, cause);
    }
    this.changes = new RowSpool(join(this.folder, 'changes.ndjson'));
    this.chunks = new RowSpool(join(this.folder, 'chunks.ndjson'));
  }

  async writeChanges(rows: readonly PlannedChange[]): Promise<void> {
    await this.writable(() => this.changes.write(rows));
  }

  async writeChunks(rows: readonly PlannedChunk[]): Promise<void> {
    await this.writable(() => this.chunks.write(rows));
  }

  async finish(plan: PlanDocument): Promise<void> {
    const planJson = Buffer.from(canonicalJson(plan));
    const configJson = Buffer.from(canonicalJson(this.config));
    await this.writable(async () => {
      const entries: Record<ContentEntry, Manifest['entries'][string]> = {
        'plan.json': summaryOf(planJson),
        'changes.ndjson': await this.changes.finish(),
        'chunks.ndjson': await this.chunks.finish(),
        'config.json': summaryOf(configJson),
      };
      const { keyferryVersion } = plan;
      const manifest: Manifest = { format: planFormat, formatVersion: planFormatVersion, keyferryVersion, entries };
      const zip = new yazl.ZipFile();
      const entry = entryOptions();
      zip.addBuffer(Buffer.from(canonicalJson(manifest)), manifestEntry, entry);
      zip.addBuffer(planJson, 'plan.json', entry);
      zip.addFile(this.changes.path, 'changes.ndjson', entry);
      zip.addFile(this.chunks.path, 'chunks.ndjson', entry);
      zip.addBuffer(configJson, 'config.json', entry);
      zip.end();
      await this.publish(zip);
    });
    await this.abort();
  }

  async abort(): Promise<void> {
    await Promise.all([this.changes.close(), this.chunks.close()]);
    await rm(this.folder, { recursive: true, force: true });
  }

  private async publish(zip: yazl.ZipFile): Promise<void> {
    const whole = join(this.folder, 'plan.zip');
    const handle = await open(whole, 'wx');
    try {
      const output = zip.outputStream as PassThrough;
      zip.on('error', (error: Error) => output.destroy(error));
      for await (const bytes of output as AsyncIterable<Buffer>) await handle.appendFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(whole, this.path);
    await syncFolder(dirname(resolve(this.path)));
  }

  private async writable(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (cause) {
      throw cause instanceof KeyferryError ? cause : notWritable(this.path, cause);
    }
  }
}

function summaryOf(bytes: Buffer): { readonly bytes: number; readonly sha256: string } {
  return { bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
}

/** Makes the rename last through a power cut. Not every platform lets a folder be opened; there it is left to it. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => null); // Windows: EISDIR or EPERM
  try {
    await handle?.sync();
  } finally {
    await handle?.close();
  }
}

function notWritable(path: string, cause: unknown): KeyferryError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
  return new KeyferryError('file.unwritable', { file: path, detail: code }, { cause });
}
