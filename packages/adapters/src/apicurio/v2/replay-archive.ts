/**
 * Writes an archive of 2.6 (export version 1.0) with what 3.x made and 2.6 has not: the one way in by which ids, users and times
 * stay what they are. Contents are copied out of the export of 3.x, so that nothing of them is ever whole in memory but a document.
 *
 * The importer of 2.6 drops a version whose content is not in the same archive, and a comment whose version is not; so both come
 * along even where 2.6 has them. It passes over ids that it knows.
 */
import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { KeyferryError } from '@keyferry/core';
import yazl from 'yazl';
import { openArchive } from '../archive/read-archive.ts';
import type { SnapshotFacts } from '../snapshot/entities.ts';
import { readEntities, referencesOf } from '../snapshot/read-snapshot.ts';
import { copyEntry } from '../../zip/copy-entry.ts';
import type { ZipEntries } from '../../zip/zip-entries.ts';

export interface Wanted {
  readonly globalIds: ReadonlySet<number>;
  /** `globalId/commentId` */
  readonly comments: ReadonlySet<string>;
  readonly groups: ReadonlySet<string>;
}

/**
 * @param snapshot an export of 3.x that holds all of it
 * @param into replaced where it is there
 */
export async function writeReplayArchive(snapshot: string, wanted: Wanted, into: string): Promise<void> {
  const source = await openArchive(snapshot);
  const partial = `${into}.partial`;
  try {
    const chosen = await choose(source, snapshot, wanted);
    const zip = new yazl.ZipFile();
    zip.on('error', (error: Error) => (zip.outputStream as Readable).destroy(error));
    const written = pipeline(zip.outputStream, createWriteStream(partial));
    addTo(zip, source, chosen);
    zip.end();
    await written;
    await rename(partial, into);
  } catch (error) {
    await rm(partial, { force: true });
    if (error instanceof KeyferryError) throw error;
    const detail = error instanceof Error ? error.message : String(error);
    throw new KeyferryError('file.unwritable', { file: into, detail }, { cause: error });
  } finally {
    source.close();
  }
}

interface Chosen {
  readonly versions: readonly (SnapshotFacts<'ArtifactVersion'> & { readonly type: string | null })[];
  readonly contents: readonly { readonly entry: string; readonly facts: SnapshotFacts<'Content'> }[];
  readonly groups: readonly SnapshotFacts<'Group'>[];
  readonly comments: readonly SnapshotFacts<'Comment'>[];
  /** Global ids of versions that are the latest of their artifacts. */
  readonly latest: ReadonlySet<string>;
}

async function choose(source: ZipEntries, file: string, wanted: Wanted): Promise<Chosen> {
  const types = new Map<string, string | null>();
  const latest = new Set<string>();
  const versions: SnapshotFacts<'ArtifactVersion'>[] = [];
  const contents: { readonly entry: string; readonly facts: SnapshotFacts<'Content'> }[] = [];
  const groups: SnapshotFacts<'Group'>[] = [];
  const comments: SnapshotFacts<'Comment'>[] = [];
  const commented = new Set([...wanted.comments].map((each) => Number(each.split('/')[0])));
  for await (const { kind, entry, facts } of readEntities(source, file)) {
    if (kind === 'Artifact') types.set(idOf(facts), facts.artifactType);
    if (kind === 'Branch' && facts.branchId === 'latest') latest.add(idOf(facts, facts.versions.at(-1)));
    if (kind === 'Group' && wanted.groups.has(facts.groupId)) groups.push(facts);
    if (kind === 'Comment' && wanted.comments.has(`${facts.globalId}/${facts.commentId}`)) comments.push(facts);
    if (kind === 'Content') contents.push({ entry, facts });
    if (kind !== 'ArtifactVersion') continue;
    if (wanted.globalIds.has(facts.globalId) || commented.has(facts.globalId)) versions.push(facts);
  }
  const used = new Set(versions.map(({ contentId }) => contentId));
  return {
    versions: versions.map((facts) => ({ ...facts, type: types.get(idOf(facts)) ?? null })),
    contents: contents.filter(({ facts }) => used.has(facts.contentId)),
    groups,
    comments,
    latest,
  };
}

function addTo(zip: yazl.ZipFile, source: ZipEntries, chosen: Chosen): void {
  const add = (name: string, body: object): void =>
    zip.addBuffer(Buffer.from(JSON.stringify(body)), name, { mtime: epoch });
  add('manifest-1.Manifest.json', manifest);
  for (const { entry, facts } of chosen.contents) {
    const { contentId, contentHash, canonicalHash } = facts;
    const references = referencesOf(facts);
    const serializedReferences = references.length === 0 ? null : JSON.stringify(references);
    const name = `content/${contentHash}.Content`;
    add(`${name}.json`, { contentId, contentHash, canonicalHash, artifactType: null, serializedReferences });
    const data = entry.replace(/\.json$/, '.data');
    copyEntry({ from: source, name: data, into: zip, as: `${name}.data`, mtime: epoch });
  }
  // Names are for people, and readers go by the last two words: ids are never put into them.
  for (const [at, { groupId, description, owner, createdOn, labels }] of chosen.groups.entries()) {
    const times = { createdBy: owner, createdOn, modifiedBy: null, modifiedOn: 0 };
    const properties = Object.fromEntries(Object.entries(labels).map(([key, value]) => [key, value ?? '']));
    add(`groups/${at}.Group.json`, { groupId, description, artifactsType: null, ...times, properties });
  }
  for (const version of chosen.versions.toSorted((a, b) => a.globalId - b.globalId)) {
    add(`versions/${version.globalId}.ArtifactVersion.json`, versionBody(version, chosen.latest));
  }
  for (const [at, { globalId, commentId, owner, createdOn, value }] of chosen.comments.entries()) {
    add(`comments/${at}.Comment.json`, { globalId, commentId, createdBy: owner, createdOn, value });
  }
}

function versionBody(version: Chosen['versions'][number], latest: Chosen['latest']): object {
  const { globalId, groupId, artifactId, version: name, versionOrder, type, contentId, state, labels } = version;
  return {
    globalId,
    groupId,
    artifactId,
    version: name,
    versionId: versionOrder,
    artifactType: type,
    state,
    name: version.name,
    description: version.description,
    createdBy: version.owner,
    createdOn: version.createdOn,
    // A key without a value is a label of 2.6, one with a value a property.
    labels: Object.keys(labels).filter((key) => labels[key] === null),
    properties: Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== null)),
    isLatest: latest.has(idOf(version, name)),
    contentId,
  };
}

function idOf(
  { groupId, artifactId }: { readonly groupId: string | null; readonly artifactId: string },
  version?: string,
): string {
  return JSON.stringify([groupId, artifactId, version ?? null]);
}

const epoch = new Date('1980-01-01T00:00:00Z');

const manifest = {
  systemVersion: '2.6.13.Final',
  systemName: 'keyferry',
  systemDescription: 'what a 3.x accepted after the switch',
  exportVersion: '1.0',
  exportedOn: 0,
  exportedBy: 'keyferry',
};
