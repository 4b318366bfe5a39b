/**
 * Strategy `dual-read`, `cutover`: from `migrating` to `settled`, where nobody asks the source any more.
 *
 *     verify once more ─► settled ─►▌ the epoch of the target is raised
 *
 * What was verified by apply is verified again, because applications went on since and a stray write may have come. No write
 * is held. Way back: `rollback`, as before; if the barrier does not hold in time, back to `migrating`.
 */
import { KeyferryError, type MigrationSpec, type NextStep } from '@keyferry/core';
import { recordVerdict } from '../../backfill-run.ts';
import { recordHistory } from '../../events.ts';
import { appliedPlan } from '../../finalize.ts';
import type { Engine } from '../../migration.ts';
import { assertPlanFits } from '../../plan-fits.ts';
import { withSession, type RunOptions } from '../../session.ts';
import type { OnlineOptions } from './apply.ts';
import { confirmGone } from '../../confirm-gone.ts';
import { onlineParts } from './online.ts';
import { assertNoStrays } from './strays.ts';
import { SwitchWatch } from './switch-watch.ts';
import { obstaclesIn, verifyOnline, type OnlineVerification } from './verify-online.ts';
import { outcomeOf, refusal, walk, type OnlineOutcome } from './walk.ts';

export interface OnlineCutoverResult {
  readonly run: string;
  readonly online: OnlineOutcome & NextStep;
  /** Null: it was settled already. */
  readonly verify: OnlineVerification | null;
  readonly elapsedMs: number;
}

/**
 * @throws {KeyferryError} `cutover.not-proven`, `source.stray-write`, `barrier.timed-out`: applications go on in `migrating`;
 *   `phase.not-allowed` unless it is migrating and was verified, or settled.
 */
export async function cutOverDualRead(
  engine: Engine,
  spec: MigrationSpec,
  options: RunOptions & OnlineOptions,
): Promise<OnlineCutoverResult> {
  const startedAtMs = engine.clock.monotonicMs();
  const parts = onlineParts(engine, spec);
  const { migration } = spec;
  return await withSession(engine, spec, options, async (session) => {
    const { rung } = await new SwitchWatch(engine, spec, parts).look();
    const isVerified = session.phase === 'verified' || session.phase === 'applied';
    if (!isVerified || (rung.mode !== 'migrating' && rung.mode !== 'settled')) {
      throw refusal(spec.migration, session, rung, 'cutover');
    }
    const plan = await appliedPlan(engine, session);
    await assertPlanFits(engine, plan, spec, { resuming: true });
    await confirmGone(engine, parts.place, parts.place.where, options.confirmGone);
    const found: { verification: OnlineVerification | null } = { verification: null };
    const { run } = session;
    const walked = await walk({ engine, spec, parts, session, options }, 'cutover', {
      verify: async ({ record }) => {
        const frozenAt = record?.frozenAt ?? null;
        const verification = await verifyOnline(engine, spec, parts, plan, frozenAt, options.signal);
        found.verification = verification;
        await recordVerdict(engine, spec, session, verification.verdict === 'agree');
        assertNoStrays(spec, verification, frozenAt);
        const what = obstaclesIn(verification);
        if (what.length > 0) throw new KeyferryError('cutover.not-proven', { migration, what });
        return true;
      },
      fence: async () => ({}),
    });
    const message = 'cut over: no instance asks the source any more';
    await recordHistory(engine, migration, { type: 'cut-over', message, run, by: options.holder });
    const elapsedMs = engine.clock.monotonicMs() - startedAtMs;
    return { run, online: outcomeOf(session, spec, walked), verify: found.verification, elapsedMs };
  });
}
