/**
 * Strategy `replicate`: the target follows the source while applications use it, until they are led over.
 *
 *     apply      position of the source ─► backfill ┬─► caught up ─► a generation proven ─► (follow)
 *                                     forward tail ─┘
 *     cutover    hold writes ─► drain ─► compare ─► flip                      replicate/change-over.ts
 *     apply      then: the reverse tail, so that going back loses nothing
 *     rollback   before a cutover: what was copied goes. After it: hold, drain, compare, flip back, then the same
 *     finalize   the reverse tail ends, and with it the way back
 *
 * The position comes before the first read of the backfill, so the backfill needs no pinned snapshot: whatever it read too
 * early or too late, the tail carries (SPEC R38).
 */
import {
  KeyferryError,
  type ChunkCounts,
  type Difference,
  type Generation,
  type KeyRange,
  type MigrationSpec,
  type MigrationState,
  type PlanDocument,
  type PlanReader,
  type Position,
  type RefusedChange,
  type TailCounts,
  type TailLag,
  type TailName,
} from '@keyferry/core';
import { assertApplyable, startAttempt, type ApplyOptions, type Attempt } from '../attempt.ts';
import { assertAllTaken, recordBackfilled, runPlannedBackfill } from '../backfill-run.ts';
import { summarizeChunks } from '../backfill-summary.ts';
import { recordHistory } from '../events.ts';
import { assertNotStopped, type Engine } from '../migration.ts';
import { assertPlanFits } from '../plan-fits.ts';
import { assertPrimary, claimTail, portsOf, routeTo } from '../replicate/direction.ts';
import { catchUp, followOn, proveOnce, type Following } from '../replicate/follow.ts';
import { type GenerationResult } from '../replicate/generation.ts';
import { endStalePause } from '../replicate/give-way.ts';
import { readKeptKeys, registerKeptKeys } from '../replicate/kept-keys.ts';
import { withPermanentSource } from '../replicate/permanent-source.ts';
import { fenceOffChunks, keysIn } from '../replicate/range-deletes.ts';
import { reconcilePass, type ReconcileContext } from '../replicate/reconcile-pass.ts';
import { TailRun } from '../replicate/tail-run.ts';
import { patient, withRetry } from '../retry.ts';
import { assertMayRun, readControl } from '../run-control.ts';
import { RunRecorder } from '../run-record.ts';
import { RunWatch } from '../run-watch.ts';
import { withSession, type Session } from '../session.ts';
import { attemptScope } from '../state-items.ts';

export interface ReplicateOptions extends ApplyOptions {
  /** Goes on carrying changes until it is told to stop; false: ends once a generation was proven. */
  readonly follow: boolean;
}

export interface ReplicateResult {
  readonly plan: PlanDocument;
  readonly run: string;
  readonly attempt: number;
  readonly resumed: boolean;
  readonly tail: TailName;
  /** proven: everything up to the generation's position is in the other store. */
  readonly outcome: 'proven' | 'differs' | 'unsettled';
  /** Of the backfill. */
  readonly counts: ChunkCounts;
  readonly carried: TailCounts;
  readonly lag: TailLag;
  /** The last one that was proven. */
  readonly generation: Generation | null;
  readonly differences: readonly Difference[];
  readonly differencesTotal: number;
  readonly refused: readonly RefusedChange[];
  readonly refusedTotal: number;
  readonly elapsedMs: number;
}

/**
 * Copies and follows; after a cutover, follows the other way. Goes on after an interruption.
 * @throws {KeyferryError} as `applyOffline`, and `tail.held`, `tail.deletes-guarded`, `switch.taken`
 */
export async function applyReplicate(
  given: Engine,
  spec: MigrationSpec,
  reader: PlanReader,
  options: ReplicateOptions,
): Promise<ReplicateResult> {
  const engine = options.follow ? patient(given) : given;
  const startedAtMs = engine.clock.monotonicMs();
  assertApplyable(reader.plan);
  return withSession(engine, spec, options, async (session) => {
    const { migration } = spec;
    const isBack = session.phase === 'cut-over' && session.state?.plan === reader.plan.plan;
    await assertPrimary(engine, spec, isBack ? 'target' : 'source');
    const { plan } = reader.plan;
    const by = options.holder;
    const ended = isBack
      ? await followBack(engine, spec, session, reader.plan, options)
      : await copyAndFollow(engine, spec, session, reader, options);
    const { attempt } = session.state as MigrationState;
    const message = `carried ${ended.carried.puts + ended.carried.deletes} changes of plan ${plan}: ${ended.outcome}`;
    await recordHistory(engine, migration, { type: 'replicate.ended', message, run: session.run, by });
    const elapsedMs = engine.clock.monotonicMs() - startedAtMs;
    return { plan: reader.plan, run: session.run, attempt, ...ended, elapsedMs };
  });
}

type Ended = Omit<ReplicateResult, 'plan' | 'run' | 'attempt' | 'elapsedMs'>;

async function copyAndFollow(
  whole: Engine,
  spec: MigrationSpec,
  session: Session,
  reader: PlanReader,
  options: ReplicateOptions,
): Promise<Ended> {
  const engine = withPermanentSource(whole);
  const { migration } = spec;
  const { feed } = whole.source;
  if (feed === undefined) {
    throw new KeyferryError('capability.missing', {
      store: spec.sourceStore,
      capability: 'telling its changes',
      strategy: 'replicate',
    });
  }
  // Before the first read of a backfill that begins now. One that goes on has its position in the target.
  const from = await withRetry(engine, 'head of feed', () => feed.head(), options.signal);
  const begun = await startAttempt(engine, spec, session, reader, options);
  try {
    await registerKeptKeys(engine, migration, begun.attempt, reader);
    return await followFrom({ whole, engine, spec, session, plan: reader.plan, options, begun, from });
  } finally {
    await begun.view.close();
  }
}

interface Begun {
  readonly whole: Engine;
  readonly engine: Engine;
  readonly spec: MigrationSpec;
  readonly session: Session;
  readonly plan: PlanDocument;
  readonly options: ReplicateOptions;
  readonly begun: Attempt;
  readonly from: Position;
}

async function followFrom(parts: Begun): Promise<Ended> {
  const { whole, engine, spec, session, options, begun, from } = parts;
  const { migration } = spec;
  const scope = attemptScope(migration, begun.attempt);
  const kept = await readKeptKeys(engine, migration, begun.attempt);
  const route = routeTo('target', whole, spec, kept);
  const tail = await claimTail(engine, spec, session, route, { position: from, always: false });
  const control = await readControl(engine, migration, session.state);
  const watch = new RunWatch(engine, { spec, run: session.run, scope, control });
  const stop = AbortSignal.any([options.signal, session.lock.lostSignal, watch.signal]);
  const targetControl = engine.target.control(migration);
  const { attempt, epoch, view } = begun;
  const backfill = { engine, spec, attempt, epoch, control: targetControl, scope, view };
  const run = new TailRun(
    engine,
    tail,
    {
      expand: async (range) => {
        if (session.phase === 'applying') await fenceOffChunks(backfill, range);
        return keysIn(engine, engine.target, range, stop);
      },
      recover: () =>
        reconcilePass(engine, spec, tail, {
          kept,
          deletesAccepted: options.accept.includes('guard.deletes'),
          signal: stop,
        }),
    },
    stop,
  );
  try {
    const ended = await backfillAndProve(parts, run, kept, watch, stop);
    await run.end();
    return ended;
  } catch (error) {
    await run.end().catch(() => undefined); // what ended the work is what is told
    throw error;
  } finally {
    await watch.close();
  }
}

async function backfillAndProve(
  { engine, whole, spec, session, plan, options, begun }: Begun,
  run: TailRun,
  kept: Following['kept'],
  watch: RunWatch,
  stop: AbortSignal,
): Promise<Ended> {
  const { migration } = spec;
  const scope = attemptScope(migration, begun.attempt);
  const facts = {
    run: session.run,
    command: 'apply',
    plan: plan.plan,
    attempt: begun.attempt,
    by: options.holder,
  } as const;
  const recorder = new RunRecorder(engine, migration, facts);
  const assertGoing = (): void => {
    session.lock.assertHeld();
    assertNotStopped(migration, options.signal);
    watch.assertGoing();
  };
  return await recorder.during(
    async () => {
      if (session.phase === 'applying') {
        const failed = new AbortController();
        const work = runPlannedBackfill(
          { engine, spec, plan, session, attempt: begun, recorder, watch },
          options.chunksMax,
          AbortSignal.any([stop, failed.signal]),
        );
        try {
          await run.whileGoing(work);
        } finally {
          failed.abort();
          await work.catch(() => undefined); // it failed first, or was stopped because the tail did
        }
        assertGoing();
        const summary = await summarizeChunks(engine, scope);
        assertAllTaken(spec, summary, options);
        await recordBackfilled(engine, spec, session, summary);
      }
      const following: Following = { engine: whole, spec, plan, kept, to: 'target', run, signal: stop };
      const ended = await proveAndFollow(following, options.follow, assertGoing, async ({ verdict }) => {
        const phase = session.after(verdict === 'equal' ? 'caught-up' : 'differs', spec, 'apply');
        await session.write({ ...(session.state as MigrationState), phase, changedAtMs: engine.clock.nowMs() });
      });
      const { counts } = await summarizeChunks(engine, scope);
      return { resumed: begun.resumed, counts, ...ended };
    },
    ({ outcome }) => (outcome === 'proven' ? 'done' : 'deviated'),
  );
}

/** After a cutover the reverse tail fills the source, so that going back loses nothing. */
async function followBack(
  engine: Engine,
  spec: MigrationSpec,
  session: Session,
  plan: PlanDocument,
  options: ReplicateOptions,
): Promise<Ended> {
  await assertPlanFits(engine, plan, spec, { resuming: true });
  const { attempt } = session.state as MigrationState;
  const { migration } = spec;
  const kept = await readKeptKeys(engine, migration, attempt);
  const scope = attemptScope(migration, attempt);
  const found = await readControl(engine, migration, session.state);
  const control = await endStalePause(engine, migration, found, options.holder);
  assertMayRun(migration, control);
  const watch = new RunWatch(engine, { spec, run: session.run, scope, control });
  const stop = AbortSignal.any([options.signal, session.lock.lostSignal, watch.signal]);
  const deletesAccepted = options.accept.includes('guard.deletes');
  const run = await startReverse(engine, spec, session, { kept, deletesAccepted, signal: stop });
  const following: Following = { engine, spec, plan, kept, to: 'source', run, signal: stop };
  try {
    const assertGoing = (): void => {
      session.lock.assertHeld();
      assertNotStopped(migration, options.signal);
      watch.assertGoing();
    };
    const ended = await proveAndFollow(following, options.follow, assertGoing, async () => undefined);
    await run.end();
    const { counts } = await summarizeChunks(engine, scope);
    return { resumed: true, counts, ...ended };
  } catch (error) {
    await run.end().catch(() => undefined); // what ended the work is what is told
    throw error;
  } finally {
    await watch.close();
  }
}

/** The reverse tail, from where the cutover anchored it or where it was left. */
async function startReverse(
  engine: Engine,
  spec: MigrationSpec,
  session: Session,
  context: ReconcileContext,
): Promise<TailRun> {
  const { kept, signal } = context;
  const route = routeTo('source', engine, spec, kept);
  const stored = await withRetry(engine, 'read tail', () => route.into.readTail('reverse'));
  if (stored?.position === undefined || stored.position === null) {
    throw new KeyferryError('cutover.not-ready', {
      migration: spec.migration,
      why: 'the source holds no position of the reverse tail: it was not anchored there, or its record was taken away',
    });
  }
  const tail = await claimTail(engine, spec, session, route, { position: stored.position, always: false });
  const hooks = {
    expand: (range: KeyRange) => keysIn(engine, portsOf(engine).back, range, signal),
    recover: () => reconcilePass(engine, spec, tail, context),
  };
  return new TailRun(engine, tail, hooks, signal);
}

async function proveAndFollow(
  following: Following,
  goesOn: boolean,
  assertGoing: () => void,
  proven: (result: GenerationResult) => Promise<void>,
): Promise<Omit<Ended, 'resumed' | 'counts'>> {
  const { run } = following;
  await run.whileGoing(catchUp(following));
  let result = await proveOnce(following);
  await proven(result);
  if (goesOn && result.verdict === 'equal') {
    result = await followOn(following, result);
    if (result.verdict !== 'equal') await proven(result);
  }
  assertGoing();
  const { tail } = run;
  return {
    tail: tail.route.tail,
    outcome: result.verdict === 'equal' ? 'proven' : result.verdict === 'differ' ? 'differs' : 'unsettled',
    carried: tail.counts,
    lag: tail.lag.value(tail.position),
    generation: tail.generation,
    differences: result.differences,
    differencesTotal: result.differencesTotal,
    refused: tail.refusedFirst,
    refusedTotal: tail.refusedTotal,
  };
}
