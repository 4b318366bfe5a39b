/**
 * Following: whoever submitted a plan waits here until functions have proven it, or until it is known that they will not.
 * Reads state only. Nothing depends on it: functions go on whether or not somebody watches.
 */
import {
  KeyferryError,
  lockIsHeld,
  nextStep,
  noCounts,
  standingOf,
  unlimited,
  type ChunkCounts,
  type MigrationId,
  type PlanDocument,
  type RunControl,
  type Submission,
  type VerifyRecord,
} from '@keyferry/core';
import { summarizeChunks } from '../backfill-summary.ts';
import { assertNotStopped, type Environment } from '../migration.ts';
import { cancelledError } from '../run-control.ts';
import { readStatus } from '../status.ts';
import { attemptScope, currentId, listItems, locksScope, readItem } from '../state-items.ts';
import type { ApplyResult } from '../strategies/offline.ts';
import type { VerifyResult } from '../verify.ts';
import { isSettleDue } from './online-moves.ts';
import { readSubmission } from './submit.ts';

export interface FollowOptions {
  readonly signal: AbortSignal;
  /** Past so many dead letters functions stop. */
  readonly deadLettersMax: number;
}

/** As of an apply; what the source's permanent records were is part of `deviations` alone. */
export interface FollowResult extends Omit<ApplyResult, 'verify'> {
  readonly verify: Omit<VerifyResult, 'sourcePermanent'>;
}

export const followEveryMs = 2000;

/**
 * @throws {KeyferryError} `functions.refused`; `run.stopped`, `run.cancelled`, `dead-letters.over-budget` where they stopped;
 *   `run.interrupted` once `signal` has aborted
 */
export async function followFunctions(
  env: Environment,
  plan: PlanDocument,
  options: FollowOptions,
): Promise<FollowResult> {
  const { migration } = plan;
  const startedAtMs = env.clock.monotonicMs();
  for (;;) {
    assertNotStopped(migration, options.signal);
    const submission = await readSubmission(env, migration);
    const attempt = attemptOf(submission, plan);
    if (attempt !== null) {
      const ended = await look(env, plan, attempt, options, startedAtMs);
      if (ended !== null) return ended;
    }
    await env.clock.sleep(followEveryMs, options.signal);
  }
}

/** Null: it waits to be taken up. */
function attemptOf(submission: Submission | null, { plan, migration }: PlanDocument): number | null {
  if (submission?.plan !== plan) throw stopped(migration, 'another plan was submitted since');
  const { answer } = submission;
  if (answer === null) return null;
  if (answer.kind === 'taken') return answer.attempt;
  const { code, message } = answer;
  throw new KeyferryError('functions.refused', { plan, migration, refusedAs: code, why: message });
}

async function look(
  env: Environment,
  plan: PlanDocument,
  attempt: number,
  { deadLettersMax }: FollowOptions,
  startedAtMs: number,
): Promise<FollowResult | null> {
  const { migration } = plan;
  const { state, phase, counts, chunksDone, control } = await readStatus(env, migration);
  if (state?.attempt !== attempt) throw stopped(migration, 'another attempt has begun since');
  assertGoing(migration, control, phase);
  const scope = attemptScope(migration, attempt);
  const verification = await readItem(env, 'verification', scope, currentId);
  // Where applications take part it is over once they were led on, too.
  const isLedOn = plan.strategy !== 'dual-read' || !isSettleDue(state);
  if (phase !== 'applying' && (verification?.item.ended ?? null) !== null && isLedOn) {
    const result = await resultOf(env, plan, attempt, counts ?? noCounts, startedAtMs);
    if (await isStillHeld(env, migration, [result.run, state.run])) return null;
    return { ...result, backups: state.backups ?? [] };
  }
  if (phase === 'applying') {
    const pace = {
      limitedBy: 'nothing',
      perSecondMax: null,
      p99Ms: { source: null, target: null },
      limits: unlimited,
    } as const;
    const elapsedMs = env.clock.monotonicMs() - startedAtMs;
    const progress = { counts: counts ?? noCounts, total: plan.totals.scanned, chunksDone, chunksTotal: plan.chunks };
    env.host.emit({ code: 'backfill.progress', data: { ...progress, elapsedMs, pace } });
    const letters = counts?.deadLetters ?? 0;
    if (letters > deadLettersMax) {
      throw new KeyferryError('dead-letters.over-budget', { migration, letters, deadLettersMax });
    }
  } else if (verification !== null) {
    const keys = await comparedKeys(env, scope, verification.item.number);
    env.host.emit({ code: 'verify.progress', data: { keys } });
  }
  return null;
}

/** Those that proved it and led applications on have the lock for a moment more: whatever command comes next would meet it. */
async function isStillHeld(env: Environment, migration: MigrationId, runs: readonly string[]): Promise<boolean> {
  const lock = await readItem(env, 'lock', locksScope, migration);
  return lock !== null && runs.includes(lock.item.run) && lockIsHeld(lock.item, env.clock.nowMs());
}

function assertGoing(migration: MigrationId, control: RunControl, phase: string): void {
  if (!['applying', 'applied', 'verified'].includes(phase)) throw stopped(migration, `it is ${phase}`);
  const standing = standingOf(control);
  if (standing === 'cancelled') throw cancelledError(migration, control);
  if (standing !== 'paused') return;
  const why = `paused by ${control.paused?.by ?? 'somebody'}`;
  throw new KeyferryError('run.stopped', { migration, why, next: `keyferry runs resume ${migration}` });
}

function stopped(migration: MigrationId, why: string): KeyferryError<'run.stopped'> {
  return new KeyferryError('run.stopped', { migration, why, next: `keyferry status ${migration}` });
}

async function comparedKeys(env: Environment, scope: string, verification: number): Promise<number> {
  let keys = 0;
  for await (const entries of listItems(env, 'check', scope)) {
    for (const { item } of entries) {
      if (item.verification !== verification || item.part === null) continue;
      for (const { count } of item.part.source) keys += count;
    }
  }
  return keys;
}

async function resultOf(
  env: Environment,
  plan: PlanDocument,
  attempt: number,
  counts: ChunkCounts,
  startedAtMs: number,
): Promise<Omit<FollowResult, 'backups'>> {
  const { migration } = plan;
  let last: { readonly run: string; readonly verify: VerifyRecord; readonly deviations: readonly string[] } | null =
    null;
  for await (const entries of listItems(env, 'run-record', migration)) {
    for (const { item } of entries) {
      if (item.attempt === attempt && item.verify !== null) last = { ...item, verify: item.verify };
    }
  }
  // Written before the verdict; only somebody who throws history away can have taken it.
  if (last === null)
    throw stopped(migration, `it came to its end, but ${nextStep(migration, 'applied', '').next} has to say how`);
  const { met } = await summarizeChunks(env, attemptScope(migration, attempt));
  const { verify, deviations, run } = last;
  const elapsedMs = env.clock.monotonicMs() - startedAtMs;
  return {
    plan,
    run,
    attempt,
    resumed: false,
    outcome: deviations.length === 0 ? 'done' : 'deviated',
    counts,
    verify: { ...verify, prunes: plan.prune, elapsedMs },
    met,
    deviations,
    elapsedMs,
  };
}
