/** Goal: members count as one source only when their raft indexes are equal or one apart, or what they hold is known to be the same. */
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

  it('far apart, and yet the same, where all of them hold the same to their own ends', () => {
    const holding = (member: string, raftIndex: bigint, own: string) => ({
      ...at(member, raftIndex),
      content: { own, shared: 'x' },
    });
    const [behind, ahead] = [holding('a', 5n, 'x'), holding('b', 9n, 'x')];
    expect(membersVerdict([behind, ahead])).toEqual({ kind: 'converged', raftIndex: 9n });
    expect(membersVerdict([behind, holding('b', 9n, 'y')]).kind).toBe('apart');
    expect(membersVerdict([behind, ahead, at('c', 5n)]).kind).toBe('apart');
    expect(membersVerdict([behind, { ...ahead, content: { own: 'x', shared: 'y' } }]).kind).toBe('forked');
  });

  it('names the lowest and the highest', () => {
    expect(membersVerdict([at('b', 9n), at('a', 5n), at('c', 7n)])).toMatchObject({
      lowest: { member: 'a' },
      highest: { member: 'b' },
    });
  });
});
