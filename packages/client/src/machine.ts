/** The machine's clocks and randomness, for clients that are given no others. */
import { randomBytes } from 'node:crypto';
import type { Clock, StopSignal } from '@keyferry/core';

export const machineClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep,
};

export const machineId = (): string => randomBytes(8).toString('hex');

/** Ends early on an abort. */
function sleep(ms: number, signal?: StopSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) {
      resolve();
      return;
    }
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener('abort', end);
  });
}
