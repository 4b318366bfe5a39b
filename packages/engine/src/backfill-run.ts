/** The backfill of one run, whichever strategy it belongs to: what is told of it while it runs, and how it ends. */
import {
  addCounts,
  counted,
  countText,
  KeyferryError,
  shellWord,
  type ChunkCounts,
  type MigrationSpec,
  type MigrationState,
  type PlanDocument,
} from '@keyferry/core';
import type { ApplyOptions, Attempt } from './attempt.ts';
import { runBackfill } from './backfill.ts';
import { summarizeChunks, type BackfillSummary } from './backfill-summary.ts';
import { assertNotStopped, type Engine } from './migration.ts';
import { withRetry } from './retry.ts';
import type { RunRecorder } from './run-record.ts';
import { readControl } from './run-control.ts';
import { RunWatch } from './run-watch.ts';
import type { Session } from './session.ts';
import { attemptScope } from './state-items.ts';

/** The backfill as the only work of a run, until the state says that it is done. Whatever comes of it, its view is closed. */
export async function backfillAndClose(...parts: Parameters<typeof backfillAll>): Promise<BackfillSummary> {
  const [, , , , { view }] = parts;
  try {
    return await backfillAll(...parts);
  } finally {
    await view.close();
  }
}

async function backfillAll(
  engine: Engine,
  spec: MigrationSpec,
  plan: PlanDocument,
  session: Session,
  attempt: Attempt,
  recorder: RunRecorder,
  options: ApplyOptions,
): Promise<BackfillSummary> {
  const scope = attemptScope(spec.migration, attempt.attempt);
  const control = await readControl(engine, spec.migration, session.state);
  const watch = new RunWatch(engine, { spec, run: session.run, scope, control });
  const stop = AbortSignal.any([options.signal, session.lock.lostSignal, watch.signal]);
  try {
    await runPlannedBackfill({ engine, spec, plan, session, attempt, recorder, watch }, options.chunksMax, stop);
  } finally {
    await watch.close();
  }
  session.lock.assertHeld();
  assertNotStopped(spec.migration, options.signal);
  watch.assertGoing();
  const summary = await summarizeChunks(engine, scope);
  assertAllTaken(spec, summary, options);
  await recordBackfilled(engine, spec, session, summary);
  return summary;
}

export interface PlannedBackfill {
  readonly engine: Engine;
  readonly spec: MigrationSpec;
  readonly plan: PlanDocument;
  readonly session: Session;
  readonly attempt: Attempt;
  readonly recorder: RunRecorder;
  readonly watch: RunWatch;
}

/** Works on the chunks of an attempt until all are done, `chunksMax` are, or `stop` aborts. */
export async function runPlannedBackfill(
  { engine, spec, plan, session, attempt: begun, recorder, watch }: PlannedBackfill,
  chunksMax: number | null,
  stop: AbortSignal,
): Promise<void> {
  const { attempt, epoch, resumed, view } = begun;
  const scope = attemptScope(spec.migration, attempt);
  const startedAtMs = engine.clock.monotonicMs();
  const before = await summarizeChunks(engine, scope);
  const { chunksTotal } = before;
  let { counts, chunksDone } = before;
  engine.host.emit({
    code: 'apply.started',
    data: { plan: plan.plan, run: session.run, attempt, chunksTotal, chunksDone, resumed },
  });
  const { pace } = watch;
  const onSettled = (added: ChunkCounts): void => {
    counts = addCounts(counts, added);
    watch.settled(added);
    const elapsedMs = engine.clock.monotonicMs() - startedAtMs;
    engine.host.emit({
      code: 'backfill.progress',
      data: { counts, total: plan.totals.scanned, chunksDone, chunksTotal, elapsedMs, pace: pace.report() },
    });
  };
  const onChunkDone = (): void => {
    chunksDone += 1;
  };
  const deadRuns = deadRunsOf(session);
  const control = engine.target.control(spec.migration);
  const shared = { engine, spec, plan, attempt, epoch, control, view, scope, deadRuns, recorder, pace };
  await runBackfill({ ...shared, onSettled, onChunkDone }, session.run, chunksMax, stop);
}

/** Runs that are known to be gone with the lock that was taken from them. */
export function deadRunsOf({ lock }: Pick<Session, 'lock'>) {
  return new Set(lock.takenFrom === null ? [] : [lock.takenFrom]);
}

/** @throws {KeyferryError} `run.stopped` when the run was told to take on fewer chunks than there were. */
export function assertAllTaken(
  { migration }: MigrationSpec,
  { chunksDone, chunksTotal }: BackfillSummary,
  { chunksMax, appliedAs }: Pick<ApplyOptions, 'chunksMax' | 'appliedAs'>,
): void {
  if (chunksMax === null || chunksDone === chunksTotal) return;
  const why = `after ${counted(chunksMax, 'chunk')}; ${countText(chunksDone)} of ${countText(chunksTotal)} are done`;
  throw new KeyferryError('run.stopped', { migration, why, next: `keyferry apply ${shellWord(appliedAs)}` });
}

/** All chunks are done: the target is published where it waits for that, and the state says so. */
export async function recordBackfilled(
  engine: Engine,
  spec: MigrationSpec,
  session: Session,
  { counts }: BackfillSummary,
): Promise<void> {
  const state = session.state as MigrationState;
  if (state.phase !== 'applying') return;
  const { publication } = engine.target;
  const epoch = { attempt: state.attempt, token: state.epochToken };
  // Before the state says `applied`: a kill in between publishes again, which changes nothing.
  if (publication !== null) await withRetry(engine, 'publish', () => publication.publish(spec.migration, epoch));
  const phase = session.after('backfilled', spec, 'apply');
  await session.write({ ...state, phase, counts, changedAtMs: engine.clock.nowMs() });
}

export async function recordVerdict(
  engine: Engine,
  spec: MigrationSpec,
  session: Session,
  agree: boolean,
): Promise<void> {
  // Under replicate the tail proves, and its apply says so.
  if (spec.strategy === 'replicate') return;
  const state = session.state as MigrationState;
  const phase = session.after(agree ? 'verified' : 'differs', spec, 'apply');
  await session.write({ ...state, phase, changedAtMs: engine.clock.nowMs() });
}
