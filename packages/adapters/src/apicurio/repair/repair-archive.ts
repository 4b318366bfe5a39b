/**
 * Writes an archive anew with repairs in it: entries that have none are copied byte for byte, in their order, the others keep
 * every member that no repair names. The original is never touched, and the new one appears whole or not at all.
 */
import { createWriteStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { KeyferryError } from '@keyferry/core';
import yazl from 'yazl';
import { openArchive, readArchive } from '../archive/read-archive.ts';
import { copyEntry } from '../../zip/copy-entry.ts';
import { planRepairs, type Repair } from './plan-repairs.ts';

/**
 * @param into must not be there yet
 * @throws {KeyferryError} `registry.archive-invalid`, `file.unreadable`; `file.unwritable`, and nothing was written
 */
export async function repairArchive(file: string, into: string): Promise<readonly Repair[]> {
  const { repairs, patches, dropped } = planRepairs(await readArchive(file));
  const partial = `${into}.partial`;
  await claim(into);
  const source = await openArchive(file);
  try {
    const zip = new yazl.ZipFile();
    zip.on('error', (error: Error) => (zip.outputStream as Readable).destroy(error));
    const written = pipeline(zip.outputStream, createWriteStream(partial));
    for (const name of source.names) {
      if (dropped.has(name)) continue;
      const patch = patches.get(name);
      if (patch === undefined) {
        copyEntry({ from: source, name, into: zip, as: name, mtime: epoch });
      } else {
        const body = JSON.parse((await source.readDocument(name)).toString('utf8')) as object;
        zip.addBuffer(Buffer.from(JSON.stringify({ ...body, ...patch })), name, { mtime: epoch });
      }
    }
    zip.end();
    await written;
    await rename(partial, into);
    return repairs;
  } catch (error) {
    await rm(partial, { force: true });
    await rm(into, { force: true });
    throw error;
  } finally {
    source.close();
  }
}

/** The same archive and the same repairs make the same bytes. */
const epoch = new Date('1980-01-01T00:00:00Z');

/** Takes the name for itself, so that nothing that is there is ever written over. */
async function claim(into: string): Promise<void> {
  try {
    await (await open(into, 'wx')).close();
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw new KeyferryError('file.unwritable', { file: into, detail }, { cause: error });
  }
}
