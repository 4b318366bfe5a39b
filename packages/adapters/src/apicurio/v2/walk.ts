/**
 * Everything that the v2 API of a 2.6 shows, as records: listings page by page, then each version's comments, each rule and
 * content by itself. A content is read by its id, which serves the ones of DISABLED versions too.
 *
 * The API has no list of contents: those of no version are not seen. It says nothing of branches, which 2.6 has not.
 */
import type { StopSignal } from '@keyferry/core';
import type { z } from 'zod';
import { Lanes } from '../../lanes.ts';
import { readListing } from '../api/listing.ts';
import { pathPart, type RegistryApi } from '../api/registry-api.ts';
import { contentOf, readRules } from '../api/shared-reads.ts';
import * as shapes from '../api/shapes.ts';
import {
  artifactRecord,
  commentRecord,
  groupRecord,
  mergedLabels,
  versionRecord,
  type Named,
  type RegistryRecord,
} from '../records/records.ts';
import { RecordSet } from '../records/record-set.ts';
import { isMisspeltDefault } from '../foresee/foresee-import.ts';

export type Artifact2 = Named & { readonly type: string };
export type Version2 = z.infer<typeof shapes.versions2>['versions'][number];

/** Requests under way at once: a registry opens 20 connections to its database at the least. */
export const lanesMax = 8;

/**
 * @param known contents that were read before, by their ids: 2.6 never changes what an id stands for, so they are not read again
 * @returns sealed; close it
 */
export async function walkOld(
  api: RegistryApi,
  signal: StopSignal,
  known: ReadonlyMap<number, RegistryRecord> = new Map(),
): Promise<RecordSet> {
  const records = new RecordSet();
  const lanes = new Lanes(lanesMax);
  try {
    for (const record of await readRules(api, [], signal)) records.add(record);
    await lanes.untilFailed(await listGroups(api, signal), async (id) => {
      const {
        createdBy: owner,
        properties,
        ...group
      } = await api.get(`/groups/${pathPart(id)}`, shapes.group2, signal);
      records.add(groupRecord(id, { ...group, owner, labels: properties }));
    });
    const walked: Walked = { records, contentIds: new Set<number>(), versions: [] };
    await lanes.untilFailed(await listArtifacts(api, signal), async (artifact) => {
      await walkArtifact(api, artifact, walked, signal);
    });
    // One request a version, so an artifact with thousands of them is no lane of its own.
    await lanes.untilFailed(walked.versions, async ({ path, globalId }) => {
      for (const { commentId, createdBy, ...comment } of await api.get(`${path}/comments`, shapes.comments2, signal)) {
        records.add(commentRecord(globalId, commentId, { ...comment, owner: createdBy }));
      }
    });
    await lanes.untilFailed([...walked.contentIds], async (id) => {
      records.add(known.get(id) ?? (await contentOf(api, id, signal)));
    });
    return await records.seal();
  } catch (error) {
    records.close();
    throw error;
  }
}

interface Walked {
  readonly records: RecordSet;
  readonly contentIds: Set<number>;
  readonly versions: { readonly path: string; readonly globalId: number }[];
}

async function walkArtifact(
  api: RegistryApi,
  artifact: Artifact2,
  { records, contentIds, versions }: Walked,
  signal: StopSignal,
): Promise<void> {
  const { groupId, artifactId, type } = artifact;
  const path = shapes.artifactPath(artifact);
  records.add(artifactRecord(artifact, { type }));
  // Imports of older releases left such; each path to it is taken for one of the group of none.
  if (isMisspeltDefault(groupId)) return;
  for (const record of await readRules(api, [groupId, artifactId], signal)) records.add(record);
  for (const listed of await listVersions(api, artifact, signal)) {
    const { createdBy: owner, labels, properties, ...facts } = listed;
    records.add(versionRecord({ ...facts, groupId, artifactId, owner, labels: mergedLabels(labels, properties) }));
    contentIds.add(facts.contentId);
    versions.push({ path: `${path}/versions/${pathPart(facts.version)}`, globalId: facts.globalId });
  }
}

export async function listGroups(api: RegistryApi, signal: StopSignal): Promise<readonly string[]> {
  const groups = await readListing(
    {
      store: api.store,
      what: 'groups',
      keyOf: ({ id }: { readonly id: string }) => id,
      page: async (limit, offset) => {
        const page = await api.get(`/groups?limit=${limit}&offset=${offset}`, shapes.groups2, signal);
        return { count: page.count, entries: page.groups };
      },
    },
    signal,
  );
  return groups.map(({ id }) => id);
}

/** By the time of creation, which moves for no artifact; ties are seen by the listing itself. */
export async function listArtifacts(api: RegistryApi, signal: StopSignal): Promise<readonly Artifact2[]> {
  return await readListing(
    {
      store: api.store,
      what: 'artifacts',
      keyOf: (artifact: Artifact2) => shapes.artifactPath(artifact),
      page: async (limit, offset) => {
        const path = `/search/artifacts?orderby=createdOn&order=asc&limit=${limit}&offset=${offset}`;
        const { count, artifacts } = await api.get(path, shapes.artifacts2, signal);
        return {
          count,
          entries: artifacts.map(({ id: artifactId, groupId, type }) => ({ groupId, artifactId, type })),
        };
      },
    },
    signal,
  );
}

export async function listVersions(
  api: RegistryApi,
  artifact: Named,
  signal: StopSignal,
): Promise<readonly Version2[]> {
  const path = shapes.artifactPath(artifact);
  return await readListing(
    {
      store: api.store,
      what: `versions of ${path}`,
      keyOf: ({ version }: Version2) => version,
      page: async (limit, offset) => {
        const page = await api.get(`${path}/versions?limit=${limit}&offset=${offset}`, shapes.versions2, signal);
        return { count: page.count, entries: page.versions };
      },
    },
    signal,
  );
}
