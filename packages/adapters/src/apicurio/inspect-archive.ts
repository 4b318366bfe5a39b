/** An export of 2.x looked at before anything is imported: what it holds, what 3.x will make of it, what is to be done. */
import type { Finding } from '@keyferry/core';
import { artifactName } from './archive/entities.ts';
import { readArchive } from './archive/read-archive.ts';
import { findingsOf } from './foresee/findings.ts';
import { foreseeImport, nextIds, type Fate, type Foreseen } from './foresee/foresee-import.ts';
import { targetRelease } from './foresee/target-release.ts';

export interface ArchiveReport {
  readonly file: string;
  readonly bytes: number;
  readonly writtenBy: { readonly version: string | null; readonly atMs: number; readonly by: string | null } | null;
  /** Release of the target that all of this is said of. */
  readonly target: string;
  readonly entities: readonly EntityCount[];
  readonly unpacked: { readonly entries: number; readonly bytes: number };
  /** What 3.x hands out first: ids of versions that were deleted above these come again, and the archive does not show it. */
  readonly next: { readonly globalId: number; readonly contentId: number };
  readonly findings: readonly Finding[];
}

export interface EntityCount {
  readonly kind: 'versions' | 'artifacts' | 'contents' | 'groups' | 'artifactRules' | 'globalRules' | 'comments';
  readonly archived: number;
  /** After the import, as it was; of artifacts: with a version that has its name. */
  readonly kept: number;
  /** There, and reached only by ids. */
  readonly byIdOnly: number;
  /** Of these only some survive, and which ones is not to be known. */
  readonly uncertain: number;
  readonly lost: number;
}

/** @throws {KeyferryError} `registry.archive-invalid`, `file.unreadable`, `usage.invalid` for a target that is none */
export async function inspectArchive(file: string, targetVersion: string): Promise<ArchiveReport> {
  const release = targetRelease(targetVersion);
  const archive = await readArchive(file);
  const foreseen = foreseeImport(archive, release);
  const { manifest, sizes } = archive;
  return {
    file,
    bytes: archive.bytes,
    writtenBy:
      manifest === null
        ? null
        : { version: manifest.systemVersion, atMs: manifest.exportedOn, by: manifest.exportedBy },
    target: release.version,
    entities: [
      counted('versions', foreseen.versions),
      artifactCount(foreseen),
      counted('contents', foreseen.contents),
      wholes('groups', archive.groups.length, foreseen.groups.size),
      counted('artifactRules', foreseen.artifactRules),
      wholes('globalRules', archive.globalRules.length, archive.globalRules.length),
      counted('comments', foreseen.comments),
    ],
    unpacked: { entries: sizes.entries, bytes: sizes.bytes },
    next: nextIds(foreseen),
    findings: findingsOf(archive, foreseen, release),
  };
}

function counted(kind: EntityCount['kind'], fates: readonly { readonly fate: Fate }[]): EntityCount {
  const count = (fate: Fate): number => fates.filter((each) => each.fate === fate).length;
  return {
    kind,
    archived: fates.length,
    kept: count('kept'),
    byIdOnly: count('by-id-only'),
    uncertain: count('one-of'),
    lost: count('lost'),
  };
}

/** An artifact is what its versions are: a row without any is no use to anybody, though counts of artifacts look right. */
function artifactCount({ versions }: Foreseen): EntityCount {
  const best: Readonly<Record<Fate, number>> = { kept: 3, 'one-of': 2, 'by-id-only': 1, lost: 0 };
  const fates = new Map<string, Fate>();
  for (const { entity, fate } of versions) {
    const name = artifactName(entity);
    if (best[fate] >= best[fates.get(name) ?? 'lost']) fates.set(name, fate);
  }
  return counted(
    'artifacts',
    [...fates.values()].map((fate) => ({ fate })),
  );
}

function wholes(kind: EntityCount['kind'], archived: number, kept: number): EntityCount {
  return { kind, archived, kept, byIdOnly: 0, uncertain: 0, lost: Math.max(0, archived - kept) };
}
