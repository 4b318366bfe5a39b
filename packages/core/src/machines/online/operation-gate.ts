/**
 * Operation gate: when an instance may start an operation, when it may acknowledge a mode, when it must doubt itself.
 *
 *     begin ──lease runs──► running in the epoch of its start ──answered──► ended
 *                                     └──outcome unknown──► unknown, for the longest life of a request
 *
 * An operation ends in the mode in which it began. An epoch is acknowledged only when none is left of an older one, and one
 * whose outcome is unknown still runs: a put that timed out in a stalled server takes effect later (SPEC R27). Reading
 * back ends the wait only if the write is found: that it is not there yet says nothing.
 *
 * The lease is counted by the own monotonic clock from *before* the request that renewed it. Past its end nothing is
 * started, and what ends then has no certain outcome: the process may have been stopped for any time between check and
 * write (SPEC R28). What others do about that is in barrier.ts. Pure; times are passed in, all of one monotonic clock.
 */
import { invariant } from '../../errors/invariant.ts';
import type { SwitchEpoch } from './barrier.ts';

/** One operation that is not over. */
export interface OpenOperation {
  readonly epoch: SwitchEpoch;
  /** Null: it runs. Else its outcome is unknown, and from this time on it can no longer take effect. */
  readonly overAtMs: number | null;
}

export interface Gate {
  /** Of the mode in which the next operation begins. */
  readonly epoch: SwitchEpoch;
  /** Nothing is started from this time on. */
  readonly leaseEndsAtMs: number;
  readonly open: readonly OpenOperation[];
}

/** Whether `epoch` may be acknowledged with these operations open. */
export function mayAcknowledge(epoch: SwitchEpoch, open: readonly Pick<OpenOperation, 'epoch'>[]): boolean {
  return open.every((operation) => operation.epoch >= epoch);
}

/** The highest epoch that may be acknowledged now: the gate's own, or the oldest of what is open. */
export function acknowledgeable(gate: Gate, nowMs: number): SwitchEpoch {
  const open = stillOpen(gate.open, nowMs);
  if (mayAcknowledge(gate.epoch, open)) return gate.epoch;
  return Math.min(...open.map(({ epoch }) => epoch)) as SwitchEpoch;
}

/** @returns the gate with the operation begun, or null when the lease has ended: nothing may be started then */
export function beginOperation(
  gate: Gate,
  nowMs: number,
): { readonly gate: Gate; readonly begun: OpenOperation } | null {
  if (nowMs >= gate.leaseEndsAtMs) return null;
  const begun: OpenOperation = { epoch: gate.epoch, overAtMs: null };
  return { gate: { ...gate, open: [...stillOpen(gate.open, nowMs), begun] }, begun };
}

/**
 * @param known whether its outcome is known (an answer, or a write that was found when read back)
 * @returns `certain`: whether the outcome may be told as it is. False past the end of the lease, whatever was answered.
 */
export function endOperation(
  gate: Gate,
  begun: OpenOperation,
  { known, nowMs, requestLifeMs }: { readonly known: boolean; readonly nowMs: number; readonly requestLifeMs: number },
): { readonly gate: Gate; readonly certain: boolean } {
  const at = gate.open.indexOf(begun);
  invariant(at >= 0, 'an operation ended that had not begun');
  const others = stillOpen(gate.open.toSpliced(at, 1), nowMs);
  const open = known ? others : [...others, { epoch: begun.epoch, overAtMs: nowMs + requestLifeMs }];
  return { gate: { ...gate, open }, certain: known && nowMs < gate.leaseEndsAtMs };
}

/** @param askedAtMs before the request that renewed was sent */
export function renewLease(gate: Gate, askedAtMs: number, leaseMs: number): Gate {
  return { ...gate, leaseEndsAtMs: Math.max(gate.leaseEndsAtMs, askedAtMs + leaseMs) };
}

/** Operations begin in `epoch` from now on. A switch that goes back is not followed. */
export function followSwitch(gate: Gate, epoch: SwitchEpoch): Gate {
  return epoch > gate.epoch ? { ...gate, epoch } : gate;
}

function stillOpen(open: readonly OpenOperation[], nowMs: number): readonly OpenOperation[] {
  return open.filter(({ overAtMs }) => overAtMs === null || overAtMs > nowMs);
}
