/**
 * Run watch: what reaches a run from outside while it works, and what it says of itself.
 *
 *     every 2 s    reads the run's control: other limits go to the pace at once; a pause or cancel halts the run
 *     every 6 s    writes how fast it is, for `runs show`
 *     each batch   counts its dead letters; past the budget the run halts
 *
 * A halt starts nothing further: what is in flight is settled and checkpointed as after an interrupt (SPEC R20), then
 * `assertGoing` throws what halted it. A look that fails is no halt: a state out of reach ends the run by its lock.
 */
import {
  canonicalJson,
  KeyferryError,
  limitsUnder,
  noControl,
  scannedOf,
  type ChunkCounts,
  type MigrationSpec,
  type RunControl,
  type RunId,
  type StateVersion,
  type ThrottleLimits,
} from '@keyferry/core';
import type { Environment } from './migration.ts';
import { Pace } from './pace.ts';
import { cancelledError, controlId } from './run-control.ts';
import { writeItem } from './state-items.ts';

/** How long a run may not notice what was asked of it. */
export const lookEveryMs = 2000;
const looksPerReport = 3;

export interface WatchedRun {
  readonly spec: MigrationSpec;
  readonly run: RunId;
  /** Of its attempt. */
  readonly scope: string;
  /** As it was read when the run began. */
  readonly control: RunControl;
  /** Dead letters that count against the budget beside its own. */
  readonly deadLettersBefore?: number;
  /** Whether it says how fast it is; a slice does not, as one of many. */
  readonly isSilent?: boolean;
  /** Of the rate, where others work at the same time; 1 unless given. */
  readonly share?: number;
}

export class RunWatch {
  readonly pace: Pace;
  private readonly env: Environment;
  private readonly watched: WatchedRun;
  private readonly halted = new AbortController();
  private readonly ended = new AbortController();
  private readonly startedAtMs: number;
  private readonly looking: Promise<void>;
  private why: KeyferryError | null = null;
  private control: RunControl = noControl;
  private done = 0;
  private deadLetters: number;
  private reported: { readonly atMs: number; readonly done: number; readonly version: StateVersion | 'absent' };

  constructor(env: Environment, watched: WatchedRun) {
    this.env = env;
    this.watched = watched;
    this.startedAtMs = env.clock.nowMs();
    this.deadLetters = watched.deadLettersBefore ?? 0;
    this.reported = { atMs: env.clock.monotonicMs(), done: 0, version: 'absent' };
    this.pace = new Pace(env.clock, this.limits(noControl));
    this.hear(watched.control);
    this.looking = this.look();
  }

  /** Aborted when the run is to stop; it says nothing about interrupts and the lock. */
  get signal(): AbortSignal {
    return this.halted.signal;
  }

  /** @throws {KeyferryError} what halted the run. */
  assertGoing(): void {
    if (this.why !== null) throw this.why;
  }

  settled(added: ChunkCounts): void {
    this.done += scannedOf(added);
    this.deadLetters += added.deadLetters;
    const { migration, runLimits } = this.watched.spec;
    const { deadLettersMax } = runLimits;
    if (this.deadLetters <= deadLettersMax) return;
    // Batches in flight may add to it: the error says how many there were in the end.
    this.halt(
      new KeyferryError('dead-letters.over-budget', { migration, letters: this.deadLetters, deadLettersMax }),
      'too many dead letters',
    );
  }

  async close(): Promise<void> {
    this.ended.abort();
    await this.looking;
  }

  private async look(): Promise<void> {
    const { env, watched } = this;
    for (let looks = 1; ; looks += 1) {
      await env.clock.sleep(lookEveryMs, this.ended.signal);
      if (this.ended.signal.aborted) return;
      try {
        const entry = await env.state.read('run-control', watched.scope, controlId);
        this.hear(entry?.item ?? noControl);
        if (looks % looksPerReport === 0 && watched.isSilent !== true) await this.report();
      } catch {
        // Looked at again in a moment; the next command does not depend on either.
      }
    }
  }

  private hear(control: RunControl): void {
    const { spec } = this.watched;
    const { migration } = spec;
    const limits = this.limits(control);
    if (canonicalJson(control.throttle) !== canonicalJson(this.control.throttle)) {
      this.pace.adjust(limits);
      if (control.throttle === null) this.env.host.emit({ code: 'run.unthrottled', data: { limits } });
      else this.env.host.emit({ code: 'run.throttled', data: { by: control.throttle.by, limits } });
    }
    this.control = control;
    if (control.cancelled !== null) {
      this.halt(cancelledError(migration, control), `cancelled by ${control.cancelled.by}`);
    } else if (control.paused !== null) {
      const why = `paused by ${control.paused.by}`;
      const next = `keyferry runs resume ${migration}`;
      this.halt(new KeyferryError('run.stopped', { migration, why, next }), why);
    }
  }

  private limits(control: RunControl): ThrottleLimits {
    const { spec, share = 1 } = this.watched;
    const limits = limitsUnder(spec.runLimits, control);
    return { ...limits, ratePerSecond: limits.ratePerSecond === null ? null : limits.ratePerSecond * share };
  }

  private halt(error: KeyferryError, why: string): void {
    const before = this.why;
    // The first reason stands; only its own numbers may still grow.
    if (before !== null && before.code !== error.code) return;
    this.why = error;
    if (before !== null) return;
    this.env.host.emit({ code: 'run.stopping', data: { code: error.code, why } });
    this.halted.abort();
  }

  private async report(): Promise<void> {
    const { env, watched, done, reported } = this;
    const atMs = env.clock.monotonicMs();
    const perSecond = ((done - reported.done) * 1000) / Math.max(1, atMs - reported.atMs);
    const { limitedBy, perSecondMax } = this.pace.report();
    const { run, scope } = watched;
    const item = { run, startedAtMs: this.startedAtMs, atMs: env.clock.nowMs(), perSecond, limitedBy, perSecondMax };
    const change = await writeItem(env, 'run-pace', scope, run, item, reported.version);
    // Nobody else writes it: a conflict is a former write of our own whose answer never came.
    const version = change.kind === 'written' ? change.version : (change.current?.version ?? 'absent');
    this.reported = { atMs, done, version };
  }
}
