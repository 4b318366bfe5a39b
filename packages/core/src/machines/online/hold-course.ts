/**
 * Hold course: what a run knows while writes are held, and how each thing that it does or sees changes that.
 *
 *     looked ─► quiet?   drained ─► drained, or quiet no more   compared ─► equal or not   granted, fenced, anchored
 *     moved, in the last look before the flip ─► quiet no more: with the tail shut out that undoes the hold
 *
 * `cutoverStep` chooses the next step from it (cutover.ts); the engine does it and says here what came of it. A run begins
 * with nothing known, and with what an earlier one left at the switch: `leftAtSwitch`. Pure; the explorer runs the same.
 */
import type { MigrationId } from '../../model/ids.ts';
import type { CutoverFacts } from './cutover.ts';
import { primaryStanding, type PrimaryRecord, type PrimarySide } from './primary-record.ts';
import type { HoldProof } from './roll-call.ts';

export type HoldKnowledge = Pick<
  CutoverFacts,
  'isQuiet' | 'isDrained' | 'compared' | 'isGranted' | 'isFenced' | 'isAnchored'
>;

export const nothingKnown: HoldKnowledge = {
  isQuiet: false,
  isDrained: false,
  compared: 'not-yet',
  isGranted: false,
  isFenced: false,
  isAnchored: false,
};

export type HoldEvent =
  /** `isStill`: as `writersAreStill` says of what was read when the look began. */
  | { readonly kind: 'looked'; readonly isStill: boolean }
  /** Everything up to a head that was read when it was quiet is there; `hasMoved`: a change was among it. */
  | { readonly kind: 'drained'; readonly proof: HoldProof; readonly hasMoved: boolean }
  | { readonly kind: 'compared'; readonly isEqual: boolean }
  /** The tail lost its place, or does not know any more what moved. */
  | { readonly kind: 'lost' }
  | { readonly kind: 'granted' }
  | { readonly kind: 'fenced' }
  | { readonly kind: 'anchored' }
  /** In the last look before the flip. */
  | { readonly kind: 'moved' };

export function afterHoldEvent(known: HoldKnowledge, event: HoldEvent): HoldKnowledge {
  switch (event.kind) {
    case 'looked':
      return { ...known, isQuiet: event.isStill };
    case 'drained':
      // Of those who acknowledged, nothing can come behind that head; of others, whatever came begins their silence anew.
      return event.proof === 'acknowledgements' || !event.hasMoved
        ? { ...known, isDrained: true }
        : { ...known, isQuiet: false };
    case 'compared':
      return { ...known, compared: event.isEqual ? 'equal' : 'differ' };
    case 'lost':
      return { ...known, compared: 'differ' };
    case 'granted':
      return { ...known, isGranted: true };
    case 'fenced':
      return { ...known, isFenced: true };
    case 'anchored':
      return { ...known, isAnchored: true };
    case 'moved':
      return { ...known, isQuiet: false };
  }
}

/**
 * What a run finds at the switch when it begins. hold: one that a dead run left; it is undone, since nobody can tell what
 * applications did meanwhile. flip: that run did it, and what follows is this one's to end. taken: it is not this
 * migration's to move.
 */
export type LeftAtSwitch = 'nothing' | 'hold' | 'flip' | 'taken';

export interface RunBeginning {
  readonly migration: MigrationId;
  readonly to: PrimarySide;
  /** The state says that a run of this command was under way. */
  readonly isResumed: boolean;
}

export function leftAtSwitch(
  record: Pick<PrimaryRecord, 'migration' | 'primary' | 'writes'> | null,
  { migration, to, isResumed }: RunBeginning,
): LeftAtSwitch {
  const { primary, writes } = primaryStanding(record);
  if (writes === 'held') return record?.migration === migration ? 'hold' : 'taken';
  if (primary !== to) return 'nothing';
  return isResumed ? 'flip' : 'taken';
}
