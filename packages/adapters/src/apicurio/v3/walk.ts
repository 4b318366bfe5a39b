/**
 * Everything that the v3 API of a 3.x shows, as records: listings page by page, then artifacts, branches, comments, rules and
 * contents by themselves. Contents of no version are not listed by the API, and not seen.
 *
 * A version whose name 3.x would not create is listed and has its row; no path leads to it, so its comments are not read.
 */
import type { StopSignal } from '@keyferry/core';
import type { z } from 'zod';
import { Lanes } from '../../lanes.ts';
import { readListing } from '../api/listing.ts';
import { pathPart, type RegistryApi } from '../api/registry-api.ts';
import { contentOf, readRules } from '../api/shared-reads.ts';
import * as shapes from '../api/shapes.ts';
import { isMisspeltDefault, isVersionName } from '../foresee/foresee-import.ts';
import {
  artifactFacts,
  artifactRecord,
  branchRecord,
  commentRecord,
  groupRecord,
  versionRecord,
  type Named,
  type RegistryRecord,
} from '../records/records.ts';
import { RecordSet } from '../records/record-set.ts';
import { lanesMax } from '../v2/walk.ts';

type Version3 = z.infer<typeof shapes.versions3>['versions'][number];

/**
 * @param known contents as an export of this registry has them, by their ids: those are not read one by one
 * @returns sealed; close it
 */
export async function walkNew(
  api: RegistryApi,
  signal: StopSignal,
  known?: ReadonlyMap<number, RegistryRecord>,
): Promise<RecordSet> {
  return await walking(api, signal, known, async (walk) => {
    walk.add(await readRules(api, [], signal));
    await walk.lanes.untilFailed(await listGroups(api, signal), async (id) => {
      const group = await api.get(`/groups/${pathPart(id)}`, shapes.group3, signal);
      walk.add([groupRecord(id, group)]);
      walk.add(await readRules(api, [id], signal));
    });
    await walk.artifacts(await listArtifacts(api, signal));
  });
}

/** Of some artifacts alone: their rows, rules, branches, versions, comments and contents. @returns sealed; close it */
export async function walkArtifacts(
  api: RegistryApi,
  artifacts: readonly Named[],
  signal: StopSignal,
  known?: ReadonlyMap<number, RegistryRecord>,
): Promise<RecordSet> {
  return await walking(api, signal, known, async (walk) => walk.artifacts(artifacts));
}

async function walking(
  api: RegistryApi,
  signal: StopSignal,
  known: ReadonlyMap<number, RegistryRecord> | undefined,
  work: (walk: Walk) => Promise<void>,
): Promise<RecordSet> {
  const walk = new Walk(api, signal, known);
  try {
    await work(walk);
    return await walk.records.seal();
  } catch (error) {
    walk.records.close();
    throw error;
  }
}

class Walk {
  readonly records = new RecordSet();
  readonly lanes = new Lanes(lanesMax);
  private readonly api: RegistryApi;
  private readonly signal: StopSignal;
  private readonly known: ReadonlyMap<number, RegistryRecord>;
  private readonly versions: { readonly artifact: Named; readonly version: Version3 }[] = [];

  constructor(api: RegistryApi, signal: StopSignal, known: ReadonlyMap<number, RegistryRecord> = new Map()) {
    this.api = api;
    this.signal = signal;
    this.known = known;
  }

  add(found: Iterable<RegistryRecord>): void {
    for (const record of found) this.records.add(record);
  }

  async artifacts(artifacts: readonly Named[]): Promise<void> {
    const { api, signal } = this;
    /** To the path of a version, of those that only DRAFT versions have. */
    const contents = new Map<number, string | undefined>();
    await this.lanes.untilFailed(artifacts, async (artifact) => await this.artifact(artifact, contents));
    // One request a version, so an artifact with thousands of them is no lane of its own.
    await this.lanes.untilFailed(this.versions, async ({ artifact, version }) =>
      this.add(await commentsOf(api, artifact, version, signal)),
    );
    await this.lanes.untilFailed([...contents], async ([id, draft]) =>
      this.add([this.known.get(id) ?? (await contentOf(api, id, signal, draft))]),
    );
  }

  private async artifact(artifact: Named, contents: Map<number, string | undefined>): Promise<void> {
    const { api, signal } = this;
    // Its row is listed, and every path to it is taken for one of the default group.
    if (isMisspeltDefault(artifact.groupId)) return this.add([artifactRecord(artifact, {})]);
    this.add([await readArtifact(api, artifact, signal)]);
    this.add(await readRules(api, [artifact.groupId, artifact.artifactId], signal));
    for (const branchId of await listBranches(api, artifact, signal)) {
      this.add([branchRecord(artifact, branchId, await readBranch(api, artifact, branchId, signal))]);
    }
    for (const version of await listVersions(api, `${shapes.artifactPath(artifact)}/versions`, signal)) {
      const { artifactType: type, ...facts } = version;
      this.add([versionRecord({ ...facts, ...artifact, type })]);
      const at = `${shapes.artifactPath(artifact)}/versions/${pathPart(version.version)}`;
      if (version.state !== 'DRAFT') contents.set(version.contentId, undefined);
      else if (!contents.has(version.contentId)) contents.set(version.contentId, at);
      this.versions.push({ artifact, version });
    }
  }
}

export async function readArtifact(api: RegistryApi, artifact: Named, signal: StopSignal): Promise<RegistryRecord> {
  const path = shapes.artifactPath(artifact);
  const { artifactType: type, ...facts } = await api.get(path, shapes.artifact3, signal);
  return artifactRecord(artifact, artifactFacts({ ...facts, type }));
}

async function commentsOf(
  api: RegistryApi,
  artifact: Named,
  { version, globalId }: Version3,
  signal: StopSignal,
): Promise<readonly RegistryRecord[]> {
  if (!isVersionName(version)) return [];
  const at = `${shapes.artifactPath(artifact)}/versions/${pathPart(version)}`;
  const comments = await api.get(`${at}/comments`, shapes.comments3, signal);
  return comments.map(({ commentId, ...facts }) => commentRecord(globalId, commentId, facts));
}

export async function listGroups(api: RegistryApi, signal: StopSignal): Promise<readonly string[]> {
  const groups = await readListing(
    {
      store: api.store,
      what: 'groups',
      keyOf: ({ groupId }: { readonly groupId: string }) => groupId,
      page: async (limit, offset) => {
        const path = `/groups?orderby=groupId&order=asc&limit=${limit}&offset=${offset}`;
        const { count, groups: entries } = await api.get(path, shapes.groups3, signal);
        return { count, entries };
      },
    },
    signal,
  );
  return groups.map(({ groupId }) => groupId);
}

export async function listArtifacts(api: RegistryApi, signal: StopSignal): Promise<readonly Named[]> {
  return await readListing(
    {
      store: api.store,
      what: 'artifacts',
      keyOf: (artifact: Named) => shapes.artifactPath(artifact),
      page: async (limit, offset) => {
        const path = `/search/artifacts?orderby=artifactId&order=asc&limit=${limit}&offset=${offset}`;
        const { count, artifacts } = await api.get(path, shapes.artifacts3, signal);
        return { count, entries: artifacts.map(({ groupId, artifactId }) => ({ groupId, artifactId })) };
      },
    },
    signal,
  );
}

async function listVersions(api: RegistryApi, path: string, signal: StopSignal): Promise<readonly Version3[]> {
  return await readListing(
    {
      store: api.store,
      what: `versions of ${path}`,
      keyOf: ({ globalId }: Version3) => String(globalId),
      page: async (limit, offset) => {
        const page = await api.get(
          `${path}?orderby=globalId&order=asc&limit=${limit}&offset=${offset}`,
          shapes.versions3,
          signal,
        );
        return { count: page.count, entries: page.versions };
      },
    },
    signal,
  );
}

async function listBranches(api: RegistryApi, artifact: Named, signal: StopSignal): Promise<readonly string[]> {
  const path = `${shapes.artifactPath(artifact)}/branches`;
  const branches = await readListing(
    {
      store: api.store,
      what: `branches of ${path}`,
      keyOf: ({ branchId }: { readonly branchId: string }) => branchId,
      page: async (limit, offset) => {
        const page = await api.get(`${path}?limit=${limit}&offset=${offset}`, shapes.branches3, signal);
        return { count: page.count, entries: page.branches };
      },
    },
    signal,
  );
  return branches.map(({ branchId }) => branchId);
}

/** @returns the oldest first, as archives have it; the API lists the latest first */
export async function readBranch(
  api: RegistryApi,
  artifact: Named,
  branchId: string,
  signal: StopSignal,
): Promise<readonly string[]> {
  const path = `${shapes.artifactPath(artifact)}/branches/${pathPart(branchId)}/versions`;
  const versions = await readListing(
    {
      store: api.store,
      what: `versions of ${path}`,
      keyOf: ({ version }: Version3) => version,
      page: async (limit, offset) => {
        const page = await api.get(`${path}?limit=${limit}&offset=${offset}`, shapes.versions3, signal);
        return { count: page.count, entries: page.versions };
      },
    },
    signal,
  );
  return versions.map(({ version }) => version).toReversed();
}
