/**
 * `etcdctl migrate` of etcd 3.3 and 3.4, on a copy of a data directory, and what a server answers that is started on what
 * it made: the tool that keyferry is compared with.
 */
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { keyFromText, prefixRange, type Key, type StoredRecord } from '@keyferry/core';
import { runEtcdctl, startEtcd, type EtcdServer, type EtcdctlResult } from '@keyferry/servers';
import { openEtcdV3Store } from '../../src/etcd-v3/index.ts';

export type MigratingVersion = '3.3' | '3.4';

export interface MigrateOptions {
  readonly transformer?: string;
  /** Work on the directory itself, and not on a copy. */
  readonly inPlace?: boolean;
}

export interface Migrated extends EtcdctlResult {
  /** Where it worked. */
  readonly dataDir: string;
}

/** @param server for its etcdctl; it may have been stopped */
export async function runMigrate(
  server: EtcdServer,
  dataDir: string,
  folder: string,
  { transformer, inPlace = false }: MigrateOptions = {},
): Promise<Migrated> {
  const place = inPlace ? dataDir : join(folder, 'migrated');
  if (!inPlace) {
    await rm(place, { recursive: true, force: true });
    await cp(dataDir, place, { recursive: true });
  }
  const flags = transformer === undefined ? [] : [`--transformer=${transformer}`];
  return { ...(await runEtcdctl(server, ['migrate', `--data-dir=${place}`, ...flags])), dataDir: place };
}

/** What a server answers over v3 that is started on a directory. */
export async function v3RecordsOf(
  version: MigratingVersion,
  dataDir: string,
  prefix = '/',
): Promise<ReadonlyMap<Key, StoredRecord>> {
  const server = await startEtcd({ version, dataDir, enableV2: true });
  try {
    return await readV3(server.endpoints, prefix);
  } finally {
    await server.stop();
  }
}

export async function readV3(endpoints: readonly string[], prefix = '/'): Promise<ReadonlyMap<Key, StoredRecord>> {
  const store = openEtcdV3Store({ name: 'v3', endpoints, nowMs: () => Date.now() });
  const range = prefixRange(keyFromText(prefix));
  const view = await store.openView(range);
  const records = new Map<Key, StoredRecord>();
  for await (const page of view.scan(range, { pageKeysMax: 1000 })) {
    for (const record of page.records) records.set(record.key, record);
  }
  await view.close();
  await store.close();
  return records;
}

export const textOf = (record: StoredRecord | undefined): string | undefined =>
  record === undefined ? undefined : Buffer.from(record.value).toString('utf8');
