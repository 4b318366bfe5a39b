/**
 * How strategy `replicate` ends: the cutover, the way back, and the point of no return.
 *
 *     cutover    S primary ─► T primary; the reverse tail fills S from there on
 *     rollback   T primary ─► S primary (only after a cutover) ─► copies taken away ─► control keys dropped
 *     finalize   the reverse tail is shut out ─► done marker ─► control keys dropped, in both stores
 */
import {
  doneFormat,
  doneFormatVersion,
  doneMarkerToText,
  instantText,
  KeyferryError,
  nothingRolledBack,
  countText,
  type CutoverRules,
  type DoneMarker,
  type Generation,
  type KeyJson,
  type MigrationSpec,
  type MigrationState,
  type PlanDocument,
  type Position,
} from '@keyferry/core';
import { summarizeChunks } from '../backfill-summary.ts';
import { endFeed } from '../end-feed.ts';
import { assertNotOvertaken } from '../epoch.ts';
import { recordHistory } from '../events.ts';
import type { FinalizeOptions, FinalizeResult } from '../finalize.ts';
import { assertNotStopped, type Engine } from '../migration.ts';
import { assertPlanFits } from '../plan-fits.ts';
import { changeOver, type ChangedOver } from '../replicate/change-over.ts';
import { clearCopies } from '../replicate/clear-copies.ts';
import { ensureEpochOf, portsOf } from '../replicate/direction.ts';
import { whileOthersGiveWay } from '../replicate/give-way.ts';
import { readKeptKeys } from '../replicate/kept-keys.ts';
import { withRetry } from '../retry.ts';
import { assertWroteHere, type RollbackResult } from '../rollback.ts';
import { withSession, type RunOptions, type Session } from '../session.ts';
import { attemptScope, currentId, readItem } from '../state-items.ts';

export interface CutoverOptions extends RunOptions {
  /** All unless given: the simulator switches one off. */
  readonly rules?: CutoverRules | undefined;
  /** Instances that are dead for good, by an operator's word (SPEC R103). */
  readonly confirmGone?: readonly string[] | undefined;
}

export interface CutoverResult {
  readonly run: string;
  readonly plan: PlanDocument;
  /** Longest that applications could not write, in milliseconds; 0 where an earlier run had flipped already. */
  readonly heldMs: number;
  /** Records that were compared while writes were held. */
  readonly compared: number;
  readonly generation: Generation | null;
  /** Keys that somebody wrote in the source after it. */
  readonly strays: readonly KeyJson[];
  readonly elapsedMs: number;
}

/**
 * Makes the target primary, or leaves the source as it was.
 * @throws {KeyferryError} `cutover.undone`, `cutover.not-ready`, `cutover.instances-missing`, `instance.unknown`,
 *   `switch.taken`, `tail.held`
 */
export async function cutOver(engine: Engine, spec: MigrationSpec, options: CutoverOptions): Promise<CutoverResult> {
  const startedAtMs = engine.clock.monotonicMs();
  return whileOthersGiveWay(engine, spec.migration, options.holder, () =>
    withSession(engine, spec, options, async (session) => {
      session.after('cut-over', spec, 'cutover');
      const plan = await planOf(engine, spec, session);
      const { rules, confirmGone } = options;
      const over = { engine, spec, session, plan, to: 'target', options, rules, confirmGone } as const;
      const { heldMs, compared, generation, strays } = await changeOver(over);
      const elapsedMs = engine.clock.monotonicMs() - startedAtMs;
      return { run: session.run, plan, heldMs, compared, generation, strays, elapsedMs };
    }),
  );
}

export interface ReplicateRollbackResult extends RollbackResult {
  /** How applications were led back; null where they had never left the source. */
  readonly turnedBack: Pick<ChangedOver, 'heldMs' | 'compared' | 'strays'> | null;
}

/**
 * Leads applications back to the source, if they had left it, without losing a write; then takes the copies away.
 * @throws {KeyferryError} `cutover.undone`, `rollback.not-carried`: the target is primary as before
 */
export async function rollBackReplicate(
  engine: Engine,
  spec: MigrationSpec,
  options: CutoverOptions,
): Promise<ReplicateRollbackResult> {
  const startedAtMs = engine.clock.monotonicMs();
  return whileOthersGiveWay(engine, spec.migration, options.holder, () =>
    withSession(engine, spec, options, async (session) => {
      let turnedBack: ChangedOver | null = null;
      const { migration } = spec;
      if (session.phase === 'cut-over' || session.phase === 'turning-back') {
        const plan = await planOf(engine, spec, session);
        const { rules, confirmGone } = options;
        turnedBack = await changeOver({ engine, spec, session, plan, to: 'source', options, rules, confirmGone });
      }
      const phase = session.after('roll-back', spec, 'rollback');
      const state = session.state as MigrationState;
      await assertWroteHere(engine, spec, state);
      await assertNotOvertaken(engine, spec, { attempt: state.attempt, token: state.epochToken });
      assertNotStopped(migration, options.signal);
      const epoch = { attempt: state.attempt, token: state.epochToken + 1 };
      const rolledBack = state.rolledBack ?? nothingRolledBack;
      const { clock } = engine;
      await session.write({
        ...state,
        phase,
        epochToken: epoch.token,
        run: session.run,
        rolledBack,
        changedAtMs: clock.nowMs(),
      });
      await ensureEpochOf(engine, spec, 'target', epoch);
      const kept = await readKeptKeys(engine, migration, state.attempt);
      const since = await endOfForwardTail(engine, spec, state.attempt);
      const cleared = await clearCopies(engine, spec, epoch, kept, since, () => {
        session.lock.assertHeld();
        assertNotStopped(migration, options.signal);
      });
      await dropControlKeys(engine, spec, epoch);
      const counts = {
        ...rolledBack,
        removed: rolledBack.removed + cleared.counts.removed,
        changed: cleared.counts.changed,
      };
      const done = session.after('rolled-back', spec, 'rollback');
      const last = session.state as MigrationState;
      await session.write({ ...last, phase: done, rolledBack: counts, changedAtMs: clock.nowMs() });
      const message = `rolled back: ${countText(counts.removed)} removed, ${countText(counts.changed)} left`;
      await recordHistory(engine, migration, { type: 'rolled-back', message, run: session.run, by: options.holder });
      return {
        run: session.run,
        counts,
        written: null,
        unrestorable: 0,
        left: counts.changed,
        changedKeys: cleared.changedKeys,
        backups: state.backups ?? [],
        turnedBack,
        elapsedMs: clock.monotonicMs() - startedAtMs,
      };
    }),
  );
}

/**
 * Gives up the way back.
 * @throws {KeyferryError} `phase.not-allowed` before a cutover.
 */
export async function finalizeReplicate(
  engine: Engine,
  spec: MigrationSpec,
  options: FinalizeOptions,
): Promise<FinalizeResult> {
  const startedAtMs = engine.clock.monotonicMs();
  return whileOthersGiveWay(engine, spec.migration, options.holder, () =>
    withSession(engine, spec, options, async (session) => {
      // A verify of an earlier release may have left it so, before a cutover.
      if (session.phase === 'verified') session.refuse(spec, 'finalize');
      const phase = session.after('finalize', spec, 'finalize');
      const resumed = session.phase === 'finalizing';
      const { migration } = spec;
      const before = session.state as MigrationState;
      await assertNotOvertaken(engine, spec, { attempt: before.attempt, token: before.epochToken });
      const epoch = resumed
        ? { attempt: before.attempt, token: before.epochToken }
        : { attempt: before.attempt, token: before.epochToken + 1 };
      if (!resumed) {
        const plan = await planOf(engine, spec, session);
        const done = await markerOf(engine, spec, session, plan, options.by);
        const changedAtMs = engine.clock.nowMs();
        await session.write({ ...before, phase, done, epochToken: epoch.token, run: session.run, changedAtMs });
      }
      const marker = (session.state as MigrationState).done as DoneMarker;
      for (const side of ['target', 'source'] as const) await ensureEpochOf(engine, spec, side, epoch);
      const control = engine.target.control(migration);
      await withRetry(engine, 'done marker', () => control.writeDone(doneMarkerToText(marker), epoch));
      await dropControlKeys(engine, spec, epoch);
      session.lock.assertHeld();
      const over = session.after('finalized', spec, 'finalize');
      await session.write({ ...(session.state as MigrationState), phase: over, changedAtMs: engine.clock.nowMs() });
      const message = `finalized plan ${marker.plan}: the reverse tail ended, and with it the way back`;
      await recordHistory(engine, migration, { type: 'finalized', message, run: session.run, by: options.by });
      return { run: session.run, marker, resumed, elapsedMs: engine.clock.monotonicMs() - startedAtMs };
    }),
  );
}

/** In both stores: each holds the record of the tail that wrote to it, and what it kept to tell its changes. */
async function dropControlKeys(
  engine: Engine,
  spec: MigrationSpec,
  epoch: { readonly attempt: number; readonly token: number },
): Promise<void> {
  for (const side of ['target', 'source'] as const) {
    const store = side === 'target' ? engine.target : portsOf(engine).back;
    const control = store.control(spec.migration);
    // Before a cutover nothing of the migration's was ever written to the source.
    if (side === 'source' && (await withRetry(engine, 'epoch', () => control.readEpoch())) === null) continue;
    await ensureEpochOf(engine, spec, side, epoch);
    await withRetry(engine, 'drop control keys', () => control.dropControl(epoch));
  }
  // No tail goes on, so neither store has to keep anything for one.
  await endFeed(engine, spec.sourceStore, engine.source.feed);
  await endFeed(engine, spec.targetStore, engine.target.feed);
}

/** Up to where the target has the source's changes: what the forward tail stored, or where the hold of going back stood. */
async function endOfForwardTail(
  engine: Engine,
  { migration }: MigrationSpec,
  attempt: number,
): Promise<Position | null> {
  const cutover = await readItem(engine, 'cutover', attemptScope(migration, attempt), currentId);
  const back = cutover?.item ?? null;
  if (back !== null && back.to === 'source' && back.anchor !== null) return back.anchor as Position;
  const tail = engine.target.tail?.(migration);
  const stored = tail === undefined ? null : await withRetry(engine, 'read tail', () => tail.readTail('forward'));
  return stored?.position ?? null;
}

async function planOf(engine: Engine, spec: MigrationSpec, session: Session): Promise<PlanDocument> {
  const { migration, plan } = session.state as MigrationState;
  const entry = await readItem(engine, 'plan', migration, plan);
  if (entry === null) {
    throw new KeyferryError('cutover.not-ready', { migration, why: 'the state does not hold its plan' });
  }
  await assertPlanFits(engine, entry.item, spec, { resuming: true });
  return entry.item;
}

/** What was proven before the flip; nothing was since, as both stores are in use. */
async function markerOf(
  engine: Engine,
  { migration, keyferryVersion }: MigrationSpec,
  session: Session,
  plan: PlanDocument,
  by: string,
): Promise<DoneMarker> {
  const state = session.state as MigrationState;
  const scope = attemptScope(migration, state.attempt);
  const forward = await readItem(engine, 'tail', scope, 'forward');
  const generation = forward?.item.generation ?? null;
  if (generation === null) {
    throw new KeyferryError('finalize.not-proven', { migration, what: ['no generation was ever proven'] });
  }
  const { counts } = await summarizeChunks(engine, scope);
  const cutover = await readItem(engine, 'cutover', scope, currentId);
  const { digest, position } = generation;
  const side = ({ store, prefix }: PlanDocument['source'], at: string) => ({ store, prefix, position: at, digest });
  return {
    format: doneFormat,
    formatVersion: doneFormatVersion,
    keyferryVersion,
    migration,
    plan: plan.plan,
    attempt: state.attempt,
    run: session.run,
    by,
    startedAt: instantText(state.startedAtMs),
    finalizedAt: instantText(engine.clock.nowMs()),
    source: side(plan.source, cutover?.item.from ?? position),
    target: side(plan.target, cutover?.item.anchor ?? position),
    counts,
  };
}
