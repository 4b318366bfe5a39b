/**
 * Strategy `dual-read`, `apply`: the application's instances hold their writes, the source is frozen, and they go on in the
 * target; what the source held is copied behind them and verified.
 *
 *     lock ─► does the plan fit? ─► the target is empty ─► state: applying ─► draining ─►▌ migrating ─► backfill ─► verify
 *
 * The plan is reviewed before the source is frozen, so it names what was there then; what is copied is the source as it was
 * frozen. Way back at every point: `rollback`, which carries what applications wrote since back into the source. Before
 * `migrating` there is nothing to carry: a barrier that does not hold, or an interrupt, puts everybody back to `legacy`.
 */
import {
  countText,
  firstRung,
  type MigrationSpec,
  type MigrationState,
  type NextStep,
  type PlanReader,
} from '@keyferry/core';
import { assertApplyable, startAttempt, type ApplyOptions } from '../../attempt.ts';
import { summarizeChunks } from '../../backfill-summary.ts';
import { backfillAndClose, recordVerdict } from '../../backfill-run.ts';
import { recordHistory } from '../../events.ts';
import type { Engine } from '../../migration.ts';
import { RunRecorder } from '../../run-record.ts';
import { withSession, type Session } from '../../session.ts';
import { SharedView } from '../../shared-view.ts';
import type { ApplyResult } from '../offline.ts';
import { openImage } from '../../image.ts';
import { attemptScope } from '../../state-items.ts';
import { confirmGone } from '../../confirm-gone.ts';
import { onlineParts, type OnlineParts } from './online.ts';
import { assertNoStrays } from './strays.ts';
import { SwitchWatch } from './switch-watch.ts';
import { obstaclesIn, verifyOnline, type OnlineVerification } from './verify-online.ts';
import { outcomeOf, refusal, walk, type OnlineOutcome } from './walk.ts';

/** Instances that the caller names gone for good. */
export interface OnlineOptions {
  readonly confirmGone: readonly string[];
}

/** done: every record of the source is in the target, or an application has written or deleted it there. */
export interface OnlineApplyResult extends ApplyResult {
  readonly verify: OnlineVerification;
  readonly online: OnlineOutcome & NextStep;
}

/**
 * @throws {KeyferryError} as `applyOffline`; `capability.missing`, `switch.other-migration`, `instance.unknown`: nothing was
 *   written then. `barrier.timed-out`: applications go on in the source. `source.stray-write`: they go on in `migrating`.
 */
export async function applyDualRead(
  engine: Engine,
  spec: MigrationSpec,
  reader: PlanReader,
  options: ApplyOptions & OnlineOptions,
): Promise<OnlineApplyResult> {
  const startedAtMs = engine.clock.monotonicMs();
  assertApplyable(reader.plan);
  const parts = onlineParts(engine, spec);
  return await withSession(engine, spec, options, async (session) => {
    await assertMayApply(engine, spec, parts, session);
    await confirmGone(engine, parts.place, parts.place.where, options.confirmGone);
    const begun = await startAttempt(engine, spec, session, reader, options);
    const { migration } = spec;
    const { plan } = reader.plan;
    const facts = { run: session.run, command: 'apply', plan, attempt: begun.attempt, by: options.holder } as const;
    const recorder = new RunRecorder(engine, migration, facts);
    const started = `${begun.resumed ? 'went on with' : 'started'} plan ${plan}, attempt ${begun.attempt}`;
    await recordHistory(engine, migration, { type: 'apply.started', message: started, ...facts });
    const found: { verification: OnlineVerification | null } = { verification: null };
    const backfill = async (): Promise<boolean> => {
      // Opened only now: the source is frozen, and read at or after its last write.
      const view = new SharedView(() => openImage(engine, spec, options.signal), null);
      await backfillAndClose(engine, spec, reader.plan, session, { ...begun, view }, recorder, options);
      return true;
    };
    return await recorder.during(
      async () => {
        await begun.view.close();
        const context = { engine, spec, parts, session, options };
        const walked = await walk(context, 'apply', {
          backfill,
          verify: async ({ record }) => {
            const frozenAt = record?.frozenAt ?? null;
            const verification = await verifyOnline(engine, spec, parts, reader.plan, frozenAt, options.signal);
            found.verification = verification;
            recorder.verified(verification, obstaclesIn(verification));
            const agrees = verification.verdict === 'agree';
            await recordVerdict(engine, spec, session, agrees);
            assertNoStrays(spec, verification, frozenAt);
            return agrees;
          },
        });
        const summary = await summarizeChunks(engine, attemptScope(migration, begun.attempt));
        const verification = found.verification as OnlineVerification;
        const deviations = obstaclesIn(verification);
        const outcome = walked.reached ? ('done' as const) : ('deviated' as const);
        const how = walked.reached ? 'as planned' : `not as planned: ${deviations.join('; ')}`;
        const ended = `applied plan ${plan}, ${countText(summary.counts.written)} written, ${how}; mode ${walked.mode}`;
        await recordHistory(engine, migration, { type: 'apply.ended', message: ended, ...facts });
        const elapsedMs = engine.clock.monotonicMs() - startedAtMs;
        const { written: migrated, deadLetters: failed } = summary.counts;
        engine.host.emit({ code: 'apply.ended', data: { outcome, elapsedMs, migrated, failed } });
        return {
          online: outcomeOf(session, spec, walked),
          met: [],
          plan: reader.plan,
          run: session.run,
          attempt: begun.attempt,
          resumed: begun.resumed,
          outcome,
          counts: summary.counts,
          verify: verification,
          deviations,
          backups: (session.state as MigrationState).backups ?? [],
          elapsedMs,
        };
      },
      ({ outcome }) => outcome,
    );
  });
}

/** Asked before the state is touched. @throws {KeyferryError} `phase.not-allowed`, `switch.other-migration` */
export async function assertMayApply(
  engine: Engine,
  spec: MigrationSpec,
  parts: OnlineParts,
  session: Session,
): Promise<void> {
  const { rung } = await new SwitchWatch(engine, spec, parts).look();
  const goesOn = rung.mode === 'migrating' || (rung.mode === 'draining' && rung.heldFrom === firstRung.mode);
  if (rung.mode === 'legacy' || (goesOn && session.phase !== 'rolling-back')) return;
  throw refusal(spec.migration, session, rung, 'apply');
}
