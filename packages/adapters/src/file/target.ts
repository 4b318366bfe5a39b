/**
 * A file of records as a target: written whole or not at all, and once (written-once/target.ts). Here is what its content is
 * in either format.
 */
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import type { Position, TargetStore } from '@keyferry/core';
import { WrittenOnceTarget } from '../written-once/target.ts';
import { targetCapabilitiesByFormat } from './capabilities.ts';
import { contentOf } from './content-of.ts';
import { openFileStore, type FileStoreOptions } from './source.ts';

const pieceChars = 256 * 1024;

/**
 * @example
 * const target = openFileTarget({ name: 'dump', file: 'config.ndjson', format: 'ndjson', nowMs: () => Date.now() });
 */
export function openFileTarget(options: FileStoreOptions): TargetStore {
  const { name, file, format, nowMs } = options;
  return new WrittenOnceTarget({
    name,
    file,
    nowMs,
    form: {
      capabilities: targetCapabilitiesByFormat[format],
      kind: 'file',
      version: `${format}, not written yet`,
      source: openFileStore(options),
      write: (handle, pages, atMs) => writeText(handle, contentOf(format, pages, atMs)),
    },
  });
}

/** @returns the digest, as the source's position is */
async function writeText(handle: FileHandle, content: AsyncIterable<string>): Promise<Position> {
  const hash = createHash('sha256');
  let pending = '';
  const flush = async (): Promise<void> => {
    const bytes = Buffer.from(pending, 'utf8');
    pending = '';
    hash.update(bytes);
    await handle.appendFile(bytes);
  };
  for await (const text of content) {
    pending += text;
    if (pending.length >= pieceChars) await flush();
  }
  await flush();
  return `sha256:${hash.digest('hex')}` as Position;
}
