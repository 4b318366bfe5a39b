/**
 * The controller of an online migration: the one step that comes next, from what is known to be true.
 *
 *     apply      announce draining ─►▌ announce migrating ─► backfill ─► verify ─► done
 *     cutover    announce settled  ─►▌ fence ─► done
 *     finalize   announce normal   ─►▌ clean up ─► done
 *     rollback   announce draining ─►▌ fence ─► drain ─► announce returning ─►▌ clear ─► announce legacy ─►▌ done
 *
 * ▌: its barrier. The controller remembers nothing: each step is chosen from the switch record and from facts that the
 * stores and the state can tell, so one that died is followed by any other one. A barrier that timed out goes back to the
 * mode before and never forward (SPEC R30); where `wait` is the step although it timed out, there is nothing to go back to, and
 * the command ends where it stands. Run by the engine (strategies/dual-read) and by the explorer alike.
 */
import type { Barrier } from './barrier.ts';
import { modeTable, rungAfter, type Mode, type ModeTable, type Move, type Rung } from './mode-ladder.ts';

export type DualReadGoal = 'apply' | 'cutover' | 'finalize' | 'rollback';

export interface DualReadFacts {
  readonly rung: Rung;
  /** Of the epoch in which this mode was announced. */
  readonly barrier: Barrier;
  /** It has waited for as long as it may. */
  readonly timedOut: boolean;
  /** Every chunk is done. */
  readonly backfilled: boolean;
  /** Compared since: every key of the source is in the target, equal or written by an application, or has its tombstone. */
  readonly verified: boolean;
  /** The target's epoch is above that of every worker that ever began a backfill. */
  readonly fenced: boolean;
  /** Every change that applications made in the target is in the source. */
  readonly drained: boolean;
  /** Nothing is left in the target of what applications or the migration wrote. */
  readonly cleared: boolean;
  /** Nothing is left in the target of keyferry's own but the done marker. */
  readonly cleaned: boolean;
}

export type DualReadStep =
  /** Compare-and-set on the switch, with the next epoch. */
  | { readonly kind: 'announce'; readonly rung: Rung }
  /** announce, after a barrier that did not hold in time; the command ends with it. */
  | { readonly kind: 'give-up'; readonly rung: Rung }
  | { readonly kind: 'wait' | 'backfill' | 'verify' | 'fence' | 'drain' | 'clear' | 'clean-up' | 'done' }
  | { readonly kind: 'refused'; readonly why: 'rolling-back' | 'past-normal' };

/** What the rules are: the explorer passes broken ones. */
export interface LadderRules {
  readonly table: ModeTable;
  readonly rungAfter: (rung: Rung, move: Move) => Rung | null;
}

export const ladderRules: LadderRules = { table: modeTable, rungAfter };

export function dualReadStep(goal: DualReadGoal, facts: DualReadFacts, rules: LadderRules = ladderRules): DualReadStep {
  const { rung, barrier, timedOut } = facts;
  const move = (by: Move, kind: 'announce' | 'give-up' = 'announce'): DualReadStep => {
    const next = rules.rungAfter(rung, by);
    return next === null ? { kind: 'wait' } : { kind, rung: next };
  };
  const mustWait = rules.table[rung.mode].barrier && barrier.kind === 'waiting';
  const wait = (): DualReadStep => (timedOut ? move('give-up', 'give-up') : { kind: 'wait' });
  if (goal === 'rollback') return stepBack(facts, { move, mustWait, wait });
  const reaches = (mode: Mode): boolean => forwardOrder.indexOf(mode) <= forwardOrder.indexOf(endOf[goal]);
  const onward = (next: Mode): DualReadStep => (reaches(next) ? move('advance') : { kind: 'done' });
  // Somebody else has led them further than this goal asks for; what is beyond it is not this command's to wait for or to undo.
  if (!reaches(rung.mode)) return { kind: 'done' };
  switch (rung.mode) {
    case 'legacy':
      return move('advance');
    case 'draining':
      if (rung.heldFrom !== 'legacy') return { kind: 'refused', why: 'rolling-back' };
      return mustWait ? wait() : move('advance');
    case 'migrating':
      if (!facts.backfilled) return { kind: 'backfill' };
      return facts.verified ? onward('settled') : { kind: 'verify' };
    case 'settled':
      // Cutover found it held. To give it up for an instance that came since would undo what is settled, and a state that
      // is `finalizing` has no other way than this one.
      if (mustWait) return goal === 'finalize' ? { kind: 'wait' } : wait();
      return facts.fenced ? onward('normal') : { kind: 'fence' };
    case 'normal':
      if (mustWait) return wait();
      return { kind: facts.cleaned ? 'done' : 'clean-up' };
    case 'returning':
      return { kind: 'refused', why: 'rolling-back' };
  }
}

const forwardOrder: readonly Mode[] = ['legacy', 'draining', 'migrating', 'settled', 'normal'];
const endOf = { apply: 'migrating', cutover: 'settled', finalize: 'normal' } as const;

interface Moves {
  readonly move: (by: Move) => DualReadStep;
  readonly mustWait: boolean;
  readonly wait: () => DualReadStep;
}

function stepBack(facts: DualReadFacts, { move, mustWait, wait }: Moves): DualReadStep {
  const { mode, heldFrom, committed } = facts.rung;
  switch (mode) {
    case 'legacy':
      // Not after a return: nobody has left this mode, or nobody was let into the next one.
      return { kind: mustWait && committed === 'legacy' ? 'wait' : 'done' };
    case 'draining':
      if (heldFrom === 'legacy') return move('back');
      if (mustWait) return wait();
      if (!facts.fenced) return { kind: 'fence' };
      return facts.drained ? move('back') : { kind: 'drain' };
    case 'migrating':
      return move('back');
    case 'settled':
      return committed === 'normal' ? { kind: 'refused', why: 'past-normal' } : move('back');
    case 'normal':
      return { kind: 'refused', why: 'past-normal' };
    case 'returning':
      if (mustWait) return wait();
      return facts.cleared ? move('back') : { kind: 'clear' };
  }
}
