/** What a store says of itself: version, identity, and how far each member is. */
import type { IMember, IStatusResponse } from 'etcd3';
import { isKeyferryError, KeyferryError, type MemberPosition, type StoreDescription } from '@keyferry/core';
import type { EtcdClient } from './client.ts';

export interface MembersContext {
  readonly store: string;
  readonly client: EtcdClient;
  readonly endpoints: readonly string[];
}

/**
 * What can be known: from 3.4.42, and in 3.5.28 to 3.5.31, versions are told to root alone, in the first of them members too
 * (CVE-2026-33413 and what followed, in the change logs), and a migration's user need not be root.
 */
export async function describe({ client, endpoints }: MembersContext): Promise<StoreDescription> {
  const { cluster_id } = await client.head();
  const members = await client.memberList().catch((error: unknown) => {
    if (isKeyferryError(error, 'store.permission-denied')) return null;
    throw error;
  });
  const answers = await Promise.allSettled(endpoints.map((endpoint) => client.status(endpoint)));
  const versions = new Set<string>();
  for (const answer of answers) if (answer.status === 'fulfilled') versions.add(answer.value.version);
  return {
    kind: 'etcd-v3',
    // Several during a rolling upgrade; a member that does not answer is no reason to know nothing of the others.
    version: [...versions].toSorted().join(', ') || 'unknown',
    endpoints,
    members: members?.length ?? null,
    identity: hex(cluster_id),
    viewLocks: null,
  };
}

/**
 * Every member of the cluster, by the configured endpoints, and by its own client URL where none of them is its.
 * @returns null for a single one
 * @throws {KeyferryError} when one does not answer: what is not known to agree cannot be said to
 */
export async function readMembers(context: MembersContext): Promise<readonly MemberPosition[] | null> {
  const { client, endpoints } = context;
  const members = await client.memberList();
  if (members.length === 1) return null;
  const statuses = new Map<string, IStatusResponse>();
  const keep = (status: IStatusResponse) => statuses.set(status.header.member_id, status);
  for (const status of await Promise.all(endpoints.map((endpoint) => client.status(endpoint)))) keep(status);
  const others = members.filter(({ ID }) => !statuses.has(ID));
  for (const status of await Promise.all(others.map((member) => statusOfOther(context, member)))) keep(status);
  return [...statuses].map(([member, status]) => positionOf(context.store, hex(member), status));
}

function statusOfOther({ store, client }: MembersContext, { ID, clientURLs }: IMember): Promise<IStatusResponse> {
  const [url] = clientURLs;
  if (url !== undefined) return client.status(url);
  const detail = `member ${hex(ID)} is not among the endpoints, and the cluster knows no URL of it`;
  throw new KeyferryError('store.unreachable', { store, detail });
}

function positionOf(store: string, member: string, { leader, raftIndex, raftTerm }: IStatusResponse): MemberPosition {
  // A member that knows no leader knows nothing of what was committed since.
  if (leader === '0') throw new KeyferryError('store.no-leader', { store, detail: `member ${member} has no leader` });
  return { member, raftIndex: BigInt(raftIndex), raftTerm: BigInt(raftTerm) };
}

/** As etcd itself writes ids. */
function hex(id: string): string {
  return BigInt(id).toString(16);
}
