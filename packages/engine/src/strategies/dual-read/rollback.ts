/**
 * Strategy `dual-read`, `rollback`: everybody goes back to the source, with all that applications wrote since.
 *
 *     draining ─►▌ state: rolling back, epoch raised ─► drain: the target's last words into the source ─► returning ─►▌
 *              clear the target, with tombstones, origins and marks ─► legacy ─►▌ rolled back
 *
 * Writes are held from the first step to the last. Before `migrating` nothing was written in the target, and it is a step or
 * two. A rollback that was killed is simply run again: what it did is found done.
 */
import {
  countText,
  KeyferryError,
  nothingRolledBack,
  prefixRange,
  type MigrationSpec,
  type MigrationState,
  type NextStep,
  type RollbackCounts,
} from '@keyferry/core';
import { ensureEpoch } from '../../epoch.ts';
import { recordHistory } from '../../events.ts';
import { assertNotStopped, pageKeysMax, type Engine } from '../../migration.ts';
import { scanPages } from '../../pages.ts';
import { withRetry } from '../../retry.ts';
import type { RollbackResult } from '../../rollback.ts';
import { withSession, type RunOptions, type Session } from '../../session.ts';
import type { OnlineOptions } from './apply.ts';
import { confirmGone } from '../../confirm-gone.ts';
import { drain, type Drained } from './drain.ts';
import { onlineParts } from './online.ts';
import { outcomeOf, walk, type OnlineOutcome } from './walk.ts';

/** `counts.removed`: all that was under the prefix of the target, copies and what applications wrote. */
export interface OnlineRollbackResult extends RollbackResult {
  readonly online: OnlineOutcome & NextStep;
  /** What applications had done in the target, and was done in the source now; by this run. */
  readonly drained: Drained;
}

/**
 * @throws {KeyferryError} `switch.no-way-back`: applications follow a key by themselves. `barrier.timed-out`: of `draining`, back to where it came from; of the others, writes are held on until it
 *   is run again. `phase.not-allowed` once `normal` was announced, or when there is nothing to roll back.
 */
export async function rollBackDualRead(
  engine: Engine,
  spec: MigrationSpec,
  options: RunOptions & OnlineOptions,
): Promise<OnlineRollbackResult> {
  const startedAtMs = engine.clock.monotonicMs();
  const parts = onlineParts(engine, spec);
  const { migration } = spec;
  if (parts.terms.followedBy === 'time') {
    throw new KeyferryError('switch.no-way-back', { migration, where: parts.place.where });
  }
  return await withSession(engine, spec, options, async (session) => {
    session.after('roll-back', spec, 'rollback');
    await confirmGone(engine, parts.place, parts.place.where, options.confirmGone);
    const takenOver = session.phase === 'rolling-back';
    let drained: Drained = { put: 0, deleted: 0 };
    const walked = await walk({ engine, spec, parts, session, options }, 'rollback', {
      fence: async () => ({
        phase: session.after('roll-back', spec, 'rollback'),
        rolledBack: session.state?.rolledBack ?? nothingRolledBack,
      }),
      drain: async () => {
        drained = await drain(engine, spec, parts, { lock: session.lock, takenOver, signal: options.signal });
      },
      clear: () => clearTarget(engine, spec, session, options),
    });
    await endRollback(engine, spec, session);
    const counts = (session.state as MigrationState).rolledBack ?? nothingRolledBack;
    const message =
      `rolled back: ${countText(drained.put)} written and ${countText(drained.deleted)} deleted in the source, ` +
      `${countText(counts.removed)} removed from the target`;
    await recordHistory(engine, migration, { type: 'rolled-back', message, run: session.run, by: options.holder });
    return {
      run: session.run,
      online: outcomeOf(session, spec, walked),
      drained,
      counts,
      written: null,
      unrestorable: 0,
      left: null,
      backups: session.state?.backups ?? [],
      changedKeys: [],
      elapsedMs: engine.clock.monotonicMs() - startedAtMs,
    };
  });
}

/** Under `returning` nobody reads or writes the target: what is under the prefix goes, whoever wrote it, then its tombstones. */
async function clearTarget(
  engine: Engine,
  spec: MigrationSpec,
  session: Session,
  { signal }: RunOptions,
): Promise<void> {
  const control = engine.target.control(spec.migration);
  const range = prefixRange(spec.rule.targetPrefix);
  for (;;) {
    const view = await withRetry(engine, 'open target', () => engine.target.openView(range));
    let seen = 0;
    try {
      for await (const { records } of scanPages(engine, view, range, signal)) {
        assertNotStopped(spec.migration, signal);
        session.lock.assertHeld();
        seen += records.length;
        await removePage(engine, session, control, records);
      }
    } finally {
      await view.close();
    }
    if (seen === 0) break;
  }
  const { attempt, epochToken } = session.state as MigrationState;
  await withRetry(engine, 'drop control keys', () => control.dropControl({ attempt, token: epochToken }));
}

async function removePage(
  engine: Engine,
  session: Session,
  control: ReturnType<Engine['target']['control']>,
  records: Parameters<typeof control.removeCreated>[0],
): Promise<void> {
  const state = session.state as MigrationState;
  const epoch = { attempt: state.attempt, token: state.epochToken };
  const page = records.slice(0, pageKeysMax).map(({ key, version }) => ({ key, version }));
  const outcomes = await withRetry(engine, 'remove', () => control.removeCreated(page, epoch));
  const before: RollbackCounts = state.rolledBack ?? nothingRolledBack;
  const rolledBack = { ...before, removed: before.removed + outcomes.filter((each) => each === 'removed').length };
  await session.write({ ...state, rolledBack });
  engine.host.emit({ code: 'rollback.progress', data: rolledBack });
}

/** Also where nothing was ever written: the attempt's number and epoch stay used, its control keys go. */
async function endRollback(engine: Engine, spec: MigrationSpec, session: Session): Promise<void> {
  const nowMs = (): number => engine.clock.nowMs();
  if (session.phase !== 'rolling-back') {
    const phase = session.after('roll-back', spec, 'rollback');
    const before = session.state as MigrationState;
    const rolledBack = before.rolledBack ?? nothingRolledBack;
    const epochToken = before.epochToken + 1;
    await session.write({ ...before, phase, rolledBack, epochToken, run: session.run, changedAtMs: nowMs() });
  }
  const state = session.state as MigrationState;
  const epoch = { attempt: state.attempt, token: state.epochToken };
  await ensureEpoch(engine, spec, epoch);
  const control = engine.target.control(spec.migration);
  await withRetry(engine, 'drop control keys', () => control.dropControl(epoch));
  const phase = session.after('rolled-back', spec, 'rollback');
  await session.write({ ...state, phase, changedAtMs: nowMs() });
}
