/**
 * Walks the mode ladder to a command's goal: looks at the switch, asks core for the one step that comes next, does it, looks
 * again. It remembers nothing that the stores and the state do not tell, so whoever comes after a killed controller goes
 * on where that one stood (core/machines/online/dual-read-steps.ts).
 *
 * A barrier that does not hold in time is given up, and the command fails with what it went back to. So is `draining` when
 * the run is told to stop: applications' writes must not wait for an operator who has gone.
 */
import {
  compareFences,
  dualReadStep,
  invariant,
  KeyferryError,
  keyForDisplay,
  ladderRules,
  indexOffsetAt,
  modeTable,
  nextOnline,
  prefixRange,
  type Barrier,
  type DualReadFacts,
  type DualReadGoal,
  type MigrationSpec,
  type MigrationState,
  type Mode,
  type NextStep,
  type Rung,
} from '@keyferry/core';
import { assertSameEpoch, ensureEpoch } from '../../epoch.ts';
import { assertNotStopped, type Engine } from '../../migration.ts';
import { withRetry } from '../../retry.ts';
import type { RunOptions, Session } from '../../session.ts';
import type { OnlineParts } from './online.ts';
import { SwitchWatch, type SwitchLook } from './switch-watch.ts';

/** What a step of a walk does beside the switch. Each may be repeated. */
export interface WalkWork {
  /** @returns whether the walk goes on; else it ends where it is. */
  readonly backfill?: () => Promise<boolean>;
  /** @returns whether the migration may go on; else it throws, or the walk ends where it is. */
  readonly verify?: (look: SwitchLook) => Promise<boolean>;
  /** Before the epoch is raised: the state's new phase, and what is proven under it. */
  readonly fence?: (look: SwitchLook) => Promise<Partial<MigrationState>>;
  readonly drain?: () => Promise<void>;
  readonly clear?: () => Promise<void>;
  readonly cleanUp?: () => Promise<void>;
}

export interface Walked extends OnlineOutcome {
  /** false: backfill or verify said that it must not go on; applications go on in `mode`. */
  readonly reached: boolean;
  readonly rung: Rung;
}

/** Where applications are left. */
export interface OnlineOutcome {
  readonly mode: Mode;
  readonly epoch: number;
  /** How long applications' writes were held back in all; null: they were not. */
  readonly writesHeldMs: number | null;
}

export interface WalkContext {
  readonly engine: Engine;
  readonly spec: MigrationSpec;
  readonly parts: OnlineParts;
  readonly session: Session;
  readonly options: Pick<RunOptions, 'signal'>;
}

/** Between two looks at a barrier: as often as instances look while their writes are held. */
const lookEveryMs = 25;
/** While nobody is waited for but time. */
const outliveEveryMs = 500;

/**
 * @throws {KeyferryError} `barrier.timed-out`, having gone back as the rules allow; `phase.not-allowed` where the ladder leads
 *   no other way; `run.interrupted`; what the work throws.
 */
export async function walk(context: WalkContext, goal: DualReadGoal, work: WalkWork): Promise<Walked> {
  return await new Walk(context, goal, work).run();
}

class Walk {
  private readonly context: WalkContext;
  private readonly goal: DualReadGoal;
  private readonly work: WalkWork;
  private readonly watch: SwitchWatch;
  private readonly done = { verified: false, drained: false, cleared: false, cleaned: false };
  private sinceMs = 0;
  private epoch = -1;
  private told = '';
  /** It was told that it waits for what those may have sent who were named gone. */
  private outlives = false;
  private heldFromMs: number | null = null;
  private heldMs: number | null = null;

  constructor(context: WalkContext, goal: DualReadGoal, work: WalkWork) {
    this.context = context;
    this.goal = goal;
    this.work = work;
    this.watch = new SwitchWatch(context.engine, context.spec, context.parts);
  }

  async run(): Promise<Walked> {
    const { session, options } = this.context;
    for (;;) {
      session.lock.assertHeld();
      const look = await this.look();
      const facts = await this.facts(look);
      if (options.signal.aborted) await this.stop(look, facts);
      const step = dualReadStep(this.goal, facts);
      switch (step.kind) {
        case 'announce':
          if (await this.hasOutlivedGone(look, step.rung)) await this.announce(look, step.rung);
          break;
        case 'give-up':
          await this.giveUp(look, step.rung, facts.barrier);
          break;
        case 'wait':
          await this.wait(look, facts.timedOut);
          break;
        case 'backfill':
          if (!(await workOf(this.work.backfill)())) return this.walked(look, false);
          break;
        case 'verify':
          if (!(await workOf(this.work.verify)(look))) return this.walked(look, false);
          this.done.verified = true;
          break;
        case 'fence':
          await this.fence(look);
          break;
        case 'drain':
          await workOf(this.work.drain)();
          this.done.drained = true;
          break;
        case 'clear':
          await workOf(this.work.clear)();
          this.done.cleared = true;
          break;
        case 'clean-up':
          await workOf(this.work.cleanUp)();
          this.done.cleaned = true;
          break;
        case 'refused':
          throw refusal(this.context.spec.migration, session, look.rung, this.goal);
        case 'done':
          return this.walked(look, true);
      }
    }
  }

  private walked({ rung, epoch }: SwitchLook, reached: boolean): Walked {
    return { reached, rung, mode: rung.mode, epoch, writesHeldMs: this.heldMs };
  }

  private async look(): Promise<SwitchLook> {
    const { clock, host } = this.context.engine;
    const look = await this.watch.look();
    const { mode } = look.rung;
    if (look.epoch !== this.epoch) {
      [this.epoch, this.sinceMs, this.told] = [look.epoch, clock.monotonicMs(), ''];
      if (modeTable[mode].writes === 'held') this.heldFromMs ??= Date.parse(look.record?.announcedAt ?? '');
    }
    if (look.barrier.kind === 'held' && this.told !== '' && modeTable[mode].barrier) {
      this.told = '';
      host.emit({ code: 'barrier.held', data: { mode, waitedMs: clock.monotonicMs() - this.sinceMs } });
    }
    return look;
  }

  private async facts({ rung, barrier }: SwitchLook): Promise<DualReadFacts> {
    const { engine, session, parts, options } = this.context;
    const waitedMs = engine.clock.monotonicMs() - this.sinceMs;
    return {
      rung,
      barrier,
      timedOut: barrier.kind === 'waiting' && (waitedMs >= parts.terms.barrierTimeoutMs || options.signal.aborted),
      backfilled: (session.state?.counts ?? null) !== null,
      fenced: await this.isFenced(),
      ...this.done,
    };
  }

  /** Whether the epoch in the target is the one that the state raised for this very goal. */
  private async isFenced(): Promise<boolean> {
    const { engine, session, spec } = this.context;
    const { state } = session;
    if (state === null || !isRaisedFor(this.goal, state)) return false;
    const control = engine.target.control(spec.migration);
    const held = await withRetry(engine, 'epoch', () => control.readEpoch());
    return held !== null && compareFences(held, { attempt: state.attempt, token: state.epochToken }) === 0;
  }

  /**
   * The barrier of the next mode would wait for whoever was named gone lately. That is waited for here, where no write is held,
   * and however short a barrier may take.
   * @returns false: for a while yet; look again
   */
  private async hasOutlivedGone({ rung, goneLately, acknowledged }: SwitchLook, next: Rung): Promise<boolean> {
    const { engine, parts, options } = this.context;
    const isHeld = modeTable[rung.mode].writes === 'held';
    if (isHeld || !modeTable[next.mode].barrier || goneLately.length === 0) return true;
    if (!this.outlives) {
      this.outlives = true;
      const missing = goneLately.map(({ instance }) => ({ instance, why: 'gone-lately' as const }));
      const { requestLifeMs: timeoutMs } = parts.terms;
      engine.host.emit({
        code: 'barrier.waiting',
        data: { mode: next.mode, acknowledged, missing, short: 0, timeoutMs },
      });
    }
    await engine.clock.sleep(Math.min(outliveEveryMs, ...goneLately.map(({ leftMs }) => leftMs + 1)), options.signal);
    return false;
  }

  private async announce(look: SwitchLook, rung: Rung, why: 'onward' | 'given-up' = 'onward'): Promise<void> {
    const { engine } = this.context;
    if (rung.mode === 'draining' && rung.heldFrom === 'legacy') await this.assertTargetEmpty();
    await this.watch.announce(look, rung, await this.positionsFor(look, rung, why));
    engine.host.emit({ code: 'mode.announced', data: { mode: rung.mode, epoch: look.epoch + 1, why } });
    if (modeTable[rung.mode].writes !== 'held' && this.heldFromMs !== null) {
      this.heldMs = (this.heldMs ?? 0) + Math.max(0, engine.clock.nowMs() - this.heldFromMs);
      this.heldFromMs = null;
    }
  }

  /** The source is frozen now, and the target not yet written: what is read here holds for the rest of the way. */
  private async positionsFor(look: SwitchLook, rung: Rung, why: 'onward' | 'given-up') {
    const { engine } = this.context;
    if (rung.mode === 'legacy') return { frozenAt: null, watchFrom: null };
    const begins = rung.mode === 'migrating' && look.rung.heldFrom === 'legacy' && why === 'onward';
    if (!begins) return {};
    const frozenAt = await withRetry(engine, 'head of source', () => engine.source.head());
    const watchFrom = await withRetry(engine, 'head of target', () => engine.target.head());
    return { frozenAt, watchFrom, indexOffset: indexOffsetAt(frozenAt, watchFrom, look.record?.indexOffset ?? null) };
  }

  /** Whatever is there would hide the source's records (SPEC R25). @throws {KeyferryError} `plan.not-applyable` */
  private async assertTargetEmpty(): Promise<void> {
    const { engine, spec, session } = this.context;
    // Who follows a key by itself reads the target first from the beginning, and what is there is its own (R113).
    if (spec.online?.followedBy === 'time') return;
    const range = prefixRange(spec.rule.targetPrefix);
    const count = await withRetry(engine, 'count target', () => engine.target.countRecords(range, 1));
    if (count === 0) return;
    const { migration } = spec;
    throw new KeyferryError('plan.not-applyable', {
      plan: session.state?.plan ?? keyForDisplay(spec.rule.targetPrefix),
      migration,
      findings: ['target.not-empty'],
    });
  }

  private async giveUp(look: SwitchLook, rung: Rung, barrier: Barrier): Promise<never> {
    const { engine, spec, options } = this.context;
    const waitedMs = Math.round(engine.clock.monotonicMs() - this.sinceMs);
    await this.announce(look, rung, 'given-up');
    assertNotStopped(spec.migration, options.signal);
    const { on, short } = barrier.kind === 'waiting' ? barrier : { on: [], short: 0 };
    throw new KeyferryError('barrier.timed-out', {
      migration: spec.migration,
      mode: look.rung.mode,
      waitedMs,
      back: rung.mode,
      missing: on.map(({ instance, why }) => `${instance} (${why})`),
      short,
    });
  }

  /** @param timedOut although there is nothing to give up, as at the barriers of the way back: it stops where it stands */
  private async wait({ rung, barrier, acknowledged }: SwitchLook, timedOut: boolean): Promise<void> {
    const { engine, parts, options, spec } = this.context;
    if (barrier.kind === 'waiting') {
      const { on: missing, short } = barrier;
      const now = JSON.stringify([missing, short]);
      const { barrierTimeoutMs: timeoutMs } = parts.terms;
      const data = { mode: rung.mode, acknowledged, missing, short, timeoutMs };
      if (now !== this.told) engine.host.emit({ code: 'barrier.waiting', data });
      this.told = now;
    }
    await engine.clock.sleep(lookEveryMs, options.signal);
    if (barrier.kind !== 'waiting' || !timedOut) return;
    assertNotStopped(spec.migration, options.signal);
    const waitedMs = engine.clock.monotonicMs() - this.sinceMs;
    throw new KeyferryError('barrier.timed-out', {
      migration: spec.migration,
      mode: rung.mode,
      waitedMs: Math.round(waitedMs),
      back: rung.mode,
      missing: barrier.on.map(({ instance, why }) => `${instance} (${why})`),
      short: barrier.short,
    });
  }

  /** Told to stop: nobody's writes are left held where they can be let go. @throws {KeyferryError} `run.interrupted` */
  private async stop(look: SwitchLook, { rung, fenced }: DualReadFacts): Promise<void> {
    const isUndone = rung.mode === 'draining' && (rung.heldFrom === 'legacy' || !fenced);
    const back = isUndone ? ladderRules.rungAfter(rung, 'give-up') : null;
    if (back !== null) await this.announce(look, back, 'given-up');
    assertNotStopped(this.context.spec.migration, this.context.options.signal);
  }

  /** All who ever wrote under this migration's epoch are shut out before anything is built on that. */
  private async fence(look: SwitchLook): Promise<void> {
    const { engine, spec, session } = this.context;
    const proven = await workOf(this.work.fence)(look);
    const state = session.state as MigrationState;
    const epoch = { attempt: state.attempt, token: state.epochToken + 1 };
    await session.write({
      ...state,
      ...proven,
      epochToken: epoch.token,
      run: session.run,
      changedAtMs: engine.clock.nowMs(),
    });
    await ensureEpoch(engine, spec, epoch);
    await session.assertCurrent(spec);
    const control = engine.target.control(spec.migration);
    assertSameEpoch(spec.migration, epoch, await withRetry(engine, 'epoch', () => control.readEpoch()));
  }
}

/** By its phase: each goal that is reached under a raised epoch says so in the state first. */
function isRaisedFor(goal: DualReadGoal, { phase, epochToken }: MigrationState): boolean {
  switch (goal) {
    case 'apply':
      return false;
    case 'cutover':
      return epochToken > 1;
    case 'finalize':
      return phase === 'finalizing';
    case 'rollback':
      return phase === 'rolling-back';
  }
}

/** Where the ladder leads no way to a command's goal. */
export function refusal(
  migration: MigrationSpec['migration'],
  session: Pick<Session, 'phase' | 'state'>,
  rung: Rung,
  command: string,
): KeyferryError {
  const isGoingBack = rung.mode === 'returning' || (rung.mode === 'draining' && rung.heldFrom !== 'legacy');
  const phase = isGoingBack ? `${rung.mode}, on its way back` : `in the mode ${rung.mode}`;
  const { next } = nextOnline(migration, rung, session.phase, session.state?.appliedAs ?? `${migration}.kfplan`);
  return new KeyferryError('phase.not-allowed', { migration, phase, command, next });
}

function workOf<T>(work: T | undefined): T {
  invariant(work !== undefined, 'a walk met a step that its command has no work for');
  return work;
}

/** Where a walk left applications, and what is the one safe next command. */
export function outcomeOf(
  { state, phase }: Session,
  { migration, online }: MigrationSpec,
  { rung, mode, epoch, writesHeldMs }: Walked,
): OnlineOutcome & NextStep {
  const step = nextOnline(migration, rung, phase, state?.appliedAs ?? `${migration}.kfplan`, online?.followedBy);
  return { mode, epoch, writesHeldMs, ...step };
}
