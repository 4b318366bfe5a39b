/** A registry of 3.x, as strategy `parallel` speaks to it: the port's calls, each made of the files beside. */
import type { Deletions, ImportReceipt, NewRegistry, StopSignal } from '@keyferry/core';
import { assertEmpty } from '../api/assert-empty.ts';
import { RegistryApi, type RegistryConnection } from '../api/registry-api.ts';
import * as shapes from '../api/shapes.ts';
import { readSystem } from '../api/system.ts';
import { exportTo } from '../transfer/export.ts';
import { importFrom } from '../transfer/import.ts';
import { carry } from './carry.ts';
import { changesSince, snapshotReceipt } from './changes.ts';
import { compare, compareByExport } from './compare.ts';
import { importDelta } from './import-delta.ts';
import { mendByWalk } from './mend.ts';
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
    deletions: (signal) => readDeletions(api, signal),
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
      await assertEmpty(
        api,
        { artifacts: '/search/artifacts', versions: '/search/versions', groups: '/search/groups' },
        signal,
      );
      return await importFrom(api, file, '?requireEmptyRegistry=true', signal);
    },
    importDelta: (delta, scratch, signal) => importDelta(api, delta, scratch, signal),
    carry: (besides, signal) => carry(api, besides, signal),
    compare: (file, besides, signal, options) => compare(api, file, besides, signal, options),
    compareByExport: (delta, snapshot, signal) => compareByExport(api, delta, snapshot, signal),
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
  const bring = (): Promise<ImportReceipt> => importFrom(api, file, '?requireEmptyRegistry=false', signal);
  const { brought, mended } = await mendByWalk(api, file, bring, signal);
  return { ...brought, tookMs: Math.round(performance.now() - startedAtMs), mended };
}

/** Null: this user may not ask, or the release has no such settings. */
async function readDeletions(api: RegistryApi, signal: StopSignal): Promise<Deletions | null> {
  const path = '/admin/config/properties';
  const known = await api.getUnless(path, shapes.settings, signal, ({ status }) => status === 403);
  const [group, artifact, version] = ['group', 'artifact', 'artifact-version'].map(
    (each) => known?.find(({ name }) => name === `apicurio.rest.deletion.${each}.enabled`)?.value,
  );
  if (group === undefined || artifact === undefined || version === undefined) return null;
  return { group: group === 'true', artifact: artifact === 'true', version: version === 'true' };
}
