/**
 * When a log without a screen gets its next line of progress: at a new stage, after 10 s, or after 5 % of the total,
 * but never twice within a second.
 */
import type { Progress } from './tracker.ts';

const everyMs = 10_000;
const everyShare = 0.05;
const apartMs = 1000;

export class LineSchedule {
  private last: { readonly stage: string; readonly atMs: number; readonly done: number } | null = null;

  /** Asks, and takes the answer for done. */
  isDue({ stage, done, total }: Progress, nowMs: number): boolean {
    const { last } = this;
    const sinceMs = last === null ? Infinity : nowMs - last.atMs;
    const due =
      last === null ||
      stage !== last.stage ||
      sinceMs >= everyMs ||
      (sinceMs >= apartMs && total !== null && done - last.done >= total * everyShare);
    if (due) this.last = { stage, atMs: nowMs, done };
    return due;
  }
}
