/** The two ends of strategy `parallel`: going back, from wherever it stands, and giving up the way back. */
import {
  frozenForMs,
  KeyferryError,
  soakVerdict,
  wayBackOf,
  type ParallelSettings,
  type ParallelState,
} from '@keyferry/core';
import { withSession, type RunOptions, type Session } from '../../session.ts';
import { assertMayTurnBack, walkBack, writesLost } from './back.ts';
import { ParallelCourse } from './course.ts';
import type { ParallelEngine } from './ports.ts';
import { takeSample } from './soak.ts';

export interface ParallelEndOptions extends RunOptions {
  readonly accept: readonly string[];
  readonly by: string;
}

export interface ParallelEndResult {
  readonly run: string;
  readonly state: ParallelState;
  /** Milliseconds for which writes were refused on the way; null: they were not. */
  readonly frozenMs: number | null;
}

/** @throws {KeyferryError} `phase.not-allowed`, `parallel.writes-stranded`, `parallel.target-silent`, `parallel.check-failed` */
export async function rollBackParallel(
  engine: ParallelEngine,
  settings: ParallelSettings,
  options: ParallelEndOptions,
): Promise<ParallelEndResult> {
  return await withSession(engine, settings, options, async (session) => {
    const course = await openCourse(engine, settings, session, options.by, 'rollback');
    const { course: way, phase, beganAtMs } = course.state;
    const signal = AbortSignal.any([options.signal, session.lock.lostSignal]);
    const back = { engine, settings, course, signal, accept: options.accept };
    if (way === 'forward') {
      const { steps } = wayBackOf(phase, beganAtMs !== null);
      if (steps.length === 0) throw notAllowed(course.state, 'rollback');
      if (steps.includes('replay') && !options.accept.includes(writesLost)) await assertMayTurnBack(back);
      await course.take({ kind: 'turn-back', atMs: engine.clock.nowMs() });
    } else if (way !== 'back') {
      throw notAllowed(course.state, 'rollback');
    }
    await walkBack(back);
    const { state } = course;
    return { run: session.run, state, frozenMs: frozenForMs(state, engine.clock.nowMs()) };
  });
}

/**
 * Decommission: the way back is given up. 2.x itself is stopped by whoever runs it.
 * @throws {KeyferryError} `phase.not-allowed`, `parallel.not-soaked`
 */
export async function finalizeParallel(
  engine: ParallelEngine,
  settings: ParallelSettings,
  options: ParallelEndOptions,
): Promise<ParallelEndResult> {
  return await withSession(engine, settings, options, async (session) => {
    const { migration } = settings;
    const course = await openCourse(engine, settings, session, options.by, 'finalize');
    const { clock } = engine;
    const { course: way, phase } = course.state;
    if (way !== 'forward' || (phase !== 'soak' && phase !== 'decommission')) throw notAllowed(course.state, 'finalize');
    const signal = AbortSignal.any([options.signal, session.lock.lostSignal]);
    const sample = await takeSample({ engine, settings, course, signal });
    const isAccepted = [...course.state.accepted, ...options.accept].includes('soak.breached');
    const verdict = soakVerdict(course.state.soak, settings.soak, isAccepted);
    if (verdict.kind === 'breached') {
      const [first] = course.state.soak.breaches;
      const why = `${course.state.soak.breachesTotal} breaches of its limits, the first: ${first?.what ?? ''} (--accept soak.breached takes them knowingly)`;
      throw new KeyferryError('parallel.not-soaked', { migration, why });
    }
    if (verdict.kind === 'soaking') {
      throw new KeyferryError('parallel.not-soaked', { migration, why: `${verdict.leftMs} ms of the soak are left` });
    }
    if (phase === 'soak') await course.take({ kind: 'pass', atMs: clock.nowMs() });
    await course.take({ kind: 'begin', atMs: clock.nowMs() });
    await course.keep('decommission', 'last', sample);
    await course.take({ kind: 'pass', atMs: clock.nowMs() });
    return { run: session.run, state: course.state, frozenMs: frozenForMs(course.state, clock.nowMs()) };
  });
}

async function openCourse(
  engine: ParallelEngine,
  { migration }: ParallelSettings,
  session: Session,
  by: string,
  command: string,
): Promise<ParallelCourse> {
  const course = await ParallelCourse.find(engine, session, migration, by);
  if (course !== null) return course;
  const next = `keyferry plan ${migration}`;
  throw new KeyferryError('phase.not-allowed', { migration, phase: 'new', command, next });
}

function notAllowed({ migration, phase, course }: ParallelState, command: string): KeyferryError<'phase.not-allowed'> {
  const next = course === 'rolled-back' ? `keyferry plan ${migration}` : `keyferry status ${migration}`;
  const stands = course === 'forward' ? `in phase ${phase}` : course;
  return new KeyferryError('phase.not-allowed', { migration, phase: stands, command, next });
}
