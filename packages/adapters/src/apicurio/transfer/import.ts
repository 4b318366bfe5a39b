/**
 * Posts an archive to a registry as a stream. The answer comes when the server is through, and says nothing of what became of
 * each entity; whoever imports compares afterwards.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { KeyferryError, type ImportReceipt, type StopSignal } from '@keyferry/core';
import { parseRefusal } from '../api/errors.ts';
import type { RegistryApi } from '../api/registry-api.ts';

/** Ids are what messages carry: both releases keep them unless they are told otherwise, and here they are told. */
const headers = {
  'content-type': 'application/zip',
  accept: 'application/json',
  'x-registry-preserve-globalid': 'true',
  'x-registry-preserve-contentid': 'true',
};

/**
 * @param query such as `?requireEmptyRegistry=true`
 * @throws {KeyferryError} `registry.not-empty`, `registry.import-refused`, `file.unreadable`, `store.…`
 */
export async function importFrom(
  api: RegistryApi,
  file: string,
  query: string,
  signal: StopSignal,
): Promise<ImportReceipt> {
  const startedAtMs = performance.now();
  const hash = createHash('sha256');
  const request = {
    method: 'POST',
    path: `/admin/import${query}`,
    headers,
    body: piecesOf(file, (piece) => hash.update(piece)),
    timeouts: api.patient,
  } as const;
  const { status, doing, body } = await api.send(request, signal);
  if (status < 200 || status >= 300)
    throw refused(api.store, status, `${doing} was answered ${status}: ${parseRefusal(body).message}`);
  return { sha256: hash.digest('hex'), status, tookMs: Math.round(performance.now() - startedAtMs) };
}

async function* piecesOf(file: string, see: (piece: Uint8Array) => void): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    for await (const piece of createReadStream(file) as AsyncIterable<Uint8Array>) {
      see(piece);
      yield piece;
    }
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw new KeyferryError('file.unreadable', { file, detail }, { cause: error });
  }
}

function refused(store: string, status: number, detail: string): KeyferryError {
  if (status === 409) return new KeyferryError('registry.not-empty', { store, detail });
  if (status === 403) return new KeyferryError('store.permission-denied', { store, detail });
  if (status === 502 || status === 503) return new KeyferryError('store.unreachable', { store, detail });
  if (status === 504) return new KeyferryError('store.timeout', { store, detail });
  return new KeyferryError('registry.import-refused', { store, detail });
}
