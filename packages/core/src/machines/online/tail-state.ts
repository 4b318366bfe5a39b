/**
 * What the state says of a tail: who carries changes, how far it is, what it could not carry. One owner at a time by its
 * lease; what keeps a former one from writing is its fence in the store that is written (SPEC R40).
 *
 * The position here is for people alone. The one that counts lies in that store, and moves with the changes.
 */
import type { NamedDifferences } from '../../convergence/comparison-part.ts';
import type { Digest } from '../../convergence/digest.ts';
import type { TailName } from '../../ports/change-feed.ts';
import type { KeyJson } from '../../model/key.ts';
import { clockSkewMs } from '../chunk-lifecycle.ts';

/** A record that the other store can never take as it is; gone from here when it is deleted or written anew. */
export interface RefusedChange {
  readonly key: KeyJson;
  readonly reason: string;
}

export interface TailCounts {
  readonly puts: number;
  readonly deletes: number;
  /** Left out: keys that the plan promised to keep, or that its rules leave out. */
  readonly leftOut: number;
  /** Ranges that went at once. */
  readonly ranges: number;
  /** Times that the position was lost, and both sides were compared instead. */
  readonly reconciled: number;
}

export const noTailCounts: TailCounts = { puts: 0, deletes: 0, leftOut: 0, ranges: 0, reconciled: 0 };

export interface TailLag {
  /** How long ago the first change was made that is not carried yet, at most; 0: none is known of. */
  readonly ms: number;
  /** Changes of the whole store that are still to be read, at most; null: nobody can tell. */
  readonly changes: number | null;
}

/** What a look at both sides while they moved has proven. */
export interface Generation {
  /** Counts up within the attempt. */
  readonly number: number;
  /** Up to here in the store that is primary, every record was found equal in the other. */
  readonly position: string;
  readonly atMs: number;
  readonly records: number;
  /** Records that differed at first and were equal when they were looked at again. */
  readonly settledLater: number;
  /** The longest that one of those had lasted. */
  readonly settledAfterMsMax: number;
  /** Of the records that were found equal. */
  readonly digest: Digest;
}

/** What a look at both sides found unlike, with nothing moving that could settle it. */
export interface TailDiffers extends NamedDifferences {
  readonly atMs: number;
}

export interface TailState {
  readonly tail: TailName;
  readonly attempt: number;
  readonly token: number;
  readonly run: string;
  readonly leaseEndsAtMs: number;
  readonly position: string | null;
  readonly lag: TailLag | null;
  readonly counts: TailCounts;
  /** The first of them. */
  readonly refused: readonly RefusedChange[];
  readonly refusedTotal: number;
  readonly generation: Generation | null;
  /** What keeps the last look from being a proof; absent, null: nothing, or nobody looked. */
  readonly differs?: TailDiffers | null;
  readonly changedAtMs: number;
}

export function tailIsHeld({ leaseEndsAtMs }: TailState, nowMs: number): boolean {
  return leaseEndsAtMs + clockSkewMs >= nowMs;
}
