/**
 * Cutover: the one step that comes next on the way from one primary store to the other, from what is known to be true.
 *
 *     hold ─► wait until quiet ─► drain ─► compare ─► grant ─► fence ─► anchor ─► flip
 *       └─── undo: held by a run that died, past the deadline, not acknowledged, moved or different ───┘
 *
 * Quiet is who may write no more. Where instances are registered, their acknowledgements say so, at once; where nobody is,
 * the store that is primary does, by its silence for the longest life of a request (roll-call.ts chooses, before the hold).
 *
 * The way back after a cutover is the same with the stores exchanged. The controller remembers nothing: each step is chosen
 * from the switch and from facts, so a run that died is followed by any other one; what it held is undone first, since
 * nobody can tell what applications did meanwhile. Flip and undo are compare-and-set on one record, so a hold has one end.
 * Pure; run by the engine, and by the simulator with rules switched off.
 */
import type { Barrier, Missing } from './barrier.ts';
import type { PrimaryRecord, PrimarySide } from './primary-record.ts';
import type { HoldProof } from './roll-call.ts';

export interface CutoverFacts {
  /** The store that is to be primary at the end. */
  readonly to: PrimarySide;
  readonly announced: Pick<PrimaryRecord, 'primary' | 'writes'>;
  /** This run announced the hold. */
  readonly isOurs: boolean;
  readonly pastDeadline: boolean;
  /** Nobody who may write still can (`writersAreStill`), and nothing moved since that was found. */
  readonly isQuiet: boolean;
  /** Where acknowledgements are the proof and are not all there: an instance that is waited for has lapsed. */
  readonly acknowledged: 'all' | 'waiting' | 'lapsed';
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

/** `failed`: something else came in between, which its command ended in. */
export type UndoReason = 'failed' | 'left-behind' | 'deadline' | 'unacknowledged' | 'moved' | 'differs';

/** Each is on; the simulator switches one off, and must then find what it is there for. */
export interface CutoverRules {
  readonly quiet: boolean;
  readonly acknowledge: boolean;
  /** An instance that lapsed is waited for (roll-call.ts, barrier.ts). */
  readonly lapsed: boolean;
  readonly drain: boolean;
  readonly compare: boolean;
  readonly fence: boolean;
  readonly anchor: boolean;
}

export const allCutoverRules: CutoverRules = {
  quiet: true,
  acknowledge: true,
  lapsed: true,
  drain: true,
  compare: true,
  fence: true,
  anchor: true,
};

export function cutoverStep(facts: CutoverFacts, rules: CutoverRules = allCutoverRules): CutoverStep {
  const { announced, to } = facts;
  if (announced.writes === 'open') return { kind: announced.primary === to ? 'done' : 'hold' };
  if (!facts.isOurs) return { kind: 'undo', why: 'left-behind' };
  const isWaitingForAll = facts.acknowledged !== 'all' && rules.acknowledge;
  if (facts.pastDeadline) return { kind: 'undo', why: isWaitingForAll ? 'unacknowledged' : 'deadline' };
  // It could come back and acknowledge. But its lease is over, and everybody's writes would wait for a dead one.
  if (facts.acknowledged === 'lapsed' && rules.acknowledge) return { kind: 'undo', why: 'unacknowledged' };
  if (facts.compared === 'differ' && rules.compare) return { kind: 'undo', why: 'differs' };
  if (!facts.isQuiet && rules.quiet) return facts.isFenced ? { kind: 'undo', why: 'moved' } : { kind: 'wait' };
  if (!facts.isDrained && rules.drain) return { kind: 'drain' };
  if (facts.compared === 'not-yet' && rules.compare) return { kind: 'compare' };
  if (!facts.isGranted) return { kind: 'grant' };
  if (!facts.isFenced && rules.fence) return { kind: 'fence' };
  if (!facts.isAnchored && rules.anchor) return { kind: 'anchor' };
  return { kind: 'flip' };
}

/** What is known of the writers while they are held. */
export interface Stillness {
  readonly proof: HoldProof;
  /** Of the hold's epoch; only where acknowledgements are the proof. */
  readonly barrier: Barrier | null;
  /** Since the hold, or the last change after it. */
  readonly silentForMs: number;
  readonly requestLifeMs: number;
}

/** Whether nobody who may write still can (SPEC R43, R100). */
export function writersAreStill(
  { proof, barrier, silentForMs, requestLifeMs }: Stillness,
  rules: CutoverRules = allCutoverRules,
): boolean {
  if (proof === 'silence') return silentForMs >= requestLifeMs;
  return barrier?.kind === 'held' || !rules.acknowledge;
}

/** Who is missing, as `cutoverStep` asks it. */
export function acknowledgedBy(barrier: Barrier | null): CutoverFacts['acknowledged'] {
  if (barrier === null || barrier.kind === 'held') return 'all';
  return barrier.on.some(({ why }) => why === 'lapsed') ? 'lapsed' : 'waiting';
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
  /** How it was known that nobody writes any more. Absent: by silence, and written before it was told. */
  readonly proof?: HoldProof;
  /** Instances that did not acknowledge it. */
  readonly missing?: readonly Missing[];
}
