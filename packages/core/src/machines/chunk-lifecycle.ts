/**
 * A chunk's life: who works on it, how far it came, and who may take it over.
 *
 *     pending ──claim──► claimed ──finish──► done
 *        ▲                │  │ ▲
 *        └────release─────┘  └─┘ checkpoint, or claim by another once the lease has ended
 *
 * One item holds lease, token and cursor, so that one conditional write both proves ownership and moves the
 * checkpoint. The lease only chooses who may try; safety is the fence that the target compares (ports/store.ts).
 * Pure: time is passed in.
 */
import { emptyDigest, type Digest } from '../convergence/digest.ts';
import { runOfWorker, type ChunkId, type RunId, type WorkerId } from '../model/ids.ts';
import type { KeyJson } from '../model/key.ts';

/**
 * What became of the records of a chunk, and of the target records that were to be deleted there. Each is under exactly
 * one count, so that they add up: those of the source to `scannedOf`, the deletes to `deletesOf`.
 */
export interface ChunkCounts {
  readonly written: number;
  /** In place of the record that the plan saw. */
  readonly overwritten: number;
  readonly equal: number;
  /** Was to be overwritten, but is another version by now, or gone: left as it is. */
  readonly changed: number;
  /** The target differs and is kept, as the plan said. */
  readonly kept: number;
  readonly tombstoned: number;
  readonly deadLetters: number;
  readonly notCarried: number;
  readonly deleted: number;
  /** Was to be deleted, and was gone when its turn came. */
  readonly deletesGone: number;
  /** Was to be deleted, but is another version by now, or in the source: left as it is. */
  readonly deletesChanged: number;
}

export const noCounts: ChunkCounts = {
  written: 0,
  overwritten: 0,
  equal: 0,
  changed: 0,
  kept: 0,
  tombstoned: 0,
  deadLetters: 0,
  notCarried: 0,
  deleted: 0,
  deletesGone: 0,
  deletesChanged: 0,
};

export function addCounts(a: ChunkCounts, b: ChunkCounts): ChunkCounts {
  return {
    written: a.written + b.written,
    overwritten: a.overwritten + b.overwritten,
    equal: a.equal + b.equal,
    changed: a.changed + b.changed,
    kept: a.kept + b.kept,
    tombstoned: a.tombstoned + b.tombstoned,
    deadLetters: a.deadLetters + b.deadLetters,
    notCarried: a.notCarried + b.notCarried,
    deleted: a.deleted + b.deleted,
    deletesGone: a.deletesGone + b.deletesGone,
    deletesChanged: a.deletesChanged + b.deletesChanged,
  };
}

/** Everything that was read of the source. Nothing is silent: each record is under exactly one count. */
export function scannedOf(counts: ChunkCounts): number {
  const { written, overwritten, equal, changed, kept, tombstoned, deadLetters, notCarried } = counts;
  return written + overwritten + equal + changed + kept + tombstoned + deadLetters + notCarried;
}

/** Every planned delete that was dealt with. */
export function deletesOf({ deleted, deletesGone, deletesChanged }: ChunkCounts): number {
  return deleted + deletesGone + deletesChanged;
}

export interface ChunkProgress {
  /** The last source key that is dealt with; null: none yet. */
  readonly cursor: KeyJson | null;
  readonly counts: ChunkCounts;
  /** Of the permanent source records up to the cursor. */
  readonly digest: Digest;
}

export interface ChunkState {
  readonly chunk: ChunkId;
  readonly phase: 'pending' | 'claimed' | 'done';
  /** Grows with each claim; 0 before the first. */
  readonly token: number;
  readonly worker: WorkerId | null;
  /** Milliseconds since 1970, by the claimer's clock; null when nobody holds it. */
  readonly leaseEndsAtMs: number | null;
  readonly progress: ChunkProgress;
}

/** Another machine's clock may be this far off before a lease is taken for ended. */
export const clockSkewMs = 2000;

export type ClaimDecision =
  | { readonly kind: 'claim'; readonly next: ChunkState }
  | { readonly kind: 'held'; readonly untilMs: number }
  | { readonly kind: 'done' };

export interface ClaimRequest {
  readonly worker: WorkerId;
  readonly token: number;
  readonly nowMs: number;
  readonly leaseMs: number;
  /** Runs whose process is known to be gone: their leases need not be waited for. */
  readonly deadRuns: ReadonlySet<RunId>;
}

export function decideClaim(state: ChunkState, request: ClaimRequest): ClaimDecision {
  if (state.phase === 'done') return { kind: 'done' };
  const { leaseEndsAtMs, worker } = state;
  const dead = worker !== null && request.deadRuns.has(runOfWorker(worker));
  // A lease that ends exactly now still counts: a tick too long costs a tick, a tick too short costs a fenced write.
  if (!dead && leaseEndsAtMs !== null && leaseEndsAtMs + clockSkewMs >= request.nowMs) {
    return { kind: 'held', untilMs: leaseEndsAtMs + clockSkewMs };
  }
  return {
    kind: 'claim',
    next: {
      ...state,
      phase: 'claimed',
      token: request.token,
      worker: request.worker,
      leaseEndsAtMs: request.nowMs + request.leaseMs,
    },
  };
}

export function ownsChunk(state: ChunkState, claim: ChunkState): boolean {
  return state.phase === 'claimed' && state.worker === claim.worker && state.token === claim.token;
}

export function newChunk(chunk: ChunkId): ChunkState {
  const progress = { cursor: null, counts: noCounts, digest: emptyDigest };
  return { chunk, phase: 'pending', token: 0, worker: null, leaseEndsAtMs: null, progress };
}

export function checkpoint(claim: ChunkState, progress: ChunkProgress, leaseEndsAtMs: number): ChunkState {
  return { ...claim, progress, leaseEndsAtMs };
}

export function release(claim: ChunkState): ChunkState {
  return { ...claim, phase: 'pending', worker: null, leaseEndsAtMs: null };
}

/**
 * For the dead letters behind its cursor, which are tried again under a token of their own. A worker that still believes
 * to have the chunk is shut out by it; what is done stays done.
 */
export function reopen(state: ChunkState, token: number): ChunkState {
  return state.phase === 'done' ? { ...state, token } : release({ ...state, token });
}

export function finish(claim: ChunkState, progress: ChunkProgress): ChunkState {
  return { ...claim, phase: 'done', progress, worker: null, leaseEndsAtMs: null };
}
