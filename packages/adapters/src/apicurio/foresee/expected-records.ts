/**
 * What a walk of a 3.x has to find after an import, record by record: the archive, less what was foreseen to be lost, in the
 * form that the importer gives it, with what was carried over beside the archive.
 *
 * Of entities that exclude each other exactly one is expected; of what hangs on them, either.
 */
import type { BesidesArchive } from '@keyferry/core';
import { artifactName, type ArchivedContent, type ArchivedVersion } from '../archive/entities.ts';
import { archivedComment, archivedRule, archivedVersion } from '../archive/archived-records.ts';
import type { RegistryArchive } from '../archive/read-archive.ts';
import {
  artifactFacts,
  artifactRecord,
  branchRecord,
  contentRecord,
  groupRecord,
  mergedLabels,
  ruleRecord,
  userOf,
  type RecordBody,
} from '../records/records.ts';
import { RecordSet } from '../records/record-set.ts';
import { isMisspeltDefault, type Fate, type FateOf, type Foreseen } from './foresee-import.ts';

/** Either is right. */
const either = '';

/** @param besides what was carried over; null: nothing yet @returns sealed; close it */
export async function expectedRecords(
  archive: RegistryArchive,
  foreseen: Foreseen,
  besides: Pick<BesidesArchive, 'owners' | 'groupLabels' | 'latestOrders'> | null,
): Promise<RecordSet> {
  const records = new RecordSet();
  for (const each of foreseen.versions) {
    if (each.fate === 'lost') continue;
    const rival = each.why === 'global-id-repeated' ? `global id ${each.entity.globalId}` : either;
    records.add({ ...archivedVersion(each.entity), ...(each.fate === 'one-of' && { oneOf: rival }) });
  }
  addContents(records, foreseen);
  addArtifacts(records, foreseen, besides);
  const labelsOf = new Map(besides?.groupLabels.map(({ group, labels }) => [group, labels]));
  const archived = new Map(archive.groups.map((group) => [group.groupId, group]));
  for (const groupId of foreseen.groups) {
    const group = archived.get(groupId);
    const labels = labelsOf.get(groupId) ?? {};
    if (group === undefined) records.add({ kind: 'group', parts: [groupId], body: null });
    else records.add(groupRecord(groupId, { ...group, owner: group.createdBy, labels }));
  }
  for (const { ruleType, configuration } of archive.globalRules) records.add(ruleRecord([ruleType], configuration));
  for (const { entity, fate } of foreseen.artifactRules) {
    // A row that no path leads to is not there for anybody.
    if (fate === 'kept' && !isMisspeltDefault(entity.groupId)) records.add(archivedRule(entity));
  }
  for (const { entity, fate } of foreseen.comments) {
    if (fate !== 'lost') records.add({ ...archivedComment(entity), ...(fate === 'one-of' && { oneOf: either }) });
  }
  return await records.seal();
}

/** Only what a version leads to is listed by the API. */
function addContents(records: RecordSet, { contents, versions }: Foreseen): void {
  const fates = Map.groupBy(versions, ({ entity }) => entity.contentId);
  const usedFor = ({ contentId }: ArchivedContent): 'surely' | 'maybe' | 'never' => {
    const of = fates.get(contentId) ?? [];
    if (of.some(({ fate }) => fate === 'kept' || fate === 'by-id-only')) return 'surely';
    return of.some(({ fate }) => fate === 'one-of') ? 'maybe' : 'never';
  };
  for (const { entity, fate, why } of contents) {
    const used = usedFor(entity);
    if (fate === 'lost' || used === 'never') continue;
    const isUncertain = fate === 'one-of' || used === 'maybe';
    const record = contentRecord(entity.contentId, entity);
    const body = why === 'content-id-repeated' ? null : record.body;
    records.add({ ...record, body, ...(isUncertain && { oneOf: either }) });
  }
}

function addArtifacts(
  records: RecordSet,
  { versions, artifacts }: Foreseen,
  besides: Pick<BesidesArchive, 'owners' | 'latestOrders'> | null,
): void {
  const owners = new Map(besides?.owners.map(({ group, artifact, owner }) => [`${group}/${artifact}`, owner]));
  const orders = new Map(besides?.latestOrders.map((each) => [`${each.group}/${each.artifact}`, each.versions]));
  const byArtifact = Map.groupBy(versions, ({ entity }) => artifactName(entity));
  for (const name of artifacts) {
    const of = byArtifact.get(name) ?? [];
    const [first] = of;
    if (first === undefined) continue;
    const body = artifactBody(of);
    const owner = owners.get(name);
    const owned = body === null || owner === undefined ? body : { ...body, owner: userOf(owner) };
    records.add({ ...artifactRecord(first.entity, {}), body: owned });
    const onBranch = of.filter(({ fate }) => fate === 'kept').map(({ entity }) => entity.version);
    const branch = branchRecord(first.entity, 'latest', orders.get(name) ?? onBranch);
    const isUncertain = of.some(({ fate }) => fate === 'one-of');
    records.add({
      ...branch,
      ...(isUncertain || onBranch.length === 0 ? { body: null, oneOf: either } : {}),
    });
  }
}

/** The row has what the version that is marked as the latest says; null where it rests on versions that may be lost. */
function artifactBody(of: readonly FateOf<ArchivedVersion, unknown>[]): RecordBody | null {
  const isSure = (fate: Fate): boolean => fate === 'kept' || fate === 'by-id-only';
  if (!of.every(({ fate }) => isSure(fate))) return null;
  const latest = (of.find(({ entity }) => entity.isLatest) ?? of[0])?.entity;
  if (latest === undefined) return null;
  const { name, description, createdBy, artifactType, labels, properties } = latest;
  return artifactFacts({
    type: artifactType,
    name,
    description,
    owner: createdBy,
    labels: mergedLabels(labels, properties),
  });
}
