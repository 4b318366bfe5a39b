/**
 * Restoration: what going back does with one record that a migration overwrote or deleted, by what is there now.
 *
 *     now there                         overwritten        deleted
 *     what this migration overwrote     the image          left: changed
 *     what this migration created       left: changed      the image, if the deletion is provable
 *     nothing                           left: changed      the image, if the deletion is provable
 *     the image itself                  left: untouched    left: untouched
 *     anything else                     left: changed      left: changed
 *
 * "The image" is nothing where the image was itself this migration's creation, or has expired. It must not be put over
 * what the migration created: between its overwriting and its creating, somebody deleted the record, and nothing that was
 * deleted comes back. After a deletion of its own it may. Pure: each target reads, asks here, and acts in one step.
 */
import { recordsEqual } from '../diff/compare-records.ts';
import type { BeforeImage, Restoration, RestoreOutcome } from '../model/before-image.ts';

export type RestoreStep =
  | { readonly kind: 'leave'; readonly outcome: Extract<RestoreOutcome, 'untouched' | 'changed'> }
  /** What is there goes, if anything is. */
  | { readonly kind: 'remove'; readonly outcome: Extract<RestoreOutcome, 'removed' | 'expired'> }
  /** `own`: it was this migration's own, and must be known as such, for the images of earlier attempts. */
  | { readonly kind: 'put'; readonly outcome: 'restored' | 'replaced'; readonly own: boolean };

/**
 * @param present what is there now, and whose it is
 * @param wasDeleted the target remembers that this migration deleted the key, and no tombstone says that somebody has since
 */
export function restoreStep(
  { undo, image }: Restoration,
  present: BeforeImage | null,
  wasDeleted: boolean,
  nowMs: number,
): RestoreStep {
  const { origin, expiresAtMs } = image;
  if (origin === 'created' ? isUndone(present) : present !== null && recordsEqual(present, image)) {
    return { kind: 'leave', outcome: 'untouched' };
  }
  const isOurs =
    undo === 'overwrite'
      ? present?.origin === 'overwritten'
      : wasDeleted && (present?.origin ?? 'created') === 'created';
  if (!isOurs) return { kind: 'leave', outcome: 'changed' };
  if (origin === 'created') return { kind: 'remove', outcome: 'removed' };
  if (expiresAtMs !== null && expiresAtMs <= nowMs) return { kind: 'remove', outcome: 'expired' };
  const outcome = present?.origin === 'created' ? 'replaced' : 'restored';
  return { kind: 'put', outcome, own: origin === 'overwritten' };
}

/** A creation is undone when nothing is there; one that is still there, or there again, is removed with the others. */
function isUndone(present: BeforeImage | null): boolean {
  return present === null || present.origin === 'created';
}
