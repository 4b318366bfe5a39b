/**
 * Several members of one cluster, by their data directories: how far each is, and whether they hold the same.
 *
 *     each: replay to its own end ──► index, digest of its tree
 *     each that is further than the shortest: replay up to there ──► digests at one and the same entry
 *
 * Two things have to be told apart. A member that is behind misses what came last, and the one that is furthest is to be
 * read. A member whose tree differs at an entry that both have carried out is another store: `etcdctl migrate` member by
 * member, or a directory of another cluster, leaves such ones behind, and nothing but a comparison shows it.
 *
 * What is named twice is no comparison: the same files, whatever paths lead to them, or one server by two of its URLs. Two
 * directories of one member may be an older copy and a newer one: they are compared, and count as one member.
 */
import { stat } from 'node:fs/promises';
import { KeyferryError, type MemberPosition } from '@keyferry/core';
import type { EtcdV2Options } from '../etcd-v2/source.ts';
import { reading } from './errors.ts';
import { findDataDirectory, type DataDirectory } from './layout.ts';
import { listedDigestOf } from './listed-digest.ts';
import { replay } from './replay.ts';
import { inUseBy, serverOn } from './running-server.ts';
import { treeDigest } from './tree-digest.ts';

export interface MemberPlace {
  readonly dataDir: string;
  /** Null: the log lies in the data directory. */
  readonly walDir: string | null;
}

/** A member at work, by a client URL of its own. */
export interface LivePlace {
  readonly endpoint: string;
  /** Whom to trust and who asks; absent: nobody but the platform's authorities, and nobody in particular. */
  readonly access?: Pick<EtcdV2Options, 'tls' | 'auth' | 'requestTimeoutMs'> | undefined;
}

export interface ComparedMember extends MemberPosition {
  readonly memberId: string | null;
  readonly clusterId: string | null;
  readonly lastIndex: number;
  readonly uncommitted: number;
  /** What a server answers in X-Etcd-Index. */
  readonly v2Index: number;
  /** Members of the cluster, as this one knows them. */
  readonly members: number;
}

/**
 * Members of which some are at work, the others read from their directories. What they list is compared, hidden names aside, and
 * only where they are at one and the same index of v2: from a member at work no older state can be had.
 * @throws {KeyferryError} as `compareMembers`, and what a member that is asked may fail with
 */
export async function compareLiveMembers(
  places: readonly (MemberPlace | LivePlace)[],
): Promise<readonly ComparedMember[]> {
  // Not with the rest: directories are read without a client of HTTP.
  const { readLiveMember } = await import('./live-member.ts');
  await assertOtherFiles(places.filter((place) => 'dataDir' in place));
  const read: { readonly member: Omit<ComparedMember, 'content'>; readonly listed: string }[] = [];
  for (const place of places) {
    read.push('endpoint' in place ? await readLiveMember(place) : await readListed(place));
  }
  assertOneCluster(read.map(({ member }) => member));
  const isLive = new Set(places.flatMap((place) => ('endpoint' in place ? [place.endpoint] : [])));
  assertOtherMembers(read.map(({ member }) => member).filter(({ member }) => isLive.has(member)));
  const lowest = Math.min(...read.map(({ member }) => member.v2Index));
  return read.map(({ member, listed }) => ({
    ...member,
    content: { own: listed, shared: member.v2Index === lowest ? listed : null },
  }));
}

async function readListed(place: MemberPlace) {
  const { member, tree } = await readMember(place);
  return { member, listed: listedDigestOf(tree) };
}

/**
 * In the order of `places`.
 * @throws {KeyferryError} `datadir.in-use`, `datadir.damaged`, `datadir.incomplete`, `datadir.not-found`;
 *   `datadir.other-cluster` when they are not of one cluster; `datadir.member-twice` when two are the same files.
 */
export async function compareMembers(places: readonly MemberPlace[]): Promise<readonly ComparedMember[]> {
  const read: {
    readonly directory: DataDirectory;
    readonly member: Omit<ComparedMember, 'content'>;
    readonly own: string;
  }[] = [];
  await assertOtherFiles(places);
  // One after another: a tree is in memory while it is read.
  for (const place of places) {
    const { directory, member, tree } = await readMember(place);
    read.push({ directory, member, own: treeDigest(tree) });
  }
  assertOneCluster(read.map(({ member }) => member));
  const shortest = Math.min(...read.map(({ member }) => Number(member.raftIndex)));
  const compared: ComparedMember[] = [];
  for (const { directory, member, own } of read) {
    const shared = Number(member.raftIndex) === shortest ? own : await digestAt(directory, shortest);
    compared.push({ ...member, content: { own, shared } });
  }
  return compared;
}

/** @throws {KeyferryError} `datadir.member-twice` */
async function assertOtherFiles(places: readonly MemberPlace[]): Promise<void> {
  const known = new Map<string, string>();
  for (const { dataDir, walDir } of places) {
    const { segments } = await findDataDirectory(dataDir, walDir);
    const file = segments.at(-1)?.file;
    if (file === undefined) continue; // which is complained about when it is read
    const { dev, ino } = await reading(file, () => stat(file, { bigint: true }));
    const other = known.get(`${dev}:${ino}`);
    if (other !== undefined) throw twice(dataDir, other, `the log of both is ${file}`);
    known.set(`${dev}:${ino}`, dataDir);
  }
}

/** @throws {KeyferryError} `datadir.member-twice` when two of them have one id, which nothing but copies have */
export function assertOtherMembers(members: readonly Pick<ComparedMember, 'member' | 'memberId'>[]): void {
  const known = new Map<string, string>();
  for (const { member, memberId } of members) {
    if (memberId === null) continue;
    const other = known.get(memberId);
    if (other !== undefined) throw twice(member, other, `both are member ${memberId}`);
    known.set(memberId, member);
  }
}

function twice(member: string, other: string, detail: string): KeyferryError {
  return new KeyferryError('datadir.member-twice', { member, other, detail });
}

function assertOneCluster(members: readonly Omit<ComparedMember, 'content'>[]): void {
  const clusterId = members[0]?.clusterId ?? null;
  for (const { member, clusterId: other } of members) {
    if (clusterId === null || other === null || other === clusterId) continue;
    throw new KeyferryError('datadir.other-cluster', { directory: member, cluster: other, other: clusterId });
  }
}

async function readMember({ dataDir, walDir }: MemberPlace) {
  const directory = await findDataDirectory(dataDir, walDir);
  const server = await serverOn(directory);
  if (server.kind === 'running') throw inUseBy(directory, server);
  const { tree, membership, facts } = await replay(directory, { upTo: 'end' });
  const member = {
    member: dataDir,
    raftIndex: BigInt(facts.appliedIndex),
    raftTerm: BigInt(facts.log.hardState.term),
    memberId: facts.memberId,
    clusterId: facts.clusterId,
    lastIndex: facts.log.lastIndex,
    uncommitted: facts.uncommitted,
    v2Index: tree.currentIndex,
    members: membership.list().length,
  };
  return { directory, member, tree };
}

/** Null: it has no state as old as that, because its log begins later. */
async function digestAt(directory: DataDirectory, index: number): Promise<string | null> {
  try {
    const { tree, facts } = await replay(directory, { upTo: 'end', appliedMax: index });
    return facts.appliedIndex === index ? treeDigest(tree) : null;
  } catch (error) {
    if (error instanceof KeyferryError && error.code === 'datadir.incomplete') return null;
    throw error;
  }
}
