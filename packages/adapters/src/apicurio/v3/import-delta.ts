/**
 * What a freeze with a delta brings into 3.x: what would be left as it is goes, an archive of what differs is imported, and what
 * differs beside the archives is carried.
 *
 * 3.x is not read for it. It is repeated by nobody: whoever comes after a kill does not know how far it came, and imports `again`.
 */
import type { BesidesArchive, Delta, DeltaOutcome, StopSignal } from '@keyferry/core';
import type { RegistryApi } from '../api/registry-api.ts';
import { readSystem } from '../api/system.ts';
import { deltaBetween, type ArchiveDelta } from '../delta/delta.ts';
import { writeDeltaArchive } from '../delta/delta-archive.ts';
import { artifactKey } from '../delta/renewal.ts';
import { targetRelease } from '../foresee/target-release.ts';
import { importFrom } from '../transfer/import.ts';
import { carry } from './carry.ts';
import { mend } from './mend.ts';

export async function importDelta(
  api: RegistryApi,
  { base, baseBesides, file, besides }: Delta,
  scratch: string,
  signal: StopSignal,
): Promise<DeltaOutcome> {
  const startedAtMs = performance.now();
  const release = targetRelease((await readSystem(api, null, signal)).version);
  const delta = await deltaBetween(base, file, release);
  const refusal = delta.refusal ?? besidesRefusal(baseBesides, besides, delta);
  if (refusal !== null) return { kind: 'refused', why: refusal };
  const bring = async () => {
    if (delta.entries.length === 0) return null;
    const written = await writeDeltaArchive(file, delta.entries, scratch);
    await importFrom(api, scratch, '?requireEmptyRegistry=false', signal);
    return { ...written, versions: delta.versions };
  };
  const { brought: sent, mended } = await mend(api, { release, renewal: delta.renewal }, bring, signal);
  const carried = await carry(api, besidesToCarry(baseBesides, besides, delta), signal);
  const tookMs = Math.round(performance.now() - startedAtMs);
  return { kind: 'imported', receipt: { sent, mended, carried, tookMs } };
}

/** What was carried and is no more what 2.6 says cannot be taken back, but for an artifact that comes anew. */
function besidesRefusal(before: BesidesArchive, now: BesidesArchive, delta: ArchiveDelta): string | null {
  const { artifacts, groups } = delta.renewal;
  const goes = new Set(artifacts.map(artifactKey));
  const named = new Set(now.latestOrders.map(keyOfArtifact));
  const order = before.latestOrders.find((each) => {
    const key = keyOfArtifact(each);
    return !named.has(key) && !goes.has(key) && !groups.includes(each.group);
  });
  return order === undefined ? null : `the latest version of ${order.group}/${order.artifact} is the newest one again`;
}

/** An import overwrites owners of artifacts that it brings something of; groups, roles and settings are few. */
function besidesToCarry(before: BesidesArchive, now: BesidesArchive, { touched }: ArchiveDelta): BesidesArchive {
  const known = new Set([...before.owners, ...before.latestOrders].map((each) => JSON.stringify(each)));
  const isNews = (each: OfArtifact): boolean => touched.has(keyOfArtifact(each)) || !known.has(JSON.stringify(each));
  return { ...now, owners: now.owners.filter(isNews), latestOrders: now.latestOrders.filter(isNews) };
}

type OfArtifact = BesidesArchive['owners'][number] | BesidesArchive['latestOrders'][number];
const keyOfArtifact = ({ group, artifact }: OfArtifact): string => artifactKey([group, artifact]);
