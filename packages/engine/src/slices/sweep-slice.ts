/**
 * A sweep: looks after what nobody else does. Frees chunks whose lease has ended, so that those who share work out by
 * names know of them, and says how far the attempt is, how fast, and since when nothing moves.
 *
 * Called on a schedule; two at once do no harm, as each of its writes is conditional and a lost one is the other's gain.
 */
import {
  clockSkewMs,
  deletesOf,
  release,
  scannedOf,
  type ChunkCounts,
  type ChunkId,
  type MigrationSpec,
  type RunPace,
} from '@keyferry/core';
import { summarizeChunks } from '../backfill-summary.ts';
import type { Engine, Environment } from '../migration.ts';
import { attemptScope, currentId, listItems, readItem, writeItem } from '../state-items.ts';
import { nextOf, type DispatchSlice } from './dispatch-slice.ts';
import { endOf, joinAttempt, type SliceEnd, type SliceRequest } from './slice.ts';

export interface SweepSlice extends SliceEnd {
  readonly next: DispatchSlice['next'];
  /** Chunks whose worker is gone. */
  readonly freed: readonly ChunkId[];
  readonly counts: ChunkCounts | null;
  /** Records of the plan. */
  readonly total: number | null;
  readonly chunksDone: number;
  readonly chunksTotal: number;
  /** Checks of the verification that is under way; null: none is. */
  readonly checksDone: number | null;
  readonly perSecond: number;
  /** For how long nothing has moved; 0 when nothing is left to be done. */
  readonly stillMs: number;
}

export async function sweepSlice(engine: Engine, spec: MigrationSpec, _request: SliceRequest): Promise<SweepSlice> {
  const nothing = { next: null, freed: [], counts: null, total: null, chunksDone: 0, chunksTotal: 0 } as const;
  const join = await joinAttempt(engine, spec, ['applying', 'applied', 'verified']);
  if (join.kind === 'ended') return { ...join.end, ...nothing, checksDone: null, perSecond: 0, stillMs: 0 };
  const { state, plan } = join.attempt;
  const scope = attemptScope(spec.migration, state.attempt);
  const freed = state.phase === 'applying' ? await freeChunks(engine, scope) : [];
  const { counts, chunksDone, chunksTotal } = await summarizeChunks(engine, scope);
  const verification = (await readItem(engine, 'verification', scope, currentId))?.item ?? null;
  const checksDone =
    verification === null || verification.ended !== null ? null : await countChecks(engine, scope, verification.number);
  const next = nextOf(state, chunksDone === plan.chunks, verification, spec);
  const done = scannedOf(counts) + deletesOf(counts) + (checksDone ?? 0);
  const pace = await writePace(engine, scope, state.run, done);
  return {
    ...endOf(join.attempt, next === null ? 'done' : 'more'),
    next,
    freed,
    counts,
    total: plan.totals.scanned,
    chunksDone,
    chunksTotal,
    checksDone,
    perSecond: pace.perSecond,
    stillMs: next === null ? 0 : engine.clock.nowMs() - (pace.movedAtMs ?? pace.atMs),
  };
}

async function freeChunks(env: Environment, scope: string): Promise<readonly ChunkId[]> {
  const freed: ChunkId[] = [];
  for await (const entries of listItems(env, 'chunk', scope)) {
    for (const { id, item, version } of entries) {
      const { phase, leaseEndsAtMs } = item;
      if (phase !== 'claimed' || leaseEndsAtMs === null) continue;
      if (leaseEndsAtMs + clockSkewMs >= env.clock.nowMs()) continue;
      const change = await writeItem(env, 'chunk', scope, id, release(item), version);
      if (change.kind === 'written') freed.push(item.chunk);
    }
  }
  return freed;
}

async function countChecks(env: Environment, scope: string, verification: number): Promise<number> {
  let done = 0;
  for await (const entries of listItems(env, 'check', scope)) {
    for (const { item } of entries) if (item.verification === verification && item.phase === 'done') done += 1;
  }
  return done;
}

/** How fast it is, from what was done at the last sweep; for `runs show` as for the next sweep. */
async function writePace(env: Environment, scope: string, run: RunPace['run'], done: number): Promise<RunPace> {
  const before = await readItem(env, 'run-pace', scope, run);
  const atMs = env.clock.nowMs();
  const last = before?.item ?? null;
  const moved = Math.max(0, done - (last?.done ?? 0));
  const pace: RunPace = {
    run,
    startedAtMs: last?.startedAtMs ?? atMs,
    atMs,
    perSecond: last === null ? 0 : (moved * 1000) / Math.max(1, atMs - last.atMs),
    limitedBy: 'nothing',
    perSecondMax: null,
    done,
    movedAtMs: moved > 0 ? atMs : (last?.movedAtMs ?? atMs),
  };
  await writeItem(env, 'run-pace', scope, run, pace, before?.version ?? 'absent');
  return pace;
}
