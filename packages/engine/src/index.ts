/** The public surface of the engine: grouped re-exports, nothing else. */
export type { Engine, Environment } from './migration.ts';

export { makePlan } from './plan.ts';
export type { ApplyOptions } from './attempt.ts';
export { applyOffline, type ApplyResult } from './strategies/offline.ts';
export { verify, type Difference, type VerifyResult } from './verify.ts';
export { verifyApplied, type AppliedVerification } from './verify-applied.ts';
export { rollBack, type RollbackResult } from './rollback.ts';
export { readAppliedPlan, readStatus, type Status } from './status.ts';
export { readEvents, recordEvent, type RecordedEvent } from './events.ts';
export { breakLock, listLocks, lockLeaseMs } from './lock.ts';
export { withRetry } from './retry.ts';
export type { RunOptions } from './session.ts';
