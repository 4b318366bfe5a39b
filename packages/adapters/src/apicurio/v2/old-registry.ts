/** A registry of 2.6, as strategy `parallel` speaks to it: the port's calls, each made of the files beside. */
import type { OldRegistry } from '@keyferry/core';
import { RegistryApi, type RegistryConnection } from '../api/registry-api.ts';
import { readSystem } from '../api/system.ts';
import { archiveReceipt } from '../archive/archives.ts';
import { readArchive } from '../archive/read-archive.ts';
import { exportTo } from '../transfer/export.ts';
import { readBesides } from './besides.ts';
import { replay } from './replay.ts';
import { stoodStillSince } from './stillness.ts';
import { Walks } from './walks.ts';

/**
 * Connects with the first call.
 *
 * @example
 * const registry = openOldRegistry({ name: 'old', endpoints: ['https://registry-2.example:8080'] });
 */
export function openOldRegistry(connection: RegistryConnection): OldRegistry {
  const api = new RegistryApi(connection, '/apis/registry/v2');
  const health = new RegistryApi({ ...connection, ...(connection.health && { endpoints: [connection.health] }) }, '');
  const walks = new Walks(api);
  return {
    where: api.endpoints.join(', '),
    system: (signal) => readSystem(api, health, signal),
    walk: (signal, options) => walks.walk(signal, options),
    exportTo: async (file, signal) => {
      const startedAtMs = performance.now();
      await exportTo(api, file, signal);
      const receipt = await archiveReceipt(await readArchive(file));
      return { ...receipt, tookMs: Math.round(performance.now() - startedAtMs) };
    },
    proveComplete: (file, signal, options) => walks.prove(file, signal, options),
    stoodStillSince: (file, scratch, signal) => stoodStillSince(api, file, scratch, signal),
    readBesides: (signal) => readBesides(api, signal),
    replay: (changes, scratch, signal) => replay(api, changes, scratch, signal),
    close: () => {
      walks.close();
      api.close();
      health.close();
      return Promise.resolve();
    },
  };
}
