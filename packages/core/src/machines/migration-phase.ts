/**
 * Where a migration stands.
 *
 *     new ──start──► applying ──backfilled──► applied ──verified──► verified
 *                       │  ▲                     │                     │
 *                       │  └─────── start ───────┼─────────────────────┘   (a later plan, e.g. after drift)
 *                       └──────────────┬─────────┘
 *                                      ▼ roll-back
 *                                rolling-back ──rolled-back──► rolled-back ──start──► applying (a new attempt)
 *
 *     verified ──finalize──► finalizing ──finalized──► finalized ──reopen──► reopened ──start──► applying
 *
 * Under strategy `replicate` the source stays in use until applications are led to the target:
 *
 *     applied ──caught-up──► replicating ──cut-over──► cutting-over ──flipped──► cut-over ──finalize──► finalizing
 *                                 ▲                        │ undone                │  ▲
 *                                 └────────────────────────┘            turn-back ▼  │ undone
 *                                                                            turning-back ──flipped──► rolling-back
 *
 * `finalizing` is the point of no return: what tells a created record from another is dropped from there on, so there
 * is no roll-back from it, and none of what a finalized attempt wrote after it was reopened.
 *
 * The table has an answer for every pair, so that a new phase or event cannot be forgotten.
 */
import type { MigrationId, PlanId, RunId } from '../model/ids.ts';
import type { TakenBackup } from '../model/backup.ts';
import type { KeyJson } from '../model/key.ts';
import { shellWord } from '../model/shell-word.ts';
import type { ChunkCounts } from './chunk-lifecycle.ts';
import type { DoneMarker } from './done-marker.ts';

export type Phase =
  | 'new'
  | 'applying'
  | 'applied'
  | 'verified'
  | 'rolling-back'
  | 'rolled-back'
  | 'finalizing'
  | 'finalized'
  | 'reopened'
  | 'replicating'
  | 'cutting-over'
  | 'cut-over'
  | 'turning-back';
export type PhaseEvent =
  | 'start'
  | 'backfilled'
  | 'verified'
  | 'differs'
  | 'roll-back'
  | 'rolled-back'
  | 'finalize'
  | 'finalized'
  | 'reopen'
  | 'caught-up'
  | 'cut-over'
  | 'flipped'
  | 'undone'
  | 'turn-back';

/** A row in which nothing is allowed; a phase names what is. */
const never: Readonly<Record<PhaseEvent, null>> = {
  start: null,
  backfilled: null,
  verified: null,
  differs: null,
  'roll-back': null,
  'rolled-back': null,
  finalize: null,
  finalized: null,
  reopen: null,
  'caught-up': null,
  'cut-over': null,
  flipped: null,
  undone: null,
  'turn-back': null,
};

/** The phase that follows, or null where the event is not allowed. */
export const phaseTable: Readonly<Record<Phase, Readonly<Record<PhaseEvent, Phase | null>>>> = {
  new: { ...never, start: 'applying' },
  applying: { ...never, start: 'applying', backfilled: 'applied', 'roll-back': 'rolling-back' },
  applied: {
    ...never,
    start: 'applying',
    verified: 'verified',
    differs: 'applied',
    'caught-up': 'replicating',
    'roll-back': 'rolling-back',
  },
  verified: {
    ...never,
    start: 'applying',
    verified: 'verified',
    differs: 'applied',
    // Under replicate only a verify of an earlier release left it so.
    'caught-up': 'replicating',
    'roll-back': 'rolling-back',
    finalize: 'finalizing',
  },
  'rolling-back': { ...never, 'roll-back': 'rolling-back', 'rolled-back': 'rolled-back' },
  'rolled-back': { ...never, start: 'applying' },
  finalizing: { ...never, finalize: 'finalizing', finalized: 'finalized' },
  finalized: { ...never, reopen: 'reopened' },
  reopened: { ...never, start: 'applying' },
  replicating: {
    ...never,
    'caught-up': 'replicating',
    differs: 'applied',
    'cut-over': 'cutting-over',
    'roll-back': 'rolling-back',
  },
  'cutting-over': { ...never, 'cut-over': 'cutting-over', flipped: 'cut-over', undone: 'replicating' },
  'cut-over': { ...never, 'turn-back': 'turning-back', finalize: 'finalizing' },
  'turning-back': { ...never, 'turn-back': 'turning-back', flipped: 'rolling-back', undone: 'cut-over' },
};

export interface MigrationState {
  /** Format of all items of this migration (state-layout.ts); the first where there is none. */
  readonly format?: number;
  readonly migration: MigrationId;
  readonly phase: Phase;
  /** Grows with each plan that is started; also held by the target's epoch. */
  readonly attempt: number;
  /** The epoch's token within the attempt. */
  readonly epochToken: number;
  readonly plan: PlanId;
  /** The argument that `apply` was given, so that the next command can be named whole. */
  readonly appliedAs: string;
  /** Findings that were accepted by name: going on asks for them no second time. */
  readonly accepted: readonly string[];
  /** Where the attempts since the last rollback wrote; what rollback has to look through. */
  readonly wrote: {
    /** The target's identity; null where it has none. */
    readonly identity: string | null;
    readonly prefixes: readonly KeyJson[];
    /** Those attempts, ascending. */
    readonly attempts: readonly number[];
    /** Records created by the attempts before this one; null: the target knows of some that this state does not. */
    readonly before: number | null;
    /** Records that those overwrote or deleted without a before-image. */
    readonly unkept: number;
  };
  /** Functions work on the attempt, slice by slice; absent: only runs that hold the lock do. */
  readonly runner?: 'functions';
  /** Made before the attempts since the last rollback wrote anything, oldest first; absent: none was demanded. */
  readonly backups?: readonly TakenBackup[];
  readonly run: RunId;
  readonly startedAtMs: number;
  readonly changedAtMs: number;
  /** Totals of the attempt once backfill is done. */
  readonly counts: ChunkCounts | null;
  readonly rolledBack: RolledBack | null;
  /** How far a rollback has come in putting before-images back: those up to an item of an attempt, and all of later ones. */
  readonly restoredTo: { readonly attempt: number; readonly item: string } | null;
  /** What was proven before the point of no return, as the target's done marker says it; null before. */
  readonly done: DoneMarker | null;
}

export interface RollbackCounts {
  /** Those that were gone when their turn came are among them: an answer that was lost, or a TTL. */
  readonly removed: number;
  /** Changed by someone between being listed and being removed: left as they are. */
  readonly changed: number;
  /** Overwritten or deleted, and put back. */
  readonly restored: number;
  /** Overwritten or deleted, and changed by someone since: left as they are. */
  readonly notRestored: number;
  /** Overwritten or deleted, and past their own time by now: what was there is over. */
  readonly expired: number;
}

export interface RolledBack extends RollbackCounts {
  /** All that is not as it was before; absent until the rollback has ended, and where it cannot tell. */
  readonly left?: number;
}

export const nothingRolledBack: RollbackCounts = { removed: 0, changed: 0, restored: 0, notRestored: 0, expired: 0 };

/** The one safe next command, and the way back; both are full commands. */
export interface NextStep {
  readonly next: string;
  readonly wayBack: string | null;
}

/** @param follows the strategy is `replicate`: what is copied is proven by the tail alone, and then cut over to */
export function nextStep(migration: MigrationId, phase: Phase, appliedAs: string, follows = false): NextStep {
  const back = `keyferry rollback ${migration}`;
  if (follows && (phase === 'applied' || phase === 'verified')) {
    return { next: `keyferry apply ${shellWord(appliedAs)}`, wayBack: back };
  }
  switch (phase) {
    case 'new':
    case 'rolled-back':
    case 'reopened':
      return { next: `keyferry plan ${migration} --out ${migration}.kfplan`, wayBack: null };
    case 'applying':
      return { next: `keyferry apply ${shellWord(appliedAs)}`, wayBack: back };
    case 'applied':
      return { next: `keyferry verify ${migration}`, wayBack: back };
    case 'verified':
      return { next: `keyferry finalize ${migration}`, wayBack: back };
    case 'replicating':
    case 'cutting-over':
      return { next: `keyferry cutover ${migration}`, wayBack: phase === 'replicating' ? back : null };
    case 'cut-over':
      return { next: `keyferry apply ${shellWord(appliedAs)} --follow`, wayBack: back };
    case 'turning-back':
    case 'rolling-back':
      return { next: back, wayBack: null };
    case 'finalizing':
      return { next: `keyferry finalize ${migration}`, wayBack: null };
    case 'finalized':
      return { next: `keyferry report ${migration}`, wayBack: null };
  }
}
