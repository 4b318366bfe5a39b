/**
 * The state's witness: compares each item before and after a write. An item of the state only ever goes forward; where
 * one goes back, two processes believed to own it.
 */
import {
  keyFromJson,
  lockIsHeld,
  phaseTable,
  type CheckState,
  type ChunkState,
  type DeadLetter,
  type KeyJson,
  type LockState,
  type MigrationState,
  type Phase,
  type PhaseEvent,
  type RunControl,
  type StateItems,
  type StateKind,
  type Verification,
} from '@keyferry/core';
import type { SimProcess } from './process.ts';
import type { Violation } from './violation.ts';

export class StateWitness {
  private readonly report: (violation: Violation) => void;
  /** Whether the process that holds a lock has ended or crashed. */
  private readonly isGone: (holder: string) => boolean;

  constructor(isGone: (holder: string) => boolean, report: (violation: Violation) => void) {
    this.isGone = isGone;
    this.report = report;
  }

  /** `before` is null when the item was not there. */
  changed<K extends StateKind>(
    by: SimProcess,
    kind: K,
    id: string,
    before: StateItems[K] | null,
    after: StateItems[K],
  ): void {
    if (before === null) return;
    const why = this.judge(by, kind, before, after);
    if (why !== null) this.report({ property: 'state-order', detail: `${kind} ${id} by ${by.name}: ${why}` });
  }

  private judge(by: SimProcess, kind: StateKind, before: StateItems[StateKind], after: StateItems[StateKind]) {
    switch (kind) {
      case 'chunk':
        return judgeChunk(before as ChunkState, after as ChunkState);
      case 'lock':
        return this.judgeLock(by, before as LockState, after as LockState);
      case 'migration':
        return judgeMigration(before as MigrationState, after as MigrationState);
      case 'run-record':
      case 'run-pace':
      case 'submission':
      case 'tail':
      case 'cutover':
      case 'primary':
      case 'parallel':
      case 'evidence':
      case 'refusal':
        return null; // a run's own account of itself, written again and again
      case 'dead-letter':
        return judgeLetter(before as DeadLetter, after as DeadLetter);
      case 'verification':
        return (after as Verification).number < (before as Verification).number ? 'its number went back' : null;
      case 'check':
        return judgeCheck(before as CheckState, after as CheckState);
      case 'run-control':
        return judgeControl(before as RunControl, after as RunControl);
      case 'chunk-plan':
      case 'plan-rows':
      case 'kept-keys':
      case 'plan':
      case 'parallel-plan':
      case 'guards':
      case 'before':
      case 'met-change':
      case 'event':
        return JSON.stringify(before) === JSON.stringify(after) ? null : 'it was replaced';
    }
  }

  private judgeLock(by: SimProcess, before: LockState, after: LockState): string | null {
    if (before.lock === after.lock) return null;
    const held = lockIsHeld(before, by.clock.nowMs()) && !this.isGone(before.holder);
    return held ? `taken from ${before.holder}, which holds it` : null;
  }
}

function judgeChunk(before: ChunkState, after: ChunkState): string | null {
  if (after.token < before.token) return `token ${before.token} became ${after.token}`;
  if (before.phase === 'done') return isSameEnd(before, after) ? null : 'it was done';
  if (
    before.worker !== null &&
    after.worker !== null &&
    before.worker !== after.worker &&
    after.token === before.token
  ) {
    return `token ${after.token} of ${before.worker} is used by ${after.worker}`;
  }
  return isBefore(after.progress.cursor, before.progress.cursor) ? 'its cursor went back' : null;
}

/** Its dead letters are tried again under a higher token; nothing else of it may change. */
const isSameEnd = (before: ChunkState, after: ChunkState): boolean =>
  JSON.stringify({ ...before, token: after.token }) === JSON.stringify(after);

function isBefore(a: KeyJson | null, b: KeyJson | null): boolean {
  if (b === null) return false;
  return a === null || keyFromJson(a) < keyFromJson(b);
}

/** Settled once, and for good. */
function judgeLetter(before: DeadLetter, after: DeadLetter): string | null {
  if (before.resolved !== null) return 'it was resolved';
  const { reason: _was, resolved: _none, ...about } = before;
  const { reason: _is, resolved: _then, ...same } = after;
  return JSON.stringify(about) === JSON.stringify(same) ? null : 'it was replaced';
}

function judgeCheck(before: CheckState, after: CheckState): string | null {
  if (after.verification !== before.verification) {
    return after.verification < before.verification ? 'it went back to an earlier verification' : null;
  }
  if (before.phase === 'done') return 'it was done';
  return after.phase === 'done' || !isBefore(after.cursor, before.cursor) ? null : 'its cursor went back';
}

function judgeControl(before: RunControl, after: RunControl): string | null {
  return before.cancelled !== null && after.cancelled === null ? 'it was cancelled' : null;
}

function judgeMigration(before: MigrationState, after: MigrationState): string | null {
  if (after.attempt < before.attempt) return `attempt ${before.attempt} became ${after.attempt}`;
  if (after.attempt === before.attempt) {
    if (after.plan !== before.plan) return `two plans in attempt ${after.attempt}`;
    if (after.epochToken < before.epochToken) return `epoch token ${before.epochToken} became ${after.epochToken}`;
  }
  if (after.phase === before.phase || follows(before.phase, after.phase)) return null;
  return `phase ${before.phase} became ${after.phase}`;
}

function follows(before: Phase, after: Phase): boolean {
  return (Object.keys(phaseTable[before]) as PhaseEvent[]).some((event) => phaseTable[before][event] === after);
}
