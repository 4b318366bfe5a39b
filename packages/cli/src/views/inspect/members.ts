/** Several members side by side: how far each is, whether they agree, and which one to read. */
import type { ComparedMember } from '@keyferry/adapters/etcd-v2-datadir';
import { counted, membersTrouble, membersVerdict } from '@keyferry/core';
import { columns, indent } from '../layout/columns.ts';
import { envelope, type View, type ViewContext } from '../view.ts';

export const membersView: View<readonly ComparedMember[]> = {
  human: membersHuman,
  json: (members, warnings) => envelope('keyferry.members', warnings, jsonBody(members)),
};

type Members = readonly [ComparedMember, ...ComparedMember[]];

function jsonBody(compared: readonly ComparedMember[]) {
  const members = compared as Members;
  const verdict = membersVerdict(members);
  const { use, seen, known } = summaryOf(members);
  return {
    verdict: verdict.kind,
    /** Directory or URL of the member to read; null: none of them, as they are not one store any more. */
    use: verdict.kind === 'forked' ? null : use.member,
    trouble: membersTrouble(verdict, members),
    /** Of the cluster, as the furthest of them knows it. */
    membersKnown: known,
    /** Of these, how many were looked at; several copies of one count once. */
    membersSeen: seen,
    isMajority: seen * 2 > known,
    members: members.map(({ raftIndex, raftTerm, content, ...member }) => ({
      ...member,
      raftIndex: String(raftIndex),
      raftTerm: String(raftTerm),
      digest: content?.own ?? null,
      digestWhereAllAre: content?.shared ?? null,
    })),
  };
}

/** The furthest; of several the first, and rather one without anything that is not committed. */
function summaryOf(members: Members) {
  let [use] = members;
  for (const member of members) {
    const isFurther = member.raftIndex > use.raftIndex;
    if (isFurther || (member.raftIndex === use.raftIndex && use.uncommitted > 0 && member.uncommitted === 0))
      use = member;
  }
  const seen = new Set(members.map(({ memberId, member }) => memberId ?? member)).size;
  return { use, seen, known: use.members };
}

/** Members of which more than one copy was looked at. */
function copiesOfOne(members: Members): readonly (readonly [string, readonly string[]])[] {
  const places = new Map<string, string[]>();
  for (const { memberId, member } of members) {
    if (memberId !== null) places.set(memberId, [...(places.get(memberId) ?? []), member]);
  }
  return [...places].filter(([, each]) => each.length > 1);
}

const storeText = (member: string): string =>
  /^https?:/.test(member) ? `kind: etcd-v2, endpoints: [${member}]` : `kind: etcd-v2-datadir, dataDir: ${member}`;

function membersHuman(compared: readonly ComparedMember[], { palette }: ViewContext): string {
  const members = compared as Members;
  const { use, seen, known } = summaryOf(members);
  const trouble = membersTrouble(membersVerdict(members), members);
  const left = { align: 'left' } as const;
  const rows = members.map(({ member, memberId, raftIndex, raftTerm, v2Index, uncommitted, content }) => [
    member,
    memberId ?? 'unknown',
    String(raftIndex),
    String(raftTerm),
    String(v2Index),
    content?.own.slice(0, 8) ?? '',
    uncommitted === 0 ? '' : `${counted(uncommitted, 'entry', 'entries')} not committed`,
  ]);
  const header = ['where', 'member', 'raft index', 'term', 'v2 index', 'digest', ''];
  const right = { align: 'right', gap: 3 } as const;
  const layout = [left, { ...left, gap: 3 }, right, right, right, { ...left, gap: 3 }, { ...left, gap: 3 }];
  return [
    palette.strong(`Members of cluster ${use.clusterId ?? 'unknown'}`),
    ...indent(columns([header, ...rows], layout)),
    '',
    ...(trouble === null
      ? [`${palette.good('They agree')}: equal up to the last entry that all of them have`]
      : [`${palette.bad('They do not agree')}: ${trouble.detail}`, `  fix  ${trouble.fix}`]),
    ...copiesOfOne(members).map(([id, places]) => `${places.join(' and ')} are of one member, ${id}: counted as one`),
    ...(seen * 2 > known
      ? []
      : [`Looked at ${seen} of ${known} members: what was acknowledged is sure to be on ${Math.floor(known / 2) + 1}`]),
    ...(trouble?.detail.startsWith('they do not hold') === true ? [] : [`Use ${use.member}: ${storeText(use.member)}`]),
    '',
  ].join('\n');
}
