/** Goal: members count as one source only when their raft indexes are equal or one apart. */
import { describe, expect, it } from 'vitest';
import { membersVerdict } from './members.ts';

const at = (member: string, raftIndex: bigint) => ({ member, raftIndex, raftTerm: 1n });

describe('membersVerdict', () => {
  it.each([
    { name: 'a single member', members: [at('a', 5n)], kind: 'converged' },
    { name: 'equal', members: [at('a', 5n), at('b', 5n), at('c', 5n)], kind: 'converged' },
    { name: 'one apart: the commit is on its way', members: [at('a', 5n), at('b', 6n)], kind: 'converged' },
    { name: 'two apart', members: [at('a', 5n), at('b', 6n), at('c', 7n)], kind: 'apart' },
    { name: 'beyond 2^53', members: [at('a', 2n ** 60n), at('b', 2n ** 60n + 2n)], kind: 'apart' },
  ] as const)('$name: $kind', ({ members, kind }) => {
    expect(membersVerdict([...members]).kind).toBe(kind);
  });

  it('names the lowest and the highest', () => {
    expect(membersVerdict([at('b', 9n), at('a', 5n), at('c', 7n)])).toMatchObject({
      lowest: { member: 'a' },
      highest: { member: 'b' },
    });
  });
});
