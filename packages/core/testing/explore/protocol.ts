/**
 * The protocol's rules as switches for the explorer. Every one is on; turned off one at a time, each must lead to its
 * counterexample (counterexamples.test.ts). Rules that are data or functions of core are replaced by broken ones here;
 * the others say which check of the model is left out.
 */
import { ladderRules, modeTable, rungAfter, type LadderRules, type Mode, type ModeRules } from '../../src/index.ts';

export interface Protocol {
  readonly ladder: LadderRules;
  /** Backfill puts only where no key is. */
  readonly absentGuard: boolean;
  /** Backfill puts only where no tombstone is. */
  readonly tombstoneGuard: boolean;
  /** Backfill puts only under the epoch that the target holds. */
  readonly fencing: boolean;
  /** An attempt takes a higher epoch than any before. */
  readonly attemptsAreNew: boolean;
  /** `settled` waits for backfill and its verification. */
  readonly backfillFirst: boolean;
  /** The target's epoch is raised before tombstones are dropped, and before the target is cleared. */
  readonly fenceFirst: boolean;
  /** `returning` waits until the reverse tail has carried everything back. */
  readonly drainFirst: boolean;
  /** The target is cleared before the ladder ends in `legacy`. */
  readonly clearFirst: boolean;
  /** Nothing else was in the target when the migration began. */
  readonly targetIsEmpty: boolean;
  /** Key and tombstone are read in one snapshot. */
  readonly oneSnapshot: boolean;
  /** Key and tombstone are changed in one transaction. */
  readonly oneTransaction: boolean;
  /** Deletes are made in the target alone, with a tombstone. Off: in the source and then in the target, without. */
  readonly deletesInTarget: boolean;
  /** A put with a TTL writes the tombstone. */
  readonly ttlWritesTombstone: boolean;
  /** A record that is there wins over its tombstone. */
  readonly recordWins: boolean;
  /** `draining` respects tombstones. */
  readonly drainingSeesTombstones: boolean;
  /** The fallback reads the source linearizably. */
  readonly readsAreCurrent: boolean;
  /** A read that found nothing in either store asks the target once more. */
  readonly looksAgain: boolean;
  /** An epoch is acknowledged only when no operation still runs in an older one. */
  readonly runningBlocksAcknowledgement: boolean;
  /** Likewise for one whose outcome is unknown. */
  readonly unknownBlocksAcknowledgement: boolean;
  /** An instance registers, then reads the mode. */
  readonly registersFirst: boolean;
  /** A barrier waits for a lapsed instance that no store refuses. */
  readonly lapsedIsWaitedFor: boolean;
  /** After an instance was named gone, a barrier waits for the longest life of a request. */
  readonly requestLifeIsWaitedFor: boolean;
  /** Only a process that is gone is named gone. */
  readonly namedIsGone: boolean;
  /** What ends past the own lease is not told as certain. */
  readonly checksAfter: boolean;
  /** Nor is what ran when it ended, however soon it was renewed. */
  readonly lapseIsRemembered: boolean;
  /** After a renewal that came too late the switch is read before anything begins. */
  readonly looksAfterLapse: boolean;
  /** Barriers pass over a lapsed instance that would write in the target, because the target compares the epoch. */
  readonly passesByEpoch: boolean;
  /** Writes in the target compare the switch's epoch; for targets that hold the switch. */
  readonly epochCompare: boolean;
}

export const soundProtocol: Protocol = {
  ladder: ladderRules,
  absentGuard: true,
  tombstoneGuard: true,
  fencing: true,
  attemptsAreNew: true,
  backfillFirst: true,
  fenceFirst: true,
  drainFirst: true,
  clearFirst: true,
  targetIsEmpty: true,
  oneSnapshot: true,
  oneTransaction: true,
  deletesInTarget: true,
  ttlWritesTombstone: true,
  recordWins: true,
  drainingSeesTombstones: true,
  readsAreCurrent: true,
  looksAgain: true,
  runningBlocksAcknowledgement: true,
  unknownBlocksAcknowledgement: true,
  registersFirst: true,
  lapsedIsWaitedFor: true,
  requestLifeIsWaitedFor: true,
  namedIsGone: true,
  checksAfter: true,
  lapseIsRemembered: true,
  looksAfterLapse: true,
  passesByEpoch: false,
  epochCompare: false,
};

/** With some rules of some modes replaced. */
export function withModes(changes: Partial<Readonly<Record<Mode, Partial<ModeRules>>>>): Pick<Protocol, 'ladder'> {
  const table = { ...modeTable };
  for (const [mode, change] of Object.entries(changes) as [Mode, Partial<ModeRules>][]) {
    table[mode] = { ...table[mode], ...change };
  }
  return { ladder: { table, rungAfter } };
}
