/**
 * A snapshot of etcd v3 by its maintenance RPC, before a migration writes: the file that `etcdctl snapshot save` writes.
 *
 *     linearizable read: revision R ─► stream into a file beside the place ─► read it: whole, and at R or later ─► its name
 *
 * A snapshot is one member's, and a member may be behind; so its revision has to be the one that the cluster had when it
 * was asked for, or a later one. The name appears only when all of that holds (a link, which never goes over a file).
 */
import { link, mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { KeyferryError, type StoreBackup } from '@keyferry/core';
import type { EtcdClient } from './client.ts';

/** Another member each time, as far as there are others. */
const triesMax = 3;

export function snapshotBackup(store: string, client: EtcdClient, into: string): StoreBackup {
  return {
    what: 'snapshot',
    into,
    take: async (name) => {
      const path = join(into, `${name}.db`);
      const waiting = `${path}.part`;
      try {
        await mkdir(into, { recursive: true });
        const { revision } = await client.head();
        const made = await snapshotAt(BigInt(revision), client, waiting);
        await link(waiting, path);
        return { path, ...made };
      } catch (error) {
        throw error instanceof KeyferryError && error.code.startsWith('store.') ? error : failed(store, error);
      } finally {
        await rm(waiting, { force: true }).catch(() => undefined); // what went wrong before says more
      }
    },
  };
}

async function snapshotAt(wanted: bigint, client: EtcdClient, file: string) {
  for (let tries = 1; ; tries += 1) {
    await download(client, file);
    const { SnapshotFile } = await import('../etcd-v3-snapshot/snapshot-file.ts');
    const snapshot = await SnapshotFile.open(file);
    try {
      const found = snapshot.revision();
      const sha256 = snapshot.position.replace(/^sha256:/, '');
      if (BigInt(found) >= wanted) return { bytes: snapshot.size, sha256 };
      if (tries === triesMax)
        throw new RangeError(`the members that were asked are at revision ${found}, and the cluster at ${wanted}`);
    } finally {
      await snapshot.close();
    }
  }
}

async function download(client: EtcdClient, file: string): Promise<void> {
  // For its owner alone: it holds everything.
  const handle = await open(file, 'w', 0o600);
  try {
    for await (const piece of client.snapshot()) await handle.write(piece);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function failed(store: string, cause: unknown): KeyferryError {
  const detail = cause instanceof Error ? cause.message : String(cause);
  return new KeyferryError('backup.failed', { store, detail }, { cause });
}
