/**
 * Messages: everything that the engine has to say while it works, each with a code, a level and a typed payload.
 * Core and engine never print; the CLI renders these, a function logs them, the simulator records them.
 */
import type { ChunkCounts } from '../machines/chunk-lifecycle.ts';
import type { InstanceId, Missing } from '../machines/online/barrier.ts';
import type { Mode } from '../machines/online/mode-ladder.ts';
import type { RollbackCounts } from '../machines/migration-phase.ts';
import type { CutoverStep, UndoReason } from '../machines/online/cutover.ts';
import type { HoldProof } from '../machines/online/roll-call.ts';
import type { FeedBacklog } from '../ports/change-feed.ts';
import type { ParallelPhase } from '../machines/parallel/phases.ts';
import type { SoakSample } from '../machines/parallel/soak.ts';
import type { BackStep } from '../machines/parallel/way-back.ts';
import type { Generation, TailCounts, TailLag } from '../machines/online/tail-state.ts';
import type { TailName } from '../ports/change-feed.ts';
import type { KeyJson } from '../model/key.ts';
import type { TakenBackup } from '../model/backup.ts';
import type { ThrottleLimits, ThrottleReport } from '../machines/throttle.ts';

export type Level = 'debug' | 'info' | 'warning';

export interface MessageData {
  /** The image is being sorted, before anything can be compared. */
  'image.sorting': { readonly sourceKeys: number };
  'plan.scanning': { readonly sourceKeys: number; readonly targetKeys: number };
  /** A backup that the plan demands was made and found whole. */
  'backup.taken': TakenBackup;
  'apply.checking': { readonly chunksDone: number; readonly chunksTotal: number };
  'apply.started': {
    readonly plan: string;
    readonly run: string;
    readonly attempt: number;
    readonly chunksTotal: number;
    readonly chunksDone: number;
    readonly resumed: boolean;
  };
  /** Somebody else has the target's lock; told when the wait begins, and when another one has it. */
  'turn.waiting': { readonly holder: string; readonly command: string };
  /** An apply that ran to its end: for whoever follows logs. */
  'apply.ended': {
    readonly outcome: 'done' | 'deviated';
    readonly elapsedMs: number;
    /** Records that this migration put there, in all its attempts' runs. */
    readonly migrated: number;
    /** Dead letters. */
    readonly failed: number;
  };
  /** Nothing was left to do. */
  'apply.already-done': { readonly by: string; readonly at: string };
  'backfill.progress': {
    readonly counts: ChunkCounts;
    /** Records of the plan. */
    readonly total: number;
    readonly chunksDone: number;
    readonly chunksTotal: number;
    readonly elapsedMs: number;
    readonly pace: ThrottleReport;
  };
  /** Somebody changed the limits of a run from outside of it, or it began under such a change. */
  'run.throttled': { readonly by: string; readonly limits: ThrottleLimits };
  /** Somebody took such a change back. */
  'run.unthrottled': { readonly limits: ThrottleLimits };
  /** The run finishes what is in flight, then ends with the error of that code. */
  'run.stopping': { readonly code: string; readonly why: string };
  /** What became of the dead letters that were tried so far. */
  'letters.progress': { readonly tried: ChunkCounts };
  'chunk.claimed': { readonly chunk: string; readonly worker: string; readonly token: number };
  'chunk.done': { readonly chunk: string; readonly counts: ChunkCounts };
  'chunk.lost': { readonly chunk: string; readonly worker: string; readonly token: number };
  'chunk.moved': { readonly chunk: string };
  /** Only for a host that asks for them (`Host.wantsKeys`): what became of one target key, once it is known. */
  'key.settled': { readonly key: KeyJson; readonly outcome: keyof ChunkCounts | keyof RollbackCounts };
  'store.retrying': { readonly what: string; readonly code: string; readonly tries: number; readonly waitMs: number };
  'verify.progress': { readonly keys: number };
  'history.not-kept': { readonly type: string; readonly code: string };
  /** Said before it begins: so many records were overwritten or deleted without a before-image. */
  'rollback.unrestorable': { readonly count: number };
  'rollback.progress': RollbackCounts;
  /** Every instance is to follow from now on; `given-up`: because a barrier did not hold in time, or the run was stopped. */
  'mode.announced': { readonly mode: Mode; readonly epoch: number; readonly why: 'onward' | 'given-up' };
  /** At the first look and whenever it changed. */
  'barrier.waiting': {
    readonly mode: Mode;
    readonly acknowledged: number;
    readonly missing: readonly Missing[];
    /** How many more instances would have to register. */
    readonly short: number;
    readonly timeoutMs: number;
  };
  'barrier.held': { readonly mode: Mode; readonly waitedMs: number };
  /** Keys of the source that somebody wrote after it was frozen; the first of them. */
  'source.strays': { readonly keys: readonly KeyJson[]; readonly total: number };
  /** On the way back: what applications did in the target since is being done in the source. */
  'drain.progress': { readonly put: number; readonly deleted: number };
  'tail.progress': { readonly tail: TailName; readonly counts: TailCounts; readonly lag: TailLag };
  /** The first of a following run, and after each time that it had fallen behind. */
  'tail.caught-up': { readonly tail: TailName; readonly position: string };
  /** What the store keeps for the tail on its own disk has grown so far that somebody must look. */
  'tail.backlog': { readonly tail: TailName } & FeedBacklog;
  /** What a store keeps to tell its changes is still there although the migration is over, and somebody has to remove it. */
  'feed.not-ended': { readonly store: string; readonly code: string; readonly why: string };
  'tail.lost': { readonly tail: TailName; readonly why: string };
  'tail.reconciled': { readonly tail: TailName; readonly puts: number; readonly deletes: number };
  'tail.generation': Generation;
  'cutover.step': { readonly step: CutoverStep['kind'] };
  /** Instances that were not seen yet, before writes are held. */
  'cutover.calling': { readonly instances: readonly InstanceId[] };
  'cutover.held': { readonly epoch: number; readonly pauseMaxMs: number; readonly proof: HoldProof };
  /** Everybody who is registered has acknowledged a hold. */
  'cutover.acknowledged': { readonly afterMs: number };
  'cutover.ended': { readonly outcome: 'flipped' | 'undone'; readonly heldMs: number; readonly why: UndoReason | null };
  /** Strategy `parallel`; `what` of a wait says for what. */
  'phase.begun': { readonly phase: ParallelPhase; readonly again: boolean };
  'phase.passed': { readonly phase: ParallelPhase; readonly tookMs: number };
  'phase.undoing': { readonly phase: ParallelPhase; readonly why: string };
  'back.step': { readonly step: BackStep };
  'soak.sampled': { readonly sample: SoakSample; readonly breaches: readonly string[]; readonly leftMs: number };
}
export type MessageCode = keyof MessageData;

export const messageLevels: Readonly<Record<MessageCode, Level>> = {
  'image.sorting': 'info',
  'plan.scanning': 'info',
  'backup.taken': 'info',
  'apply.checking': 'info',
  'apply.started': 'info',
  'turn.waiting': 'info',
  'apply.ended': 'info',
  'apply.already-done': 'info',
  'backfill.progress': 'info',
  'run.throttled': 'info',
  'run.unthrottled': 'info',
  'run.stopping': 'info',
  'letters.progress': 'info',
  'chunk.claimed': 'debug',
  'chunk.done': 'debug',
  'chunk.lost': 'warning',
  'chunk.moved': 'warning',
  'key.settled': 'info',
  'store.retrying': 'warning',
  'verify.progress': 'info',
  'rollback.unrestorable': 'warning',
  'history.not-kept': 'warning',
  'rollback.progress': 'info',
  'mode.announced': 'info',
  'barrier.waiting': 'info',
  'barrier.held': 'info',
  'source.strays': 'warning',
  'drain.progress': 'info',
  'tail.progress': 'info',
  'tail.caught-up': 'info',
  'tail.backlog': 'warning',
  'feed.not-ended': 'warning',
  'tail.lost': 'warning',
  'tail.reconciled': 'info',
  'tail.generation': 'info',
  'cutover.step': 'debug',
  'cutover.calling': 'info',
  'cutover.held': 'info',
  'cutover.acknowledged': 'info',
  'cutover.ended': 'info',
  'phase.begun': 'info',
  'phase.passed': 'info',
  'phase.undoing': 'warning',
  'back.step': 'info',
  'soak.sampled': 'info',
};

export type Message = { [C in MessageCode]: { readonly code: C; readonly data: MessageData[C] } }[MessageCode];
