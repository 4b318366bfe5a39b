/**
 * Rollback of an offline run: removes from the target what the migration created and nobody changed since, then its
 * own control keys. The epoch is raised first, so that no worker of the run can write behind it.
 */
import { keyForDisplay, prefixRange, type MigrationState, type RollbackCounts } from '@keyferry/core';
import { pageKeysMax, type Engine, type MigrationSpec } from './migration.ts';
import { withRetry } from './retry.ts';
import { withSession, type RunOptions, type Session } from './session.ts';
import { ensureEpoch } from './strategies/offline.ts';

export interface RollbackResult {
  readonly run: string;
  readonly counts: RollbackCounts;
  /** Records that apply had written, by its own count; null when it never came to its end. */
  readonly written: number | null;
  /**
   * Written by apply and not found as it wrote them: changed since, or expired. Left as they are. Null when that is not
   * known: apply never came to its end, or an earlier rollback was interrupted behind a removal that it had not counted.
   */
  readonly left: number | null;
  /** The first of those that somebody changed while the rollback ran. */
  readonly changedKeys: readonly string[];
  readonly elapsedMs: number;
}

const changedKeysNamed = 20;

export async function rollBack(engine: Engine, spec: MigrationSpec, options: RunOptions): Promise<RollbackResult> {
  const startedAtMs = engine.clock.monotonicMs();
  return withSession(engine, spec, options, async (session) => {
    const phase = session.after('roll-back', spec, 'rollback');
    const state = session.state as MigrationState;
    // Once more on a repeat: a worker may have been claimed by a rollback that died.
    const epochToken = state.epochToken + 1;
    const before = state.rolledBack ?? { removed: 0, changed: 0, absent: 0 };
    await session.write({
      ...state,
      phase,
      epochToken,
      run: session.run,
      rolledBack: before,
      changedAtMs: engine.clock.nowMs(),
    });
    const epoch = { attempt: state.attempt, token: epochToken };
    await ensureEpoch(engine, spec, epoch);
    const { counts, changedKeys } = await removeAll(engine, spec, session, before, epoch);
    const control = engine.target.control(spec.migration);
    await withRetry(engine, 'drop control keys', () => control.dropControl(epoch));
    const done = session.after('rolled-back', spec, 'rollback');
    await session.write({ ...(session.state as MigrationState), phase: done, changedAtMs: engine.clock.nowMs() });
    const written = state.counts?.written ?? null;
    return {
      run: session.run,
      counts,
      written,
      left: written === null || state.rolledBack !== null ? null : Math.max(0, written - counts.removed),
      changedKeys,
      elapsedMs: engine.clock.monotonicMs() - startedAtMs,
    };
  });
}

async function removeAll(
  engine: Engine,
  spec: MigrationSpec,
  session: Session,
  before: RollbackCounts,
  epoch: { readonly attempt: number; readonly token: number },
) {
  const control = engine.target.control(spec.migration);
  const changedKeys: string[] = [];
  let counts = before;
  for await (const page of control.listCreated(prefixRange(spec.rule.targetPrefix), { pageKeysMax })) {
    session.lock.assertHeld();
    const outcomes = await withRetry(engine, 'remove', () => control.removeCreated(page, epoch));
    const added = { removed: 0, changed: 0, absent: 0 };
    for (const [i, outcome] of outcomes.entries()) {
      added[outcome] += 1;
      const record = page[i];
      if (outcome === 'changed' && record !== undefined && changedKeys.length < changedKeysNamed) {
        changedKeys.push(keyForDisplay(record.key));
      }
    }
    counts = {
      removed: counts.removed + added.removed,
      changed: counts.changed + added.changed,
      absent: counts.absent + added.absent,
    };
    await session.write({ ...(session.state as MigrationState), rolledBack: counts });
    engine.host.emit({ code: 'rollback.progress', data: { removed: counts.removed, changed: counts.changed } });
  }
  return { counts, changedKeys };
}
