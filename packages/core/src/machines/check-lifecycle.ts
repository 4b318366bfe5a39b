/**
 * Checks: a verification in slices, chunk by chunk, by any number of functions.
 *
 *     (none, or of an earlier verification) ──claim──► claimed ──put down──► open ──claim──► claimed ──finish──► done
 *                                                         └── claim by another once the lease has ended ──┘
 *
 * Reading harms nobody, so a check needs no fence: two that work on one chunk waste time, and the conditional write lets
 * one of them count. A check that ran out of time keeps how far it came. Pure: time is passed in.
 */
import type { ComparisonPart } from '../convergence/comparison-part.ts';
import type { ChunkId, WorkerId } from '../model/ids.ts';
import type { KeyJson } from '../model/key.ts';
import { clockSkewMs } from './chunk-lifecycle.ts';

/** A verification of an attempt in slices. The next one has the next number. */
export interface Verification {
  readonly number: number;
  readonly startedAtMs: number;
  /** Where both stores stood when it began: each chunk is read at or after that. */
  readonly sourcePosition: string;
  readonly targetPosition: string;
  /** Null while it is under way. */
  readonly ended: { readonly atMs: number; readonly verdict: 'agree' | 'differ'; readonly deviations: number } | null;
}

export interface CheckState {
  readonly chunk: ChunkId;
  /** The verification that it belongs to; one of an earlier number counts as none. */
  readonly verification: number;
  readonly phase: 'open' | 'claimed' | 'done';
  readonly worker: WorkerId | null;
  /** Milliseconds since 1970, by the claimer's clock; null when nobody holds it. */
  readonly leaseEndsAtMs: number | null;
  /** The last target key that was compared; null: none yet, or all of them. */
  readonly cursor: KeyJson | null;
  /** Of the keys up to the cursor; of all when it is done. */
  readonly part: ComparisonPart | null;
}

export type CheckDecision =
  | { readonly kind: 'claim'; readonly next: CheckState }
  | { readonly kind: 'held' }
  | { readonly kind: 'done' }
  /** A later verification has begun meanwhile. */
  | { readonly kind: 'outdated' };

export interface CheckRequest {
  readonly chunk: ChunkId;
  readonly verification: number;
  readonly worker: WorkerId;
  readonly nowMs: number;
  readonly leaseMs: number;
}

export function decideCheck(before: CheckState | null, request: CheckRequest): CheckDecision {
  const { chunk, verification, worker, nowMs, leaseMs } = request;
  const claimed = { phase: 'claimed', worker, leaseEndsAtMs: nowMs + leaseMs } as const;
  if (before === null || before.verification < verification) {
    return { kind: 'claim', next: { chunk, verification, ...claimed, cursor: null, part: null } };
  }
  if (before.verification > verification) return { kind: 'outdated' };
  if (before.phase === 'done') return { kind: 'done' };
  const { leaseEndsAtMs } = before;
  if (leaseEndsAtMs !== null && leaseEndsAtMs + clockSkewMs >= nowMs) return { kind: 'held' };
  return { kind: 'claim', next: { ...before, ...claimed } };
}

export function putDownCheck(claim: CheckState, cursor: KeyJson | null, part: ComparisonPart | null): CheckState {
  return { ...claim, phase: 'open', worker: null, leaseEndsAtMs: null, cursor, part };
}

export function finishCheck(claim: CheckState, part: ComparisonPart): CheckState {
  return { ...claim, phase: 'done', worker: null, leaseEndsAtMs: null, cursor: null, part };
}
