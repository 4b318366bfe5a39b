/** Waits for a condition, within a time, and gives up at once when the caller is told to stop. */
import type { StopSignal } from '@keyferry/core';

const intervalMs = 25;

/** @returns whether it held in time */
export async function untilTrue(
  condition: () => Promise<boolean>,
  withinMs: number,
  signal: StopSignal | null,
): Promise<boolean> {
  const endsAtMs = performance.now() + withinMs;
  for (;;) {
    throwIfStopped(signal);
    if (await condition()) return true;
    if (performance.now() >= endsAtMs) return false;
    await new Promise((resolve) => setTimeout(resolve, intervalMs));
  }
}

export function throwIfStopped(signal: StopSignal | null): void {
  if (signal?.aborted === true) throw signal.reason;
}
