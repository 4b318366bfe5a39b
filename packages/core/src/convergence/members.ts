/**
 * Do the members of a replicated store agree? The source must be still, so their log indexes must be equal, or one
 * apart: a commit reaches a follower with the next message. More than that means that something still writes, or that
 * a member lags, and which one answers would decide what is copied.
 *
 * Where their content was compared as well (files of stopped members), more can be told: whether they held the same at an
 * entry that all of them have carried out, and whether one holds something newer than the one that is read. If all of them
 * hold the same to their own ends, it does not matter how far these are apart: members that are stopped one after another
 * elect new leaders meanwhile, and what stands in their logs for that is nobody's data.
 */
import type { MemberPosition } from '../ports/store.ts';

type Members = readonly [MemberPosition, ...MemberPosition[]];

export type MembersVerdict =
  | { readonly kind: 'converged'; readonly raftIndex: bigint }
  | { readonly kind: 'apart'; readonly lowest: MemberPosition; readonly highest: MemberPosition }
  /** The first, which is read, is not the one that holds the latest. */
  | { readonly kind: 'behind'; readonly ahead: MemberPosition }
  /** They do not hold the same at an entry that all of them have carried out. */
  | { readonly kind: 'forked' };

export function membersVerdict(members: Members): MembersVerdict {
  let lowest = members[0];
  let highest = members[0];
  for (const member of members) {
    if (member.raftIndex < lowest.raftIndex) lowest = member;
    if (member.raftIndex > highest.raftIndex) highest = member;
  }
  const shared = new Set(members.flatMap(({ content }) => content?.shared ?? []));
  if (shared.size > 1) return { kind: 'forked' };
  const own = new Set(members.map(({ content }) => content?.own ?? null));
  if (own.size === 1 && !own.has(null)) return { kind: 'converged', raftIndex: highest.raftIndex };
  if (highest.raftIndex - lowest.raftIndex > 1n) return { kind: 'apart', lowest, highest };
  const [read] = members;
  const isAhead = highest.raftIndex > read.raftIndex && highest.content?.own !== read.content?.own;
  return isAhead ? { kind: 'behind', ahead: highest } : { kind: 'converged', raftIndex: highest.raftIndex };
}

/** What is wrong with them, and what to do, in words; null: they agree. */
export function membersTrouble(
  verdict: MembersVerdict,
  members: Members,
): { readonly detail: string; readonly fix: string } | null {
  const list = members.map(({ member, raftIndex }) => `${member} at ${raftIndex}`).join(', ');
  switch (verdict.kind) {
    case 'converged':
      return null;
    case 'apart':
      return {
        detail: `raft indexes are more than one apart: ${list}`,
        fix: `stop the writers, and bring back the member that lags or leave it out; the furthest is ${verdict.highest.member}`,
      };
    case 'behind':
      return {
        detail: `${verdict.ahead.member} holds something newer than the one that is read: ${list}`,
        fix: `read the furthest, ${verdict.ahead.member}, in its place`,
      };
    case 'forked':
      return {
        detail: `they do not hold the same at an entry that all of them have carried out: ${list}`,
        fix: 'find out which one applications used, and leave the others out; they are no members of one store any more',
      };
  }
}
