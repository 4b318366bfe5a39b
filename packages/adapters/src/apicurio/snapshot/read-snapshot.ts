/**
 * Reads an export of 3.x entity by entity, and makes of it the records that a walk of that registry would have found.
 *
 * Unlike an archive that is to be imported, one of these is keyferry's own: anything in it that is not understood is an error.
 */
import { createHash } from 'node:crypto';
import { KeyferryError } from '@keyferry/core';
import { openArchive } from '../archive/read-archive.ts';
import { references as referencesSchema, type ContentReference } from '../archive/entities.ts';
import {
  artifactFacts,
  artifactRecord,
  branchRecord,
  commentRecord,
  contentRecord,
  defaultGroup,
  groupRecord,
  ruleRecord,
  versionRecord,
  type RegistryRecord,
} from '../records/records.ts';
import { RecordSet } from '../records/record-set.ts';
import type { ZipEntries } from '../../zip/zip-entries.ts';
import { snapshotSchemas, type SnapshotEntity, type SnapshotFacts, type SnapshotKind } from './entities.ts';

/** @throws {KeyferryError} `registry.archive-invalid` for anything that is not of a 3.x */
export async function* readEntities(zip: ZipEntries, file: string): AsyncGenerator<SnapshotEntity, void, undefined> {
  for (const entry of zip.names) {
    if (!entry.endsWith('.json')) continue; // data is read beside its content
    const kind = entry.split('.').at(-2) ?? '';
    if (!Object.hasOwn(snapshotSchemas, kind)) throw invalid(file, `${entry} is of a kind that is not known`);
    yield entityOf(kind as SnapshotKind, entry, await zip.readDocument(entry), file);
  }
}

/** Types of artifacts are facts of the artifact in 3.x, and of versions in records. @returns sealed; close it */
export async function readSnapshot(file: string): Promise<RecordSet> {
  const zip = await openArchive(file);
  const records = new RecordSet();
  try {
    const types = new Map<string, string | null>();
    const versions: SnapshotFacts<'ArtifactVersion'>[] = [];
    for await (const entity of readEntities(zip, file)) {
      if (entity.kind === 'Manifest') assertWrittenBy3(entity.facts, file);
      else if (entity.kind === 'ArtifactVersion') versions.push(entity.facts);
      else if (entity.kind === 'Content') records.add(await contentOf(zip, entity, file));
      else {
        if (entity.kind === 'Artifact') types.set(ownerOf(entity.facts), entity.facts.artifactType);
        records.add(recordOf(entity));
      }
    }
    for (const facts of versions) records.add(versionRecord({ ...facts, type: types.get(ownerOf(facts)) ?? null }));
    return await records.seal();
  } catch (error) {
    records.close();
    throw error;
  } finally {
    zip.close();
  }
}

/** Contents alone, by their ids. @throws {KeyferryError} `registry.archive-invalid` for anything that is not of a 3.x */
export async function readContents(file: string): Promise<ReadonlyMap<number, RegistryRecord>> {
  const zip = await openArchive(file);
  const contents = new Map<number, RegistryRecord>();
  try {
    for await (const entity of readEntities(zip, file)) {
      if (entity.kind === 'Content') contents.set(entity.facts.contentId, await contentOf(zip, entity, file));
    }
    return contents;
  } finally {
    zip.close();
  }
}

export function referencesOf({ serializedReferences }: SnapshotFacts<'Content'>): readonly ContentReference[] {
  if (serializedReferences === null || serializedReferences === '') return [];
  return referencesSchema.parse(JSON.parse(serializedReferences));
}

type Plain = Exclude<SnapshotEntity, { readonly kind: 'Manifest' | 'ArtifactVersion' | 'Content' }>;

function recordOf({ kind, facts }: Plain): RegistryRecord {
  switch (kind) {
    case 'Group':
      return groupRecord(facts.groupId, facts);
    case 'Artifact':
      return artifactRecord(facts, artifactFacts({ ...facts, type: facts.artifactType }));
    case 'ArtifactRule':
      return ruleRecord([facts.groupId ?? defaultGroup, facts.artifactId, facts.type], facts.configuration);
    case 'GroupRule':
      return ruleRecord([facts.groupId, facts.type], facts.configuration);
    case 'GlobalRule':
      return ruleRecord([facts.ruleType], facts.configuration);
    case 'Comment':
      return commentRecord(facts.globalId, facts.commentId, facts);
    case 'Branch':
      return branchRecord(facts, facts.branchId, facts.versions);
  }
}

async function contentOf(
  zip: ZipEntries,
  { entry, facts }: Extract<SnapshotEntity, { readonly kind: 'Content' }>,
  file: string,
): Promise<RegistryRecord> {
  const data = entry.replace(/\.json$/, '.data');
  if (!zip.has(data)) throw invalid(file, `the bytes of ${entry} are missing`);
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const piece of zip.pieces(data)) {
    hash.update(piece);
    bytes += piece.byteLength;
  }
  return contentRecord(facts.contentId, { bytes, sha256: hash.digest('hex'), references: referencesOf(facts) });
}

function entityOf(kind: SnapshotKind, entry: string, body: Buffer, file: string): SnapshotEntity {
  const parsed = snapshotSchemas[kind].safeParse(JSON.parse(body.toString('utf8')));
  if (!parsed.success) throw invalid(file, `${entry}: ${parsed.error.issues[0]?.message ?? 'it is wrong'}`);
  return { kind, entry, facts: parsed.data } as SnapshotEntity;
}

function assertWrittenBy3({ exportVersion }: SnapshotFacts<'Manifest'>, file: string): void {
  if (exportVersion?.startsWith('3.') !== true) throw invalid(file, `its export version is ${exportVersion ?? 'none'}`);
}

function ownerOf({ groupId, artifactId }: { readonly groupId: string | null; readonly artifactId: string }): string {
  return JSON.stringify([groupId, artifactId]);
}

function invalid(file: string, why: string): KeyferryError {
  return new KeyferryError('registry.archive-invalid', { file, why: `as one of 3.x: ${why}` });
}
