/**
 * Several members of one cluster, by their data directories: how far each is, and whether they hold the same.
 *
 *     each: replay to its own end ──► index, digest of its tree
 *     each that is further than the shortest: replay up to there ──► digests at one and the same entry
 *
 * Two things have to be told apart. A member that is behind misses what came last, and the one that is furthest is to be
 * read. A member whose tree differs at an entry that both have carried out is another store: `etcdctl migrate` member by
 * member, or a directory of another cluster, leaves such ones behind, and nothing but a comparison shows it.
 */
import { KeyferryError, type MemberPosition } from '@keyferry/core';
import { inUse } from './errors.ts';
import { findDataDirectory, type DataDirectory } from './layout.ts';
import { replay } from './replay.ts';
import { serverOn } from './running-server.ts';
import { treeDigest } from './tree-digest.ts';

export interface MemberPlace {
  readonly dataDir: string;
  /** Null: the log lies in the data directory. */
  readonly walDir: string | null;
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
 * In the order of `places`.
 * @throws {KeyferryError} `datadir.in-use`, `datadir.damaged`, `datadir.incomplete`, `datadir.not-found`;
 *   `datadir.other-cluster` when they are not of one cluster.
 */
export async function compareMembers(places: readonly MemberPlace[]): Promise<readonly ComparedMember[]> {
  const read: {
    readonly directory: DataDirectory;
    readonly member: Omit<ComparedMember, 'content'>;
    readonly own: string;
  }[] = [];
  // One after another: a tree is in memory while it is read.
  for (const place of places) read.push(await readMember(place));
  const [first] = read;
  for (const { member } of read) {
    const { clusterId } = first?.member ?? member;
    if (clusterId === null || member.clusterId === null || member.clusterId === clusterId) continue;
    const details = { directory: member.member, cluster: member.clusterId, other: clusterId };
    throw new KeyferryError('datadir.other-cluster', details);
  }
  const shortest = Math.min(...read.map(({ member }) => Number(member.raftIndex)));
  const compared: ComparedMember[] = [];
  for (const { directory, member, own } of read) {
    const shared = Number(member.raftIndex) === shortest ? own : await digestAt(directory, shortest);
    compared.push({ ...member, content: { own, shared } });
  }
  return compared;
}

async function readMember({ dataDir, walDir }: MemberPlace) {
  const directory = await findDataDirectory(dataDir, walDir);
  const server = await serverOn(directory);
  if (server.kind === 'running') throw inUse(directory.path, `${server.file} is locked`);
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
  return { directory, member, own: treeDigest(tree) };
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
