/**
 * A tail slice: carries what the source, or after a cutover the target, changed since the last one, and ends; for a
 * schedule that calls it each minute in place of `apply --follow`.
 *
 *     lock ─► claim the tail: lease and fence ─► read and carry, from the stored position up to the head ─► store, give back
 *
 * It is the same tail as that of a machine, with the same single owner (SPEC R40): the position lies in the store that is
 * written and moves with the changes, so an invocation that is killed is followed by one that goes on where the last step
 * was stored, and none is lost (R69). Unlike slices that copy it holds the migration's lock, as `apply --follow` does: so a
 * cutover or a rollback asks it to give way and gets the lock within seconds. The first copy and its proof are made by
 * `apply`; until then, and in the midst of a cutover, it does nothing.
 */
import {
  isKeyferryError,
  KeyferryError,
  noTailCounts,
  standingOf,
  type Code,
  type MigrationSpec,
  type MigrationState,
  type PlanId,
  type TailCounts,
  type TailLag,
  type TailName,
} from '@keyferry/core';
import { appliedPlan } from '../finalize.ts';
import type { Engine } from '../migration.ts';
import { assertPlanFits } from '../plan-fits.ts';
import { assertPrimary, claimTail, routeTo } from '../replicate/direction.ts';
import { endStalePause } from '../replicate/give-way.ts';
import { readKeptKeys } from '../replicate/kept-keys.ts';
import { withPermanentSource } from '../replicate/permanent-source.ts';
import { keysIn } from '../replicate/range-deletes.ts';
import { reconcilePass } from '../replicate/reconcile-pass.ts';
import { TailRun } from '../replicate/tail-run.ts';
import { withRetry } from '../retry.ts';
import { readControl } from '../run-control.ts';
import { RunWatch } from '../run-watch.ts';
import { withSession, type RunOptions, type Session } from '../session.ts';
import { attemptScope, readMigration } from '../state-items.ts';
import type { SliceEnd, SliceOutcome, SliceRequest } from './slice.ts';

export interface TailSliceRequest extends Pick<SliceRequest, 'deadline' | 'holder'> {
  readonly command: string;
}

/** done: everything up to where the store stood when it began is carried. */
export interface TailSlice extends SliceEnd {
  /** Which way; null: it carried nothing. */
  readonly tail: TailName | null;
  /** By this slice. */
  readonly carried: TailCounts;
  readonly lag: TailLag | null;
  /** Records that the other store can never take, as of now. */
  readonly refusedTotal: number;
}

export async function tailSlice(engine: Engine, spec: MigrationSpec, request: TailSliceRequest): Promise<TailSlice> {
  const { migration } = spec;
  const { deadline, holder, command } = request;
  const options = { holder, command, lockTimeoutMs: 0, holderIsGone: () => false, signal: deadline.signal };
  try {
    return await withSession(engine, spec, options, (session) => carry(engine, spec, session, options, request));
  } catch (error) {
    const outcome = outcomeOf(error);
    if (outcome === null || !(error instanceof KeyferryError)) throw error;
    const state = (await readMigration(engine, migration))?.item ?? null;
    return endOfTail(spec, state, outcome, error.message);
  }
}

const nothing = { tail: null, carried: noTailCounts, lag: null, refusedTotal: 0 } as const;

/** Where a later invocation may find it otherwise, and where a person has to look; null: a failure of this one. */
function outcomeOf(error: unknown): SliceOutcome | null {
  const is = (code: Code): boolean => isKeyferryError(error, code);
  if (is('run.interrupted')) return 'more';
  if (waitedFor.some(is)) return 'waiting';
  return left.some(is) ? 'stopped' : null;
}

/** Another owner has it for now. */
const waitedFor: readonly Code[] = ['lease.held', 'lease.lost', 'tail.held', 'fence.lost', 'state.conflict'];
/** No repeat would change it. */
const left: readonly Code[] = [
  'slices.not-fit',
  'epoch.lost',
  'run.stopped',
  'run.cancelled',
  'switch.taken',
  'tail.deletes-guarded',
  'tail.too-many-refused',
];

/** Of a slice that carried nothing. */
export function endOfTail(
  spec: MigrationSpec,
  state: MigrationState | null,
  outcome: SliceOutcome,
  why: string,
): TailSlice {
  return { ...nothing, ...endOf(spec, state, outcome, why) };
}

function endOf(
  { migration }: MigrationSpec,
  state: MigrationState | null,
  outcome: SliceOutcome,
  why: string | null,
): SliceEnd {
  const plan: PlanId | null = state?.plan ?? null;
  return { outcome, migration, plan, attempt: state?.attempt ?? null, phase: state?.phase ?? 'new', why };
}

async function carry(
  engine: Engine,
  spec: MigrationSpec,
  session: Session,
  options: RunOptions,
  { deadline, holder }: TailSliceRequest,
): Promise<TailSlice> {
  const { migration } = spec;
  const { state } = session;
  const idle = (outcome: 'idle' | 'stopped', why: string): TailSlice => endOfTail(spec, state, outcome, why);
  if (state === null) return idle('idle', 'no plan was applied yet');
  if (state.phase !== 'replicating' && state.phase !== 'cut-over') {
    return idle('idle', `it is ${state.phase}: changes are carried once apply has copied and proven it`);
  }
  const to = state.phase === 'cut-over' ? 'source' : 'target';
  assertFollowable(engine, spec, to);
  const control = await endStalePause(engine, migration, await readControl(engine, migration, state), holder);
  const standing = standingOf(control);
  if (standing !== 'going') return idle('stopped', `${standing} by ${control.paused?.by ?? 'somebody'}`);
  await assertPlanFits(engine, await appliedPlan(engine, session), spec, { resuming: true });
  await assertPrimary(engine, spec, to === 'target' ? 'source' : 'target');
  const kept = await readKeptKeys(engine, migration, state.attempt);
  const route = routeTo(to, engine, spec, kept);
  const stored = await withRetry(engine, 'read tail', () => route.into.readTail(route.tail));
  const position = stored?.position ?? null;
  if (position === null) return idle('stopped', `no position of the ${route.tail} tail is stored`);
  const tail = await claimTail(engine, spec, session, route, { position, always: false });
  const before = tail.counts;
  const scope = attemptScope(migration, state.attempt);
  const watch = new RunWatch(engine, { spec, run: session.run, scope, control, isSilent: true });
  const stop = AbortSignal.any([options.signal, session.lock.lostSignal, watch.signal]);
  const hooks = {
    expand: (range: Parameters<typeof keysIn>[2]) => keysIn(engine, route.written, range, stop),
    recover: () => {
      // Records that end are granted their ends at a cutover; whatever follows the source sees them without.
      const compared = to === 'target' ? withPermanentSource(engine) : engine;
      return reconcilePass(compared, spec, tail, { kept, deletesAccepted: false, signal: stop });
    },
    onStep: (ms: number): void => deadline.observe(ms),
  };
  const run = new TailRun(engine, tail, hooks, stop);
  try {
    const head = await withRetry(engine, 'head of feed', () => route.feed.head(), stop);
    await run.whenReached(head);
    await run.end();
    session.lock.assertHeld();
    watch.assertGoing();
    const isDone = tail.hasReached(head);
    const carried = difference(tail.counts, before);
    const end = endOf(spec, session.state, isDone ? 'done' : 'more', isDone ? null : 'its time ran out');
    return { ...end, tail: route.tail, carried, lag: tail.lag.value(tail.position), refusedTotal: tail.refusedTotal };
  } catch (error) {
    await run.end().catch(() => undefined); // what ended the work is what is told
    throw error;
  } finally {
    await watch.close();
  }
}

/**
 * A function keeps nothing from one invocation to the next, so all that the feed needs has to be in its position; and it may
 * be frozen, so what it still sends late has to be refused by the store.
 * @throws {KeyferryError} `slices.not-fit`
 */
function assertFollowable(engine: Engine, spec: MigrationSpec, to: 'source' | 'target'): void {
  const { migration, sourceStore, targetStore } = spec;
  const [read, written] = to === 'target' ? [sourceStore, targetStore] : [targetStore, sourceStore];
  const refuse = (why: string): never => {
    throw new KeyferryError('slices.not-fit', {
      migration,
      why: `${why}: follow it from a machine with apply --follow`,
    });
  };
  const { feed, into } = routeTo(to, engine, spec, new Set());
  if (feed.capabilities.kind === 'state')
    refuse(`${read} tells changes by an image of itself, which lies on one machine`);
  if (!into.capabilities.fencing) refuse(`${written} cannot refuse what a function that was replaced still sends`);
}

function difference(now: TailCounts, before: TailCounts): TailCounts {
  return {
    puts: now.puts - before.puts,
    deletes: now.deletes - before.deletes,
    leftOut: now.leftOut - before.leftOut,
    ranges: now.ranges - before.ranges,
    reconciled: now.reconciled - before.reconciled,
  };
}
