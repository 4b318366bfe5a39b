/**
 * The delta of a freeze: what an archive of 2.6 holds that an older one of it does not, as an archive that brings just this.
 *
 *     base ──foreseen──► records ──┐
 *                                  ├── differences ──► renewal, and the entries of `file` that the import needs
 *     file ──foreseen──► records ──┘
 *
 * 3.x is not read: that it holds what was expected of `base` was proven before the freeze, and what it holds in the end is. Both
 * archives are whole ones, so a difference that is none of theirs cannot be made here.
 */
import type { RegistryKind } from '@keyferry/core';
import { versionName, type ArchivedVersion } from '../archive/entities.ts';
import { readArchive, type RegistryArchive } from '../archive/read-archive.ts';
import { expectedRecords } from '../foresee/expected-records.ts';
import { foreseeImport, type Foreseen } from '../foresee/foresee-import.ts';
import type { TargetRelease } from '../foresee/target-release.ts';
import { defaultGroup, keyOf } from '../records/records.ts';
import { artifactKey, renewalOf, type Renewal } from './renewal.ts';

export interface ArchiveDelta {
  readonly renewal: Renewal;
  /** Names of entries of `file`, those of contents' bytes among them; none: nothing is to be imported. */
  readonly entries: readonly string[];
  readonly versions: number;
  /** Of those versions: taken out of 3.x with an artifact that comes anew, or new. */
  readonly contentIds: ReadonlySet<number>;
  /** Keys of the artifacts that it brings something of. */
  readonly touched: ReadonlySet<string>;
  /** Why it cannot come out as a whole import would; null: it can. */
  readonly refusal: string | null;
}

/** By the newer one: it is asked for before the import and after it, while writers wait. */
const known = new WeakMap<
  RegistryArchive,
  { readonly older: RegistryArchive; readonly release: string; readonly delta: ArchiveDelta }
>();

export async function deltaBetween(base: string, file: string, release: TargetRelease): Promise<ArchiveDelta> {
  const [older, newer] = [await readArchive(base), await readArchive(file)];
  const found = known.get(newer);
  if (found?.older === older && found.release === release.version) return found.delta;
  const delta = await findDelta(older, newer, release);
  known.set(newer, { older, release: release.version, delta });
  return delta;
}

async function findDelta(
  older: RegistryArchive,
  newer: RegistryArchive,
  release: TargetRelease,
): Promise<ArchiveDelta> {
  const [before, after] = [foreseeImport(older, release), foreseeImport(newer, release)];
  const held = await expectedRecords(older, before, null);
  try {
    const expected = await expectedRecords(newer, after, null);
    try {
      const renewal = await renewalOf(expected, held);
      const versions = versionsToBring(newer, renewal);
      return {
        renewal,
        entries: entriesOf(newer, renewal, versions),
        versions: versions.length,
        contentIds: new Set(versions.map(({ contentId }) => contentId)),
        touched: new Set(versions.map(keyOfArtifact)),
        refusal: refusalOf(before, after, versions),
      };
    } finally {
      expected.close();
    }
  } finally {
    held.close();
  }
}

type Owned = Pick<ArchivedVersion, 'groupId' | 'artifactId'>;

const groupOf = ({ groupId }: Pick<Owned, 'groupId'>): string => groupId ?? defaultGroup;
const keyOfArtifact = (of: Owned): string => artifactKey([groupOf(of), of.artifactId]);

/** New artifacts, and those that were taken out, come whole. */
function isBroughtWhole({ artifacts, groups, absent }: Renewal): (of: Owned) => boolean {
  const renewed = new Set(artifacts.map(artifactKey));
  return (of) => {
    const key = keyOfArtifact(of);
    return renewed.has(key) || absent.has(key) || groups.includes(groupOf(of));
  };
}

function versionsToBring({ versions }: RegistryArchive, renewal: Renewal): readonly ArchivedVersion[] {
  const comesWhole = isBroughtWhole(renewal);
  const isAbsent = (of: ArchivedVersion): boolean =>
    renewal.absent.has(keyOf({ kind: 'version', parts: [groupOf(of), of.artifactId, of.version] }));
  return versions.filter((version) => comesWhole(version) || isAbsent(version));
}

/** A version needs its content in the same archive, and a comment its version. */
function entriesOf(
  archive: RegistryArchive,
  renewal: Renewal,
  versions: readonly ArchivedVersion[],
): readonly string[] {
  const { absent, groups } = renewal;
  const isAbsent = (kind: RegistryKind, name: string): boolean => absent.has(keyOf({ kind, parts: [name] }));
  const contentIds = new Set(versions.map(({ contentId }) => contentId));
  const globalIds = new Set(versions.map(({ globalId }) => globalId));
  const entries = [
    ...archive.contents
      .filter(({ contentId }) => contentIds.has(contentId))
      .flatMap(({ entry }) => [entry, entry.replace(/\.json$/, '.data')]),
    ...[
      ...archive.groups.filter(({ groupId }) => isAbsent('group', groupId) || groups.includes(groupId)),
      ...versions,
      ...archive.artifactRules.filter(isBroughtWhole(renewal)),
      ...archive.comments.filter(({ globalId }) => globalIds.has(globalId)),
      ...archive.globalRules.filter(({ ruleType }) => isAbsent('globalRule', ruleType)),
    ].map(({ entry }) => entry),
  ];
  return entries.length === 0 || archive.manifest === null ? [] : [archive.manifest.entry, ...entries];
}

/** Of several that exclude each other the importer takes one by the order of its files, which a part of an archive has not. */
function refusalOf(before: Foreseen, after: Foreseen, versions: readonly ArchivedVersion[]): string | null {
  const uncertain = (foreseen: Foreseen): ReadonlySet<string> =>
    new Set(foreseen.versions.flatMap(({ entity, fate }) => (fate === 'one-of' ? [versionName(entity)] : [])));
  const [was, is] = [uncertain(before), uncertain(after)];
  const changed = [...was, ...is].find((each) => !was.has(each) || !is.has(each));
  const name = changed ?? versions.map(versionName).find((each) => is.has(each));
  if (name === undefined) return null;
  return `${name} is one of several that exclude each other: which of them is there rests on a whole import`;
}
