/**
 * Cutover: the one step that comes next on the way from one primary store to the other, from what is known to be true.
 *
 *     hold ─► wait until quiet ─► drain ─► compare ─► grant ─► fence ─► anchor ─► flip
 *       └────────────── undo: held by a run that died, past the deadline, moved or different ──────┘
 *
 * The way back after a cutover is the same with the stores exchanged. The controller remembers nothing: each step is chosen
 * from the switch and from facts, so a run that died is followed by any other one; what it held is undone first, since
 * nobody can tell what applications did meanwhile. Flip and undo are compare-and-set on one record, so a hold has one end.
 * Pure; run by the engine, and by the simulator with rules switched off.
 */
import type { PrimaryRecord, PrimarySide } from './primary-record.ts';

export interface CutoverFacts {
  /** The store that is to be primary at the end. */
  readonly to: PrimarySide;
  readonly announced: Pick<PrimaryRecord, 'primary' | 'writes'>;
  /** This run announced the hold. */
  readonly isOurs: boolean;
  readonly pastDeadline: boolean;
  /** Since the hold, and for the longest life of a request at least, nothing changed in the store that is primary. */
  readonly isQuiet: boolean;
  /** The other store has everything up to a head that was read when it was quiet. */
  readonly isDrained: boolean;
  /** All that changed since both were proven equal. */
  readonly compared: 'equal' | 'differ' | 'not-yet';
  /** Records that expire in the one do so in the other. */
  readonly isGranted: boolean;
  /** The tail that filled it can write no more. */
  readonly isFenced: boolean;
  /** The tail the other way has its position, from before the first write of an application. */
  readonly isAnchored: boolean;
}

export type CutoverStep =
  | { readonly kind: 'hold' | 'wait' | 'drain' | 'compare' | 'grant' | 'fence' | 'anchor' | 'flip' | 'done' }
  | { readonly kind: 'undo'; readonly why: UndoReason };

export type UndoReason = 'left-behind' | 'deadline' | 'moved' | 'differs';

/** Each is on; the simulator switches one off, and must then find what it is there for. */
export interface CutoverRules {
  readonly quiet: boolean;
  readonly drain: boolean;
  readonly compare: boolean;
  readonly fence: boolean;
  readonly anchor: boolean;
}

export const allCutoverRules: CutoverRules = { quiet: true, drain: true, compare: true, fence: true, anchor: true };

export function cutoverStep(facts: CutoverFacts, rules: CutoverRules = allCutoverRules): CutoverStep {
  const { announced, to } = facts;
  if (announced.writes === 'open') return { kind: announced.primary === to ? 'done' : 'hold' };
  if (!facts.isOurs) return { kind: 'undo', why: 'left-behind' };
  if (facts.pastDeadline) return { kind: 'undo', why: 'deadline' };
  if (facts.compared === 'differ' && rules.compare) return { kind: 'undo', why: 'differs' };
  if (!facts.isQuiet && rules.quiet) return facts.isFenced ? { kind: 'undo', why: 'moved' } : { kind: 'wait' };
  if (!facts.isDrained && rules.drain) return { kind: 'drain' };
  if (facts.compared === 'not-yet' && rules.compare) return { kind: 'compare' };
  if (!facts.isGranted) return { kind: 'grant' };
  if (!facts.isFenced && rules.fence) return { kind: 'fence' };
  if (!facts.isAnchored && rules.anchor) return { kind: 'anchor' };
  return { kind: 'flip' };
}

/** What the state remembers of the last one: for status, for finalize, and for the way back. */
export interface CutoverState {
  readonly to: PrimarySide;
  readonly outcome: 'under-way' | 'flipped' | 'undone';
  readonly undoneWhy: UndoReason | null;
  readonly run: string;
  /** The epoch of the switch under which writes were held; 0: not yet. */
  readonly epoch: number;
  readonly startedAtMs: number;
  readonly heldAtMs: number | null;
  /** When applications could write again. */
  readonly endedAtMs: number | null;
  /** Where the store that was primary stood when nothing moved any more; what is there after it is stray. */
  readonly from: string | null;
  /** Where the other one stood: the tail the other way begins here. */
  readonly anchor: string | null;
  /** Records compared within the hold. */
  readonly compared: number;
}
