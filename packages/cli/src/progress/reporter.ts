/**
 * Shows progress while a command works: live on a terminal, as lines elsewhere, or not at all.
 *
 *     live    one line at the end of stderr, redrawn at most ten times a second
 *     lines   whole lines, as `line-schedule.ts` says
 */
import type { Message } from '@keyferry/core';
import type { Output, Overlay } from '../terminal/output.ts';
import { progressLine } from './line.ts';
import { LineSchedule } from './line-schedule.ts';
import { ProgressTracker } from './tracker.ts';

export type ProgressMode = 'live' | 'lines' | 'none';

const redrawEveryMs = 100;

/** How the terminal is redrawn; log-update in the program. */
export interface Redraw {
  (text: string): void;
  clear(): void;
}

export class ProgressReporter implements Overlay {
  readonly tracker = new ProgressTracker();
  private readonly schedule = new LineSchedule();
  private readonly mode: ProgressMode;
  private readonly output: Output;
  private readonly redraw: Redraw | null;
  private readonly nowMs: () => number;
  private timer: NodeJS.Timeout | null = null;
  private waiting: string | null = null;
  private drawnAtMs = -Infinity;

  constructor(mode: ProgressMode, output: Output, redraw: Redraw | null, nowMs: () => number) {
    this.mode = mode;
    this.output = output;
    this.redraw = redraw;
    this.nowMs = nowMs;
    if (mode === 'live') {
      output.overlay = this;
      this.timer = setInterval(() => this.draw(), redrawEveryMs);
      this.timer.unref();
    }
  }

  /** Something to show until the first numbers come: first output must not wait for a slow store. */
  begin(what: string): void {
    this.waiting = `${what} ...`;
    this.draw();
  }

  message(message: Message): void {
    const nowMs = this.nowMs();
    if (!this.tracker.take(message, nowMs)) return;
    // Not left to the timer alone: embedded stores answer at once, and timers then hardly get their turn.
    if (this.mode === 'live' && nowMs - this.drawnAtMs >= redrawEveryMs) this.draw();
    if (this.mode !== 'lines') return;
    const progress = this.tracker.at(nowMs);
    if (progress !== null && this.schedule.isDue(progress, nowMs)) this.output.note(progressLine(progress));
  }

  draw(): void {
    const nowMs = this.nowMs();
    this.drawnAtMs = nowMs;
    const progress = this.tracker.at(nowMs);
    const line = progress === null ? this.waiting : progressLine(progress);
    if (line !== null) this.redraw?.(this.output.clean(line));
  }

  clear(): void {
    this.redraw?.clear();
  }

  /** Takes the live line away until the next `begin`, so that a question can be asked. */
  pause(): void {
    this.tracker.leaveStage();
    this.waiting = null;
    this.clear();
  }

  /** Takes the live line away for good; harmless to repeat. */
  end(): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
    this.waiting = null;
    if (this.mode === 'live') this.clear();
    if (this.output.overlay === this) this.output.overlay = null;
  }
}

export interface ModeQuestion {
  readonly flag: 'auto' | ProgressMode;
  readonly quiet: boolean;
  readonly stderrIsTty: boolean;
  readonly ci: string | undefined;
}

export function chooseProgress({ flag, quiet, stderrIsTty, ci }: ModeQuestion): ProgressMode {
  if (quiet) return 'none';
  if (flag !== 'auto') return flag;
  return stderrIsTty && (ci ?? '') === '' ? 'live' : 'lines';
}
