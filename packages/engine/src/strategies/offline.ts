/**
 * Strategy `offline`: writers of the source are stopped; copy, then prove.
 *
 *     check plan ─► lock ─► preflight, staleness ─► begin attempt ─► backfill ─► verify
 *                            └── skipped on a resume: its plan was checked before its first write ──┘
 *
 * Way back at every point: `rollback` removes what was created and nobody changed since. Writers that were not
 * stopped show up three times: as a stale plan before the first write, as a chunk whose digest moved, and as a source
 * whose permanent records are not the plan's any more when everything is done. The last two end in exit code 7.
 */
import {
  addCounts,
  addDigests,
  digestsEqual,
  emptyDigest,
  KeyferryError,
  type ChunkCounts,
  type Digest,
  type Fence,
  type MigrationState,
  type PlanDocument,
  type PlanReader,
} from '@keyferry/core';
import { registerChunks, runBackfill, summarizeChunks, type BackfillSummary } from '../backfill.ts';
import type { Engine, MigrationSpec } from '../migration.ts';
import { openViews } from '../pages.ts';
import { spansOf } from '../plan.ts';
import { preflight } from '../preflight.ts';
import { withRetry } from '../retry.ts';
import { withSession, type RunOptions, type Session } from '../session.ts';
import { SharedView } from '../shared-view.ts';
import { assertPlanFits, assertPlanHolds } from '../staleness.ts';
import { attemptScope, writeItem } from '../state-items.ts';
import { verify, type VerifyResult } from '../verify.ts';

export interface ApplyOptions extends RunOptions {
  /** Findings that the caller accepts by name. */
  readonly accept: readonly string[];
  /** The argument that names the plan or migration, for the next command. */
  readonly appliedAs: string;
}

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
  assertApproved(reader.plan, options.accept);
  return withSession(engine, spec, options, async (session) => {
    const resuming = isResume(session, reader.plan);
    assertPlanFits(reader.plan, spec, engine.clock.nowMs(), resuming);
    const begun = resuming
      ? await goOn(engine, spec, session, reader)
      : await begin(engine, spec, session, reader, options);
    const summary = await backfillAndClose(engine, spec, reader.plan, session, begun, options);
    const verified = await verify(engine, spec, reader.plan);
    const deviations = deviationsOf(reader.plan, summary, verified, await plannedPermanent(reader));
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

function assertApproved(plan: PlanDocument, accept: readonly string[]): void {
  const blocking = plan.findings.filter(({ level }) => level === 'blocking').map(({ code }) => code);
  if (!plan.applyable) {
    throw new KeyferryError('plan.not-applyable', { plan: plan.plan, migration: plan.migration, findings: blocking });
  }
  const open = plan.findings.filter((f) => f.accept && !accept.includes(f.code)).map(({ code }) => code);
  if (open.length > 0) throw new KeyferryError('plan.unaccepted', { plan: plan.plan, findings: open });
}

/** A started attempt of this very plan goes on; one of another plan must be ended first. */
function isResume({ state }: Session, plan: PlanDocument): boolean {
  if (state === null) return false;
  if (state.plan === plan.plan) return ['applying', 'applied', 'verified'].includes(state.phase);
  if (state.phase !== 'applying') return false;
  throw new KeyferryError('plan.other-in-progress', {
    plan: plan.plan,
    migration: plan.migration,
    running: state.plan,
  });
}

interface Begun {
  readonly attempt: number;
  readonly epoch: Fence;
  readonly resumed: boolean;
  readonly view: SharedView;
}

async function begin(
  engine: Engine,
  spec: MigrationSpec,
  session: Session,
  reader: PlanReader,
  options: ApplyOptions,
): Promise<Begun> {
  const phase = session.after('start', spec, 'apply');
  const { plan } = reader;
  const { findings } = await preflight(engine, spec);
  const blocking = findings.filter(({ level }) => level === 'blocking').map(({ code }) => code);
  if (blocking.length > 0) {
    throw new KeyferryError('plan.not-applyable', { plan: plan.plan, migration: plan.migration, findings: blocking });
  }
  const spans = spansOf(spec);
  const views = await openViews(engine, engine, spans);
  const view = new SharedView(engine, engine.source, spans.source, views.source);
  try {
    try {
      await assertPlanHolds(engine, spec, reader, views);
    } finally {
      await views.target.close();
    }
    const control = engine.target.control(spec.migration);
    const inTarget = await withRetry(engine, 'epoch', () => control.readEpoch());
    // One more than the state and the target know: an attempt's number is never used twice, even if either forgot.
    const attempt = Math.max(session.state?.attempt ?? 0, inTarget?.attempt ?? 0) + 1;
    const nowMs = engine.clock.nowMs();
    await writeItem(engine, 'plan', spec.migration, plan.plan, plan, 'absent');
    // The attempt is claimed for this plan first; chunks of another plan can then never be in its scope.
    await session.write({
      migration: spec.migration,
      phase,
      attempt,
      epochToken: 1,
      plan: plan.plan,
      appliedAs: options.appliedAs,
      run: session.run,
      startedAtMs: nowMs,
      changedAtMs: nowMs,
      counts: null,
      rolledBack: null,
    });
    const epoch = { attempt, token: 1 };
    await openAttempt(engine, spec, session, reader, epoch);
    return { attempt, epoch, resumed: false, view };
  } catch (error) {
    await view.close();
    throw error;
  }
}

async function goOn(engine: Engine, spec: MigrationSpec, session: Session, reader: PlanReader): Promise<Begun> {
  const state = session.state as MigrationState;
  const { attempt, epochToken: token } = state;
  await session.write({ ...state, run: session.run, changedAtMs: engine.clock.nowMs() });
  const epoch = { attempt, token };
  await openAttempt(engine, spec, session, reader, epoch);
  return { attempt, epoch, resumed: true, view: new SharedView(engine, engine.source, spansOf(spec).source, null) };
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
): Promise<void> {
  await ensureEpoch(engine, spec, epoch);
  await session.assertCurrent(spec);
  await registerChunks(engine, reader, spec.migration, epoch.attempt);
}

/** Raises the target's epoch to `epoch`; it being there already is what a resume finds. */
export async function ensureEpoch(engine: Engine, spec: MigrationSpec, epoch: Fence): Promise<void> {
  const control = engine.target.control(spec.migration);
  const raised = await withRetry(engine, 'raise epoch', () => control.raiseEpoch(epoch));
  if (raised.kind === 'raised') return;
  const { attempt, token } = raised.current;
  if (attempt === epoch.attempt && token === epoch.token) return;
  throw new KeyferryError('state.conflict', { what: `the epoch of ${spec.migration} in the target` });
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
  { attempt, epoch, resumed, view }: Begun,
  { signal }: ApplyOptions,
): Promise<BackfillSummary> {
  const scope = attemptScope(spec.migration, attempt);
  const startedAtMs = engine.clock.monotonicMs();
  const before = await summarizeChunks(engine, scope);
  const { chunksDone, chunksTotal } = before;
  engine.host.emit({
    code: 'apply.started',
    data: { plan: plan.plan, run: session.run, attempt, chunksTotal, chunksDone, resumed },
  });
  let counts = before.counts;
  const progress = (added: ChunkCounts): void => {
    counts = addCounts(counts, added);
    const elapsedMs = engine.clock.monotonicMs() - startedAtMs;
    engine.host.emit({
      code: 'backfill.progress',
      data: { counts, total: plan.totals.scanned, chunksDone, chunksTotal, elapsedMs },
    });
  };
  const deadRuns = new Set(session.lock.takenFrom === null ? [] : [session.lock.takenFrom]);
  const control = engine.target.control(spec.migration);
  const backfill = { engine, spec, plan, attempt, epoch, control, view, scope, deadRuns, progress };
  await runBackfill(backfill, session.run, AbortSignal.any([signal, session.lock.lostSignal]));
  session.lock.assertHeld();
  if (signal.aborted) {
    throw new KeyferryError('run.interrupted', { migration: spec.migration, signal: String(signal.reason) });
  }
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

/** What the plan said of the permanent records of the source, all chunks together. */
async function plannedPermanent(reader: PlanReader): Promise<Digest> {
  let sum = emptyDigest;
  for await (const chunks of reader.readChunks()) for (const { permanent } of chunks) sum = addDigests(sum, permanent);
  return sum;
}

function deviationsOf(
  plan: PlanDocument,
  { counts, moved }: BackfillSummary,
  verified: VerifyResult,
  permanent: Digest,
): readonly string[] {
  const deviations: string[] = [];
  const { actions } = plan.totals;
  if (verified.verdict === 'differ') deviations.push(`${verified.differencesTotal} keys differ between the sides`);
  if (moved.length > 0) deviations.push(`the source changed while it was copied: chunks ${moved.join(', ')}`);
  if (!digestsEqual(verified.sourcePermanent, permanent)) deviations.push('the source is not as the plan saw it');
  if (counts.deadLetters > 0) deviations.push(`${counts.deadLetters} records could not be written`);
  if (counts.tombstoned > 0) deviations.push(`${counts.tombstoned} keys were deleted in the target meanwhile`);
  if (counts.kept !== actions.conflict.keys) {
    deviations.push(`${counts.kept} keys hold another value in the target, planned were ${actions.conflict.keys}`);
  }
  // Fewer writes than planned are explained by keys that expired; more, or others, are not.
  const unexplained = actions.create.keys - counts.written - (plan.totals.expiring > 0 ? plan.totals.expiring : 0);
  if (counts.written > actions.create.keys || unexplained > 0) {
    deviations.push(`${counts.written} keys were written, planned were ${actions.create.keys}`);
  }
  return deviations;
}
