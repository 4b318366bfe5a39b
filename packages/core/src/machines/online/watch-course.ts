/**
 * Watch course: which store's changes a watcher is shown while applications move from one to the other, and no others.
 *
 *     source  … changes ──► legacy: shown   draining: kept back   frozen at P0: shown up to it, and no further
 *                                                                   └──► target, behind watchFrom
 *     target  … changes ──► migrating, draining (on the way back), settled, normal: shown   returning, legacy: lost
 *
 * What is read is judged by the mode that the instance knows *after* the read. While that is `legacy`, no barrier of
 * `draining` has held, so an application made the change. In `draining` nobody knows yet: the controller may have gone on
 * already, and the reverse tail may be writing. With `migrating` comes the position at which it was decided (SPEC R61).
 *
 * A target that knows its state alone tells a delete by the record that it saw before, or by the tombstone. `normal` leaves no
 * tombstone, and finalize drops origins too, by which a copy is told from a change. So before the first instance may be in
 * `normal` such a watch must have looked once when all copies were made, that is in `settled`, and else it is lost (SPEC R170).
 *
 * In the target backfill and the controller write too; `applicationChange` tells their changes from those of applications
 * (SPEC R62). Pure.
 */
import type { Key } from '../../model/key.ts';
import type { Position } from '../../model/position.ts';
import type { Mode } from './mode-ladder.ts';
import type { SwitchRecord } from './switch-record.ts';

export type WatchSide = 'source' | 'target';

export interface WatchCourse {
  readonly side: WatchSide;
  /** Of the source: changes were kept back since a `draining` whose end is not known yet. */
  readonly keptBack: boolean;
  /** Of a target that knows its state alone: whether all copies had been made when it was looked at. Absent: it has a log. */
  readonly sawCopies?: boolean;
}

export type WatchVerdict =
  | { readonly kind: 'show' }
  | { readonly kind: 'keep-back' }
  /** Up to the position, and then what the target changed behind the other one. */
  | { readonly kind: 'hand-over'; readonly frozenAt: Position; readonly watchFrom: Position }
  /** Changes may be missing. */
  | { readonly kind: 'lost'; readonly why: string };

/** What the instance knows; null: nothing was ever announced. */
type Known = Pick<SwitchRecord, 'mode' | 'heldFrom' | 'committed' | 'frozenAt' | 'watchFrom'> | null;

/** Where a watch begins. */
export function watchSideAt(known: Known): WatchSide {
  return isAhead(known) ? 'target' : 'source';
}

/** What becomes of changes that were just read. */
export function watchVerdict({ side, keptBack, sawCopies }: WatchCourse, known: Known): WatchVerdict {
  const ahead = isAhead(known);
  if (side === 'target') {
    if (!ahead) return wentBack;
    return sawCopies === false && known?.committed === 'normal' ? tooLate : { kind: 'show' };
  }
  if (ahead) {
    const { frozenAt = null, watchFrom = null } = known ?? {};
    return frozenAt === null || watchFrom === null ? unpublished : { kind: 'hand-over', frozenAt, watchFrom };
  }
  if (known?.mode === 'draining') return { kind: 'keep-back' };
  // Given up: applications go on in the source, and nobody else wrote there. Else there and back again, unseen.
  return keptBack && known?.committed === 'legacy' ? wentBack : { kind: 'show' };
}

/** Whether everything is copied by then; known before a look, it says so of what was seen. */
export function isCopied(known: Known): boolean {
  return known?.mode === 'settled' || known?.mode === 'normal';
}

const tooLate = { kind: 'lost', why: 'it had not seen all copies when the migration went on to its end' } as const;
const wentBack = { kind: 'lost', why: 'the migration was taken back' } as const;
const unpublished = { kind: 'lost', why: 'the switch does not say where the source was frozen' } as const;

/** Whether applications may have written the target. */
function isAhead(known: Known): boolean {
  const ahead: Readonly<Record<Mode, boolean>> = {
    legacy: false,
    draining: known?.heldFrom !== 'legacy',
    migrating: true,
    settled: true,
    normal: true,
    returning: false,
  };
  return known !== null && ahead[known.mode];
}

/** What one transaction of the target did to a key and to its tombstone. */
export interface TargetMove<R> {
  readonly key: Key;
  /** `put` with the record as it is then; null: the record was not touched. */
  readonly change: { readonly kind: 'put'; readonly record: R } | { readonly kind: 'delete' } | null;
  /** There was no tombstone before, and there is one behind it. */
  readonly entombed: boolean;
}

export type ApplicationChange<R> =
  { readonly kind: 'put'; readonly key: Key; readonly record: R } | { readonly kind: 'delete'; readonly key: Key };

/** @returns null where it was no application's: backfill copied the record, or keys of keyferry's own moved */
export function applicationChange<R extends { readonly copiedFrom: unknown }>({
  key,
  change,
  entombed,
}: TargetMove<R>): ApplicationChange<R> | null {
  if (change?.kind === 'put') {
    const { record } = change;
    return record.copiedFrom === null ? { kind: 'put', key, record } : null;
  }
  // A delete of a key that was never copied has nothing to delete in the target but leaves its tombstone there.
  return change?.kind === 'delete' || entombed ? { kind: 'delete', key } : null;
}
