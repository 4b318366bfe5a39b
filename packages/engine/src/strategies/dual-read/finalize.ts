/**
 * Strategy `dual-read`, `finalize`: from `settled` to `normal`, the point of no return.
 *
 *     verify ─► state: finalizing, epoch raised ─► normal ─►▌ done marker ─► tombstones, origins, fences, marks dropped ─► finalized
 *
 * From `normal` on deletes leave no tombstone, so nobody could carry them back: the only thing that may happen to a barrier
 * that does not hold is to go back to `settled` and to try again. Tombstones go last (SPEC R31). A stray write in the source
 * is too late to stop anything: it is told with its key, and the target stays right.
 */
import {
  doneFormat,
  doneFormatVersion,
  doneMarkerToText,
  instantText,
  KeyferryError,
  type DoneMarker,
  type MigrationSpec,
  type MigrationState,
  type NextStep,
} from '@keyferry/core';
import { summarizeChunks } from '../../backfill-summary.ts';
import { endFeed } from '../../end-feed.ts';
import { recordHistory } from '../../events.ts';
import { appliedPlan, doneSide, type FinalizeOptions, type FinalizeResult } from '../../finalize.ts';
import type { Engine } from '../../migration.ts';
import { assertPlanFits } from '../../plan-fits.ts';
import { withRetry } from '../../retry.ts';
import { withSession, type Session } from '../../session.ts';
import { attemptScope } from '../../state-items.ts';
import type { OnlineOptions } from './apply.ts';
import { confirmGone } from '../../confirm-gone.ts';
import { onlineParts } from './online.ts';
import { SwitchWatch } from './switch-watch.ts';
import { verifyOnline, type OnlineVerification } from './verify-online.ts';
import { outcomeOf, refusal, walk, type OnlineOutcome } from './walk.ts';

export interface OnlineFinalizeResult extends FinalizeResult {
  readonly online: OnlineOutcome & NextStep;
}

/**
 * @throws {KeyferryError} `finalize.not-proven`, `phase.not-allowed` unless it is settled; `barrier.timed-out`: applications go on
 *   in `settled`, and finalize is what is left to do.
 */
export async function finalizeDualRead(
  engine: Engine,
  spec: MigrationSpec,
  options: FinalizeOptions & OnlineOptions,
): Promise<OnlineFinalizeResult> {
  const startedAtMs = engine.clock.monotonicMs();
  const parts = onlineParts(engine, spec);
  const { migration } = spec;
  return await withSession(engine, spec, options, async (session) => {
    session.after('finalize', spec, 'finalize');
    const resumed = session.phase === 'finalizing';
    const { rung } = await new SwitchWatch(engine, spec, parts).look();
    if (rung.mode !== 'settled' && rung.mode !== 'normal') throw refusal(spec.migration, session, rung, 'finalize');
    const plan = await appliedPlan(engine, session);
    await assertPlanFits(engine, plan, spec, { resuming: true });
    await confirmGone(engine, parts.place, parts.place.where, options.confirmGone);
    const walked = await walk({ engine, spec, parts, session, options }, 'finalize', {
      fence: async ({ record }) => {
        if (session.phase === 'finalizing') return {};
        const frozenAt = record?.frozenAt ?? null;
        const verified = await verifyOnline(engine, spec, parts, plan, frozenAt, options.signal);
        if (verified.differencesTotal > 0) {
          const what = [`${verified.differencesTotal} keys of the source are not in the target as they must be`];
          throw new KeyferryError('finalize.not-proven', { migration, what });
        }
        const phase = session.after('finalize', spec, 'finalize');
        return { phase, done: await markerOf(engine, spec, session, { plan, verified, by: options.by }) };
      },
      cleanUp: async () => {
        const state = session.state as MigrationState;
        const epoch = { attempt: state.attempt, token: state.epochToken };
        const control = engine.target.control(migration);
        const text = doneMarkerToText(state.done as DoneMarker);
        await withRetry(engine, 'done marker', () => control.writeDone(text, epoch));
        await withRetry(engine, 'drop control keys', () => control.dropControl(epoch));
        await endFeed(engine, spec.sourceStore, parts.source.moves);
      },
    });
    const state = session.state as MigrationState;
    const phase = session.after('finalized', spec, 'finalize');
    await session.write({ ...state, phase, run: session.run, changedAtMs: engine.clock.nowMs() });
    const marker = state.done as DoneMarker;
    const message = `finalized plan ${marker.plan}: ${marker.target.digest.count} records proven equal on both sides before applications wrote on`;
    await recordHistory(engine, migration, { type: 'finalized', message, run: session.run, by: options.by });
    const elapsedMs = engine.clock.monotonicMs() - startedAtMs;
    return { run: session.run, marker, resumed, online: outcomeOf(session, spec, walked), elapsedMs };
  });
}

interface Proof {
  readonly plan: Awaited<ReturnType<typeof appliedPlan>>;
  readonly verified: OnlineVerification;
  readonly by: string;
}

async function markerOf(
  engine: Engine,
  { migration, keyferryVersion }: MigrationSpec,
  { state, run }: Session,
  { plan, verified, by }: Proof,
): Promise<DoneMarker> {
  const { attempt, startedAtMs } = state as MigrationState;
  const { counts } = await summarizeChunks(engine, attemptScope(migration, attempt));
  return {
    format: doneFormat,
    formatVersion: doneFormatVersion,
    keyferryVersion,
    migration,
    plan: plan.plan,
    attempt,
    run,
    by,
    startedAt: instantText(startedAtMs),
    finalizedAt: instantText(engine.clock.nowMs()),
    source: doneSide(plan.source, verified.sourcePosition, verified.source),
    target: doneSide(plan.target, verified.targetPosition, verified.target),
    counts,
  };
}
