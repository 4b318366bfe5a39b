/**
 * The rules of a cutover by `replicate` as switches for the explorer. Every one is on; turned off one at a time, each must
 * lead to its counterexample (counterexamples.test.ts). Those of `cutover` are core's own switches; the others say which
 * check of the model is left out, or which function of core is passed over.
 */
import { allCutoverRules, type CutoverRules } from '../../../src/index.ts';

export interface ReplicateProtocol {
  readonly cutover: CutoverRules;
  /** R39: the position moves with the effect. Off: before it. */
  readonly positionFollowsEffect: boolean;
  /** R40: writes of a tail compare its fence. */
  readonly tailFence: boolean;
  /** R40: a write of a tail that was answered to a repeat of it changes nothing when it comes late. */
  readonly tailSequence: boolean;
  /** R45: an announcement compares what its sender saw last. */
  readonly compareAndSet: boolean;
  /** R45: a run that finds a hold of another one undoes it. */
  readonly leftBehindIsUndone: boolean;
  /** R150: an undoing leaves the primary as it is, whoever's hold it undoes. Off: it leads to where its run came from. */
  readonly undoKeepsPrimary: boolean;
  /** R150: the switch is read before the state says that a hold may come. Off: behind it, where a run may have slept. */
  readonly readsSwitchFirst: boolean;
  /** R150: a run that fails in its hold ends it. */
  readonly failureUndoes: boolean;
  /** R6: the epoch is raised before copies are taken away. */
  readonly fenceFirst: boolean;
  /** R49: what the source changed since the tail's last position is a copy of what it was. */
  readonly movedIsCopy: boolean;
  /** R100: the head that is drained to is read after the acknowledgements. Off: with the hold. */
  readonly headBehindHold: boolean;
  /** R43, R100: what came behind the head that was drained to undoes the cutover. */
  readonly looksOnceMore: boolean;
  /** R101: where not every writer registers, silence is the proof. */
  readonly noneIsRespected: boolean;
  /** R101: what counts as proof stays as it was settled. Off: who registers in a hold makes acknowledgements the proof. */
  readonly proofStays: boolean;
  /** R102: nothing is held while an instance has lapsed, or lately was named gone. */
  readonly rollCall: boolean;
  /** R103, R29: after an instance was named gone, the longest life of a request is waited for. */
  readonly requestLifeIsWaitedFor: boolean;
  /** R103: only a process that is gone is named gone. */
  readonly namedIsGone: boolean;
  /** R104: a hold ends when who is missing has lapsed, and at its deadline. */
  readonly missingUndoes: boolean;
  /** R27: an epoch is acknowledged only when no write of an older one still runs. */
  readonly runningBlocksAcknowledgement: boolean;
  /** R27: likewise for one whose outcome is unknown. */
  readonly unknownBlocksAcknowledgement: boolean;
  /** R105: an instance registers, then reads the switch. */
  readonly registersFirst: boolean;
  /** R105: no write begins while writes are held. */
  readonly holdsWrites: boolean;
  /** R105: a write goes to the store that is primary in the epoch in which it begins. Off: to the source. */
  readonly followsPrimary: boolean;
  /** R105: what ends past the own lease is not told as certain. */
  readonly checksAfter: boolean;
}

export const soundReplicate: ReplicateProtocol = {
  cutover: allCutoverRules,
  positionFollowsEffect: true,
  tailFence: true,
  tailSequence: true,
  compareAndSet: true,
  leftBehindIsUndone: true,
  undoKeepsPrimary: true,
  failureUndoes: true,
  readsSwitchFirst: true,
  fenceFirst: true,
  movedIsCopy: true,
  headBehindHold: true,
  looksOnceMore: true,
  noneIsRespected: true,
  proofStays: true,
  rollCall: true,
  requestLifeIsWaitedFor: true,
  namedIsGone: true,
  missingUndoes: true,
  runningBlocksAcknowledgement: true,
  unknownBlocksAcknowledgement: true,
  registersFirst: true,
  holdsWrites: true,
  followsPrimary: true,
  checksAfter: true,
};
