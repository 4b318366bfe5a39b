/**
 * Strategy `offline`: writers of the source are stopped; copy, then prove.
 *
 *     lock ─► does the plan fit? ─► preflight ─► staleness ─► begin the attempt ─► backfill ─► verify
 *                                   └───── skipped on a resume: checked before its first write ─────┘
 *
 * Way back at every point: `rollback` removes what was created and nobody changed since. Writers that were not
 * stopped show up three times: as a stale plan before the first write, as a chunk whose digest moved, and as a source
 * whose permanent records are not the plan's any more when everything is done. The last two end in exit code 7.
 */
import {
  addCounts,
  KeyferryError,
  type ChunkCounts,
  type MigrationState,
  type PlanDocument,
  type PlanReader,
  type MigrationSpec,
} from '@keyferry/core';
import { beginAttempt, goOnWithAttempt, isResume, type ApplyOptions, type Attempt } from '../attempt.ts';
import { runBackfill, summarizeChunks, type BackfillSummary } from '../backfill.ts';
import { deviationsOf } from '../deviations.ts';
import { assertNotStopped, type Engine } from '../migration.ts';
import { assertPlanFits } from '../plan-fits.ts';
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
  readonly deviations: readonly string[];
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
    const resuming = isResume(session, reader.plan);
    if (!resuming) assertAccepted(reader.plan, options.accept);
    await assertPlanFits(engine, reader.plan, spec, { resuming });
    const begun = resuming
      ? await goOnWithAttempt(engine, spec, session, reader, options)
      : await beginAttempt(engine, spec, session, reader, options);
    const summary = await backfillAndClose(engine, spec, reader.plan, session, begun, options);
    const verified = await verify(engine, spec, reader.plan, options.signal);
    const deviations = deviationsOf(reader.plan, summary, verified);
    await recordVerdict(engine, spec, session, deviations.length === 0);
    return {
      plan: reader.plan,
      run: session.run,
      attempt: begun.attempt,
      resumed: resuming,
      outcome: deviations.length === 0 ? 'done' : 'deviated',
      counts: summary.counts,
      verify: verified,
      deviations,
      elapsedMs: engine.clock.monotonicMs() - startedAtMs,
    };
  });
}

/** @throws {KeyferryError} `plan.not-applyable` */
function assertApplyable(plan: PlanDocument): void {
  if (plan.applyable) return;
  const findings = plan.findings.filter(({ level }) => level === 'blocking').map(({ code }) => code);
  throw new KeyferryError('plan.not-applyable', { plan: plan.plan, migration: plan.migration, findings });
}

/** Asked at the start alone: who goes on has accepted before. @throws {KeyferryError} `plan.unaccepted` */
function assertAccepted(plan: PlanDocument, accept: readonly string[]): void {
  const open = plan.findings.filter((f) => f.accept && !accept.includes(f.code)).map(({ code }) => code);
  if (open.length > 0) throw new KeyferryError('plan.unaccepted', { plan: plan.plan, findings: open });
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
  { signal }: ApplyOptions,
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
  const onSettled = (added: ChunkCounts): void => {
    counts = addCounts(counts, added);
    const elapsedMs = engine.clock.monotonicMs() - startedAtMs;
    engine.host.emit({
      code: 'backfill.progress',
      data: { counts, total: plan.totals.scanned, chunksDone, chunksTotal, elapsedMs },
    });
  };
  const onChunkDone = (): void => {
    chunksDone += 1;
  };
  const deadRuns = new Set(session.lock.takenFrom === null ? [] : [session.lock.takenFrom]);
  const control = engine.target.control(spec.migration);
  const backfill = { engine, spec, plan, attempt, epoch, control, view, scope, deadRuns, onSettled, onChunkDone };
  await runBackfill(backfill, session.run, AbortSignal.any([signal, session.lock.lostSignal]));
  session.lock.assertHeld();
  assertNotStopped(spec.migration, signal);
  const summary = await summarizeChunks(engine, scope);
  await recordBackfilled(engine, spec, session, summary);
  return summary;
}

async function recordBackfilled(
  engine: Engine,
  spec: MigrationSpec,
  session: Session,
  { counts }: BackfillSummary,
): Promise<void> {
  const state = session.state as MigrationState;
  if (state.phase !== 'applying') return;
  const phase = session.after('backfilled', spec, 'apply');
  await session.write({ ...state, phase, counts, changedAtMs: engine.clock.nowMs() });
}

async function recordVerdict(engine: Engine, spec: MigrationSpec, session: Session, agree: boolean): Promise<void> {
  const state = session.state as MigrationState;
  const phase = session.after(agree ? 'verified' : 'differs', spec, 'apply');
  await session.write({ ...state, phase, changedAtMs: engine.clock.nowMs() });
}
