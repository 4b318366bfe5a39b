/** A registry of 2.6, as strategy `parallel` speaks to it: the port's calls, each made of the files beside. */
import {
  registryNamedMax,
  type CompletenessProof,
  type OldRegistry,
  type RegistryDifference,
  type StopSignal,
  type WalkOptions,
} from '@keyferry/core';
import { RegistryApi, type RegistryConnection } from '../api/registry-api.ts';
import { readSystem } from '../api/system.ts';
import { archivedRecords } from '../archive/archived-records.ts';
import { archiveReceipt } from '../archive/archives.ts';
import { readArchive, type RegistryArchive } from '../archive/read-archive.ts';
import { compareRecords, describeDifference } from '../records/compare-records.ts';
import { contentRecord, type RegistryRecord } from '../records/records.ts';
import type { RecordSet } from '../records/record-set.ts';
import { exportTo } from '../transfer/export.ts';
import { readBesides } from './besides.ts';
import { replay } from './replay.ts';
import { walkOld } from './walk.ts';

/**
 * Connects with the first call.
 *
 * @example
 * const registry = openOldRegistry({ name: 'old', endpoints: ['https://registry-2.example:8080'] });
 */
export function openOldRegistry(connection: RegistryConnection): OldRegistry {
  const api = new RegistryApi(connection, '/apis/registry/v2');
  const health = new RegistryApi({ ...connection, ...(connection.health && { endpoints: [connection.health] }) }, '');
  return {
    where: api.endpoints.join(', '),
    system: (signal) => readSystem(api, health, signal),
    walk: async (signal, options) => {
      const { records, requests, tookMs } = await timedWalk(api, signal, options);
      try {
        return await records.census(requests, tookMs);
      } finally {
        records.close();
      }
    },
    exportTo: async (file, signal) => {
      const startedAtMs = performance.now();
      await exportTo(api, file, signal);
      const receipt = await archiveReceipt(await readArchive(file));
      return { ...receipt, tookMs: Math.round(performance.now() - startedAtMs) };
    },
    proveComplete: (file, signal, options) => proveComplete(api, file, signal, options),
    readBesides: (signal) => readBesides(api, signal),
    replay: (changes, scratch, signal) => replay(api, changes, scratch, signal),
    close: () => {
      api.close();
      health.close();
      return Promise.resolve();
    },
  };
}

async function timedWalk(api: RegistryApi, signal: StopSignal, { contentsOf }: WalkOptions = {}) {
  const [startedAtMs, requestsBefore] = [performance.now(), api.requests];
  const known = contentsOf === undefined ? undefined : await contentRecordsOf(contentsOf);
  const records = await walkOld(api, signal, known);
  const tookMs = Math.round(performance.now() - startedAtMs);
  return { records, requests: api.requests - requestsBefore, tookMs };
}

async function contentRecordsOf(file: string): Promise<ReadonlyMap<number, RegistryRecord>> {
  const { contents } = await readArchive(file);
  return new Map(contents.map((content) => [content.contentId, contentRecord(content.contentId, content)]));
}

/** The export leaves out what it cannot write, and answers 200: only the registry itself can say what should be there. */
async function proveComplete(
  api: RegistryApi,
  file: string,
  signal: StopSignal,
  options?: WalkOptions,
): Promise<CompletenessProof> {
  const archive = await readArchive(file);
  const { records: walked, requests, tookMs } = await timedWalk(api, signal, options);
  const archived = await archivedRecords(archive);
  try {
    const missing = [...faultsOf(archive)];
    let missingTotal = missing.length;
    for await (const difference of compareRecords(walked, archived)) {
      const said = describeDifference(difference);
      missingTotal += said.length;
      missing.push(...said.slice(0, registryNamedMax - missing.length));
    }
    return { complete: missingTotal === 0, census: await walked.census(requests, tookMs), missing, missingTotal };
  } finally {
    closeAll([walked, archived]);
  }
}

/** Entries that cannot be read: what they were of is said by the difference that they make, if they make one. */
function faultsOf({ faults }: RegistryArchive): readonly RegistryDifference[] {
  return faults.slice(0, registryNamedMax).map(({ entry, detail }) => ({
    kind: entry.startsWith('content/') ? 'content' : 'version',
    name: entry,
    what: `cannot be read from the archive: ${detail}`,
  }));
}

function closeAll(sets: readonly RecordSet[]): void {
  for (const set of sets) set.close();
}
