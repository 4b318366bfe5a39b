/** Archives of 2.6 as files of this machine, for whoever leads a migration: what is in one, what becomes of it, its repair. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import {
  registryNamedMax,
  type ArchiveReceipt,
  type Foresight,
  type RegistryArchives,
  type RegistryCounts,
  type RegistryKind,
} from '@keyferry/core';
import { expectedRecords } from '../foresee/expected-records.ts';
import { findingsOf } from '../foresee/findings.ts';
import { foreseeImport, nextIds } from '../foresee/foresee-import.ts';
import { targetRelease } from '../foresee/target-release.ts';
import { noCounts, type RecordSet } from '../records/record-set.ts';
import type { Repair } from '../repair/plan-repairs.ts';
import { repairArchive } from '../repair/repair-archive.ts';
import { artifactName } from './entities.ts';
import { readArchive, type RegistryArchive } from './read-archive.ts';

/** @throws what each of its calls throws; it has nothing to open or to close */
export const registryArchives: RegistryArchives = {
  receipt: async (file) => await archiveReceipt(await readArchive(file)),

  foresee: async (file, releaseText): Promise<Foresight> => {
    const release = targetRelease(releaseText);
    const archive = await readArchive(file);
    const foreseen = foreseeImport(archive, release);
    const next = nextIds(foreseen);
    return {
      archive: { file, bytes: archive.bytes, sha256: await sha256Of(file) },
      release: release.version,
      archived: countsOf(archive),
      expected: countsOfSet(await expectedRecords(archive, foreseen, null)),
      nextGlobalId: next.globalId,
      nextContentId: next.contentId,
      findings: findingsOf(archive, foreseen, release),
    };
  },

  repair: async (file, into) => {
    const changes = await repairArchive(file, into);
    return {
      from: file,
      into: await archiveReceipt(await readArchive(into)),
      changes: changes
        .slice(0, registryNamedMax)
        .map(({ name, what, code }) => ({ kind: kindOf({ code, name }), name, what })),
      changesTotal: changes.length,
    };
  },
};

export async function archiveReceipt(archive: RegistryArchive): Promise<ArchiveReceipt> {
  const startedAtMs = performance.now();
  const { file, bytes, versions, contents } = archive;
  const globalIdMax = versions.reduce((max, { globalId }) => Math.max(max, globalId), 0);
  const contentIdMax = [...versions, ...contents].reduce((max, { contentId }) => Math.max(max, contentId), 0);
  const sha256 = await sha256Of(file);
  const tookMs = Math.round(performance.now() - startedAtMs);
  return { file, bytes, sha256, counts: countsOf(archive), globalIdMax, contentIdMax, tookMs };
}

/** Entities of the archive, as many as it has. */
export function countsOf(archive: RegistryArchive): RegistryCounts {
  return {
    ...noCounts,
    group: archive.groups.length,
    artifact: new Set(archive.versions.map(artifactName)).size,
    version: archive.versions.length,
    content: archive.contents.length,
    globalRule: archive.globalRules.length,
    artifactRule: archive.artifactRules.length,
    comment: archive.comments.length,
  };
}

export async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(file)) hash.update(piece as Uint8Array);
  return hash.digest('hex');
}

function countsOfSet(records: RecordSet): RegistryCounts {
  try {
    return records.counts;
  } finally {
    records.close();
  }
}

/** A repair names what it changes in words; its code and name say of which kind that is. */
function kindOf({ code, name }: Pick<Repair, 'code' | 'name'>): RegistryKind {
  if (code === 'registry.comment-lost') return 'comment';
  if (name.startsWith('content ')) return 'content';
  return name.includes(' ') && code === 'registry.group-default' ? 'artifactRule' : 'version';
}
