/**
 * Goal: each rule of a cutover by `replicate` is there for a reason that the explorer can show.
 * Method: one rule is off (two, where one covers for the other); among all interleavings of a small scenario one must go wrong,
 * in the way that the rule is there to prevent. Its title names what users would see.
 */
import { describe, expect, it } from 'vitest';
import { allCutoverRules, type CutoverRules } from '../../../src/index.ts';
import { exploreReplicate, type ReplicateScenario } from './explore-replicate.ts';
import type { ReplicateProtocol } from './protocol.ts';

interface Case {
  readonly rule: string;
  /** What is off. */
  readonly without: string;
  /** What users see. */
  readonly seen: string;
  readonly what: RegExp;
  readonly scenario: ReplicateScenario;
  readonly off: Partial<ReplicateProtocol>;
}

const two = { goals: ['cutover'], operations: [1, 1], kinds: ['put'] } as const satisfies ReplicateScenario;
const lapsing = { ...two, kinds: ['get', 'put'], budget: { lapses: 1 } } as const satisfies ReplicateScenario;
const there = {
  goals: ['cutover', 'rollback'],
  operations: [1, 0],
  kinds: ['put'],
} as const satisfies ReplicateScenario;
/** A run is taken for dead, and was not. */
const takenOver = { ...there, budget: { takeovers: 1 } } as const satisfies ReplicateScenario;
const back = { goals: ['rollback'], operations: [1], kinds: ['put'] } as const satisfies ReplicateScenario;

const withoutCore = (off: Partial<CutoverRules>): Pick<ReplicateProtocol, 'cutover'> => ({
  cutover: { ...allCutoverRules, ...off },
});

const differs = /differ at the flip/;
const behind = /not primary any more/;
const stuck = /goes no further/;
const heldForEver = /nobody will end it/;

const cases: readonly Case[] = [
  {
    rule: 'R6',
    without: 'raising the epoch before copies are taken away',
    seen: 'a record in a target that was cleared: a late write of the tail',
    what: /target is not empty/,
    scenario: { ...back, budget: { lateCarries: 1 } },
    off: { fenceFirst: false },
  },
  {
    rule: 'R39',
    without: 'positions that follow their effect',
    seen: 'a change that is in neither the tail nor the target: who carried it died in between',
    what: stuck,
    scenario: { ...two, budget: { takeovers: 1 } },
    off: { positionFollowsEffect: false },
  },
  {
    rule: 'R40',
    without: 'the fence of the tail',
    seen: 'an old value: a late write of a tail that was taken over',
    what: stuck,
    scenario: { ...two, operations: [2, 0], budget: { takeovers: 1, lateCarries: 1 } },
    off: { tailFence: false },
  },
  {
    rule: 'R40',
    without: 'the order of the writes of a tail',
    seen: 'an old value: a late write whose repeat had been answered',
    what: stuck,
    scenario: { ...two, operations: [2, 0], budget: { lateCarries: 1 } },
    off: { tailSequence: false },
  },
  {
    rule: 'R43',
    without: 'silence where nobody registers',
    seen: 'a lost write: it began before the hold, and came behind the flip',
    what: differs,
    scenario: { ...two, unregistered: [0, 1] },
    off: withoutCore({ quiet: false }),
  },
  {
    rule: 'R45',
    without: 'compare-and-set at the switch',
    seen: 'the primary is led back by a run that slept, under the hands of another one',
    what: stuck,
    scenario: takenOver,
    off: { compareAndSet: false },
  },
  {
    rule: 'R45',
    without: 'undoing what a dead run had held',
    seen: 'writes are held for ever',
    what: heldForEver,
    scenario: { ...two, budget: { takeovers: 1 } },
    off: { leftBehindIsUndone: false },
  },
  {
    rule: 'R150',
    without: 'a look at the switch before the state says that a hold may come, and the primary as it was in an undoing',
    seen: 'applications led back without a drain: a cutover that slept undid the hold of a rollback',
    what: behind,
    scenario: takenOver,
    off: { readsSwitchFirst: false, undoKeepsPrimary: false },
  },
  {
    rule: 'R150',
    without:
      'a look at the switch before the state says that a hold may come, and an end of the hold by the run that failed in it',
    seen: 'writes are held for ever by a cutover that slept, after the migration was taken back',
    what: heldForEver,
    scenario: { ...takenOver, lastAtAnyTime: true, operations: [0] },
    off: { readsSwitchFirst: false, failureUndoes: false },
  },
  {
    rule: 'R48',
    without: 'a drain to what was written last',
    seen: 'a lost write: it was answered, and not yet carried',
    what: differs,
    scenario: two,
    off: withoutCore({ quiet: false, drain: false }),
  },
  {
    rule: 'R48',
    without: 'the comparison of what moved',
    seen: 'a lost write: the target had refused it',
    what: differs,
    scenario: { ...two, budget: { refusals: 1 } },
    off: withoutCore({ compare: false }),
  },
  {
    rule: 'R48',
    without: 'the epoch that shuts the tail out',
    seen: 'no way back: a run that slept moved the position of the reverse tail past a write',
    what: stuck,
    scenario: takenOver,
    off: withoutCore({ fence: false }),
  },
  {
    rule: 'R48',
    without: "the reverse tail's position before the flip",
    seen: 'no way back: what was written before the reverse tail began is in no tail',
    what: stuck,
    scenario: there,
    off: withoutCore({ anchor: false }),
  },
  {
    rule: 'R49',
    without: 'what the source changed since, among the copies',
    seen: 'a copy that a rollback leaves behind',
    what: /target is not empty/,
    scenario: back,
    off: { movedIsCopy: false },
  },
  {
    rule: 'R100',
    without: 'acknowledgements',
    seen: 'a lost write: one instance still wrote the source',
    what: differs,
    scenario: two,
    off: withoutCore({ acknowledge: false }),
  },
  {
    rule: 'R100',
    without: 'a head that is read behind the acknowledgements, and the last look',
    seen: 'a lost write: it came between the hold and its acknowledgement',
    what: differs,
    scenario: two,
    off: { headBehindHold: false, looksOnceMore: false },
  },
  {
    rule: 'R101',
    without: 'silence where not everybody registers',
    seen: 'a lost write of an instance that never registers',
    what: differs,
    scenario: { ...two, unregistered: [1], instances: 'none' },
    off: { noneIsRespected: false },
  },
  {
    rule: 'R101',
    without: 'a proof that stays as it was settled',
    seen: 'a lost write of an instance that never registers, because another one registered in the hold',
    what: differs,
    scenario: { ...two, unregistered: [0], late: [1], instances: 'none' },
    off: { proofStays: false },
  },
  {
    rule: 'R102',
    without: 'the roll call',
    seen: 'writes that are held for an instance that was known to be silent',
    what: /would not acknowledge/,
    scenario: lapsing,
    off: { rollCall: false },
  },
  {
    rule: 'R103',
    without: 'waiting for an instance that lapsed',
    seen: 'a lost write: a stopped process went on between its check and its write',
    what: differs,
    scenario: lapsing,
    off: withoutCore({ lapsed: false }),
  },
  {
    rule: 'R103',
    without: 'one request life after an instance was named gone',
    seen: 'a lost write: its last request was still under way',
    what: differs,
    scenario: lapsing,
    off: { requestLifeIsWaitedFor: false },
  },
  {
    rule: 'R103',
    without: 'certainty that an instance that was named is gone',
    seen: 'a lost write: it was only stopped',
    what: differs,
    scenario: lapsing,
    off: { namedIsGone: false },
  },
  {
    rule: 'R104',
    without: 'an end of the hold where who is missing has lapsed',
    seen: 'writes are held for ever for an instance that died in the hold',
    what: heldForEver,
    scenario: { ...lapsing, nobodyIsNamed: true },
    off: { missingUndoes: false },
  },
  {
    rule: 'R105',
    without: 'acknowledgements that wait for running writes',
    seen: 'a lost write: it began before the acknowledgement and ended after',
    what: differs,
    scenario: two,
    off: { runningBlocksAcknowledgement: false },
  },
  {
    rule: 'R105',
    without: 'acknowledgements that wait for unknown outcomes',
    seen: 'a lost write: it timed out, and took effect behind the flip',
    what: differs,
    scenario: { ...two, budget: { unknowns: 1 } },
    off: { unknownBlocksAcknowledgement: false },
  },
  {
    rule: 'R105',
    without: 'registering before the switch is read',
    seen: 'a lost write: a late starter wrote where it had read that writes were open',
    what: differs,
    scenario: { ...two, late: [1] },
    off: { registersFirst: false },
  },
  {
    rule: 'R105',
    without: 'writes that wait while they are held',
    seen: 'a lost write: it began in a hold',
    what: differs,
    scenario: two,
    off: { holdsWrites: false },
  },
  {
    rule: 'R105',
    without: 'writes that go to the primary of their epoch',
    seen: 'a write in the source that nobody carries any more',
    what: behind,
    scenario: two,
    off: { followsPrimary: false },
  },
  {
    rule: 'R105',
    without: 'a look at the lease after each write',
    seen: 'a write that was answered and lost, once a live instance was named gone',
    what: /an answer that no order/,
    scenario: lapsing,
    off: { namedIsGone: false, checksAfter: false },
  },
];

describe('the explorer finds, without', () => {
  it.each(cases)(
    '$without ($rule): $seen',
    ({ scenario, off, what }) => {
      const { counterexample } = exploreReplicate({ ...scenario, protocol: off }, { looksFor: what });
      expect(counterexample).not.toBeNull();
    },
    120_000,
  );

  it('no rule, nothing in any of their scenarios', () => {
    const scenarios = new Set(cases.map(({ scenario }) => scenario));
    for (const scenario of scenarios) expect(exploreReplicate(scenario).counterexample?.steps).toBeUndefined();
  }, 240_000);
});

describe('a look at the lease after each write', () => {
  it('keeps every answer right even when a live instance was named gone', () => {
    const scenario: ReplicateScenario = { ...lapsing, protocol: { namedIsGone: false } };
    expect(exploreReplicate(scenario, { looksFor: /an answer that no order/ }).counterexample).toBeNull();
  }, 120_000);
});

describe('a canary', () => {
  it('that must fail: a tail that refuses what it carries leaves the stores different, and that is found', () => {
    const scenario = { ...two, budget: { refusals: 1 } };
    const { counterexample } = exploreReplicate({
      ...scenario,
      protocol: withoutCore({ compare: false, quiet: false }),
    });
    expect(counterexample?.what).toMatch(differs);
  });
});
