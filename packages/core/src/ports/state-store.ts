/**
 * StateStore: where a migration's progress lives. Small items, each change conditional on the version last seen.
 *
 * The rules (who may claim, when a lease has ended) are pure functions in core/machines; the store only compares
 * versions. So SQLite, DynamoDB and memory can differ in nothing that matters, and one item holds lease, token and
 * cursor of a chunk: a single conditional write proves ownership and moves the checkpoint.
 */
import type { Brand } from '../model/brand.ts';
import type { Difference } from '../convergence/comparison-part.ts';
import type { Digest } from '../convergence/digest.ts';
import type { PlanId, RunId } from '../model/ids.ts';
import type { ImagePiece } from '../model/image-pieces.ts';
import type { KeyJson } from '../model/key.ts';
import type { Unplaced } from '../model/record.ts';
import type { ChunkCounts, ChunkState } from '../machines/chunk-lifecycle.ts';
import type { ChunkSpan, RunSamples } from '../machines/run-samples.ts';
import type { CheckState, Verification } from '../machines/check-lifecycle.ts';
import type { LockState } from '../machines/lock.ts';
import type { MigrationState } from '../machines/migration-phase.ts';
import type { ParallelState } from '../machines/parallel/parallel-state.ts';
import type { ParallelPhase } from '../machines/parallel/phases.ts';
import type { ParallelPlan } from '../plan/parallel-plan.ts';
import type { CutoverState } from '../machines/online/cutover.ts';
import type { PrimaryRecord } from '../machines/online/primary-record.ts';
import type { TailState } from '../machines/online/tail-state.ts';
import type { RunControl } from '../machines/run-control.ts';
import type { ThrottleReport } from '../machines/throttle.ts';
import type { PlanDocument, PlannedChange, PlannedChunk } from '../plan/plan.ts';
import type { Refusal } from '../plan/refusal.ts';

export type StateVersion = Brand<string, 'StateVersion'>;

/**
 * A record that could not be written and that no repeat of the call can help; kept until someone has mended the cause.
 * The chunk's own counts keep it among its dead letters for good; `resolved` moves it to another count (`totals` in
 * engine/src/dead-letters.ts). So one conditional write both settles a letter and counts it, and nothing is counted twice.
 */
export interface DeadLetter {
  readonly sourceKey: KeyJson;
  readonly targetKey: KeyJson;
  readonly chunk: string;
  readonly reason: string;
  readonly atMs: number;
  /** Its key is one of the sensitive ones. */
  readonly sensitive?: boolean;
  /** The rules found no place for it, or for so many records that would all get one key. */
  readonly unplaced?: Pick<Unplaced, 'reason' | 'count'>;
  /** What was refused, and over what: while both are so still, another try would go as this one. Of a target that can be read. */
  readonly tried?: {
    /** Short digest of the record as it would be written, with the salt of the plan. */
    readonly record: string;
    /** What the target had at its key right after; null: nothing. */
    readonly targetVersion: string | null;
  };
  /** What became of it when it was tried again; null: it is still dead. */
  readonly resolved: { readonly as: Exclude<keyof ChunkCounts, 'deadLetters'>; readonly atMs: number } | null;
}

/** How a run is getting on, as it says itself every few seconds; who reads it must look at the run's lock too. */
export interface RunPace extends Pick<ThrottleReport, 'limitedBy' | 'perSecondMax'> {
  readonly run: RunId;
  readonly startedAtMs: number;
  readonly atMs: number;
  /** Records dealt with a second, since it last said so. */
  readonly perSecond: number;
  /** Where functions work, and a sweep says it for all: what was done by then, and when it last grew. */
  readonly done?: number;
  readonly movedAtMs?: number;
}

/** A record that was to be overwritten or deleted and was left as it is, because it is no longer the planned one. */
export interface MetChange {
  readonly targetKey: KeyJson;
  readonly chunk: string;
  readonly action: 'overwrite' | 'delete';
  readonly what: string;
  readonly atMs: number;
}

/** A record that may be changed only at the version that the plan saw. */
export interface GuardRow {
  readonly targetKey: KeyJson;
  readonly action: 'overwrite' | 'delete';
  readonly version: string;
}

/** A part of a chunk's rows of that kind, ascending, so that any worker can work on the chunk without the plan file. */
export interface GuardPage {
  readonly chunk: string;
  readonly rows: readonly GuardRow[];
}

/** What a batch was about to overwrite or delete, written before it was sent. Holds values: the state is as secret as they. */
export interface BeforePage {
  readonly chunk: string;
  readonly pieces: readonly ImagePiece[];
}

/** What happened, for `status` and for whoever asks later. */
export interface EventItem {
  readonly atMs: number;
  readonly run: string;
  readonly type: string;
  readonly message: string;
  /** Who did it: `user@host, pid N`. */
  readonly by?: string;
}

/** A reviewed plan that waits for functions to take it up, and what became of that. */
export interface Submission {
  readonly plan: PlanId;
  /** Pages of its rows among the items of kind `plan-rows`. */
  readonly chunkPages: number;
  readonly changePages: number;
  /** `user@host, pid N`. */
  readonly by: string;
  readonly atMs: number;
  /** As of an apply: findings accepted by name, and the argument that names the plan. */
  readonly accept: readonly string[];
  readonly appliedAs: string;
  readonly answer: SubmissionAnswer | null;
}

export type SubmissionAnswer =
  | { readonly kind: 'taken'; readonly attempt: number; readonly atMs: number }
  /** As apply would have refused it: the error's code, and its words. */
  | { readonly kind: 'refused'; readonly code: string; readonly message: string; readonly atMs: number };

/** A page of a plan's rows on their way to functions; of one kind each. */
export interface PlanRows {
  readonly plan: PlanId;
  readonly chunks: readonly PlannedChunk[];
  readonly changes: readonly PlannedChange[];
}

/** Target keys that a plan of strategy `replicate` promised to keep, ascending. */
export interface KeptKeys {
  readonly keys: readonly KeyJson[];
}

/** What a phase of strategy `parallel` left: a type of the ports whose docstring begins with EVIDENCE, or a list of them. */
export interface EvidenceItem {
  readonly phase: ParallelPhase;
  /** As `phaseFacts` names it. */
  readonly name: string;
  readonly atMs: number;
  readonly run: RunId;
  readonly data: unknown;
}

/** What a comparison of both sides found; keys and counts, no values. */
export interface VerifyRecord {
  readonly verdict: 'agree' | 'differ';
  readonly atMs: number;
  readonly source: Digest;
  readonly target: Digest;
  /** The same in buckets by key; equal in number. */
  readonly sourceBuckets: readonly Digest[];
  readonly targetBuckets: readonly Digest[];
  readonly sourcePosition: string;
  readonly targetPosition: string;
  readonly kept: number;
  readonly targetOnly: number;
  readonly expired: number;
  /** The first of them. */
  readonly differences: readonly Difference[];
  readonly differencesTotal: number;
}

/** What one run keeps of itself, for its report. Bounded, however long it is. */
export interface RunRecord {
  readonly run: RunId;
  readonly command: 'apply' | 'verify' | 'finalize';
  readonly plan: PlanId;
  readonly attempt: number;
  /** `user@host, pid N`; empty where nobody said it. */
  readonly by: string;
  readonly startedAtMs: number;
  readonly endedAtMs: number | null;
  /** `done`, `deviated`, or the code of the error that it ended in; null while it runs, or when it was killed. */
  readonly outcome: string | null;
  readonly samples: RunSamples;
  readonly chunks: readonly ChunkSpan[];
  readonly verify: VerifyRecord | null;
  readonly deviations: readonly string[];
}

/**
 * The items by kind. Scope and id of each: migration (`migrations`, name), lock (`locks`, migration name), plan
 * (migration, plan id), chunk-plan and chunk (`migration/attempt`, chunk id), guards (the same, chunk id and page),
 * before (the same, chunk id, token, batch and part), dead-letter and met-change (the same, canonical JSON of the target
 * key; for a letter about what the rules find no place for, why and where), run-control (the same, `control`: absent
 * until somebody asks for something), run-pace (the same, run id), verification (the same, `current`), check (the same,
 * chunk id), event (migration, a sortable id), run-record (migration, run id), submission (migration, `current`), plan-rows
 * (migration, plan id, kind of row and page), tail (`migration/attempt`, forward or reverse), cutover (the same,
 * `current`), kept-keys (the same, page), primary (migration, `current`: where a command or a person is the switch),
 * parallel (migration, `current`), parallel-plan (migration, plan id), evidence (`migration/attempt`, phase and name),
 * refusal (migration, `current`).
 */
export interface StateItems {
  readonly migration: MigrationState;
  readonly lock: LockState;
  readonly plan: PlanDocument;
  readonly 'chunk-plan': PlannedChunk;
  readonly chunk: ChunkState;
  readonly guards: GuardPage;
  readonly before: BeforePage;
  readonly 'dead-letter': DeadLetter;
  readonly 'met-change': MetChange;
  readonly event: EventItem;
  readonly 'run-record': RunRecord;
  readonly 'run-control': RunControl;
  readonly 'run-pace': RunPace;
  readonly verification: Verification;
  readonly check: CheckState;
  readonly submission: Submission;
  readonly 'plan-rows': PlanRows;
  readonly tail: TailState;
  readonly cutover: CutoverState;
  readonly primary: PrimaryRecord;
  readonly 'kept-keys': KeptKeys;
  readonly parallel: ParallelState;
  readonly 'parallel-plan': ParallelPlan;
  readonly evidence: EvidenceItem;
  readonly refusal: Refusal;
}
export type StateKind = keyof StateItems;

export interface StateEntry<K extends StateKind> {
  readonly id: string;
  readonly item: StateItems[K];
  readonly version: StateVersion;
}

export interface StatePage<K extends StateKind> {
  readonly entries: readonly StateEntry<K>[];
  /** To be passed as `after` for the next page; null at the end. */
  readonly next: string | null;
}

export type StateWriteOutcome<K extends StateKind> =
  | { readonly kind: 'written'; readonly version: StateVersion }
  /** Somebody else was first; `current` is what is there now, null when nothing is. */
  | { readonly kind: 'conflict'; readonly current: StateEntry<K> | null };

export interface StateStore {
  read<K extends StateKind>(kind: K, scope: string, id: string): Promise<StateEntry<K> | null>;
  /**
   * Writes if the item is at `expected` (`absent`: not there). Items are plain JSON. When the answer is lost the caller
   * repeats the call and, on a conflict, compares `current` with what it wrote: equal means that it won.
   */
  write<K extends StateKind>(
    kind: K,
    scope: string,
    id: string,
    item: StateItems[K],
    expected: StateVersion | 'absent',
  ): Promise<StateWriteOutcome<K>>;
  remove<K extends StateKind>(
    kind: K,
    scope: string,
    id: string,
    expected: StateVersion,
  ): Promise<StateWriteOutcome<K>>;
  /**
   * Items of a scope in ascending order of their ids, those after `after`; `next` is null at the end. A page may hold
   * fewer items than `itemsMax` before the end, so pages of two lists need not begin and end alike.
   */
  list<K extends StateKind>(
    kind: K,
    scope: string,
    page: { readonly after: string | null; readonly itemsMax: number },
  ): Promise<StatePage<K>>;
  close(): Promise<void>;
}
