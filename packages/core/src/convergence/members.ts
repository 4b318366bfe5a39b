/**
 * Do the members of a replicated store agree? The source must be still, so their log indexes must be equal, or one
 * apart: a commit reaches a follower with the next message. More than that means that something still writes, or that
 * a member lags, and which one answers would decide what is copied.
 */
import type { MemberPosition } from '../ports/store.ts';

export type MembersVerdict =
  | { readonly kind: 'converged'; readonly raftIndex: bigint }
  | { readonly kind: 'apart'; readonly lowest: MemberPosition; readonly highest: MemberPosition };

export function membersVerdict(members: readonly [MemberPosition, ...MemberPosition[]]): MembersVerdict {
  let lowest = members[0];
  let highest = members[0];
  for (const member of members) {
    if (member.raftIndex < lowest.raftIndex) lowest = member;
    if (member.raftIndex > highest.raftIndex) highest = member;
  }
  return highest.raftIndex - lowest.raftIndex <= 1n
    ? { kind: 'converged', raftIndex: highest.raftIndex }
    : { kind: 'apart', lowest, highest };
}
