/**
 * Goal: each rule of the online protocol is there for a reason that the explorer can show. A rule whose absence it does not
 * notice would be tested by nothing.
 * Method: one rule is off; among all interleavings of a small scenario one must go wrong, in the way that the rule is
 * there to prevent. Its title names what users would see.
 */
import { describe, expect, it } from 'vitest';
import { ladderRules, modeTable, rungAfter, type Move, type Rung } from '../../src/index.ts';
import { explore, type Scenario } from './explore.ts';
import { withModes, type Protocol } from './protocol.ts';
import { again, back, forward } from './scenarios.ts';

interface Case {
  /** What is off. */
  readonly without: string;
  /** What users see. */
  readonly seen: string;
  readonly scenario: Scenario;
  /** Default: an answer, or a value at the end, that no order of the operations explains. */
  readonly what?: RegExp;
}

const small = { operations: [1, 1], kinds: ['get', 'put', 'delete'] } as const satisfies Partial<Scenario>;
/** One that may fall past its lease: what it wrote before is what matters. */
const lapsing = {
  operations: [1, 1],
  kinds: ['get', 'put'],
  initially: ['record'],
  budget: { lapses: 1 },
} as const satisfies Partial<Scenario>;
const wrongAnswer = /that no order/;

/** With another move in place of one of the ladder's. */
function withMoves(other: (rung: Rung, move: Move) => Rung | null | undefined): Pick<Protocol, 'ladder'> {
  const moved = (rung: Rung, move: Move): Rung | null => {
    const next = other(rung, move);
    return next === undefined ? rungAfter(rung, move) : next;
  };
  return { ladder: { ...ladderRules, rungAfter: moved } };
}

const cases: readonly Case[] = [
  {
    without: 'the absent guard of backfill',
    seen: 'a lost write: the copy overwrites a newer one',
    scenario: { ...forward, ...small, protocol: { absentGuard: false } },
  },
  {
    without: 'tombstones',
    seen: 'a record that was deleted comes back: put-if-absent, and deletes only in the target',
    scenario: { ...forward, ...small, protocol: withModes({ migrating: { tombstones: false } }) },
  },
  {
    without: 'tombstones of what the delete of a tree found',
    seen: 'a record of a tree that was deleted comes back',
    scenario: {
      ...forward,
      ...small,
      kinds: ['get', 'delete-tree'],
      protocol: withModes({ migrating: { tombstones: false } }),
    },
  },
  {
    without: 'deletes in the target alone',
    seen: 'a record that was deleted in both stores comes back by a copier that had read it before',
    scenario: { ...forward, ...small, protocol: { deletesInTarget: false } },
  },
  {
    without: 'the tombstone guard of backfill',
    seen: 'a record that was deleted comes back by the copy',
    scenario: { ...forward, ...small, protocol: { tombstoneGuard: false } },
  },
  {
    without: 'the barrier at draining',
    seen: 'a lost write: one instance still writes the source',
    scenario: { ...forward, ...small, protocol: withModes({ draining: { barrier: false } }) },
  },
  {
    without: 'holding writes back in draining',
    seen: 'a lost write: one writes the source, another the target already',
    scenario: { ...forward, ...small, protocol: withModes({ draining: { writes: 'source' } }) },
  },
  {
    without: 'writes in draining that go nowhere',
    seen: 'a lost write: a write in the target hides a later one in the source',
    scenario: { ...forward, ...small, protocol: withModes({ draining: { writes: 'target' } }) },
  },
  {
    without: 'looking into the target in draining',
    seen: 'a stale read: draining that reads only the source',
    scenario: { ...forward, ...small, protocol: withModes({ draining: { reads: 'source' } }) },
  },
  {
    without: 'respect for tombstones in draining',
    seen: 'a stale read of a record that was deleted',
    scenario: { ...forward, ...small, protocol: { drainingSeesTombstones: false } },
  },
  {
    without: 'the mode settled',
    seen: 'a record that was deleted comes back: migrating straight to normal',
    scenario: {
      ...forward,
      ...small,
      protocol: withMoves((rung, move) =>
        rung.mode === 'migrating' && move === 'advance' ? { ...rung, mode: 'normal', committed: 'normal' } : undefined,
      ),
    },
  },
  {
    without: 'the barrier at settled',
    seen: 'a record that was deleted comes back: one instance still falls back',
    scenario: { ...forward, ...small, protocol: withModes({ settled: { barrier: false } }) },
  },
  {
    without: 'tombstones in settled',
    seen: 'a record that was deleted comes back for who still falls back',
    scenario: { ...forward, ...small, protocol: withModes({ settled: { tombstones: false } }) },
  },
  {
    without: 'backfill and verification before settled',
    seen: 'a lost record: it was never copied',
    scenario: { ...forward, ...small, protocol: { backfillFirst: false } },
  },
  {
    without: 'the barrier at normal',
    seen: 'a tombstone that stays behind after finalize',
    scenario: { ...forward, ...small, protocol: withModes({ normal: { barrier: false } }) },
    what: /finalized, and a tombstone is left/,
  },
  {
    without: 'raising the epoch before tombstones are dropped',
    seen: 'a record that was deleted comes back by a stalled copier',
    scenario: { ...forward, ...small, protocol: { fenceFirst: false } },
  },
  {
    without: 'the fence of backfill',
    seen: 'a record that was deleted comes back by a stalled copier',
    scenario: { ...forward, ...small, protocol: { fencing: false } },
  },
  {
    without: 'an end to giving up once normal was announced',
    seen: 'a record that was deleted without a tombstone comes back',
    scenario: {
      ...forward,
      ...small,
      // Finalize itself gives up no more than `normal`.
      goals: ['apply', 'cutover', 'finalize', 'cutover'],
      lastAtAnyTime: true,
      budget: { giveUps: 2 },
      protocol: withMoves((rung, move) =>
        rung.mode === 'settled' && move === 'advance' ? { ...rung, mode: 'normal' } : undefined,
      ),
    },
  },
  {
    without: 'an end to going back once normal was announced',
    seen: 'a stale read: what was deleted without a tombstone is still in the source',
    scenario: {
      ...back,
      ...small,
      goals: ['apply', 'cutover', 'finalize', 'rollback'],
      initially: ['record'],
      budget: { giveUps: 1 },
      protocol: withMoves((rung, move) =>
        rung.mode === 'settled' && move === 'advance' ? { ...rung, mode: 'normal' } : undefined,
      ),
    },
  },
  {
    without: 'clearing the target on the way back',
    seen: 'a stale read: rollback straight from draining to legacy',
    scenario: {
      ...back,
      ...small,
      protocol: {
        clearFirst: false,
        ...withMoves((rung, move) =>
          rung.mode === 'draining' && move === 'back' ? { ...rung, mode: 'legacy', heldFrom: null } : undefined,
        ),
      },
    },
  },
  {
    without: 'draining the reverse tail before returning',
    seen: 'a lost write: it is only in the target',
    scenario: { ...back, ...small, protocol: { drainFirst: false } },
  },
  {
    without: 'the barrier at draining on the way back',
    seen: 'a lost write: one instance still writes the target',
    scenario: {
      ...back,
      ...small,
      goals: ['apply', 'rollback'],
      protocol: withModes({ draining: { barrier: false } }),
    },
  },
  {
    without: 'raising the epoch on the way back',
    seen: 'a record in a target that was cleared',
    scenario: { ...back, ...small, protocol: { fenceFirst: false } },
    what: /rolled back, and the target is not empty/,
  },
  {
    without: 'an end to giving up once returning was announced',
    seen: 'a stale read: service goes on in the target while one instance still reads the source alone',
    scenario: {
      ...back,
      ...small,
      goals: ['apply', 'rollback'],
      lastAtAnyTime: false,
      initially: ['record'],
      budget: { giveUps: 2 },
      protocol: withMoves((rung, move) =>
        rung.mode === 'returning' && move === 'give-up' ? { ...rung, mode: 'draining', committed: null } : undefined,
      ),
    },
  },
  {
    without: 'a new epoch for each attempt',
    seen: 'a stale value: a copier of the first attempt writes in the second',
    scenario: { ...again, ...small, copiers: 2, protocol: { attemptsAreNew: false } },
  },
  {
    without: 'an empty target at the start',
    seen: 'a stale read: what was there hides the source',
    scenario: { ...forward, ...small, protocol: { targetIsEmpty: false } },
  },
  {
    without: 'acknowledgements that wait for running operations',
    seen: 'a lost write: it began before the acknowledgement and ended after',
    scenario: { ...forward, ...small, protocol: { runningBlocksAcknowledgement: false } },
  },
  {
    without: 'acknowledgements that wait for unknown outcomes',
    seen: 'a lost write: it timed out in a stalled server and took effect after the barrier',
    scenario: { ...forward, ...small, budget: { unknowns: 1 }, protocol: { unknownBlocksAcknowledgement: false } },
  },
  {
    without: 'the tombstone of a put with a TTL',
    seen: 'a stale read: the lease ended, and the read fell back to the old value',
    scenario: {
      ...forward,
      operations: [1, 1],
      kinds: ['get', 'put-ttl'],
      protocol: { ttlWritesTombstone: false },
    },
  },
  {
    without: 'the precedence of a record over its tombstone',
    seen: 'a put with a TTL that nobody can read',
    scenario: { ...forward, operations: [1, 1], kinds: ['get', 'put-ttl'], protocol: { recordWins: false } },
  },
  {
    without: 'key and tombstone in one snapshot',
    seen: 'a stale read of a record that was deleted, while another put is under way',
    scenario: { ...forward, operations: [2, 1], kinds: ['get', 'put', 'delete'], protocol: { oneSnapshot: false } },
  },
  {
    without: 'key and tombstone in one transaction',
    seen: 'a stale read between the two halves of a delete',
    scenario: { ...forward, operations: [2, 1], kinds: ['get', 'put', 'delete'], protocol: { oneTransaction: false } },
  },
  {
    without: 'linearizable reads of the source',
    seen: 'a stale read: a member of the source lags',
    scenario: { ...forward, ...small, protocol: { readsAreCurrent: false } },
  },
  {
    without: 'a second look into the target',
    seen: 'a key that was always there is missing: its TTL ended in the source after it was put into the target',
    scenario: {
      ...forward,
      operations: [1, 1],
      kinds: ['get', 'put-ttl'],
      initially: ['record-ttl'],
      protocol: { looksAgain: false },
    },
  },
  {
    without: 'registering before the mode is read',
    seen: 'a lost write: a late starter began in an older mode',
    scenario: { ...forward, ...small, late: [1], protocol: { registersFirst: false } },
  },
  {
    without: 'waiting for a lapsed instance',
    seen: 'a lost write: a stopped process went on between its check and its write',
    scenario: { ...forward, ...lapsing, protocol: { lapsedIsWaitedFor: false } },
  },
  {
    without: 'certainty that an instance that was named is gone',
    seen: 'a lost write: it was only stopped',
    scenario: { ...forward, ...lapsing, protocol: { namedIsGone: false } },
  },
  {
    without: 'one request life after an instance was named gone',
    seen: 'a lost write: its last request was still under way',
    scenario: { ...forward, ...lapsing, protocol: { requestLifeIsWaitedFor: false } },
  },
  {
    without: 'the barrier at returning',
    seen: 'a stale read while records and tombstones are cleared, each in its own time',
    scenario: {
      ...back,
      operations: [2, 0],
      kinds: ['get', 'put-ttl'],
      protocol: withModes({ returning: { barrier: false } }),
    },
  },
  {
    without: 'holding writes back in returning',
    seen: 'a stale read: one writes the source, another still reads the target',
    scenario: { ...back, ...small, protocol: withModes({ returning: { writes: 'source' } }) },
  },
  {
    without: 'the compare of the epoch in the target',
    seen: 'a lost write: a stopped process writes in the target after the way back has begun',
    scenario: { ...back, ...lapsing, protocol: { passesByEpoch: true } },
  },
  {
    without: 'a look at the lease after each operation, on the way back',
    seen: 'a stale read by a stopped process in a target that is half cleared',
    scenario: {
      ...back,
      ...lapsing,
      kinds: ['get', 'put-ttl'],
      goals: ['apply', 'rollback'],
      protocol: { checksAfter: false },
    },
  },
  {
    without: 'doubt about what ran while the lease was over',
    seen: 'a stale read by an instance that slept and renewed: the target had been cleared meanwhile',
    scenario: {
      ...back,
      ...lapsing,
      kinds: ['get', 'put-ttl'],
      goals: ['apply', 'rollback'],
      lastAtAnyTime: false,
      protocol: { lapseIsRemembered: false },
    },
  },
  {
    without: 'a look at the switch after a renewal that came too late',
    seen: 'a stale read by an instance that slept and renewed, in the mode that it had known',
    scenario: {
      ...back,
      ...lapsing,
      kinds: ['get', 'put-ttl'],
      goals: ['apply', 'rollback'],
      lastAtAnyTime: false,
      protocol: { looksAfterLapse: false },
    },
  },
  {
    without: 'a look at the lease after each operation',
    seen: 'a write that was answered and lost, once a live instance was named gone',
    scenario: { ...forward, ...lapsing, protocol: { namedIsGone: false, checksAfter: false } },
    what: /an answer that no order/,
  },
];

describe('the explorer finds, without', () => {
  it.each(cases)(
    '$without: $seen',
    ({ scenario, what = wrongAnswer }) => {
      const { counterexample } = explore(scenario, { looksFor: what });
      expect(counterexample).not.toBeNull();
    },
    120_000,
  );
});

describe('a look at the lease after each operation', () => {
  it('keeps every answer right even when a live instance was named gone', () => {
    const scenario: Scenario = { ...forward, ...lapsing, protocol: { namedIsGone: false } };
    expect(explore(scenario, { looksFor: /an answer that no order/ }).counterexample).toBeNull();
  }, 120_000);
});

describe('a canary', () => {
  it('that must fail: a register that forgets is not linearizable', () => {
    const broken = { ...modeTable.legacy, reads: 'target' } as const;
    expect(explore({ ...forward, ...small, protocol: withModes({ legacy: broken }) }).counterexample).not.toBeNull();
  });
});
