/**
 * The lock of a migration: one run at a time may write it. A heartbeat renews it; a holder that died loses it when
 * its lease ends. It keeps people apart; it is no proof, the fences are.
 */
import type { LockId, RunId } from '../model/ids.ts';
import { clockSkewMs } from './chunk-lifecycle.ts';

export interface LockState {
  readonly lock: LockId;
  /** `user@host, pid N`: whom to ask. */
  readonly holder: string;
  readonly run: RunId;
  readonly command: string;
  readonly acquiredAtMs: number;
  readonly heartbeatAtMs: number;
  readonly leaseEndsAtMs: number;
}

/** A holder without the mark of its process, which is for keyferry alone: `user@host, pid N [mark]`. */
export function holderForPeople(holder: string): string {
  return holder.replace(/ \[[^\]]*\]$/, '');
}

export function lockIsHeld(lock: LockState, nowMs: number): boolean {
  return lock.leaseEndsAtMs + clockSkewMs >= nowMs;
}

export function renewLock(lock: LockState, nowMs: number, leaseMs: number): LockState {
  return { ...lock, heartbeatAtMs: nowMs, leaseEndsAtMs: nowMs + leaseMs };
}
