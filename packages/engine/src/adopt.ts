/**
 * Adopt: the state was lost, and the target still holds what a migration left there. Builds as much of a state as makes
 * status, rollback and going on safe, from the plan file and the target alone:
 *
 *     epoch in the target  ─► the attempt's number, with a raised token: a run that still has the lost state is shut out
 *     done marker          ─► finalized; else applying, with every chunk to be gone through again
 *     plan                 ─► chunks, and the prefix that rollback has to look through
 *
 * Going through all chunks again is harmless: marks tell what this attempt wrote, and the guard keeps all else as it is.
 * Counts of attempts before this one are not known any more, so a rollback says how many it removed and not of how many.
 */
import {
  KeyferryError,
  stateFormat,
  type Fence,
  type MigrationSpec,
  type MigrationState,
  type Phase,
  type PlanReader,
} from '@keyferry/core';
import { registerChunks } from './register-chunks.ts';
import { readDoneMarker } from './done-marker.ts';
import { ensureEpoch } from './epoch.ts';
import { recordHistory } from './events.ts';
import type { Engine } from './migration.ts';
import { assertPlanFits } from './plan-fits.ts';
import { withRetry } from './retry.ts';
import { withSession, type RunOptions } from './session.ts';
import { writeItem } from './state-items.ts';

/** A run that still has the lost state raises the epoch by ones: it never meets a token of the adopted state. */
const tokenStep = 1000;

export interface AdoptOptions extends RunOptions {
  /** The argument that names the plan file, for the next command. */
  readonly appliedAs: string;
}

export interface AdoptResult {
  readonly run: string;
  readonly phase: Phase;
  readonly attempt: number;
  readonly chunks: number;
  /** What the target's epoch was. */
  readonly found: Fence;
}

/**
 * @throws {KeyferryError} `state.not-empty` where there is a state; `state.nothing-to-adopt` where the target has no
 * epoch of this migration; `plan.mismatch` where plan, configuration, stores or done marker do not belong together.
 */
export async function adopt(
  engine: Engine,
  spec: MigrationSpec,
  reader: PlanReader,
  options: AdoptOptions,
): Promise<AdoptResult> {
  const { migration } = spec;
  const { plan } = reader;
  return withSession(engine, spec, options, async (session) => {
    if (session.state !== null) {
      throw new KeyferryError('state.not-empty', { migration, what: `a state (${session.phase})` });
    }
    await assertPlanFits(engine, plan, spec, { resuming: true });
    const control = engine.target.control(migration);
    const found = await withRetry(engine, 'epoch', () => control.readEpoch());
    if (found === null) throw new KeyferryError('state.nothing-to-adopt', { migration });
    const done = await readDoneMarker(engine, migration);
    if (done !== null && done.plan !== plan.plan) {
      throw new KeyferryError('plan.mismatch', {
        plan: plan.plan,
        migration,
        what: [`plan ${done.plan} was finalized`],
      });
    }
    const { identity } = await withRetry(engine, 'describe target', () => engine.target.describe());
    const epoch: Fence = { attempt: found.attempt, token: found.token + tokenStep };
    const nowMs = engine.clock.nowMs();
    await writeItem(engine, 'plan', migration, plan.plan, plan, 'absent');
    const state: MigrationState = {
      format: stateFormat,
      migration,
      phase: done === null ? 'applying' : 'finalized',
      attempt: epoch.attempt,
      epochToken: epoch.token,
      plan: plan.plan,
      appliedAs: options.appliedAs,
      accepted: [],
      wrote: {
        identity,
        prefixes: [plan.target.prefix],
        attempts: [epoch.attempt],
        before: epoch.attempt === 1 ? 0 : null,
        // Their images went with the state that was lost; some may not have been reached.
        unkept: plan.totals.actions.overwrite.keys + plan.totals.actions.delete.keys,
      },
      run: session.run,
      startedAtMs: nowMs,
      changedAtMs: nowMs,
      counts: done?.counts ?? null,
      rolledBack: null,
      restoredTo: null,
      done,
    };
    await session.write(state);
    await ensureEpoch(engine, spec, epoch);
    if (done === null) await registerChunks(engine, reader, migration, epoch.attempt);
    const message = `adopted attempt ${epoch.attempt} from the target, with plan ${plan.plan}: ${state.phase}`;
    await recordHistory(engine, migration, {
      type: 'state.adopted',
      message,
      run: session.run,
      by: options.holder,
    });
    const chunks = done === null ? plan.chunks : 0;
    return { run: session.run, phase: state.phase, attempt: epoch.attempt, chunks, found };
  });
}
