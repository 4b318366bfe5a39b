/**
 * Applies a plan of strategy `parallel`: one phase after another, from wherever an earlier run left it, up to the soak.
 *
 * It remembers nothing that the state does not: it asks core for the one step that comes next, does it and asks again. A
 * failure while writers wait is undone at once; before that nothing was moved, and after the switch going back is for a
 * person to decide (SPEC R93).
 */
import {
  frozenForMs,
  isKeyferryError,
  isUndoneOnFailure,
  KeyferryError,
  parallelStep,
  phaseFacts,
  soakVerdict,
  type ParallelPhase,
  type ParallelPlan,
  type ParallelSettings,
  type ParallelState,
  type SoakVerdict,
} from '@keyferry/core';
import { assertNotStopped } from '../../migration.ts';
import { withSession, type RunOptions, type Session } from '../../session.ts';
import { writeItem } from '../../state-items.ts';
import { assertTargetFit, phaseActs } from './phases.ts';
import { ParallelCourse } from './course.ts';
import type { ParallelEngine } from './ports.ts';
import { walkBack } from './back.ts';
import { takeSample } from './soak.ts';

export interface ParallelApplyOptions extends RunOptions {
  readonly accept: readonly string[];
  /** The argument that names the plan or migration, for the next command. */
  readonly appliedAs: string;
  /** Phases that a person says yes to. */
  readonly confirm: readonly ParallelPhase[];
  /** Who says so: `user@host`. */
  readonly by: string;
  /** Goes on taking samples until the soak is over. */
  readonly follow: boolean;
}

export interface ParallelApplyResult {
  readonly run: string;
  readonly resumed: boolean;
  readonly state: ParallelState;
  /** null: another phase than the soak was reached last. */
  readonly soak: SoakVerdict | null;
}

/**
 * @throws {KeyferryError} `plan.not-applyable`, `plan.unaccepted`, `plan.mismatch`, `plan.expired`, `plan.other-in-progress`:
 *   nothing was done; `parallel.unconfirmed`: it waits for a person; `parallel.check-failed`, and what ports fail with: it
 *   stays in that phase; `parallel.undone`: it was led back.
 */
export async function applyParallel(
  engine: ParallelEngine,
  settings: ParallelSettings,
  plan: ParallelPlan,
  options: ParallelApplyOptions,
): Promise<ParallelApplyResult> {
  return await withSession(engine, settings, options, async (session) => {
    const found = await ParallelCourse.find(engine, session, settings.migration, options.by);
    const resumed = found !== null && found.state.plan === plan.plan && found.state.course === 'forward';
    const course = resumed ? found : await start(engine, settings, session, plan, options, found);
    const soak = await walkOn({ engine, settings, session, course, options });
    return { run: session.run, resumed, state: course.state, soak };
  });
}

async function start(
  engine: ParallelEngine,
  settings: ParallelSettings,
  session: Session,
  plan: ParallelPlan,
  { accept, appliedAs, by }: ParallelApplyOptions,
  found: ParallelCourse | null,
): Promise<ParallelCourse> {
  const { migration } = settings;
  assertOver(found, plan);
  assertPlanAllowed(plan, accept);
  assertPlanFits(plan, settings, engine.clock.nowMs());
  await writeItem(engine, 'parallel-plan', migration, plan.plan, plan, 'absent');
  return await ParallelCourse.start(engine, session, by, {
    migration,
    plan: plan.plan,
    appliedAs,
    accepted: accept,
  });
}

/** @throws {KeyferryError} `plan.other-in-progress`, `phase.not-allowed` */
function assertOver(found: ParallelCourse | null, { plan, migration }: ParallelPlan): void {
  if (found === null || found.state.course === 'rolled-back') return;
  const { course, plan: running, appliedAs, phase } = found.state;
  if (course === 'forward') throw new KeyferryError('plan.other-in-progress', { plan, migration, running, appliedAs });
  const next = course === 'back' ? `keyferry rollback ${migration}` : `keyferry report ${migration}`;
  throw new KeyferryError('phase.not-allowed', {
    migration,
    phase: course === 'back' ? `on the way back from ${phase}` : 'over',
    command: 'apply',
    next,
  });
}

/** @throws {KeyferryError} `plan.not-applyable`, `plan.unaccepted` */
function assertPlanAllowed({ plan, migration, applyable, findings }: ParallelPlan, accept: readonly string[]): void {
  if (!applyable) {
    const blocking = findings.filter(({ level }) => level === 'blocking').map(({ code }) => code);
    throw new KeyferryError('plan.not-applyable', { plan, migration, findings: blocking });
  }
  const unaccepted = findings.filter((each) => each.accept && !accept.includes(each.code)).map(({ code }) => code);
  if (unaccepted.length > 0) throw new KeyferryError('plan.unaccepted', { plan, findings: unaccepted });
}

/** @throws {KeyferryError} `plan.mismatch`, `plan.expired` */
function assertPlanFits(plan: ParallelPlan, settings: ParallelSettings, nowMs: number): void {
  const { plan: id, migration } = plan;
  const what = [
    ...(plan.migration === settings.migration ? [] : [`it is for ${migration}`]),
    ...(plan.configDigest === settings.configDigest ? [] : ['the configuration of the migration or of its stores']),
  ];
  if (what.length > 0) throw new KeyferryError('plan.mismatch', { plan: id, migration, what });
  if (plan.expiresAtMs > nowMs) return;
  throw new KeyferryError('plan.expired', { plan: id, migration, expiredAt: new Date(plan.expiresAtMs).toISOString() });
}

interface Walk {
  readonly engine: ParallelEngine;
  readonly settings: ParallelSettings;
  readonly session: Session;
  readonly course: ParallelCourse;
  readonly options: ParallelApplyOptions;
}

async function walkOn(walk: Walk): Promise<SoakVerdict | null> {
  const { settings, course, options } = walk;
  for (;;) {
    assertNotStopped(settings.migration, options.signal);
    await assertFreezeKept(walk);
    const step = parallelStep(course.state, settings.confirm);
    switch (step.kind) {
      case 'confirm':
        await confirmOrStop(walk, step.phase);
        break;
      case 'do':
        await doPhase(walk, step.phase);
        break;
      case 'soak': {
        const verdict = await soakOn(walk);
        if (verdict.kind !== 'passed') return verdict;
        await course.take({ kind: 'pass', atMs: walk.engine.clock.nowMs() });
        break;
      }
      case 'decommission':
        return { kind: 'passed' };
      case 'back':
      case 'ended':
        return null;
    }
  }
}

/** @throws {KeyferryError} `parallel.unconfirmed` */
async function confirmOrStop({ course, options, engine }: Walk, phase: ParallelPhase): Promise<void> {
  const { migration, appliedAs } = course.state;
  if (!options.confirm.includes(phase)) {
    const { checks } = phaseFacts[phase];
    throw new KeyferryError('parallel.unconfirmed', {
      migration,
      phase,
      checks,
      meanwhile: meanwhileOf(course.state),
      command: `keyferry apply ${appliedAs}`,
    });
  }
  await course.take({ kind: 'confirm', by: options.by, atMs: engine.clock.nowMs() });
}

/** Nobody comes by until somebody does: `freeze.max` is kept by whoever applies next. */
function meanwhileOf(state: ParallelState): string {
  return isUndoneOnFailure(state)
    ? 'writes are refused until somebody goes on or back'
    : 'clients read and write as before meanwhile';
}

async function doPhase(walk: Walk, phase: Parameters<typeof acts>[0]): Promise<void> {
  const { engine, settings, course } = walk;
  const { clock, host } = engine;
  const again = course.state.beganAtMs !== null;
  if (!again) await assertMayBegin(walk, phase);
  await course.take({ kind: 'begin', atMs: clock.nowMs() });
  host.emit({ code: 'phase.begun', data: { phase, again } });
  await withinFreezeMax(walk, async (signal, limit) => {
    limit.assertKept();
    await acts(phase)({ engine, settings, course, phase, signal });
    const tookMs = clock.nowMs() - (course.state.beganAtMs ?? clock.nowMs());
    await course.take({ kind: 'pass', atMs: clock.nowMs() });
    host.emit({ code: 'phase.passed', data: { phase, tookMs } });
  });
}

/** What is found here was found before any effect of the phase: while writers wait it is undone, and before the freeze it stays. */
async function assertMayBegin(walk: Walk, phase: ParallelPhase): Promise<void> {
  const { engine, settings, course } = walk;
  if (phase !== 'freeze' && phase !== 'switch') return;
  await withinFreezeMax(walk, async (signal, limit) => {
    await assertTargetFit({ engine, settings, course, phase, signal });
    limit.assertKept();
  });
}

/** Work that ends where the freeze has lasted too long. What fails in it is noted, and undone while writers wait. */
async function withinFreezeMax(
  walk: Walk,
  work: (signal: AbortSignal, limit: FreezeLimit) => Promise<void>,
): Promise<void> {
  const { engine, settings, session, course, options } = walk;
  const limit = new FreezeLimit(engine, settings, course);
  try {
    await work(AbortSignal.any([options.signal, session.lock.lostSignal, limit.signal]), limit);
  } catch (error) {
    // What was stopped from outside goes on where it is; whoever lost the lock may not even say that it failed.
    session.lock.assertHeld(error instanceof Error ? error : undefined);
    if (options.signal.aborted) assertNotStopped(settings.migration, options.signal);
    throw await failed(walk, limit.signal.aborted ? limit.failure() : error);
  } finally {
    limit.end();
  }
}

/** @throws {KeyferryError} `parallel.undone`: this run came by too late */
async function assertFreezeKept(walk: Walk): Promise<void> {
  const { engine, settings, course } = walk;
  if (course.state.beganAtMs !== null || !isUndoneOnFailure(course.state)) return;
  const limit = new FreezeLimit(engine, settings, course);
  try {
    limit.assertKept();
  } catch (error) {
    throw await failed(walk, error);
  } finally {
    limit.end();
  }
}

const acts = (phase: ParallelPhase) => phaseActs[phase as keyof typeof phaseActs];

/** Notes it, and undoes it while writers wait. @returns what is to be thrown */
async function failed(walk: Walk, error: unknown): Promise<unknown> {
  if (!(error instanceof KeyferryError) || isKeyferryError(error, 'internal.invariant')) return error;
  const { engine, course, settings, session, options } = walk;
  const { phase } = course.state;
  await course.take({ kind: 'fail', code: error.code, message: error.message, atMs: engine.clock.nowMs() });
  if (!isUndoneOnFailure(course.state)) return error;
  engine.host.emit({ code: 'phase.undoing', data: { phase, why: error.message } });
  await course.take({ kind: 'turn-back', atMs: engine.clock.nowMs() });
  await walkBack({
    engine,
    settings,
    course,
    signal: AbortSignal.any([options.signal, session.lock.lostSignal]),
    accept: [],
  });
  const { migration } = settings;
  const frozenMs = frozenForMs(course.state, engine.clock.nowMs()) ?? 0;
  return new KeyferryError('parallel.undone', { migration, phase, why: error.message, frozenMs }, { cause: error });
}

/** Ends a phase once writes have been refused for longer than the configuration allows, also while it waits for an answer. */
class FreezeLimit {
  private readonly stopped = new AbortController();
  private readonly ended = new AbortController();
  private readonly course: ParallelCourse;
  private readonly engine: ParallelEngine;
  private readonly maxMs: number;

  constructor(engine: ParallelEngine, settings: ParallelSettings, course: ParallelCourse) {
    this.engine = engine;
    this.course = course;
    this.maxMs = settings.freeze.maxMs;
    if (isUndoneOnFailure(course.state)) void this.watch();
  }

  get signal(): AbortSignal {
    return this.stopped.signal;
  }

  /** @throws {KeyferryError} `parallel.check-failed`: so long had the freeze lasted when this run came by. */
  assertKept(): void {
    if (isUndoneOnFailure(this.course.state) && this.leftMs() <= 0) throw this.failure();
  }

  failure(): KeyferryError<'parallel.check-failed'> {
    const { migration, phase } = this.course.state;
    const what = `writes have been refused for longer than the ${this.maxMs} ms that freeze.max allows`;
    return new KeyferryError('parallel.check-failed', { migration, phase, what });
  }

  end(): void {
    this.ended.abort();
  }

  private leftMs(): number {
    return this.maxMs - (frozenForMs(this.course.state, this.engine.clock.nowMs()) ?? 0);
  }

  private async watch(): Promise<void> {
    const leftMs = this.leftMs();
    if (leftMs > 0) await this.engine.clock.sleep(leftMs, this.ended.signal);
    if (!this.ended.signal.aborted) this.stopped.abort('freeze.max');
  }
}

async function soakOn(walk: Walk): Promise<SoakVerdict> {
  const { engine, settings, session, course, options } = walk;
  const { clock } = engine;
  if (course.state.beganAtMs === null) await course.take({ kind: 'begin', atMs: clock.nowMs() });
  const signal = AbortSignal.any([options.signal, session.lock.lostSignal]);
  for (;;) {
    await takeSample({ engine, settings, course, signal });
    const isAccepted = [...course.state.accepted, ...options.accept].includes('soak.breached');
    const verdict = soakVerdict(course.state.soak, settings.soak, isAccepted);
    if (verdict.kind !== 'soaking' || !options.follow) return verdict;
    await clock.sleep(Math.min(settings.soakEveryMs, verdict.leftMs), signal);
    session.lock.assertHeld();
    assertNotStopped(settings.migration, options.signal);
  }
}
