/**
 * A tail slice that the log of the store itself called for: a function behind a stream of DynamoDB.
 *
 *     notices ─► all read by the stored position? ──yes──► acknowledged
 *                     └──no──► tail slice ──done──► acknowledged
 *                                  └──else──► after a pause, what the stored position has not read is left
 *
 * A notice is a wake-up. What is carried, and from where, the stored position says alone (SPEC R140); so notices may come
 * twice, late, out of order, or be lost where a schedule calls too. Whoever sends them calls again with what is left, until
 * nothing is: so one is acknowledged only if what it tells of is carried, or will be by whoever has yet to begin (R141). The
 * head that a slice goes up to is found after the call, so one that is done has carried whatever it was called for.
 *
 * keyferry's own items, and the log of the store that is not followed, call for nothing (R142). Without that, the marks by
 * which a head is found would call the next function, for ever (ADR 40).
 */
import type { FeedNotice, MigrationSpec, MigrationState, Phase, PrimarySide } from '@keyferry/core';
import type { Engine } from '../migration.ts';
import { routeTo } from '../replicate/direction.ts';
import { withRetry } from '../retry.ts';
import { readMigration } from '../state-items.ts';
import type { SliceOutcome } from './slice.ts';
import { endOfTail, tailSlice, type TailSlice, type TailSliceRequest } from './tail-slice.ts';

export interface WokenTailSlice extends TailSlice {
  /** Of the notices it was called with, those that nobody may take for carried yet. */
  readonly left: readonly FeedNotice[];
}

/**
 * Before what is left is told: whoever sends notices calls again at once. Others are at work for seconds; what a person
 * stopped, or a cutover that died, takes longer.
 */
const pauseMs: Readonly<Record<SliceOutcome, number>> = {
  done: 0,
  more: 0,
  waiting: 2000,
  idle: 5000,
  stopped: 10_000,
};

/** @param notices in the order of the log, as far as it has one */
export async function wokenTailSlice(
  engine: Engine,
  spec: MigrationSpec,
  request: TailSliceRequest,
  notices: readonly FeedNotice[],
): Promise<WokenTailSlice> {
  const { deadline } = request;
  const { state, left } = await look(engine, spec, notices);
  if (left.length === 0) return { ...endOfTail(spec, state, 'done', 'what it was called for is carried'), left };
  const slice = await tailSlice(engine, spec, request);
  if (slice.outcome === 'done' || isBefore(slice)) return { ...slice, left: [] };
  await engine.clock.sleep(Math.min(pauseMs[slice.outcome], deadline.leftMs), deadline.signal);
  return { ...slice, left: deadline.hasPassed ? left : (await look(engine, spec, notices)).left };
}

/** Nobody follows, which was seen under the lock: whoever begins to reads a head that lies behind every notice. */
const isBefore = ({ outcome, phase }: TailSlice): boolean => outcome === 'idle' && sideFilledIn(phase) === null;

/** Without the lock: a stored position only moves on. */
async function look(
  engine: Engine,
  spec: MigrationSpec,
  notices: readonly FeedNotice[],
): Promise<{ readonly state: MigrationState | null; readonly left: readonly FeedNotice[] }> {
  const state = (await readMigration(engine, spec.migration))?.item ?? null;
  const side = sideFilledIn(state?.phase ?? 'new');
  // What an apply that is at work carries is not known until it ends.
  if (side === null) return { state, left: notices };
  const { feed, into, tail } = routeTo(side, engine, spec, new Set());
  const stored = await withRetry(engine, 'read tail', () => into.readTail(tail));
  const unread = async () => (await feed.unread?.(stored?.position ?? null, notices)) ?? notices;
  return { state, left: await withRetry(engine, 'notices of feed', unread) };
}

/** While applications are led over, the tail of before goes on until the flip. */
function sideFilledIn(phase: Phase): PrimarySide | null {
  if (phase === 'replicating' || phase === 'cutting-over') return 'target';
  return phase === 'cut-over' || phase === 'turning-back' ? 'source' : null;
}
