/** The rest of the outside world, so that the simulator can own it: time, randomness, and whoever listens. */
import type { Message } from '../messages/registry.ts';

/** As much of an AbortSignal as is needed; the platform's own fits. */
export interface StopSignal {
  readonly aborted: boolean;
  readonly reason?: unknown;
  addEventListener(type: 'abort', listener: () => void): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/**
 * Makes a call again that failed for a while: the engine's retries, lent to an adapter one of whose calls is thousands of
 * requests, so that one slow answer does not end all of it. Only for calls that are harmless to repeat.
 * @param what names the call, for whoever reads along
 */
export type Repeat = <T>(what: string, call: () => Promise<T>, signal: StopSignal) => Promise<T>;

export interface Clock {
  /** Milliseconds since 1970. For people, for expiries and for choosing whose lease has ended; never for safety. */
  nowMs(): number;
  /** Milliseconds that only grow, from an arbitrary start: for measuring one's own time. */
  monotonicMs(): number;
  /** Resolves after `ms`, or as soon as `signal` aborts; never rejects. */
  sleep(ms: number, signal?: StopSignal): Promise<void>;
}

export interface Random {
  /** 32 random bits. */
  uint32(): number;
}

/** Receives coded messages. Core and engine never print. */
export interface Host {
  emit(message: Message): void;
  /** A message for each key that is settled, besides those for chunks and pages. */
  readonly wantsKeys?: boolean;
}
