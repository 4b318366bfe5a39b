/**
 * Rollback of an offline run: removes from the target what the migration created and nobody changed since, then its
 * own control keys. The epoch is raised first, so that no worker of the run can write behind it.
 *
 * It goes by what the attempts wrote, not by what the configuration says today: with another target or prefix it would
 * remove nothing and then forget what there was to remove.
 */
import {
  countText,
  keyFromJson,
  KeyferryError,
  keyToJson,
  prefixRange,
  type CreatedRecord,
  type Key,
  type Fence,
  type KeyJson,
  type MigrationState,
  type RollbackCounts,
  type TargetControl,
  type MigrationSpec,
} from '@keyferry/core';
import { assertNotOvertaken, ensureEpoch } from './epoch.ts';
import { recordHistory } from './events.ts';
import { assertNotStopped, pageKeysMax, type Engine } from './migration.ts';
import { iterateWithRetry, withRetry } from './retry.ts';
import { withSession, type RunOptions, type Session } from './session.ts';

export interface RollbackResult {
  readonly run: string;
  readonly counts: RollbackCounts;
  /** Records that the attempts since the last rollback wrote; null when one of them never came to its end. */
  readonly written: number | null;
  /** Written and not removed: changed since, or expired. Null where `written` is, and after a rollback that died. */
  readonly left: number | null;
  /** The first of those that somebody changed while the rollback ran. */
  readonly changedKeys: readonly KeyJson[];
  readonly elapsedMs: number;
}

const changedKeysNamed = 20;

export async function rollBack(engine: Engine, spec: MigrationSpec, options: RunOptions): Promise<RollbackResult> {
  const startedAtMs = engine.clock.monotonicMs();
  return withSession(engine, spec, options, async (session) => {
    const phase = session.after('roll-back', spec, 'rollback');
    const state = session.state as MigrationState;
    await assertWroteHere(engine, spec, state);
    await assertNotOvertaken(engine, spec, { attempt: state.attempt, token: state.epochToken });
    assertNotStopped(spec.migration, options.signal);
    const epoch = { attempt: state.attempt, token: state.epochToken + 1 };
    await session.write({
      ...state,
      phase,
      epochToken: epoch.token,
      run: session.run,
      rolledBack: state.rolledBack ?? { removed: 0, changed: 0 },
      changedAtMs: engine.clock.nowMs(),
    });
    await ensureEpoch(engine, spec, epoch);
    const removal = new Removal(engine, spec, session, options, epoch);
    for (const prefix of state.wrote.prefixes) await removal.removeUnder(keyFromJson(prefix));
    const control = engine.target.control(spec.migration);
    await withRetry(engine, 'drop control keys', () => control.dropControl(epoch));
    const done = session.after('rolled-back', spec, 'rollback');
    await session.write({ ...(session.state as MigrationState), phase: done, changedAtMs: engine.clock.nowMs() });
    const message = `rolled back: ${countText(removal.counts.removed)} removed, ${countText(removal.counts.changed)} left`;
    const by = options.holder;
    await recordHistory(engine, spec.migration, { type: 'rolled-back', message, run: session.run, by });
    const written = state.counts === null ? null : state.wrote.before + state.counts.written;
    const { counts, changedKeys } = removal;
    const repeated = state.rolledBack !== null;
    return {
      run: session.run,
      counts,
      written,
      left: written === null || repeated ? null : Math.max(0, written - counts.removed),
      changedKeys,
      elapsedMs: engine.clock.monotonicMs() - startedAtMs,
    };
  });
}

/** @throws {KeyferryError} `plan.mismatch` when the target is not the one that was written to. */
async function assertWroteHere(engine: Engine, spec: MigrationSpec, { wrote, plan }: MigrationState): Promise<void> {
  const { identity } = await withRetry(engine, 'describe target', () => engine.target.describe());
  if (wrote.identity === null || identity === null || wrote.identity === identity) return;
  const what = [`the target that was written to is ${wrote.identity}, this one is ${identity}`];
  throw new KeyferryError('plan.mismatch', { plan, migration: spec.migration, what });
}

class Removal {
  readonly changedKeys: KeyJson[] = [];
  private readonly engine: Engine;
  private readonly spec: MigrationSpec;
  private readonly session: Session;
  private readonly options: RunOptions;
  private readonly epoch: Fence;
  private readonly control: TargetControl;

  constructor(engine: Engine, spec: MigrationSpec, session: Session, options: RunOptions, epoch: Fence) {
    this.engine = engine;
    this.spec = spec;
    this.session = session;
    this.options = options;
    this.epoch = epoch;
    this.control = engine.target.control(spec.migration);
  }

  get counts(): RollbackCounts {
    return this.session.state?.rolledBack ?? { removed: 0, changed: 0 };
  }

  /** What was removed is listed no more, so after a failure the list is simply read again. */
  async removeUnder(prefix: Key): Promise<void> {
    const list = () => this.control.listCreated(prefixRange(prefix), { pageKeysMax });
    for await (const page of iterateWithRetry(this.engine, 'list created', list)) await this.removePage(page);
  }

  private async removePage(page: readonly CreatedRecord[]): Promise<void> {
    const { engine, session, epoch, control } = this;
    session.lock.assertHeld();
    assertNotStopped(this.spec.migration, this.options.signal);
    const outcomes = await withRetry(engine, 'remove', () => control.removeCreated(page, epoch));
    let { removed, changed } = this.counts;
    for (const [i, outcome] of outcomes.entries()) {
      if (outcome !== 'changed') {
        removed += 1;
        continue;
      }
      changed += 1;
      const record = page[i];
      if (record !== undefined && this.changedKeys.length < changedKeysNamed) {
        this.changedKeys.push(keyToJson(record.key));
      }
    }
    await session.write({ ...(session.state as MigrationState), rolledBack: { removed, changed } });
    engine.host.emit({ code: 'rollback.progress', data: { removed, changed } });
  }
}
