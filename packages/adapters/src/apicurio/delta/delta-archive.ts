/** Writes an archive that holds some entries of another one, byte for byte: whole or not at all. */
import { createWriteStream } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { KeyferryError } from '@keyferry/core';
import yazl from 'yazl';
import { sha256Of } from '../archive/archives.ts';
import { openArchive } from '../archive/read-archive.ts';
import { copyEntry } from '../../zip/copy-entry.ts';

/** The same entries make the same bytes. */
const epoch = new Date('1980-01-01T00:00:00Z');

/**
 * @param into replaced where it is there
 * @throws {KeyferryError} `registry.archive-invalid`, `file.unreadable`, `file.unwritable`
 */
export async function writeDeltaArchive(
  file: string,
  entries: readonly string[],
  into: string,
): Promise<{ readonly bytes: number; readonly sha256: string }> {
  const partial = `${into}.partial`;
  const source = await openArchive(file);
  try {
    const zip = new yazl.ZipFile();
    zip.on('error', (error: Error) => (zip.outputStream as Readable).destroy(error));
    const written = pipeline(zip.outputStream, createWriteStream(partial));
    for (const name of entries) copyEntry({ from: source, name, into: zip, as: name, mtime: epoch });
    zip.end();
    await written;
    await rename(partial, into);
    return { bytes: (await stat(into)).size, sha256: await sha256Of(into) };
  } catch (error) {
    await rm(partial, { force: true });
    if (error instanceof KeyferryError) throw error;
    const detail = error instanceof Error ? error.message : String(error);
    throw new KeyferryError('file.unwritable', { file: into, detail }, { cause: error });
  } finally {
    source.close();
  }
}
