/**
 * The backfill of one run, from its first chunk to the state that says it is done: what every strategy has in common. Progress
 * is told as it goes, limits and a pause from outside are heard, and the view that it read from is closed whatever comes.
 */
import {
  addCounts,
  counted,
  countText,
  KeyferryError,
  shellWord,
  type ChunkCounts,
  type MigrationState,
  type PlanDocument,
  type MigrationSpec,
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

/** Whatever comes of the backfill, the view that it read from is closed. */
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
  { attempt, epoch, resumed, view }: Attempt,
  recorder: RunRecorder,
  { signal, appliedAs, chunksMax }: ApplyOptions,
): Promise<BackfillSummary> {
  const scope = attemptScope(spec.migration, attempt);
  const startedAtMs = engine.clock.monotonicMs();
  const before = await summarizeChunks(engine, scope);
  const { chunksTotal } = before;
  let { counts, chunksDone } = before;
  engine.host.emit({
    code: 'apply.started',
    data: { plan: plan.plan, run: session.run, attempt, chunksTotal, chunksDone, resumed },
  });
  const control = await readControl(engine, spec.migration, session.state);
  const watch = new RunWatch(engine, { spec, run: session.run, scope, control });
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
  const deadRuns = new Set(session.lock.takenFrom === null ? [] : [session.lock.takenFrom]);
  const backfill = {
    engine,
    spec,
    plan,
    attempt,
    epoch,
    control: engine.target.control(spec.migration),
    view,
    scope,
    deadRuns,
    recorder,
    onSettled,
    onChunkDone,
    pace,
  };
  try {
    await runBackfill(
      backfill,
      session.run,
      chunksMax,
      AbortSignal.any([signal, session.lock.lostSignal, watch.signal]),
    );
  } finally {
    await watch.close();
  }
  session.lock.assertHeld();
  assertNotStopped(spec.migration, signal);
  watch.assertGoing();
  const summary = await summarizeChunks(engine, scope);
  assertAllTaken(spec, summary, { chunksMax, appliedAs });
  await recordBackfilled(engine, spec, session, summary);
  return summary;
}

/** @throws {KeyferryError} `run.stopped` when the run was told to take on fewer chunks than there were. */
function assertAllTaken(
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
  const state = session.state as MigrationState;
  const phase = session.after(agree ? 'verified' : 'differs', spec, 'apply');
  await session.write({ ...state, phase, changedAtMs: engine.clock.nowMs() });
}
