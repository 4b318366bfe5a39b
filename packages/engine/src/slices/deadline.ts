/**
 * Deadline: the time that is left to a slice before whoever runs it is killed, and when it has to stop for that.
 *
 *     start ──────────── work ────────────► stop ── settle, checkpoint, give back, answer ──► killed
 *                                            └──── margin: a reserve + twice the slowest request ────┘
 *
 * Twice, because what is in flight at the stop must be answered, and so must the checkpoint behind it. A kill that comes
 * all the same does no harm: the chunk's lease ends, and whoever claims it next goes on at its last checkpoint.
 */
import type { Clock } from '@keyferry/core';

/** Of the time that a slice has, for the answer and whatever is not measured. */
const reserveShare = 0.04;
const reserveMinMs = 250;
const reserveMaxMs = 2000;
/** How long a request that turns out slower than all before it goes unnoticed. */
const lookEveryMs = 250;

export class Deadline {
  private readonly clock: Clock;
  private readonly stop = new AbortController();
  private readonly ended = new AbortController();
  private readonly endsAtMs: number;
  private readonly reserveMs: number;
  private slowest = 0;
  private readonly waiting: Promise<void>;

  /** @param remainingMs from now until the kill */
  constructor(clock: Clock, remainingMs: number) {
    this.clock = clock;
    this.endsAtMs = clock.monotonicMs() + remainingMs;
    this.reserveMs = Math.min(reserveMaxMs, Math.max(reserveMinMs, remainingMs * reserveShare));
    this.waiting = this.wait();
  }

  /** Aborted when the slice has to stop. */
  get signal(): AbortSignal {
    return this.stop.signal;
  }

  get hasPassed(): boolean {
    return this.stop.signal.aborted;
  }

  /** Until it has to stop. */
  get leftMs(): number {
    return Math.max(0, this.endsAtMs - this.clock.monotonicMs() - this.reserveMs - 2 * this.slowest);
  }

  /** The slowest request so far. */
  get slowestMs(): number {
    return this.slowest;
  }

  /** Learns how long a request took. */
  observe(ms: number): void {
    this.slowest = Math.max(this.slowest, ms);
  }

  /** What `work` results in, or null when the deadline comes first; the work is then not waited for. */
  async before<T>(work: Promise<T>): Promise<T | null> {
    if (this.hasPassed) return null;
    let passed = (): void => undefined;
    const stopped = new Promise<null>((resolve) => {
      passed = () => resolve(null);
      this.signal.addEventListener('abort', passed);
    });
    try {
      return await Promise.race([work, stopped]);
    } finally {
      this.signal.removeEventListener('abort', passed);
    }
  }

  /** Ends the watch over it. */
  async close(): Promise<void> {
    this.ended.abort();
    await this.waiting;
  }

  private async wait(): Promise<void> {
    for (;;) {
      const { leftMs } = this;
      if (leftMs < 1) break; // less than any clock can wait
      await this.clock.sleep(Math.min(leftMs, lookEveryMs), this.ended.signal);
      if (this.ended.signal.aborted) return;
    }
    this.stop.abort('deadline');
  }
}
