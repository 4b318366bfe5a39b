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
 * write (SPEC R28). A renewal does not heal that. A barrier may have passed over this instance while its lease was over:
 * what ran then stays uncertain, and before anything else begins the switch is read once more, as at the start. What others do about that is in barrier.ts. Pure; times are passed in, all of one monotonic clock.
 */
import { invariant } from '../../errors/invariant.ts';
import type { SwitchEpoch } from './barrier.ts';

/** One operation that is not over. */
export interface OpenOperation {
  readonly epoch: SwitchEpoch;
  /** Null: it runs. Else its outcome is unknown, and from this time on it can no longer take effect. */
  readonly overAtMs: number | null;
  /** Of the gate when it began. */
  readonly lapses: number;
}

export interface Gate {
  /** Of the mode in which the next operation begins. */
  readonly epoch: SwitchEpoch;
  /** Nothing is started from this time on. */
  readonly leaseEndsAtMs: number;
  /** How often a renewal came when the lease was over. */
  readonly lapses: number;
  /** After such a renewal, until the switch was read: the mode may be another one by now. */
  readonly mustLook: boolean;
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

/** A gate before the first registration. */
export function closedGate(epoch: SwitchEpoch): Gate {
  return { epoch, leaseEndsAtMs: Number.NEGATIVE_INFINITY, lapses: 0, mustLook: true, open: [] };
}

/** Whether anything may begin: the lease runs, and the switch was read since it last began to. */
export function isServing({ leaseEndsAtMs, mustLook }: Gate, nowMs: number): boolean {
  return nowMs < leaseEndsAtMs && !mustLook;
}

/** @returns the gate with the operation begun, or null where it is not serving: nothing may be started then */
export function beginOperation(
  gate: Gate,
  nowMs: number,
): { readonly gate: Gate; readonly begun: OpenOperation } | null {
  if (!isServing(gate, nowMs)) return null;
  const begun: OpenOperation = { epoch: gate.epoch, overAtMs: null, lapses: gate.lapses };
  return { gate: { ...gate, open: [...stillOpen(gate.open, nowMs), begun] }, begun };
}

/**
 * @param known whether its outcome is known (an answer, or a write that was found when read back)
 * @returns `certain`: whether the outcome may be told as it is. False where the lease has ended since it began, whatever was
 *   answered and whoever renewed it.
 */
export function endOperation(
  gate: Gate,
  begun: OpenOperation,
  { known, nowMs, requestLifeMs }: { readonly known: boolean; readonly nowMs: number; readonly requestLifeMs: number },
): { readonly gate: Gate; readonly certain: boolean } {
  const at = gate.open.indexOf(begun);
  invariant(at >= 0, 'an operation ended that had not begun');
  const others = stillOpen(gate.open.toSpliced(at, 1), nowMs);
  const open = known ? others : [...others, { ...begun, overAtMs: nowMs + requestLifeMs }];
  return { gate: { ...gate, open }, certain: known && isCertain(gate, begun, nowMs) };
}

/** Whether what an operation has found so far may be told: the lease ran all the time. */
export function isCertain(gate: Gate, { lapses }: Pick<OpenOperation, 'lapses'>, nowMs: number): boolean {
  return nowMs < gate.leaseEndsAtMs && lapses === gate.lapses;
}

export interface Renewal {
  /** Before the request that renewed was sent: the lease counts from then. */
  readonly askedAtMs: number;
  /** When it was answered. */
  readonly nowMs: number;
  readonly leaseMs: number;
}

export function renewLease(gate: Gate, { askedAtMs, nowMs, leaseMs }: Renewal): Gate {
  // By the answer, and not by the question: until it took effect others could see a lease that was over.
  const hasLapsed = nowMs >= gate.leaseEndsAtMs;
  const lapses = hasLapsed ? gate.lapses + 1 : gate.lapses;
  const mustLook = gate.mustLook || hasLapsed;
  return { ...gate, lapses, mustLook, leaseEndsAtMs: Math.max(gate.leaseEndsAtMs, askedAtMs + leaseMs) };
}

/**
 * Operations begin in `epoch` from now on. A switch that goes back is not followed.
 * @param epoch as it was read, linearizably and by a request that was sent after the last renewal was answered; null: nothing
 *   was ever announced
 */
export function followSwitch(gate: Gate, epoch: SwitchEpoch | null): Gate {
  const isNew = epoch !== null && epoch > gate.epoch;
  if (!isNew && !gate.mustLook) return gate;
  return { ...gate, mustLook: false, epoch: isNew ? epoch : gate.epoch };
}

function stillOpen(open: readonly OpenOperation[], nowMs: number): readonly OpenOperation[] {
  return open.filter(({ overAtMs }) => overAtMs === null || overAtMs > nowMs);
}
