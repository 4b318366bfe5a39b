/**
 * Strategy `offline`: writers of the source are stopped; copy, then prove.
 *
 *     lock ─► does the plan fit? ─► preflight ─► staleness ─► begin the attempt ─► backfill ─► publish ─► verify
 *                                   └───── skipped on a resume: checked before its first write ─────┘
 *
 * Only a target that is written whole or not at all is published; in any other one each record is there at once.
 *
 * Way back at every point: `rollback` removes what was created, and puts back what was overwritten or deleted, as far as
 * nobody changed it since. Writers that were not
 * stopped show up three times: as a stale plan before the first write, as a chunk whose digest moved, and as a source
 * whose permanent records are not the plan's any more when everything is done. The last two end in exit code 7.
 */
import {
  addCounts,
  counted,
  countText,
  KeyferryError,
  shellWord,
  type ChunkCounts,
  type MetChange,
  type MigrationState,
  type PlanDocument,
  type PlanReader,
  type MigrationSpec,
  type TakenBackup,
} from '@keyferry/core';
import { assertApplyable, startAttempt, type ApplyOptions, type Attempt } from '../attempt.ts';
import { runBackfill } from '../backfill.ts';
import { summarizeChunks, type BackfillSummary } from '../backfill-summary.ts';
import { deviationsOf } from '../deviations.ts';
import { assertNotStopped, type Engine } from '../migration.ts';
import { recordHistory } from '../events.ts';
import { withRetry } from '../retry.ts';
import { RunRecorder } from '../run-record.ts';
import { readControl } from '../run-control.ts';
import { RunWatch } from '../run-watch.ts';
import { withSession, type Session } from '../session.ts';
import { attemptScope } from '../state-items.ts';
import { verify, type VerifyResult } from '../verify.ts';

export interface ApplyResult {
  readonly plan: PlanDocument;
  readonly run: string;
  readonly attempt: number;
  readonly resumed: boolean;
  /** done: converged, as planned. deviated: ran to its end, but see `deviations` (exit 7). */
  readonly outcome: 'done' | 'deviated';
  readonly counts: ChunkCounts;
  readonly verify: VerifyResult;
  /** The first of the records that were to be overwritten or deleted, and that were left because they had changed. */
  readonly met: readonly MetChange[];
  readonly deviations: readonly string[];
  /** Made before the first write of this attempt and of those before it that rollback would undo. */
  readonly backups: readonly TakenBackup[];
  readonly elapsedMs: number;
}

export async function applyOffline(
  engine: Engine,
  spec: MigrationSpec,
  reader: PlanReader,
  options: ApplyOptions,
): Promise<ApplyResult> {
  const startedAtMs = engine.clock.monotonicMs();
  assertApplyable(reader.plan);
  return withSession(engine, spec, options, async (session) => {
    const begun = await startAttempt(engine, spec, session, reader, options);
    const { migration } = spec;
    const { plan } = reader.plan;
    const facts = { run: session.run, command: 'apply', plan, attempt: begun.attempt, by: options.holder } as const;
    const recorder = new RunRecorder(engine, migration, facts);
    const started = `${begun.resumed ? 'went on with' : 'started'} plan ${plan}, attempt ${begun.attempt}`;
    await recordHistory(engine, migration, { type: 'apply.started', message: started, ...facts });
    return await recorder.during(
      async () => {
        const summary = await backfillAndClose(engine, spec, reader.plan, session, begun, recorder, options);
        const verified = await verify(engine, spec, reader.plan, options.signal);
        const deviations = deviationsOf(reader.plan, summary, verified);
        recorder.verified(verified, deviations);
        await recordVerdict(engine, spec, session, deviations.length === 0);
        const outcome = deviations.length === 0 ? ('done' as const) : ('deviated' as const);
        const how = outcome === 'done' ? 'as planned' : `not as planned: ${deviations.join('; ')}`;
        const ended = `applied plan ${plan}, ${countText(summary.counts.written)} written, ${how}`;
        await recordHistory(engine, migration, { type: 'apply.ended', message: ended, ...facts });
        const elapsedMs = engine.clock.monotonicMs() - startedAtMs;
        const { written, overwritten, deadLetters: failed } = summary.counts;
        engine.host.emit({
          code: 'apply.ended',
          data: { outcome, elapsedMs, migrated: written + overwritten, failed },
        });
        return {
          plan: reader.plan,
          run: session.run,
          attempt: begun.attempt,
          resumed: begun.resumed,
          outcome,
          counts: summary.counts,
          verify: verified,
          met: summary.met,
          deviations,
          backups: session.state?.backups ?? [],
          elapsedMs,
        };
      },
      ({ outcome }) => outcome,
    );
  });
}

/** Whatever comes of the backfill, the view that it read from is closed. */
async function backfillAndClose(...parts: Parameters<typeof backfillAll>): Promise<BackfillSummary> {
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
