/**
 * Streams a registry's export into a file: written beside it and renamed, so that a name never stands for half of one. The answer
 * of a server that failed midway is cut, and the end of a zip says what must be in it; both are looked at before the rename.
 */
import { createHash } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { KeyferryError, type StopSignal } from '@keyferry/core';
import { openArchive } from '../archive/read-archive.ts';
import { readRefusal, refusalError } from '../api/errors.ts';
import type { RegistryApi } from '../api/registry-api.ts';

/**
 * Replaces an older file of that name.
 * @throws {KeyferryError} `store.…`, `registry.archive-invalid` for an answer that is no zip, `file.unwritable`
 */
export async function exportTo(
  api: RegistryApi,
  file: string,
  signal: StopSignal,
): Promise<{ readonly bytes: number; readonly sha256: string }> {
  const partial = `${file}.partial`;
  // Any other Accept, or a browser's, gets a link instead of the archive.
  const request = { path: '/admin/export', headers: { accept: 'application/zip' }, timeouts: api.patient };
  try {
    const received = await api.read(request, signal, async (answer) => {
      if (answer.status !== 200) throw refusalError(api.store, await readRefusal(answer));
      return await receive(answer.pieces(), partial, signal);
    });
    (await openArchive(partial)).close();
    await rename(partial, file).catch((error: unknown) => {
      throw unwritable(file, error);
    });
    return received;
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}

async function receive(pieces: AsyncIterable<Uint8Array>, file: string, signal: StopSignal) {
  const into = await open(file, 'w').catch((error: unknown) => {
    throw unwritable(file, error);
  });
  try {
    const hash = createHash('sha256');
    let bytes = 0;
    for await (const piece of pieces) {
      // Leaving the loop closes the connection.
      if (signal.aborted) throw signal.reason;
      hash.update(piece);
      bytes += piece.byteLength;
      await into.writeFile(piece).catch((error: unknown) => {
        throw unwritable(file, error);
      });
    }
    await into.sync();
    return { bytes, sha256: hash.digest('hex') };
  } finally {
    await into.close();
  }
}

function unwritable(file: string, error: unknown): KeyferryError {
  const detail = error instanceof Error ? error.message : String(error);
  return new KeyferryError('file.unwritable', { file, detail }, { cause: error });
}
