/**
 * Polls a condition until it holds: the only place in this package that waits, so that no start or stop depends on a
 * guess of how long something takes.
 */
import { setTimeout as delay } from 'node:timers/promises';

/** @returns whether `condition` held before `timeoutMs` had passed; a condition that throws ends the wait. */
export async function waitUntil(
  condition: () => boolean | Promise<boolean>,
  timeoutMs: number,
  intervalMs = 20,
): Promise<boolean> {
  const endsAtMs = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() >= endsAtMs) return false;
    await delay(intervalMs);
  }
  return true;
}
