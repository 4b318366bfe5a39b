/** Time that moves only when it is told to, and lets everything that it wakes come to rest before it moves on. */
import { setImmediate as macrotask } from 'node:timers/promises';
import type { Clock, StopSignal } from '@keyferry/core';

interface Sleeper {
  readonly atMs: number;
  readonly wake: () => void;
}

export class VirtualClock implements Clock {
  private elapsedMs = 0;
  private readonly sleepers = new Set<Sleeper>();

  nowMs(): number {
    return 1_800_000_000_000 + this.elapsedMs;
  }

  monotonicMs(): number {
    return this.elapsedMs;
  }

  sleep(ms: number, signal?: StopSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted === true) {
        resolve();
        return;
      }
      const wake = (): void => {
        this.sleepers.delete(sleeper);
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      const sleeper: Sleeper = { atMs: this.elapsedMs + ms, wake };
      this.sleepers.add(sleeper);
      signal?.addEventListener('abort', wake);
    });
  }

  /** Runs whatever falls due in the next `ms`, in its order. */
  async advance(ms: number): Promise<void> {
    const endMs = this.elapsedMs + ms;
    await macrotask();
    for (let next = this.next(endMs); next !== null; next = this.next(endMs)) {
      this.elapsedMs = Math.max(this.elapsedMs, next.atMs);
      next.wake();
      await macrotask();
    }
    this.elapsedMs = endMs;
  }

  /** Until something has come to its end. */
  async until<T>(ended: Promise<T>, stepMs = 10, stepsMax = 100_000): Promise<T> {
    const progress = { isOver: false };
    const over = ended.finally(() => {
      progress.isOver = true;
    });
    over.catch(() => undefined);
    for (let step = 0; step < stepsMax && !progress.isOver; step += 1) await this.advance(stepMs);
    if (!progress.isOver) throw new RangeError(`not over after ${stepMs * stepsMax} ms of virtual time`);
    return over;
  }

  private next(endMs: number): Sleeper | null {
    let first: Sleeper | null = null;
    for (const sleeper of this.sleepers) {
      if (sleeper.atMs <= endMs && (first === null || sleeper.atMs < first.atMs)) first = sleeper;
    }
    return first;
  }
}
