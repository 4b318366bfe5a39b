/**
 * Rollback of an offline run: what the migration overwrote or deleted is put back, what it created is removed, as far as
 * nobody changed it since; then its own control keys go. The epoch is raised first, so that no worker of the run can write
 * behind it.
 *
 *     epoch ─► before-images, newest attempt first ─► creations ─► control keys ─► images
 *
 * Newest first, because each attempt's images are of what the one before it left. Images before creations: a record may
 * have been created by one attempt and overwritten by the next. It goes by what the attempts wrote, not by what the
 * configuration says today: with another target or prefix it would find nothing and then forget what there was to undo.
 */
import {
  countText,
  keyFromJson,
  KeyferryError,
  keyToJson,
  nothingRolledBack,
  prefixRange,
  type CreatedRecord,
  type Key,
  type Fence,
  type KeyJson,
  type MigrationState,
  type Restoration,
  type RestoreOutcome,
  type RollbackCounts,
  type TakenBackup,
  type TargetControl,
  type MigrationSpec,
} from '@keyferry/core';
import { listBeforeImages, removeBeforeImages, unkeptChanges } from './before-images.ts';
import { assertNotOvertaken, ensureEpoch } from './epoch.ts';
import { recordHistory } from './events.ts';
import { tellKeys } from './key-messages.ts';
import { assertNotStopped, pageKeysMax, type Engine } from './migration.ts';
import { iterateWithRetry, withRetry } from './retry.ts';
import { withSession, type RunOptions, type Session } from './session.ts';
import { attemptScope } from './state-items.ts';

export interface RollbackResult {
  readonly run: string;
  readonly counts: RollbackCounts;
  /**
   * Records that the attempts since the last rollback created; null when one of them never came to its end, or is not known
   * to this state.
   */
  readonly written: number | null;
  /** Overwritten or deleted without a before-image: nothing brings them back. */
  readonly unrestorable: number;
  /**
   * Not as it was before: created and not removed, or overwritten or deleted and not restored, because somebody changed it
   * since, it expired, or there was no image of it. Null where `written` is, and after a rollback that died.
   */
  readonly left: number | null;
  /** Made before the first write; they hold what rollback could not bring back. */
  readonly backups: readonly TakenBackup[];
  /** The first of those that somebody changed. */
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
    const unrestorable = await unkeptChanges(engine, state);
    if (unrestorable > 0) engine.host.emit({ code: 'rollback.unrestorable', data: { count: unrestorable } });
    const epoch = { attempt: state.attempt, token: state.epochToken + 1 };
    await session.write({
      ...state,
      phase,
      epochToken: epoch.token,
      run: session.run,
      rolledBack: state.rolledBack ?? nothingRolledBack,
      changedAtMs: engine.clock.nowMs(),
    });
    await ensureEpoch(engine, spec, epoch);
    const undo = new Undo(engine, spec, session, options, epoch);
    await undo.restoreAll(state.wrote.attempts.toReversed());
    for (const prefix of state.wrote.prefixes) await undo.removeUnder(keyFromJson(prefix));
    const control = engine.target.control(spec.migration);
    await withRetry(engine, 'drop control keys', () => control.dropControl(epoch));
    for (const attempt of state.wrote.attempts) {
      await removeBeforeImages(engine, attemptScope(spec.migration, attempt));
    }
    const written = writtenSince(state);
    const { counts, changedKeys } = undo;
    const repeated = state.rolledBack !== null;
    const left = written === null || repeated ? null : leftAsItIs(written, unrestorable, counts);
    await session.write({
      ...(session.state as MigrationState),
      phase: session.after('rolled-back', spec, 'rollback'),
      rolledBack: { ...counts, ...(left !== null && { left }) },
      changedAtMs: engine.clock.nowMs(),
    });
    const message =
      `rolled back: ${countText(counts.removed)} removed, ${countText(counts.restored)} put back, ` +
      `${countText(left ?? counts.changed + counts.notRestored)} left`;
    const by = options.holder;
    await recordHistory(engine, spec.migration, { type: 'rolled-back', message, run: session.run, by });
    return {
      run: session.run,
      counts,
      written,
      unrestorable,
      left,
      changedKeys,
      backups: state.backups ?? [],
      elapsedMs: engine.clock.monotonicMs() - startedAtMs,
    };
  });
}

/** Records that the attempts since the last rollback created; null where that is not known. */
function writtenSince({ counts, wrote }: MigrationState): number | null {
  return counts === null || wrote.before === null ? null : wrote.before + counts.written;
}

function leftAsItIs(written: number, unrestorable: number, { removed, notRestored }: RollbackCounts): number {
  return Math.max(0, written - removed) + notRestored + unrestorable;
}

/** @throws {KeyferryError} `plan.mismatch` when the target is not the one that was written to. */
export async function assertWroteHere(
  engine: Engine,
  spec: MigrationSpec,
  { wrote, plan }: MigrationState,
): Promise<void> {
  const { identity } = await withRetry(engine, 'describe target', () => engine.target.describe());
  if (wrote.identity === null || identity === null || wrote.identity === identity) return;
  const what = [`the target that was written to is ${wrote.identity}, this one is ${identity}`];
  throw new KeyferryError('plan.mismatch', { plan, migration: spec.migration, what });
}

class Undo {
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
    return this.session.state?.rolledBack ?? nothingRolledBack;
  }

  /** @param attempts newest first. A rollback that died goes on where it was: what is done is not counted twice. */
  async restoreAll(attempts: readonly number[]): Promise<void> {
    for (const attempt of attempts) {
      const { restoredTo } = this.session.state as MigrationState;
      if (restoredTo !== null && restoredTo.attempt < attempt) continue;
      const after = restoredTo !== null && restoredTo.attempt === attempt ? restoredTo.item : null;
      const scope = attemptScope(this.spec.migration, attempt);
      for await (const { restorations, item } of listBeforeImages(this.engine, scope, after)) {
        await this.restore(restorations, item === null ? restoredTo : { attempt, item });
      }
    }
  }

  /** What was removed is listed no more, so after a failure the list is simply read again. */
  async removeUnder(prefix: Key): Promise<void> {
    const list = () => this.control.listCreated(prefixRange(prefix), { pageKeysMax });
    for await (const page of iterateWithRetry(this.engine, 'list created', list)) await this.removePage(page);
  }

  private async restore(restorations: readonly Restoration[], restoredTo: MigrationState['restoredTo']): Promise<void> {
    const { engine, epoch, control } = this;
    this.assertMayGoOn();
    const outcomes = await withRetry(engine, 'restore', () => control.restore(restorations, epoch));
    const counts = { ...this.counts };
    const settled: (readonly [Key, keyof RollbackCounts])[] = [];
    for (const [i, outcome] of outcomes.entries()) {
      const { undo, image } = restorations[i] as Restoration;
      const counted = restoreCounts(outcome, undo === 'delete' && image.origin === 'created');
      for (const count of counted) counts[count] += 1;
      settled.push(...counted.map((count) => [image.key, count] as const));
      if (outcome === 'changed') this.nameChanged(image.key);
    }
    await this.record(counts, restoredTo);
    tellKeys(engine.host, settled);
  }

  private async removePage(page: readonly CreatedRecord[]): Promise<void> {
    const { engine, epoch, control } = this;
    this.assertMayGoOn();
    const outcomes = await withRetry(engine, 'remove', () => control.removeCreated(page, epoch));
    const counts = { ...this.counts };
    const settled = outcomes.map((outcome, i) => {
      const { key } = page[i] as CreatedRecord;
      const counted = outcome === 'changed' ? ('changed' as const) : ('removed' as const);
      counts[counted] += 1;
      if (counted === 'changed') this.nameChanged(key);
      return [key, counted] as const;
    });
    await this.record(counts, (this.session.state as MigrationState).restoredTo);
    tellKeys(engine.host, settled);
  }

  private assertMayGoOn(): void {
    this.session.lock.assertHeld();
    assertNotStopped(this.spec.migration, this.options.signal);
  }

  private nameChanged(key: Key): void {
    if (this.changedKeys.length < changedKeysNamed) this.changedKeys.push(keyToJson(key));
  }

  private async record(rolledBack: RollbackCounts, restoredTo: MigrationState['restoredTo']): Promise<void> {
    await this.session.write({ ...(this.session.state as MigrationState), rolledBack, restoredTo });
    this.engine.host.emit({ code: 'rollback.progress', data: rolledBack });
  }
}

/** @param wasOwn the delete took away what the migration itself had created: it stays away */
function restoreCounts(outcome: RestoreOutcome, wasOwn: boolean): readonly (keyof RollbackCounts)[] {
  switch (outcome) {
    case 'restored':
    case 'expired':
    case 'removed':
      return [outcome];
    case 'replaced':
      return ['restored', 'removed'];
    case 'changed':
      return ['notRestored'];
    case 'untouched':
      return wasOwn ? ['removed'] : [];
  }
}
