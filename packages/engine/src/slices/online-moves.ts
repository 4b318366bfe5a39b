/**
 * What functions do with the switch of a migration in which applications take part (strategy `dual-read`): the same moves
 * that apply and cutover make, under the same barriers, and each of them within one invocation.
 *
 *     dispatch   legacy ─► draining ─►▌ migrating       before anybody copies
 *     verify     migrating ─► settled ─►▌ epoch raised   by whichever function ends the verification
 *
 * Nothing is remembered between two invocations that stores and state do not tell (walk.ts), so a function that was killed
 * anywhere is followed by the next one that is called. Applications' writes are held in `draining` alone, and it is announced
 * only by a function that has the time to wait for its barrier and to give it up: whoever dies there all the same leaves
 * writes held until its lock has ended and the next one is called. A barrier that does not hold pauses the attempt, so that
 * a schedule does not hold writes again each minute (SPEC R67, R68).
 */
import {
  isKeyferryError,
  type KeyferryError,
  type MigrationSpec,
  type MigrationState,
  type Position,
  type SwitchRecord,
  type Verification,
} from '@keyferry/core';
import { recordHistory } from '../events.ts';
import type { Engine } from '../migration.ts';
import { withRetry } from '../retry.ts';
import { requestControl } from '../run-control.ts';
import { withSession, type Session } from '../session.ts';
import { attemptScope, currentId, readItem } from '../state-items.ts';
import { onlineParts } from '../strategies/dual-read/online.ts';
import { walk, type OnlineOutcome, type WalkWork } from '../strategies/dual-read/walk.ts';
import type { JoinedAttempt, SliceOutcome, SliceRequest } from './slice.ts';

export interface MoveRequest extends Pick<SliceRequest, 'deadline' | 'holder'> {
  readonly command: string;
}

/** done: applications are where they have to be. */
export interface Move {
  readonly outcome: Exclude<SliceOutcome, 'idle'>;
  readonly why: string | null;
  /** Where applications are now; null: this function moved nothing. */
  readonly online: OnlineOutcome | null;
}

/** For what comes before and behind the barrier itself. */
const roomMs = 5000;
/** A verdict that is older has to be found again: somebody may have written to the source since. */
const verdictMaxMs = 600_000;

/** What the switch says of this migration; null: nothing was announced, or by another one. */
export async function readAnnounced(engine: Engine, spec: MigrationSpec): Promise<SwitchRecord | null> {
  const { place } = onlineParts(engine, spec);
  const entry = await withRetry(engine, 'read switch', () => place.read());
  return entry?.value.migration === spec.migration ? entry.value : null;
}

/** Where the source was frozen, once records may be copied; null: applications still write to it. */
export async function frozenSource(engine: Engine, spec: MigrationSpec): Promise<Position | null> {
  const record = await readAnnounced(engine, spec);
  return record?.mode === 'migrating' || record?.mode === 'settled' ? record.frozenAt : null;
}

/**
 * Leads applications from `legacy` to `migrating`. Harmless to repeat.
 * @throws {KeyferryError} what no later invocation would be better off with
 */
export async function leaveSource(
  engine: Engine,
  spec: MigrationSpec,
  joined: JoinedAttempt,
  request: MoveRequest,
): Promise<Move> {
  const record = await readAnnounced(engine, spec);
  if (record?.mode === 'migrating' || record?.mode === 'settled') return { outcome: 'done', why: null, online: null };
  const { place, terms } = onlineParts(engine, spec);
  const { barrierTimeoutMs, requestLifeMs } = terms;
  const registered = await withRetry(engine, 'read registrations', () => place.registrations());
  // What one that was named gone may have sent is outlived before anything is announced.
  const outlivesMs = registered.some(({ value }) => value.goneAt !== null) ? requestLifeMs : 0;
  const neededMs = outlivesMs + barrierTimeoutMs + roomMs;
  if (record?.mode !== 'draining' && request.deadline.leftMs < neededMs) {
    const why = `writes would be held for up to ${seconds(barrierTimeoutMs)}, which it has no time for: give it a timeout of ${seconds(neededMs)} at least`;
    return { outcome: 'stopped', why, online: null };
  }
  const stop = async (): Promise<boolean> => false; // copying and comparing are other functions' work
  return await move(engine, spec, joined, request, { goal: 'apply', work: { backfill: stop, verify: stop } });
}

/** Leads applications from `migrating` to `settled`, and raises the epoch, where a proof is at hand. Harmless to repeat. */
export async function settle(
  engine: Engine,
  spec: MigrationSpec,
  joined: JoinedAttempt,
  request: MoveRequest,
): Promise<Move> {
  const work = { verify: async () => true, fence: async () => ({}) };
  return await move(engine, spec, joined, request, { goal: 'cutover', work });
}

/** Whether the verdict stands and applications have still to be led on. */
export function isSettleDue({ phase, epochToken }: Pick<MigrationState, 'phase' | 'epochToken'>): boolean {
  return phase === 'verified' && epochToken === 1;
}

/** Whether a verdict is so old that it has to be found again before anybody builds on it. */
export function isVerdictStale({ ended }: Verification, nowMs: number): boolean {
  return ended !== null && nowMs - ended.atMs > verdictMaxMs;
}

interface Aim {
  readonly goal: 'apply' | 'cutover';
  readonly work: WalkWork;
}

async function move(
  engine: Engine,
  spec: MigrationSpec,
  joined: JoinedAttempt,
  { deadline, holder, command }: MoveRequest,
  { goal, work }: Aim,
): Promise<Move> {
  const parts = onlineParts(engine, spec);
  const { signal } = deadline;
  const options = { holder, command, lockTimeoutMs: 0, holderIsGone: () => false, signal };
  try {
    return await withSession(engine, spec, options, async (session): Promise<Move> => {
      if (!isSame(joined, session) || (goal === 'cutover' && !(await isProven(engine, spec, session)))) {
        return { outcome: 'waiting', why: 'somebody else has gone on with it meanwhile', online: null };
      }
      const { mode, epoch, writesHeldMs, reached } = await walk({ engine, spec, parts, session, options }, goal, work);
      if (goal === 'cutover' && reached) {
        const message = 'functions cut over: no instance asks the source any more';
        await recordHistory(engine, spec.migration, { type: 'cut-over', message, run: session.run, by: holder });
      }
      return { outcome: 'done', why: null, online: { mode, epoch, writesHeldMs } };
    });
  } catch (error) {
    return await notMoved(engine, spec, error, { goal, holder });
  }
}

function isSame({ state }: JoinedAttempt, session: Session): boolean {
  return session.state?.attempt === state.attempt && ['applying', 'applied', 'verified'].includes(session.phase);
}

/** Asked under the lock: another verification may have come to another verdict. */
async function isProven(engine: Engine, spec: MigrationSpec, { state, phase }: Session): Promise<boolean> {
  if (state === null || phase !== 'verified') return false;
  const scope = attemptScope(spec.migration, state.attempt);
  const verification = await readItem(engine, 'verification', scope, currentId);
  if (verification?.item.ended?.verdict !== 'agree') return false;
  return !isVerdictStale(verification.item, engine.clock.nowMs());
}

/** What a later invocation, or a person, can do about it. @throws what neither can */
async function notMoved(
  engine: Engine,
  spec: MigrationSpec,
  error: unknown,
  { goal, holder }: { readonly goal: Aim['goal']; readonly holder: string },
): Promise<Move> {
  const moved = (outcome: Move['outcome'], why: string): Move => ({ outcome, why, online: null });
  if (isKeyferryError(error, 'lease.held') || isKeyferryError(error, 'switch.moved')) {
    return moved('waiting', error.message);
  }
  if (isKeyferryError(error, 'run.interrupted')) return moved('more', 'its time ran out before the barrier held');
  if (isKeyferryError(error, 'barrier.timed-out')) {
    // No write is held in `settled`, so the next one may try again at once.
    if (goal === 'cutover') return moved('waiting', error.message);
    await requestControl(engine, spec.migration, { kind: 'pause' }, `${holder}: ${error.code}`);
    return moved('stopped', `${error.message}; paused:   keyferry runs resume ${spec.migration}`);
  }
  if (isRefusal(error)) return moved('stopped', error.message);
  throw error;
}

function isRefusal(error: unknown): error is KeyferryError {
  const codes = ['phase.not-allowed', 'plan.not-applyable', 'switch.other-migration', 'epoch.lost'] as const;
  return codes.some((code) => isKeyferryError(error, code));
}

const seconds = (ms: number): string => `${Math.ceil(ms / 1000)} s`;
