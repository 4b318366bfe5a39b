/**
 * The attempt that an apply works on: a new one, begun from a plan that still holds, or the one that an earlier apply of
 * the same plan left behind.
 *
 *     begin:  preflight ─► staleness ─► backups ─► state: applying ─► epoch ─► chunks     nothing is written before `state`
 *     go on:  epoch ─► chunks
 */
import {
  KeyferryError,
  standingOf,
  stateFormat,
  type Fence,
  type MigrationState,
  type Phase,
  type PlanDocument,
  type PlanReader,
  type MigrationSpec,
  type Standing,
} from '@keyferry/core';
import { takeBackups, withBackups } from './backups.ts';
import { summarizeChunks } from './backfill-summary.ts';
import { unkeptChanges } from './before-images.ts';
import { ensureEpoch } from './epoch.ts';
import { openImage, openViews } from './image.ts';
import { assertNotStopped, type Engine } from './migration.ts';
import { assertPlanFits } from './plan-fits.ts';
import { preflight } from './preflight.ts';
import { registerChunks } from './register-chunks.ts';
import { withRetry } from './retry.ts';
import { endStalePause } from './replicate/give-way.ts';
import { assertTargetHolds } from './replicate/assert-target-holds.ts';
import { assertMayRun, readControl } from './run-control.ts';
import type { RunOptions, Session } from './session.ts';
import { SharedView } from './shared-view.ts';
import { assertPlanHolds } from './staleness.ts';
import { attemptScope, writeItem } from './state-items.ts';
import { unknownAttempt } from './unknown-attempt.ts';

/** What the start of an attempt needs to know. */
export interface StartOptions extends RunOptions {
  /** Findings that the caller accepts by name. */
  readonly accept: readonly string[];
  /** The argument that names the plan or migration, for the next command. */
  readonly appliedAs: string;
  /** Functions are to work on it from now on; absent: it stays as it is. */
  readonly runner?: 'functions';
}

export interface ApplyOptions extends StartOptions {
  /** Most chunks that this run takes on before it stops on purpose; null: all of them. */
  readonly chunksMax: number | null;
}

export interface Attempt {
  readonly attempt: number;
  readonly epoch: Fence;
  readonly resumed: boolean;
  readonly view: SharedView;
}

/**
 * Begins an attempt, or goes on with the one that an earlier start of this plan left behind.
 * @throws {KeyferryError} `migration.finalized`, `plan.unaccepted`, `plan.mismatch`, `plan.expired`, `plan.stale`,
 *   `plan.other-in-progress`, `run.paused`, `run.cancelled`, `phase.not-allowed`: nothing was written then.
 */
export async function startAttempt(
  engine: Engine,
  spec: MigrationSpec,
  session: Session,
  reader: PlanReader,
  options: StartOptions,
): Promise<Attempt> {
  const found = await readControl(engine, spec.migration, session.state);
  const control = await endStalePause(engine, spec.migration, found, options.holder);
  const resuming = isResume(session, reader.plan, standingOf(control));
  if (resuming) assertMayRun(spec.migration, control);
  else {
    // Of a migration that is over there is nothing to accept.
    session.after('start', spec, 'apply');
    assertAccepted(reader.plan, options.accept);
  }
  await assertPlanFits(engine, reader.plan, spec, { resuming });
  const start = resuming ? goOnWithAttempt : beginAttempt;
  return await start(engine, spec, session, reader, options);
}

/** @throws {KeyferryError} `plan.not-applyable` */
export function assertApplyable(plan: PlanDocument): void {
  if (plan.applyable) return;
  const findings = plan.findings.filter(({ level }) => level === 'blocking').map(({ code }) => code);
  throw new KeyferryError('plan.not-applyable', { plan: plan.plan, migration: plan.migration, findings });
}

/** Asked at the start alone: who goes on has accepted before. @throws {KeyferryError} `plan.unaccepted` */
function assertAccepted(plan: PlanDocument, accept: readonly string[]): void {
  const open = plan.findings.filter((f) => f.accept && !accept.includes(f.code)).map(({ code }) => code);
  if (open.length > 0) throw new KeyferryError('plan.unaccepted', { plan: plan.plan, findings: open });
}

/**
 * A started attempt of this very plan goes on; one of another plan must be ended first, by its end or by a cancel.
 * @throws {KeyferryError} `plan.other-in-progress`
 */
function isResume({ state }: Session, plan: PlanDocument, standing: Standing): boolean {
  if (state === null) return false;
  if (state.plan === plan.plan) return ['applying', 'applied', 'verified', 'replicating'].includes(state.phase);
  if (state.phase !== 'applying' || standing === 'cancelled') return false;
  throw new KeyferryError('plan.other-in-progress', {
    plan: plan.plan,
    migration: plan.migration,
    running: state.plan,
    appliedAs: state.appliedAs,
  });
}

async function beginAttempt(
  engine: Engine,
  spec: MigrationSpec,
  session: Session,
  reader: PlanReader,
  options: StartOptions,
): Promise<Attempt> {
  const phase = session.after('start', spec, 'apply');
  const { plan } = reader;
  await assertStoresFit(engine, spec, plan);
  const view = await viewOfStart(engine, spec, reader, options);
  try {
    assertNotStopped(spec.migration, options.signal);
    const backups = await takeBackups(engine, spec, session.run);
    assertNotStopped(spec.migration, options.signal);
    const control = engine.target.control(spec.migration);
    const inTarget = await withRetry(engine, 'epoch', () => control.readEpoch());
    // One more than the state and the target know: an attempt's number is never used twice, even if either forgot.
    const known = session.state?.attempt ?? 0;
    const attempt = Math.max(known, inTarget?.attempt ?? 0) + 1;
    const nowMs = engine.clock.nowMs();
    await writeItem(engine, 'plan', spec.migration, plan.plan, plan, 'absent');
    const isUnknown = (await unknownAttempt(engine, spec, known)) !== null;
    const writtenBefore = isUnknown ? null : await writtenBy(engine, session.state);
    // The attempt is claimed for this plan first; chunks of another plan can then never be in its scope.
    await session.write({
      format: stateFormat,
      migration: spec.migration,
      phase,
      attempt,
      epochToken: 1,
      plan: plan.plan,
      appliedAs: options.appliedAs,
      accepted: options.accept,
      wrote: await whatAttemptsWrote(engine, session.state, writtenBefore, plan, attempt),
      ...(options.runner === undefined ? {} : { runner: options.runner }),
      ...withBackups(session.state, session.state !== null && startsAfresh.includes(session.state.phase), backups),
      run: session.run,
      startedAtMs: nowMs,
      changedAtMs: nowMs,
      counts: null,
      rolledBack: null,
      restoredTo: null,
      done: null,
    });
    const epoch = { attempt, token: 1 };
    await openAttempt(engine, spec, session, reader, epoch, options.signal);
    return { attempt, epoch, resumed: false, view };
  } catch (error) {
    await view.close();
    throw error;
  }
}

/**
 * What is read from, once the plan was found to hold. Where applications take part the source moves until it is frozen, and
 * is opened after that: the plan then stands for the rules, the guards and the cut into chunks, which cover every key.
 */
async function viewOfStart(
  engine: Engine,
  spec: MigrationSpec,
  reader: PlanReader,
  { signal }: StartOptions,
): Promise<SharedView> {
  const open = () => openImage(engine, spec, signal);
  if (spec.strategy === 'dual-read') return new SharedView(open, null);
  const views = await openViews(engine, spec, signal);
  try {
    if (spec.strategy === 'replicate') await assertTargetHolds(engine, spec, reader, views.target);
    else await assertPlanHolds(engine, spec, reader, views);
    return new SharedView(open, views.source);
  } catch (error) {
    await views.source.close();
    throw error;
  } finally {
    await views.target.close();
  }
}

async function goOnWithAttempt(
  engine: Engine,
  spec: MigrationSpec,
  session: Session,
  reader: PlanReader,
  { signal, runner }: StartOptions,
): Promise<Attempt> {
  const state = session.state as MigrationState;
  const epoch = { attempt: state.attempt, token: state.epochToken };
  const by = runner === undefined ? {} : { runner };
  await session.write({ ...state, ...by, run: session.run, changedAtMs: engine.clock.nowMs() });
  await openAttempt(engine, spec, session, reader, epoch, signal);
  const view = new SharedView(() => openImage(engine, spec, signal), null);
  return { attempt: state.attempt, epoch, resumed: true, view };
}

/** What was true when the plan was made must be true still. @throws {KeyferryError} `plan.not-applyable` */
async function assertStoresFit(engine: Engine, spec: MigrationSpec, plan: PlanDocument): Promise<void> {
  const { findings } = await preflight(engine, spec);
  const blocking = findings.filter(({ level }) => level === 'blocking').map(({ code }) => code);
  if (blocking.length === 0) return;
  throw new KeyferryError('plan.not-applyable', { plan: plan.plan, migration: plan.migration, findings: blocking });
}

/** Nothing that was written before can be rolled back any more: it is gone, or nobody can tell it from other records. */
const startsAfresh: readonly Phase[] = ['rolled-back', 'reopened'];

/**
 * Rollback looks through every place that an attempt wrote to since the last one; so a later plan with another prefix
 * adds to them.
 * @throws {KeyferryError} `plan.mismatch` when the earlier ones wrote to another store: undo those first, where they are
 */
async function whatAttemptsWrote(
  engine: Engine,
  before: MigrationState | null,
  writtenBefore: number | null,
  plan: PlanDocument,
  attempt: number,
): Promise<MigrationState['wrote']> {
  const { prefix, description } = plan.target;
  const { identity } = description;
  if (before === null || startsAfresh.includes(before.phase)) {
    return { identity, prefixes: [prefix], attempts: [attempt], before: writtenBefore === null ? null : 0, unkept: 0 };
  }
  const { wrote } = before;
  if (wrote.identity !== null && identity !== null && wrote.identity !== identity) {
    const what = [`the target was ${wrote.identity} and is ${identity}: roll back there first`];
    throw new KeyferryError('plan.mismatch', { plan: plan.plan, migration: plan.migration, what });
  }
  const known = wrote.prefixes.some((each) => JSON.stringify(each) === JSON.stringify(prefix));
  return {
    identity: identity ?? wrote.identity,
    prefixes: known ? wrote.prefixes : [...wrote.prefixes, prefix],
    attempts: [...wrote.attempts, attempt],
    before: wrote.before === null || writtenBefore === null ? null : wrote.before + writtenBefore,
    unkept: await unkeptChanges(engine, before),
  };
}

/** Records that the attempt before this one wrote: one that was cancelled has only its checkpoints to say so. */
async function writtenBy(engine: Engine, before: MigrationState | null): Promise<number> {
  if (before === null) return 0;
  const counts =
    before.counts ?? (await summarizeChunks(engine, attemptScope(before.migration, before.attempt))).counts;
  return counts.written;
}

/**
 * Raises the epoch, then looks whether the state still says what this run wrote. The epoch alone does not tell: with
 * the state thrown away in between, another start may have taken the same number and raised the very same epoch.
 * Chunks come last, so that a run that stood still here never adds its own to another's attempt.
 */
async function openAttempt(
  engine: Engine,
  spec: MigrationSpec,
  session: Session,
  reader: PlanReader,
  epoch: Fence,
  signal: AbortSignal,
): Promise<void> {
  await ensureEpoch(engine, spec, epoch);
  await session.assertCurrent(spec);
  await registerChunks(engine, reader, spec.migration, epoch.attempt, signal);
}
