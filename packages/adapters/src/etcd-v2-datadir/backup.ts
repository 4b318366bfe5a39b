/**
 * A copy of a data directory before a migration: snapshots, log and v3 store, laid out as etcd does, whichever way they were
 * laid out before. Each file is read again and compared; `SHA256SUMS` beside them is for `sha256sum -c`.
 *
 * Nothing else of the directory is copied: etcd needs no more, and neither does keyferry.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { copyFile, mkdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { isKeyferryError, KeyferryError, type StoreBackup } from '@keyferry/core';
import { inUse } from './errors.ts';
import { findDataDirectory, type DataDirectory } from './layout.ts';
import { serverOn } from './running-server.ts';

export function directoryBackup(
  store: string,
  into: string,
  { dataDir, walDir }: { readonly dataDir: string; readonly walDir: string | null },
): StoreBackup {
  return {
    what: 'copy',
    into,
    take: async (name) => {
      const path = join(into, name);
      const waiting = `${path}.part`;
      try {
        const directory = await findDataDirectory(dataDir, walDir);
        if ((await serverOn(directory)).kind === 'running') throw inUse(directory.path, 'a process holds its locks');
        await mkdir(into, { recursive: true });
        const made = await copyOf(directory, waiting);
        const { fingerprint } = await findDataDirectory(dataDir, walDir);
        if (fingerprint !== directory.fingerprint) throw inUse(dataDir, 'files were written to while they were copied');
        await rename(waiting, path); // fails if a directory with content is there
        return { path, ...made };
      } catch (error) {
        if (isKeyferryError(error, 'datadir.in-use') || isKeyferryError(error, 'datadir.not-found')) throw error;
        const detail = error instanceof Error ? error.message : String(error);
        throw new KeyferryError('backup.failed', { store, detail }, { cause: error });
      } finally {
        await rm(waiting, { recursive: true, force: true }).catch(() => undefined); // what went wrong before says more
      }
    },
  };
}

async function copyOf({ snapshots, segments, backend }: DataDirectory, place: string) {
  const [snap, wal] = [join(place, 'member', 'snap'), join(place, 'member', 'wal')];
  await mkdir(snap, { recursive: true, mode: 0o700 });
  await mkdir(wal, { recursive: true, mode: 0o700 });
  const files = [
    ...[...snapshots, ...(backend === null ? [] : [backend.file])].map((file) => ({
      file,
      to: join('member', 'snap', basename(file)),
    })),
    ...segments.map(({ file }) => ({ file, to: join('member', 'wal', basename(file)) })),
  ];
  const sums: string[] = [];
  let bytes = 0;
  for (const { file, to } of files) {
    await copyFile(file, join(place, to));
    const [original, copied] = [await sha256Of(file), await sha256Of(join(place, to))];
    if (original !== copied) throw new RangeError(`the copy of ${file} is not what was read from it`);
    sums.push(`${copied}  ${to}\n`);
    bytes += (await stat(join(place, to))).size;
  }
  const text = sums.join('');
  await writeFile(join(place, 'SHA256SUMS'), text);
  return { bytes, sha256: createHash('sha256').update(text).digest('hex') };
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}
