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
  countText,
  type ChunkCounts,
  type MetChange,
  type MigrationState,
  type PlanDocument,
  type PlanReader,
  type MigrationSpec,
  type TakenBackup,
} from '@keyferry/core';
import { assertApplyable, startAttempt, type ApplyOptions, type Attempt } from '../attempt.ts';
import { assertAllTaken, recordBackfilled, runPlannedBackfill } from '../backfill-run.ts';
import { summarizeChunks, type BackfillSummary } from '../backfill-summary.ts';
import { deviationsOf } from '../deviations.ts';
import { assertNotStopped, type Engine } from '../migration.ts';
import { recordHistory } from '../events.ts';
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
