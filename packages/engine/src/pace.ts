/**
 * Pace: one throttle for all workers of a run, and the waiting that it asks for.
 *
 * Nobody queues: whoever may not go yet sleeps until it is worth asking again, but never for long at a time, so that a
 * worker looks after its lease while it waits and meets new limits soon. A stop ends the wait at once; the caller must
 * then not write. How fast is core's decision (core/src/machines/throttle.ts).
 */
import {
  Throttle,
  type Clock,
  type PacedSide,
  type RecordPage,
  type StopSignal,
  type StoreView,
  type ThrottleLimits,
  type ThrottleReport,
} from '@keyferry/core';

/** Far below the time for which a lease may go unrenewed. */
const napMaxMs = 1000;

export class Pace {
  private readonly clock: Clock;
  private readonly throttle: Throttle;

  constructor(clock: Clock, limits: ThrottleLimits) {
    this.clock = clock;
    this.throttle = new Throttle(limits, clock.monotonicMs());
  }

  adjust(limits: ThrottleLimits): void {
    this.throttle.adjust(limits, this.clock.monotonicMs());
  }

  report(): ThrottleReport {
    return this.throttle.report(this.clock.monotonicMs());
  }

  batchKeysMax(most: number): number {
    return this.throttle.batchKeysMax(most);
  }

  /**
   * Waits until `keys` more may go, or `signal` aborts.
   * @param meanwhile called between two naps; what it throws ends the wait
   */
  async pass(keys: number, signal: StopSignal, meanwhile: () => Promise<void>): Promise<void> {
    while (!signal.aborted) {
      const waitMs = this.throttle.take(keys, this.clock.monotonicMs());
      if (waitMs === 0) return;
      await this.clock.sleep(Math.min(waitMs, napMaxMs), signal);
      await meanwhile();
    }
  }

  /** A call of a store, whose answer, good or bad, tells how fast the store is. */
  async timed<T>(side: PacedSide, call: () => Promise<T>): Promise<T> {
    const startedAtMs = this.clock.monotonicMs();
    try {
      return await call();
    } finally {
      const nowMs = this.clock.monotonicMs();
      this.throttle.sample(side, nowMs - startedAtMs, nowMs);
    }
  }

  /** The source's view, each page of it timed. */
  timedView(view: StoreView): StoreView {
    return {
      position: view.position,
      close: () => view.close(),
      scan: (range, options) => {
        const pages = view.scan(range, options)[Symbol.asyncIterator]();
        const next = (): Promise<IteratorResult<RecordPage>> => this.timed('source', () => pages.next());
        const end = async (): Promise<IteratorResult<RecordPage>> => {
          await pages.return?.();
          return { done: true, value: undefined };
        };
        return { [Symbol.asyncIterator]: () => ({ next, return: end }) };
      },
    };
  }
}
