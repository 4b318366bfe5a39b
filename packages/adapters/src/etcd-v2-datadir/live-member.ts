/**
 * One member that is at work, asked by itself: what it holds and how far it is, without raft, which would have another one
 * answer for it. For comparing members; nothing that is migrated is read like this.
 */
import { KeyferryError } from '@keyferry/core';
import { EtcdV2Api } from '../etcd-v2/api.ts';
import { TreeWalker } from '../etcd-v2/tree-walker.ts';
import { HttpClient } from '../http/client.ts';
import type { ComparedMember, LivePlace } from './compare-members.ts';
import { ListedDigest } from './listed-digest.ts';

const defaultTimeoutMs = 15_000;

/** @throws {KeyferryError} `store.unreachable` and what else an etcd v2 that is asked may fail with. */
export async function readLiveMember({
  endpoint,
  access = {},
}: LivePlace): Promise<{ readonly member: Omit<ComparedMember, 'content'>; readonly listed: string }> {
  const { requestTimeoutMs = defaultTimeoutMs, ...trust } = access;
  const timeouts = { headersMs: requestTimeoutMs };
  const client = new HttpClient({ store: endpoint, endpoints: [endpoint], timeouts, ...trust });
  try {
    const api = new EtcdV2Api(endpoint, client, requestTimeoutMs);
    const [memberId, cluster] = [await api.readOwnId(endpoint), await api.readMembers()];
    const digest = new ListedDigest();
    const broken = (detail: string): KeyferryError =>
      new KeyferryError('store.answer-unexpected', {
        store: endpoint,
        detail: `the answer is not a v2 tree: ${detail}`,
      });
    const at = await api.readOwnTree(endpoint, async (pieces) => {
      // The root itself is no node of anybody's.
      const walker = new TreeWalker({
        node: (node) => node.key !== '/' && node.key !== '' && digest.add(node),
        broken,
      });
      for await (const piece of pieces) walker.write(piece);
      walker.end();
    });
    const member = {
      member: endpoint,
      raftIndex: at.raftIndex,
      raftTerm: at.raftTerm,
      memberId,
      clusterId: cluster.clusterId,
      lastIndex: Number(at.raftIndex),
      uncommitted: 0,
      v2Index: Number(at.position),
      members: cluster.members.length,
    };
    return { member, listed: digest.text() };
  } finally {
    client.close();
  }
}
