/** The public surface of the engine: grouped re-exports, nothing else. */
export type { Engine, Environment, Online, ReplicatePorts } from './migration.ts';

export { makePlan } from './plan.ts';
export { rulesOnRecords } from './rules-on-records.ts';
export type { ApplyOptions } from './attempt.ts';
export { applyOffline, type ApplyResult } from './strategies/offline.ts';
export { applyDualRead, type OnlineApplyResult, type OnlineOptions } from './strategies/dual-read/apply.ts';
export { cutOverDualRead, type OnlineCutoverResult } from './strategies/dual-read/cutover.ts';
export { finalizeDualRead, type OnlineFinalizeResult } from './strategies/dual-read/finalize.ts';
export { rollBackDualRead, type OnlineRollbackResult } from './strategies/dual-read/rollback.ts';
export { confirmGone } from './confirm-gone.ts';
export { readOnlineStatus, type OnlineStatus } from './strategies/dual-read/status.ts';
export { readPrimaryStatus, type PrimaryStatus } from './replicate/primary-status.ts';
export type { InstanceStatus } from './instance-status.ts';
export type { OnlineOutcome } from './strategies/dual-read/walk.ts';
export { verifyDualRead } from './strategies/dual-read/verify-applied.ts';
export type { OnlineVerification } from './strategies/dual-read/verify-online.ts';
export { applyReplicate, type ReplicateOptions, type ReplicateResult } from './strategies/replicate.ts';
export {
  cutOver,
  finalizeReplicate,
  rollBackReplicate,
  type CutoverOptions,
  type CutoverResult,
  type ReplicateRollbackResult,
} from './strategies/replicate-ends.ts';
export { whileOthersGiveWay } from './replicate/give-way.ts';
export { StatePrimarySwitch, type WhoIsTold } from './replicate/state-primary.ts';
export { verify, type VerifyResult } from './verify.ts';
export { verifyApplied, type AppliedVerification } from './verify-applied.ts';
export { rollBack, type RollbackResult } from './rollback.ts';
export {
  alreadyDone,
  finalize,
  reopen,
  type FinalizeOptions,
  type FinalizeResult,
  type ReopenResult,
} from './finalize.ts';
export { readAppliedPlan, readStatus, type Status } from './status.ts';
export { readEvents, recordEvent, type RecordedEvent } from './events.ts';
export { breakLock, listLocks, lockLeaseMs } from './lock.ts';
export { lentRetry, withRetry } from './retry.ts';
export type { RunOptions } from './session.ts';
export { assertNotRefused, rememberRefusal } from './refusal.ts';
export { assertNotFailedBefore } from './failed-before.ts';
export { assertMayFollow, withTurn, type TurnsBefore } from './turn.ts';
export { readDoneMarker } from './done-marker.ts';
export { forget, lossesOf, type ForgetResult, type Loss } from './forget.ts';
export { exportState, importState, parseState } from './transfer.ts';
export { adopt, type AdoptResult } from './adopt.ts';
export { upgradeState, type UpgradedMigration } from './upgrade.ts';
export {
  listMigrations,
  readDossier,
  readReport,
  type Dossier,
  type ListedMigration,
  type ReportData,
} from './overview.ts';
export { assertReconcilable } from './reconcile.ts';

export { Deadline } from './slices/deadline.ts';
export { SliceHome, type SliceEnd, type SliceOutcome, type SliceRequest } from './slices/slice.ts';
export { backfillSlice, type BackfillSlice } from './slices/backfill-slice.ts';
export { dispatchSlice, type ChunkSpan, type DispatchSlice } from './slices/dispatch-slice.ts';
export { verifySlice, type VerifySlice } from './slices/verify-slice.ts';
export { sweepSlice, type SweepSlice } from './slices/sweep-slice.ts';
export { tailSlice, type TailSlice } from './slices/tail-slice.ts';
export { wokenTailSlice, type WokenTailSlice } from './slices/woken-tail-slice.ts';
export { followFunctions, type FollowResult } from './slices/follow.ts';
export { readSubmission, submitPlan } from './slices/submit.ts';
export { lookEveryMs } from './run-watch.ts';
export { requestControl, type ControlChange, type ControlRequest } from './run-control.ts';
export { retryDeadLetters, type RetryResult } from './retry-letters.ts';
export { listRuns, readRun, type ChunkDetail, type RunDetail, type RunSummary } from './runs.ts';
export { applyParallel, type ParallelApplyOptions, type ParallelApplyResult } from './strategies/parallel/apply.ts';
export { finalizeParallel, rollBackParallel, type ParallelEndResult } from './strategies/parallel/ends.ts';
export { balancerFindings, planParallel } from './strategies/parallel/plan.ts';
export { rehearseParallel } from './strategies/parallel/rehearse.ts';
export { readParallelStatus, type ParallelStatus } from './strategies/parallel/status.ts';
export type { CommandOutcome, ParallelEngine, ParallelPorts, Workspace } from './strategies/parallel/ports.ts';
