/**
 * Finalize: the named point of no return of an offline migration.
 *
 *     verified ─► epoch raised ─► proven again ─► state: finalizing ─► done marker ─► control keys dropped ─► finalized
 *                 └── the way back is still open ──┘└────────────────── from here on, only forward ───────────┘
 *
 * The epoch goes first, so that no sleeper of the migration can write behind the proof. The proof is the one that apply
 * ended with: members of the source agree before and after, nothing differs, and the source's permanent records are
 * the plan's (online-protocol, `offline`: the marker is written only if nothing moved since preflight). What was proven
 * is put into the state before the first irreversible step: a kill after that goes on with the same marker and asks for
 * no second proof, which could not be had once applications write to the target.
 *
 * `reopen` is the explicit way to clear the marker. What finalize dropped does not come back: records of that attempt
 * can never be rolled back; the next plan finds them as equal.
 */
import {
  doneFormat,
  doneFormatVersion,
  instantText,
  KeyferryError,
  doneMarkerToText,
  type DoneMarker,
  type Fence,
  type MigrationId,
  type PlanId,
  type RunId,
  type MigrationSpec,
  type MigrationState,
  type PlanDocument,
  type PlannedSide,
  type Digest,
} from '@keyferry/core';
import { summarizeChunks } from './backfill-summary.ts';
import { removeBeforeImages } from './before-images.ts';
import { deviationsOf } from './deviations.ts';
import { readDoneMarker } from './done-marker.ts';
import { assertNotOvertaken, assertSameEpoch, ensureEpoch } from './epoch.ts';
import { recordHistory } from './events.ts';
import { assertNotStopped, type Engine, type Environment } from './migration.ts';
import { assertPlanFits } from './plan-fits.ts';
import { membersFinding } from './preflight.ts';
import { withRetry } from './retry.ts';
import { RunRecorder } from './run-record.ts';
import { withSession, type RunOptions, type Session } from './session.ts';
import { attemptScope, migrationsScope } from './state-items.ts';
import { verify } from './verify.ts';

export interface FinalizeOptions extends RunOptions {
  /** Who ends it, for the marker: `user@host, pid N`. */
  readonly by: string;
}

export interface FinalizeResult {
  readonly run: string;
  readonly marker: DoneMarker;
  /** An earlier run had proven it and was stopped: this one went on from there. */
  readonly resumed: boolean;
  readonly elapsedMs: number;
}

/**
 * @throws {KeyferryError} `finalize.not-proven`, saying what moved: nothing was changed then but the epoch;
 * `phase.not-allowed` unless the migration is verified; `migration.finalized` when it is over already.
 */
export async function finalize(engine: Engine, spec: MigrationSpec, options: FinalizeOptions): Promise<FinalizeResult> {
  const startedAtMs = engine.clock.monotonicMs();
  return withSession(engine, spec, options, async (session) => {
    session.after('finalize', spec, 'finalize');
    const resumed = session.phase === 'finalizing';
    const plan = await appliedPlan(engine, session);
    await assertPlanFits(engine, plan, spec, { resuming: true });
    if (!resumed) await prove(engine, spec, session, plan, options);
    assertNotStopped(spec.migration, options.signal);
    const state = session.state as MigrationState;
    const marker = state.done as DoneMarker;
    const epoch = { attempt: state.attempt, token: state.epochToken };
    await ensureEpoch(engine, spec, epoch);
    const control = engine.target.control(spec.migration);
    await withRetry(engine, 'done marker', () => control.writeDone(doneMarkerToText(marker), epoch));
    await withRetry(engine, 'drop control keys', () => control.dropControl(epoch));
    // There is no way back that would need them, and they hold values.
    for (const attempt of state.wrote.attempts) {
      await removeBeforeImages(engine, attemptScope(spec.migration, attempt));
    }
    session.lock.assertHeld();
    const phase = session.after('finalized', spec, 'finalize');
    await session.write({ ...state, phase, run: session.run, changedAtMs: engine.clock.nowMs() });
    const message = `finalized plan ${marker.plan}: ${marker.target.digest.count} records proven equal on both sides`;
    await recordHistory(engine, spec.migration, { type: 'finalized', message, run: session.run, by: options.by });
    return { run: session.run, marker, resumed, elapsedMs: engine.clock.monotonicMs() - startedAtMs };
  });
}

export async function appliedPlan(engine: Engine, { state }: Session): Promise<PlanDocument> {
  const { migration, plan } = state as MigrationState;
  const entry = await withRetry(engine, 'plan', () => engine.state.read('plan', migration, plan));
  if (entry !== null) return entry.item;
  throw new KeyferryError('finalize.not-proven', { migration, what: ['the state does not hold its plan'] });
}

/** From `verified` to `finalizing`, if everything still is as it was. */
async function prove(
  engine: Engine,
  spec: MigrationSpec,
  session: Session,
  plan: PlanDocument,
  options: FinalizeOptions,
): Promise<void> {
  const { migration } = spec;
  const before = session.state as MigrationState;
  await assertNotOvertaken(engine, spec, { attempt: before.attempt, token: before.epochToken });
  assertNotStopped(migration, options.signal);
  const epoch = { attempt: before.attempt, token: before.epochToken + 1 };
  const raised = { ...before, epochToken: epoch.token, run: session.run };
  await session.write({ ...raised, changedAtMs: engine.clock.nowMs() });
  await ensureEpoch(engine, spec, epoch);
  await session.assertCurrent(spec);

  const summary = await summarizeChunks(engine, attemptScope(migration, before.attempt));
  const what: string[] = [];
  what.push(...(await apartMembers(engine)));
  const facts = {
    run: session.run,
    command: 'finalize',
    plan: plan.plan,
    attempt: before.attempt,
    by: options.by,
  } as const;
  const recorder = new RunRecorder(engine, migration, facts);
  const verified = await recorder.during(
    async () => {
      const result = await verify(engine, spec, plan, options.signal);
      what.push(...deviationsOf(plan, summary, result), ...(await apartMembers(engine)));
      recorder.verified(result, what);
      return result;
    },
    () => (what.length === 0 ? 'done' : 'deviated'),
  );
  session.lock.assertHeld();
  const nowMs = engine.clock.nowMs();
  if (what.length > 0) {
    const phase = session.after('differs', spec, 'finalize');
    await session.write({ ...raised, phase, changedAtMs: nowMs });
    const run = session.run;
    await recordHistory(engine, migration, { type: 'finalize.refused', message: what.join('; '), run, by: options.by });
    throw new KeyferryError('finalize.not-proven', { migration, what });
  }
  const done: DoneMarker = {
    format: doneFormat,
    formatVersion: doneFormatVersion,
    keyferryVersion: spec.keyferryVersion,
    migration,
    plan: plan.plan,
    attempt: before.attempt,
    run: session.run,
    by: options.by,
    startedAt: instantText(before.startedAtMs),
    finalizedAt: instantText(nowMs),
    source: doneSide(plan.source, verified.sourcePosition, verified.source),
    target: doneSide(plan.target, verified.targetPosition, verified.target),
    counts: summary.counts,
  };
  const phase = session.after('finalize', spec, 'finalize');
  await session.write({ ...raised, phase, done, changedAtMs: nowMs });
}

async function apartMembers(engine: Engine): Promise<readonly string[]> {
  const apart = await membersFinding(engine);
  return apart === null ? [] : [apart.detail];
}

export const doneSide = ({ store, prefix }: PlannedSide, position: string, digest: Digest) => ({
  store,
  prefix,
  position,
  digest,
});

/** The marker of a migration that this state says is over, by this very plan if one is named; null else. */
export async function alreadyDone(
  env: Environment,
  migration: MigrationId,
  plan: PlanId | null,
): Promise<DoneMarker | null> {
  const entry = await withRetry(env, 'state', () => env.state.read('migration', migrationsScope, migration));
  if (entry === null || entry.item.phase !== 'finalized') return null;
  return plan === null || plan === entry.item.plan ? entry.item.done : null;
}

export interface ReopenResult {
  readonly run: string;
  /** The marker that was taken away. */
  readonly marker: DoneMarker;
  readonly plan: PlanDocument['plan'];
}

/**
 * Takes the done marker away, so that the migration may be planned and applied once more. Also where the state knows of
 * nothing and the marker is all there is: the host that finalized it may be gone.
 * @throws {KeyferryError} `phase.not-allowed` unless it is finalized; `epoch.lost` when the target is another one.
 */
export async function reopen(engine: Engine, spec: MigrationSpec, options: FinalizeOptions): Promise<ReopenResult> {
  return withSession(engine, spec, options, async (session) => {
    const foreign = session.state === null ? await readDoneMarker(engine, spec.migration) : null;
    if (foreign !== null) return await reopenForeign(engine, spec, foreign, session.run, options);
    const phase = session.after('reopen', spec, 'finalize --reopen');
    const state = session.state as MigrationState;
    const marker = state.done as DoneMarker;
    const epoch = { attempt: state.attempt, token: state.epochToken };
    const control = engine.target.control(spec.migration);
    assertSameEpoch(spec.migration, epoch, await withRetry(engine, 'epoch', () => control.readEpoch()));
    await withRetry(engine, 'clear done marker', () => control.writeDone(null, epoch));
    await session.write({ ...state, phase, done: null, run: session.run, changedAtMs: engine.clock.nowMs() });
    return await reopened(engine, spec, marker, session.run, options);
  });
}

/** By the epoch that stands there, which no attempt has raised since the marker was written. */
async function reopenForeign(
  engine: Engine,
  spec: MigrationSpec,
  marker: DoneMarker,
  run: RunId,
  options: FinalizeOptions,
): Promise<ReopenResult> {
  const { migration } = spec;
  const control = engine.target.control(migration);
  const found = await withRetry(engine, 'epoch', () => control.readEpoch());
  if (found?.attempt !== marker.attempt) assertSameEpoch(migration, { attempt: marker.attempt, token: 1 }, found);
  await withRetry(engine, 'clear done marker', () => control.writeDone(null, found as Fence));
  return await reopened(engine, spec, marker, run, options);
}

async function reopened(
  engine: Engine,
  { migration }: MigrationSpec,
  marker: DoneMarker,
  run: RunId,
  { by }: FinalizeOptions,
): Promise<ReopenResult> {
  const message = `reopened: the done marker of ${marker.finalizedAt} was taken away`;
  await recordHistory(engine, migration, { type: 'reopened', message, run, by });
  return { run, marker, plan: marker.plan };
}
