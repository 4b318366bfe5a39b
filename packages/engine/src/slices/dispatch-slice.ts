/**
 * A dispatch slice: takes a submitted plan up, as apply would have begun with it, and says what is to be done next and how
 * it can be shared out. It holds the migration's lock while it begins, so of two that are called at once one does it.
 *
 * A dispatch that is killed in the middle has begun the attempt or has not; the next one goes on, as apply does.
 */
import {
  chunkId,
  KeyferryError,
  type ChunkId,
  type Code,
  type MigrationSpec,
  type MigrationState,
  type Phase,
  type Submission,
  type Verification,
} from '@keyferry/core';
import { startAttempt } from '../attempt.ts';
import { summarizeChunks, type BackfillSummary } from '../backfill-summary.ts';
import { recordHistory } from '../events.ts';
import type { Engine } from '../migration.ts';
import { withSession } from '../session.ts';
import { attemptScope, currentId, readItem, readMigration } from '../state-items.ts';
import { assertMayApply } from '../strategies/dual-read/apply.ts';
import { onlineParts } from '../strategies/dual-read/online.ts';
import type { OnlineOutcome } from '../strategies/dual-read/walk.ts';
import { isSettleDue, leaveSource } from './online-moves.ts';
import { assertFit, endOf, joinAttempt, type SliceEnd, type SliceRequest } from './slice.ts';
import { answerSubmission, dropPlanRows, openSubmitted } from './submit.ts';
import { assertReadable } from './whole-source.ts';

export interface DispatchSliceRequest extends SliceRequest {
  readonly command: string;
  /** Spans that the work is shared out in, at most. */
  readonly spansMax: number;
}

/** Chunks one after another, both ends included. */
export interface ChunkSpan {
  readonly first: ChunkId;
  readonly last: ChunkId;
}

export interface DispatchSlice extends SliceEnd {
  readonly next: 'backfill' | 'verify' | null;
  /** All chunks of the plan, shared out; empty when nothing is next. */
  readonly spans: readonly ChunkSpan[];
  readonly chunks: Pick<BackfillSummary, 'chunksDone' | 'chunksTotal'> | null;
  /** Where it led applications; null: nowhere. */
  readonly online: OnlineOutcome | null;
}

/** What apply refuses, so that a repeat would be refused too. Anything else may pass. */
const refusals: ReadonlySet<Code> = new Set<Code>([
  'plan.unaccepted',
  'plan.not-applyable',
  'plan.mismatch',
  'plan.expired',
  'plan.stale',
  'plan.other-in-progress',
  'run.paused',
  'run.cancelled',
  'phase.not-allowed',
  'migration.finalized',
  'epoch.lost',
  'target.exists',
  'slices.not-fit',
  'capability.missing',
  'switch.other-migration',
]);

export async function dispatchSlice(
  engine: Engine,
  spec: MigrationSpec,
  request: DispatchSliceRequest,
): Promise<DispatchSlice> {
  const { migration } = spec;
  const waiting = await readItem(engine, 'submission', migration, currentId);
  if (waiting?.item.answer === null) {
    const held = await takeUp(engine, spec, request);
    if (held !== null) return held;
  }
  const join = await joinAttempt(engine, spec, phasesOf(spec));
  if (join.kind === 'ended') return { ...join.end, ...nothing };
  const { attempt } = join;
  const scope = attemptScope(migration, attempt.state.attempt);
  const { chunksDone, chunksTotal } = await summarizeChunks(engine, scope);
  const verification = await readItem(engine, 'verification', scope, currentId);
  const next = nextOf(attempt.state, chunksDone === attempt.plan.chunks, verification?.item ?? null, spec);
  const chunks = { chunksDone, chunksTotal };
  const left = next === 'backfill' && spec.strategy === 'dual-read';
  const move = left ? await leaveSource(engine, spec, attempt, request) : null;
  if (move !== null && move.outcome !== 'done') {
    return { ...endOf(attempt, move.outcome, move.why), ...nothing, next, chunks };
  }
  return {
    ...endOf(attempt, next === null ? 'done' : 'more'),
    next,
    spans: next === null ? [] : spansOf(attempt.plan.chunks, request.spansMax),
    chunks,
    online: move?.online ?? null,
  };
}

/** Where applications take part they are led on once it is proven. */
const phasesOf = ({ strategy }: MigrationSpec): readonly Phase[] =>
  strategy === 'dual-read' ? ['applying', 'applied', 'verified'] : ['applying', 'applied'];

const nothing = { next: null, spans: [], chunks: null, online: null } as const;

export function nextOf(
  state: Pick<MigrationState, 'phase' | 'epochToken'>,
  isCopied: boolean,
  verification: Verification | null,
  { strategy }: Pick<MigrationSpec, 'strategy'>,
): DispatchSlice['next'] {
  const { phase } = state;
  if (phase === 'applying') return isCopied ? 'verify' : 'backfill';
  // Whoever finds it proven leads applications on.
  if (strategy === 'dual-read' && isSettleDue(state)) return 'verify';
  return phase === 'applied' && (verification?.ended ?? null) === null ? 'verify' : null;
}

/** At most so many spans, that differ by one chunk. */
export function spansOf(chunks: number, spansMax: number): readonly ChunkSpan[] {
  const count = Math.min(chunks, spansMax);
  return Array.from({ length: count }, (_, i) => ({
    first: chunkId(Math.floor((i * chunks) / count)),
    last: chunkId(Math.floor(((i + 1) * chunks) / count) - 1),
  }));
}

/** Begins the attempt of what waits. @returns an end if that has to wait, or was refused */
async function takeUp(
  engine: Engine,
  spec: MigrationSpec,
  { deadline, holder, command }: DispatchSliceRequest,
): Promise<DispatchSlice | null> {
  const { migration } = spec;
  const { signal } = deadline;
  const options = { holder, command, lockTimeoutMs: 0, holderIsGone: () => false, signal };
  const ended = async (outcome: 'more' | 'waiting' | 'stopped', why: string): Promise<DispatchSlice> => {
    const state = (await readMigration(engine, migration))?.item ?? null;
    const about = { migration, plan: state?.plan ?? null, attempt: state?.attempt ?? null };
    return { ...about, phase: state?.phase ?? 'new', outcome, why, ...nothing };
  };
  try {
    await withSession(engine, spec, options, async (session) => {
      const entry = await readItem(engine, 'submission', migration, currentId);
      if (entry?.item.answer !== null) return; // another dispatch was quicker
      const { accept, appliedAs, by } = entry.item;
      const answer = (given: NonNullable<Submission['answer']>) => answerSubmission(engine, migration, entry, given);
      const refuse = async (error: unknown): Promise<never> => {
        if (error instanceof KeyferryError && refusals.has(error.code)) {
          const { code, message } = error;
          await answer({ kind: 'refused', code, message, atMs: engine.clock.nowMs() });
        }
        throw error;
      };
      try {
        assertFit(engine, migration);
        const reader = await openSubmitted(engine, migration, entry.item);
        assertReadable(engine, spec, reader.plan);
        if (spec.strategy === 'dual-read') await assertMayApply(engine, spec, onlineParts(engine, spec), session);
        const start = { ...options, accept, appliedAs, runner: 'functions' } as const;
        const { attempt, resumed, view } = await startAttempt(engine, spec, session, reader, start);
        await view.close(); // nothing is copied here
        await answer({ kind: 'taken', attempt, atMs: engine.clock.nowMs() });
        const { plan } = reader.plan;
        const message = `functions ${resumed ? 'went on with' : 'started'} plan ${plan}, attempt ${attempt}, for ${by}`;
        await recordHistory(engine, migration, { type: 'apply.started', message, run: session.run, by });
        await dropPlanRows(engine, migration);
      } catch (error) {
        await refuse(error);
      }
    });
    return null;
  } catch (error) {
    if (!(error instanceof KeyferryError)) throw error;
    if (error.code === 'lease.held') return await ended('waiting', error.message);
    if (error.code === 'run.interrupted') return await ended('more', 'its time ran out before the attempt was begun');
    if (refusals.has(error.code)) return await ended('stopped', error.message);
    throw error;
  }
}
