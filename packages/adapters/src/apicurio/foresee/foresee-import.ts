/**
 * What an Apicurio Registry 3.x will hold after it imported an archive of 2.x: its importer, played through without it.
 *
 *     contents ──► groups ──► versions by globalId (each makes its artifact, then its row, then its place on `latest`)
 *                                       └──► rules of artifacts that have a row ──► comments of versions that have one
 *
 * The importer runs each entity in a transaction of its own, writes a warning where one fails, and answers as if nothing had
 * happened; so this file is the only one that knows before. Each reason here was seen on 3.3.3, with its place in that order
 * (test/contract/apicurio-import.test.ts). Where two entities exclude each other, which of them survives rests on the order
 * in which a directory of the server's lists its files: both are `one-of`. Pure.
 */
import {
  artifactName,
  versionName,
  type ArchivedContent,
  type ArchivedVersion,
  type Entry,
} from '../archive/entities.ts';
import type { RegistryArchive } from '../archive/read-archive.ts';
import type { TargetRelease } from './target-release.ts';

/**
 * `kept`: as it was. `by-id-only`: its row is there, and only ids lead to it: not on `latest`, no path has its name.
 * `one-of`: of several only one survives, and nobody can say which.
 */
export type Fate = 'kept' | 'by-id-only' | 'one-of' | 'lost';

export type LossReason =
  | 'group-default'
  | 'labels-clash'
  | 'text-too-long'
  | 'global-id-repeated'
  | 'version-repeated'
  | 'content-missing'
  | 'content-lost'
  | 'content-twice'
  | 'version-name';

export type ContentLoss = 'references-clash' | 'kind-refused' | 'content-id-repeated' | 'content-twice';

export interface FateOf<T, Reason> {
  readonly entity: T;
  readonly fate: Fate;
  /** Null: it is kept. */
  readonly why: Reason | null;
}

export interface Foreseen {
  readonly contents: readonly FateOf<ArchivedContent, ContentLoss>[];
  readonly versions: readonly FateOf<ArchivedVersion, LossReason>[];
  readonly artifactRules: readonly FateOf<Entry<'ArtifactRule'>, 'artifact-missing'>[];
  readonly comments: readonly FateOf<Entry<'Comment'>, 'version-lost' | 'comment-id-repeated'>[];
  /** Names of artifacts that will have a row, with or without a version. */
  readonly artifacts: ReadonlySet<string>;
  /** Names of groups that will have a row; the importer makes those that only a version names. */
  readonly groups: ReadonlySet<string>;
}

export function foreseeImport(archive: RegistryArchive, release: TargetRelease): Foreseen {
  const contents = contentFates(archive.contents, release);
  const versions = versionFates(archive.versions, contents, release);
  const artifacts = new Set(archive.versions.filter((version) => makesArtifact(version, release)).map(artifactName));
  const fateOfVersion = new Map(versions.map(({ entity, fate }) => [entity.globalId, fate]));
  const commentIds = countBy(archive.comments, ({ commentId }) => commentId);
  return {
    contents,
    versions,
    artifacts,
    groups: new Set([
      ...archive.groups.map(({ groupId }) => groupId),
      ...archive.versions
        .filter((version) => makesArtifact(version, release) && version.groupId?.toLowerCase() !== 'default')
        .flatMap(({ groupId }) => groupId ?? []),
    ]),
    artifactRules: archive.artifactRules.map((entity) => {
      const isKept = artifacts.has(artifactName(entity));
      return { entity, fate: isKept ? 'kept' : 'lost', why: isKept ? null : 'artifact-missing' };
    }),
    comments: archive.comments.map((entity) => {
      const fate = fateOfVersion.get(entity.globalId) ?? 'lost';
      if (fate === 'lost' || fate === 'by-id-only') return { entity, fate: 'lost', why: 'version-lost' };
      if ((commentIds.get(entity.commentId) ?? 0) > 1) return { entity, fate: 'one-of', why: 'comment-id-repeated' };
      return fate === 'one-of' ? { entity, fate, why: 'version-lost' } : { entity, fate: 'kept', why: null };
    }),
  };
}

/** The ids that 3.x hands out first: it goes on behind the highest that it took in, whatever the archive held. */
export function nextIds({ versions, contents }: Pick<Foreseen, 'versions' | 'contents'>): {
  readonly globalId: number;
  readonly contentId: number;
} {
  const after = <T>(fates: readonly FateOf<T, unknown>[], idOf: (entity: T) => number): number =>
    1 + fates.reduce((max, { entity, fate }) => (fate === 'lost' ? max : Math.max(max, idOf(entity))), 0);
  return {
    globalId: after(versions, ({ globalId }) => globalId),
    contentId: after(contents, ({ contentId }) => contentId),
  };
}

function contentFates(
  contents: readonly ArchivedContent[],
  release: TargetRelease,
): readonly FateOf<ArchivedContent, ContentLoss>[] {
  const refused = (content: ArchivedContent): ContentLoss | null => {
    if (release.refusesForeignKinds && content.takenFor !== null) return 'kind-refused';
    return release.refusesEqualReferences && hasEqualReferences(content) ? 'references-clash' : null;
  };
  const taken = contents.filter((content) => refused(content) === null);
  const ids = countBy(taken, ({ contentId }) => contentId);
  const hashes = countBy(taken, ({ recomputedHash }) => recomputedHash);
  return contents.map((entity) => {
    const why = refused(entity);
    if (why !== null) return { entity, fate: 'lost', why };
    if ((ids.get(entity.contentId) ?? 0) > 1) return { entity, fate: 'one-of', why: 'content-id-repeated' };
    if ((hashes.get(entity.recomputedHash) ?? 0) > 1) return { entity, fate: 'one-of', why: 'content-twice' };
    return { entity, fate: 'kept', why: null };
  });
}

function versionFates(
  versions: readonly ArchivedVersion[],
  contents: Foreseen['contents'],
  release: TargetRelease,
): readonly FateOf<ArchivedVersion, LossReason>[] {
  const contentFate = new Map(contents.map((each) => [each.entity.contentId, each]));
  const early = (version: ArchivedVersion): LossReason | null => {
    if (!makesArtifact(version, release)) return textLoss(version, release);
    return isMisspeltDefault(version.groupId) ? 'group-default' : null;
  };
  const globalIds = countBy(
    versions.filter((version) => early(version) === null),
    ({ globalId }) => globalId,
  );
  const taken = new Set<string>();
  const fateOf = (entity: ArchivedVersion): Pick<FateOf<ArchivedVersion, LossReason>, 'fate' | 'why'> => {
    const why = early(entity);
    if (why !== null) return { fate: 'lost', why };
    const content = contentFate.get(entity.contentId);
    if (content === undefined) return { fate: 'lost', why: 'content-missing' };
    if (content.fate === 'lost') return { fate: 'lost', why: 'content-lost' };
    if ((globalIds.get(entity.globalId) ?? 0) > 1) return { fate: 'one-of', why: 'global-id-repeated' };
    if (taken.has(versionName(entity))) return { fate: 'lost', why: 'version-repeated' };
    if (content.fate === 'one-of') return { fate: 'one-of', why: 'content-twice' };
    if (!isVersionName(entity.version)) return { fate: 'by-id-only', why: 'version-name' };
    return { fate: 'kept', why: null };
  };
  return versions
    .toSorted((a, b) => a.globalId - b.globalId)
    .map((entity) => {
      const { fate, why } = fateOf(entity);
      if (fate !== 'lost') taken.add(versionName(entity));
      return { entity, fate, why };
    });
}

/** Versions of 3.x that a path can name, and that can stand on a branch. */
export function isVersionName(version: string): boolean {
  return /^[a-zA-Z0-9._+-]{1,256}$/.test(version);
}

export const textLimits = { name: 512, description: 1024, labelKey: 256, labelValue: 512 } as const;

/** Characters count, as the columns of both databases do. */
function textLoss(
  { name, description, labels, properties }: ArchivedVersion,
  { foldsLabelKeys }: TargetRelease,
): LossReason | null {
  if (lengthOf(name) > textLimits.name || lengthOf(description) > textLimits.description) return 'text-too-long';
  const keys = [...new Set([...labels, ...Object.keys(properties)])];
  if (keys.some((key) => lengthOf(key) > textLimits.labelKey)) return 'text-too-long';
  if (Object.values(properties).some((value) => lengthOf(value) > textLimits.labelValue)) return 'text-too-long';
  return foldsLabelKeys && clashingKeys({ labels, properties }).length > 0 ? 'labels-clash' : null;
}

/** Keys of labels and properties that are one key where case does not count; those that are equal to the letter are one. */
export function clashingKeys({
  labels,
  properties,
}: Pick<ArchivedVersion, 'labels' | 'properties'>): readonly string[] {
  const keys = [...new Set([...Object.keys(properties), ...labels])];
  const counts = countBy(keys, (key) => key.toLowerCase());
  return keys.filter((key) => (counts.get(key.toLowerCase()) ?? 0) > 1);
}

export function lengthOf(text: string | null): number {
  return text?.length ?? 0;
}

/** A group that 3.x takes for the one of none in some places and for another one in others. */
export function isMisspeltDefault(groupId: string | null): boolean {
  return groupId !== null && groupId !== 'default' && groupId.toLowerCase() === 'default';
}

export function hasEqualReferences({ references }: ArchivedContent): boolean {
  return new Set(references.map(({ name }) => name)).size < references.length;
}

/** The artifact's row comes first, and takes the labels of the version with it. */
function makesArtifact(version: ArchivedVersion, release: TargetRelease): boolean {
  return textLoss(version, release) === null;
}

export function countBy<T, K>(items: readonly T[], keyOf: (item: T) => K): ReadonlyMap<K, number> {
  const counts = new Map<K, number>();
  for (const item of items) counts.set(keyOf(item), (counts.get(keyOf(item)) ?? 0) + 1);
  return counts;
}
