/**
 * Whether a 2.x stood still since an export that was held against a walk of it: another export, held against that one.
 *
 * A walk would take one request a version to say so, while writers wait; this is one in all. What an export cannot write it
 * leaves out, and the older one left out nothing: so whatever it showed and this one does not is a change, too. Only what came
 * since and no export writes is not seen here; the walk behind the switch sees it (SPEC R165).
 */
import { rm } from 'node:fs/promises';
import type { StillnessProof, StopSignal } from '@keyferry/core';
import type { RegistryApi } from '../api/registry-api.ts';
import { archivedRecords } from '../archive/archived-records.ts';
import { sha256Of } from '../archive/archives.ts';
import { readArchive, readArchiveOnce } from '../archive/read-archive.ts';
import { exportTo } from '../transfer/export.ts';
import { differencesOf, faultsOf } from './walks.ts';

export async function stoodStillSince(
  api: RegistryApi,
  file: string,
  scratch: string,
  signal: StopSignal,
): Promise<StillnessProof> {
  const startedAtMs = performance.now();
  try {
    const { sha256: now } = await exportTo(api, scratch, signal);
    const before = await archivedRecords(await readArchive(file));
    try {
      const newer = await readArchiveOnce(scratch);
      const found = await archivedRecords(newer);
      try {
        const { named: changes, total: changesTotal } = await differencesOf(before, found, faultsOf(newer));
        const tookMs = Math.round(performance.now() - startedAtMs);
        return { still: changesTotal === 0, before: await sha256Of(file), now, changes, changesTotal, tookMs };
      } finally {
        found.close();
      }
    } finally {
      before.close();
    }
  } finally {
    await rm(scratch, { force: true });
  }
}
