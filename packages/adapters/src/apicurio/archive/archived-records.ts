/** An export of 2.x as the records that the API of the 2.x that wrote it shows: what a walk is held against. */
import type { RegistryArchive } from './read-archive.ts';
import { artifactName, type ArchivedContent, type ArchivedVersion, type Entry } from './entities.ts';
import {
  artifactRecord,
  commentRecord,
  contentRecord,
  defaultGroup,
  groupRecord,
  mergedLabels,
  ruleRecord,
  versionRecord,
  type RegistryRecord,
} from '../records/records.ts';
import { RecordSet } from '../records/record-set.ts';
import { isMisspeltDefault } from '../foresee/foresee-import.ts';

/**
 * Contents of no version are left out: no API lists them. Of artifacts in a group that is called default in other letters there is the
 * row alone: the API lists it, and takes each path to it for one of the group of none.
 * @returns sealed; close it
 */
export async function archivedRecords(archive: RegistryArchive): Promise<RecordSet> {
  const records = new RecordSet();
  const seen = new Set<string>();
  const unreached = new Set<number>();
  for (const version of archive.versions) {
    if (!seen.has(artifactName(version))) records.add(artifactRecord(version, { type: version.artifactType }));
    seen.add(artifactName(version));
    if (isMisspeltDefault(version.groupId)) unreached.add(version.globalId);
    else records.add(archivedVersion(version));
  }
  for (const content of usedContents(archive)) records.add(contentRecord(content.contentId, content));
  for (const { groupId, createdBy: owner, properties: labels, ...group } of archive.groups) {
    records.add(groupRecord(groupId, { ...group, owner, labels }));
  }
  for (const rule of archive.artifactRules) if (!isMisspeltDefault(rule.groupId)) records.add(archivedRule(rule));
  for (const { ruleType, configuration } of archive.globalRules) records.add(ruleRecord([ruleType], configuration));
  for (const comment of archive.comments) if (!unreached.has(comment.globalId)) records.add(archivedComment(comment));
  return await records.seal();
}

/**
 * What an archive that a walk was equal to says of contents, by their ids: those of no version, which no walk has seen, are not
 * among them.
 */
export function walkedContents(archive: RegistryArchive): ReadonlyMap<number, RegistryRecord> {
  return new Map(
    usedContents(archive).map((content) => [content.contentId, contentRecord(content.contentId, content)]),
  );
}

function usedContents({ contents, versions }: RegistryArchive): readonly ArchivedContent[] {
  const reached = versions.filter(({ groupId }) => !isMisspeltDefault(groupId));
  const used = new Set(reached.map(({ contentId }) => contentId));
  return contents.filter(({ contentId }) => used.has(contentId));
}

export function archivedVersion({ createdBy, artifactType, labels, properties, ...version }: ArchivedVersion) {
  return versionRecord({
    ...version,
    owner: createdBy,
    type: artifactType,
    labels: mergedLabels(labels, properties),
  });
}

export function archivedRule({ groupId, artifactId, type, configuration }: Entry<'ArtifactRule'>): RegistryRecord {
  return ruleRecord([groupId ?? defaultGroup, artifactId, type], configuration);
}

export function archivedComment({ globalId, commentId, createdBy, ...comment }: Entry<'Comment'>): RegistryRecord {
  return commentRecord(globalId, commentId, { ...comment, owner: createdBy });
}
