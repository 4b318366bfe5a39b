/**
 * Holds a 3.x against the archive that was imported, less what was foreseen to be lost, with what was carried over: read by its
 * API, or after a delta by its own export, and by the API where something came.
 */
import {
  registryNamedMax,
  type BesidesArchive,
  type ComparedByExport,
  type CompareOptions,
  type Delta,
  type RegistryComparison,
  type RegistryCounts,
  type RegistryDifference,
  type StopSignal,
} from '@keyferry/core';
import { Lanes } from '../../lanes.ts';
import type { RegistryApi } from '../api/registry-api.ts';
import { readSystem } from '../api/system.ts';
import { walkedContents } from '../archive/archived-records.ts';
import { readArchive } from '../archive/read-archive.ts';
import { deltaBetween, type ArchiveDelta } from '../delta/delta.ts';
import { artifactKey } from '../delta/renewal.ts';
import { expectedRecords } from '../foresee/expected-records.ts';
import { foreseeImport, isMisspeltDefault, type Foreseen } from '../foresee/foresee-import.ts';
import { targetRelease } from '../foresee/target-release.ts';
import { compareRecords, describeDifference, type RecordDifference } from '../records/compare-records.ts';
import { defaultGroup, partsOf, type RegistryRecord } from '../records/records.ts';
import type { RecordSet } from '../records/record-set.ts';
import { readContents, readSnapshot } from '../snapshot/read-snapshot.ts';
import { exportTo } from '../transfer/export.ts';
import { lanesMax } from '../v2/walk.ts';
import { readBranch, walkArtifacts, walkNew } from './walk.ts';

export async function compare(
  api: RegistryApi,
  file: string,
  besides: BesidesArchive,
  signal: StopSignal,
  { contentsOf }: CompareOptions = {},
): Promise<RegistryComparison> {
  const startedAtMs = performance.now();
  const { expected, foreseen } = await expectedOf(api, file, besides, signal);
  try {
    const found = await walkNew(api, signal, contentsOf === undefined ? undefined : await readContents(contentsOf));
    try {
      const named = new NamedDifferences();
      for await (const difference of compareRecords(expected, found)) named.add(difference);
      return comparisonOf(named, foreseen, { expected: expected.counts, found: found.counts }, startedAtMs);
    } finally {
      found.close();
    }
  } finally {
    expected.close();
  }
}

export async function compareByExport(
  api: RegistryApi,
  { base, file, besides }: Delta,
  snapshot: string,
  signal: StopSignal,
): Promise<ComparedByExport> {
  const startedAtMs = performance.now();
  const { bytes, sha256 } = await exportTo(api, snapshot, signal);
  const { expected, foreseen, release } = await expectedOf(api, file, besides, signal);
  try {
    const delta = await deltaBetween(base, file, release);
    const exported = await readSnapshot(snapshot);
    try {
      const named = new NamedDifferences();
      const branches: ChangedBranch[] = [];
      let unused = 0;
      for await (const difference of compareRecords(expected, exported)) {
        // A content of no version: no API lists it.
        if (difference.kind === 'extra' && difference.found.kind === 'content') unused += 1;
        else if (isChangedBranch(difference)) branches.push(difference);
        else named.add(difference);
      }
      for (const each of await withoutOrderOfExport(api, branches, signal)) named.add(each);
      await holdAgainstApi(api, expected, await cameSince(base, delta), named, signal);
      const { globalId: globalIdMax, contentId: contentIdMax } = exported.maxima;
      const found = { ...exported.counts, content: exported.counts.content - unused };
      const comparison = comparisonOf(named, foreseen, { expected: expected.counts, found }, startedAtMs);
      const { tookMs } = comparison;
      return {
        comparison,
        snapshot: { file: snapshot, bytes, sha256, counts: exported.counts, globalIdMax, contentIdMax, tookMs },
        walkedArtifacts: delta.touched.size,
      };
    } finally {
      exported.close();
    }
  } finally {
    expected.close();
  }
}

async function expectedOf(api: RegistryApi, file: string, besides: BesidesArchive, signal: StopSignal) {
  const release = targetRelease((await readSystem(api, null, signal)).version);
  const archive = await readArchive(file);
  const foreseen = foreseeImport(archive, release);
  return { expected: await expectedRecords(archive, foreseen, besides), foreseen, release };
}

export type ChangedBranch = Extract<RecordDifference, { readonly kind: 'changed' }>;

function isChangedBranch(difference: RecordDifference): difference is ChangedBranch {
  return difference.kind === 'changed' && difference.found.kind === 'branch';
}

/**
 * 3.0 writes the versions of a branch in the order of their names: its API says in which they are. That is asked of each artifact
 * whose names have another order, while writers wait, so several are asked at once.
 * @returns those that differ by the API too, in their order
 */
export async function withoutOrderOfExport(
  api: RegistryApi,
  branches: readonly ChangedBranch[],
  signal: StopSignal,
): Promise<readonly ChangedBranch[]> {
  const ordered = new Set<ChangedBranch>();
  await new Lanes(lanesMax).untilFailed(branches, async (branch) => {
    if (await isOrderOfExport(api, branch, signal)) ordered.add(branch);
  });
  return branches.filter((branch) => !ordered.has(branch));
}

async function isOrderOfExport(
  api: RegistryApi,
  { expected, found }: ChangedBranch,
  signal: StopSignal,
): Promise<boolean> {
  const [group = '', artifactId = '', branchId = ''] = found.parts;
  const named = { groupId: group === defaultGroup ? null : group, artifactId };
  if (isMisspeltDefault(named.groupId)) return false;
  const versions = await readBranch(api, named, branchId, signal);
  return JSON.stringify(versions) === JSON.stringify(expected.body['versions']);
}

interface CameSince {
  /** Keys of artifacts that something came of. */
  readonly touched: ReadonlySet<string>;
  /** Contents that nothing was brought of: the API was asked for their bytes for the base, and the export has them now. */
  readonly stayed: ReadonlyMap<number, RegistryRecord>;
}

async function cameSince(base: string, { touched, contentIds }: ArchiveDelta): Promise<CameSince> {
  const stayed = new Map(walkedContents(await readArchive(base)));
  for (const id of contentIds) stayed.delete(id);
  return { touched, stayed };
}

/** What the API says of artifacts that something came of is what is expected of them, both ways. */
async function holdAgainstApi(
  api: RegistryApi,
  expected: RecordSet,
  { touched, stayed }: CameSince,
  named: NamedDifferences,
  signal: StopSignal,
): Promise<void> {
  if (touched.size === 0) return;
  const artifacts = [...touched]
    .map((key) => partsOf(key).parts)
    .map(([group = '', artifactId = '']) => ({ groupId: group === defaultGroup ? null : group, artifactId }))
    .filter(({ groupId }) => !isMisspeltDefault(groupId)); // no path leads to it
  const walked = await walkArtifacts(api, artifacts, signal, stayed);
  try {
    for await (const difference of compareRecords(expected, walked)) {
      if (difference.kind === 'rivals') continue; // none of them is touched by a delta
      if (difference.kind !== 'missing' || isOf(difference.expected, touched)) named.add(difference);
    }
  } finally {
    walked.close();
  }
}

function isOf({ kind, parts }: Pick<RegistryRecord, 'kind' | 'parts'>, artifacts: ReadonlySet<string>): boolean {
  const isNamedByArtifact = kind === 'artifact' || kind === 'version' || kind === 'branch' || kind === 'artifactRule';
  return isNamedByArtifact && artifacts.has(artifactKey(parts));
}

/** Each once, though both the export and the API show it. */
class NamedDifferences {
  readonly all: RegistryDifference[] = [];
  private readonly seen = new Set<string>();

  get total(): number {
    return this.seen.size;
  }

  add(difference: RecordDifference): void {
    for (const each of describeDifference(difference)) {
      const text = JSON.stringify(each);
      if (!this.seen.has(text) && this.all.length < registryNamedMax) this.all.push(each);
      this.seen.add(text);
    }
  }
}

function comparisonOf(
  { all, total }: NamedDifferences,
  foreseen: Foreseen,
  { expected, found }: { readonly expected: RegistryCounts; readonly found: RegistryCounts },
  startedAtMs: number,
): RegistryComparison {
  return {
    equal: total === 0,
    expected,
    found,
    comparedVersions: Math.min(expected.version, found.version),
    lostAsForeseen: lossesOf(foreseen),
    differences: all,
    differencesTotal: total,
    tookMs: Math.round(performance.now() - startedAtMs),
  };
}

function lossesOf({ versions, artifactRules, comments }: Foreseen): number {
  const lost = (fates: readonly { readonly fate: string }[]): number =>
    fates.filter(({ fate }) => fate === 'lost').length;
  return lost(versions) + lost(artifactRules) + lost(comments);
}
