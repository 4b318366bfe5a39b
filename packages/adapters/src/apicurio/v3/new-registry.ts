/** A registry of 3.x, as strategy `parallel` speaks to it: the port's calls, each made of the files beside. */
import {
  KeyferryError,
  registryNamedMax,
  type BesidesArchive,
  type ImportReceipt,
  type NewRegistry,
  type RegistryComparison,
  type RegistryDifference,
  type StopSignal,
} from '@keyferry/core';
import * as z from 'zod';
import { RegistryApi, type RegistryConnection } from '../api/registry-api.ts';
import { readSystem } from '../api/system.ts';
import { readArchive } from '../archive/read-archive.ts';
import { expectedRecords } from '../foresee/expected-records.ts';
import { foreseeImport, type Foreseen } from '../foresee/foresee-import.ts';
import { targetRelease } from '../foresee/target-release.ts';
import { compareRecords, describeDifference } from '../records/compare-records.ts';
import { exportTo } from '../transfer/export.ts';
import { importFrom } from '../transfer/import.ts';
import { carry } from './carry.ts';
import { changesSince, snapshotReceipt } from './changes.ts';
import { mendBeforeImport } from './mend.ts';
import { walkNew } from './walk.ts';

/**
 * Connects with the first call.
 *
 * @example
 * const registry = openNewRegistry({ name: 'new', endpoints: ['https://registry-3.example:8080'] });
 */
export function openNewRegistry(connection: RegistryConnection): NewRegistry {
  const api = new RegistryApi(connection, '/apis/registry/v3');
  const { health: healthAt } = connection;
  const health = healthAt === undefined ? null : new RegistryApi({ ...connection, endpoints: [healthAt] }, '');
  const exported: NewRegistry['exportTo'] = async (file, signal) => {
    const startedAtMs = performance.now();
    const { bytes, sha256 } = await exportTo(api, file, signal);
    const tookMs = Math.round(performance.now() - startedAtMs);
    return { ...(await snapshotReceipt(file)), file, bytes, sha256, tookMs };
  };
  return {
    where: api.endpoints.join(', '),
    system: (signal) => readSystem(api, health, signal),
    walk: async (signal) => {
      const [startedAtMs, requestsBefore] = [performance.now(), api.requests];
      const records = await walkNew(api, signal);
      try {
        const tookMs = Math.round(performance.now() - startedAtMs);
        return await records.census(api.requests - requestsBefore, tookMs);
      } finally {
        records.close();
      }
    },
    importFrom: async (file, { into }, signal) => {
      if (into === 'again') return await importAgain(api, file, signal);
      // Its own word on "empty" is contents alone: rows of groups and artifacts would make those of the archive fail unseen.
      await assertEmpty(api, signal);
      return await importFrom(api, file, '?requireEmptyRegistry=true', signal);
    },
    carry: (besides, signal) => carry(api, besides, signal),
    compare: (file, besides, signal) => compare(api, file, besides, signal),
    exportTo: exported,
    changesSince: async (snapshot, now, signal) => await changesSince(snapshot, await exported(now, signal)),
    close: () => {
      api.close();
      health?.close();
      return Promise.resolve();
    },
  };
}

async function importAgain(api: RegistryApi, file: string, signal: StopSignal): Promise<ImportReceipt> {
  const startedAtMs = performance.now();
  const mending = await mendBeforeImport(api, file, signal);
  const receipt = await importFrom(api, file, '?requireEmptyRegistry=false', signal);
  const requests = await mending.finish();
  const tookMs = Math.round(performance.now() - startedAtMs);
  return { ...receipt, tookMs, mended: { deletedFirst: mending.deleted, requests } };
}

const count = z.object({ count: z.int() });

async function assertEmpty(api: RegistryApi, signal: StopSignal): Promise<void> {
  const held: string[] = [];
  for (const what of ['artifacts', 'versions', 'groups']) {
    const { count: rows } = await api.get(`/search/${what}?limit=1`, count, signal);
    if (rows > 0) held.push(`${rows} ${what}`);
  }
  const rules = await api.get('/admin/rules', z.array(z.string()), signal);
  if (rules.length > 0) held.push(`global rules ${rules.join(', ')}`);
  if (held.length === 0) return;
  throw new KeyferryError('registry.not-empty', { store: api.store, detail: `it holds ${held.join(', ')}` });
}

async function compare(
  api: RegistryApi,
  file: string,
  besides: BesidesArchive,
  signal: StopSignal,
): Promise<RegistryComparison> {
  const startedAtMs = performance.now();
  const { version } = await readSystem(api, null, signal);
  const archive = await readArchive(file);
  const foreseen = foreseeImport(archive, targetRelease(version));
  const expected = expectedRecords(archive, foreseen, besides);
  try {
    const found = await walkNew(api, signal);
    try {
      const differences: RegistryDifference[] = [];
      let differencesTotal = 0;
      for await (const difference of compareRecords(expected, found)) {
        const said = describeDifference(difference);
        differencesTotal += said.length;
        differences.push(...said.slice(0, registryNamedMax - differences.length));
      }
      return {
        equal: differencesTotal === 0,
        expected: expected.counts,
        found: found.counts,
        comparedVersions: Math.min(expected.counts.version, found.counts.version),
        lostAsForeseen: lossesOf(foreseen),
        differences,
        differencesTotal,
        tookMs: Math.round(performance.now() - startedAtMs),
      };
    } finally {
      found.close();
    }
  } finally {
    expected.close();
  }
}

function lossesOf({ versions, artifactRules, comments }: Foreseen): number {
  const lost = (fates: readonly { readonly fate: string }[]): number =>
    fates.filter(({ fate }) => fate === 'lost').length;
  return lost(versions) + lost(artifactRules) + lost(comments);
}
