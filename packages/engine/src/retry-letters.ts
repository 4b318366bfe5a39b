/**
 * Tries the dead letters of an attempt again, once their cause has been mended: `runs retry`.
 *
 *     lock ─► may it run? ─► for each chunk with letters: claim it anew ─► source's records of now ─► guarded write
 *                                                                            └─► the letter says what became of it
 *          ─► all chunks done: verify, as after an apply
 *
 * The writes are those of backfill: same guards, same fence and epoch, under a token of their own, so that a worker that
 * slept since is shut out. A letter is settled after its record; what dies in between is found `already-written` by the
 * next try and counted once (dead-letters.ts). Letters behind no checkpoint are left to the apply that goes on.
 */
import {
  addCounts,
  countText,
  imageRule,
  keyFromJson,
  KeyferryError,
  nextStep,
  nextToken,
  noCounts,
  emptyDigest,
  RecordHasher,
  reopen,
  scannedOf,
  type ChunkCounts,
  type ChunkId,
  type ChunkState,
  type ChunkWriter,
  type Fence,
  type KeyJson,
  type MigrationSpec,
  type MigrationState,
  type PlanDocument,
  type StateEntry,
  type TargetControl,
} from '@keyferry/core';
import { summarizeChunks } from './backfill-summary.ts';
import { keepBeforeImages } from './before-images.ts';
import { countOf, deadLetterReason, settledKeys } from './change-outcomes.ts';
import { tellKeys } from './key-messages.ts';
import { ChunkBatches } from './chunk-batches.ts';
import { readGuards, type ChunkGuards } from './chunk-guards.ts';
import { endOf, isCounted, openLetters, recordsOf, type LetterEnd } from './dead-letters.ts';
import { deviationsOf } from './deviations.ts';
import { assertNotOvertaken, assertSameEpoch, ensureEpoch } from './epoch.ts';
import { recordHistory } from './events.ts';
import { openImage } from './image.ts';
import { recordsOfLetters } from './letter-records.ts';
import { assertNotStopped, type Engine } from './migration.ts';
import { assertPlanFits } from './plan-fits.ts';
import { withRetry } from './retry.ts';
import { assertMayRun, readControl } from './run-control.ts';
import { RunWatch } from './run-watch.ts';
import { withSession, type RunOptions, type Session } from './session.ts';
import { SharedView } from './shared-view.ts';
import { attemptScope, writeItem, writeItemOrFail } from './state-items.ts';
import { recordBackfilled } from './backfill-run.ts';
import { recordVerdict } from './strategies/offline.ts';
import { verify, type VerifyResult } from './verify.ts';

export interface RetryResult {
  readonly plan: PlanDocument;
  readonly run: string;
  /** What became of the letters that were tried: those that are still dead are its dead letters. */
  readonly tried: ChunkCounts;
  /** Named by a worker before its checkpoint: the apply that goes on decides them. */
  readonly notReached: number;
  /** The first of those that are still dead. */
  readonly stillDead: readonly StillDead[];
  /** Of the whole attempt, afterwards. */
  readonly counts: ChunkCounts;
  /** unfinished: chunks are left to copy, so nothing was verified. */
  readonly outcome: 'done' | 'deviated' | 'unfinished';
  readonly verify: VerifyResult | null;
  readonly deviations: readonly string[];
  readonly appliedAs: string;
  readonly elapsedMs: number;
}

export interface StillDead {
  readonly targetKey: KeyJson;
  /** In the store's own words. */
  readonly reason: string;
  readonly sensitive: boolean;
}

const stillDeadNamed = 20;
/** A claim whose answer was lost is not guessed at: the chunk is claimed anew, so often. */
const claimsMax = 5;

/** @throws {KeyferryError} `phase.not-allowed` before an apply; `run.paused`, `run.cancelled`; as `apply` does. */
export async function retryDeadLetters(engine: Engine, spec: MigrationSpec, options: RunOptions): Promise<RetryResult> {
  const startedAtMs = engine.clock.monotonicMs();
  return withSession(engine, spec, options, async (session) => {
    const { state, plan } = await appliedBefore(engine, spec, session);
    assertMayRun(spec.migration, await readControl(engine, spec.migration, state));
    await assertPlanFits(engine, plan, spec, { resuming: true });
    const epoch = { attempt: state.attempt, token: state.epochToken };
    await assertNotOvertaken(engine, spec, epoch);
    await ensureEpoch(engine, spec, epoch);
    const retry = new LetterRetry(engine, spec, plan, session, options, epoch);
    await retry.all();
    const summary = await summarizeChunks(engine, attemptScope(spec.migration, state.attempt));
    const result = {
      plan,
      run: session.run,
      tried: retry.tried,
      notReached: retry.notReached,
      stillDead: retry.stillDead,
      counts: summary.counts,
      appliedAs: state.appliedAs,
    };
    const elapsed = () => ({ elapsedMs: engine.clock.monotonicMs() - startedAtMs });
    if (summary.chunksDone < summary.chunksTotal) {
      return { ...result, outcome: 'unfinished' as const, verify: null, deviations: [], ...elapsed() };
    }
    await recordBackfilled(engine, spec, session, summary);
    await session.write({ ...(session.state as MigrationState), run: session.run, counts: summary.counts });
    const verified = await verify(engine, spec, plan, options.signal);
    const deviations = deviationsOf(plan, summary, verified);
    await recordVerdict(engine, spec, session, deviations.length === 0);
    const outcome = deviations.length === 0 ? ('done' as const) : ('deviated' as const);
    const message =
      `tried ${countText(scannedOf(retry.tried))} dead letters again, ` +
      `${countText(retry.tried.deadLetters)} are still dead`;
    const { run } = session;
    await recordHistory(engine, spec.migration, { type: 'letters.retried', message, run, by: options.holder });
    return { ...result, outcome, verify: verified, deviations, ...elapsed() };
  });
}

async function appliedBefore(engine: Engine, { migration }: MigrationSpec, { state, phase }: Session) {
  const plan =
    state === null ? null : await withRetry(engine, 'plan', () => engine.state.read('plan', migration, state.plan));
  // What was published is whole: nothing can be added to it.
  const isOpen =
    phase === 'applying' || (engine.target.publication === null && ['applied', 'verified'].includes(phase));
  if (state !== null && plan !== null && isOpen) return { state, plan: plan.item };
  const { next } = nextStep(migration, phase, state?.appliedAs ?? `${migration}.kfplan`);
  throw new KeyferryError('phase.not-allowed', { migration, phase, command: 'runs retry', next });
}

type Letter = StateEntry<'dead-letter'>;

class LetterRetry {
  notReached = 0;
  readonly stillDead: StillDead[] = [];
  private readonly engine: Engine;
  private readonly spec: MigrationSpec;
  private readonly plan: PlanDocument;
  private readonly session: Session;
  private readonly options: RunOptions;
  private readonly epoch: Fence;
  private readonly scope: string;
  private readonly control: TargetControl;
  private counts = noCounts;

  constructor(
    engine: Engine,
    spec: MigrationSpec,
    plan: PlanDocument,
    session: Session,
    options: RunOptions,
    epoch: Fence,
  ) {
    this.engine = engine;
    this.spec = spec;
    this.plan = plan;
    this.session = session;
    this.options = options;
    this.epoch = epoch;
    this.scope = attemptScope(spec.migration, epoch.attempt);
    this.control = engine.target.control(spec.migration);
  }

  get tried(): ChunkCounts {
    return this.counts;
  }

  async all(): Promise<void> {
    const { engine, spec, session, scope } = this;
    const control = await readControl(engine, spec.migration, session.state);
    const watch = new RunWatch(engine, { spec, run: session.run, scope, control });
    let view: SharedView | null = null;
    try {
      for await (const letters of openLetters(engine, scope)) {
        for (const [chunk, ofChunk] of Map.groupBy(letters, ({ item }) => item.chunk)) {
          // Not before there is a letter: opening a view can be dear.
          view ??= new SharedView(() => openImage(engine, spec, this.options.signal), null);
          await this.chunk(chunk as ChunkId, ofChunk, view, watch);
        }
      }
    } finally {
      await watch.close();
      await view?.close();
    }
  }

  private async chunk(chunk: ChunkId, letters: readonly Letter[], view: SharedView, watch: RunWatch): Promise<void> {
    const { engine, spec, plan } = this;
    const { writer, state } = await this.claim(chunk);
    const open = letters.filter(({ item }) => isCounted(item, state, spec));
    this.notReached += letters.length - open.length;
    const { records, letterOf, without } = await recordsOfLetters(engine, spec, open, view, this.options.signal);
    const { batchKeysMax, batchBytesMax } = engine.target.capabilities;
    const limits = { batchBytesMax, batchKeysMax: () => watch.pace.batchKeysMax(batchKeysMax) };
    const progress = { cursor: null, counts: noCounts, digest: emptyDigest };
    const guards = await this.guardsOf(chunk, open);
    const batches = new ChunkBatches(imageRule(spec).rule, new RecordHasher(plan.salt), progress, limits, guards);
    let batchesSent = 0;
    for (const batch of batches.cut({ records, notCarried: [] }, () => engine.clock.nowMs())) {
      await watch.pace.pass(batch.changes.length, AbortSignal.any([this.options.signal, watch.signal]), () =>
        Promise.resolve(),
      );
      this.assertGoing(watch);
      batchesSent += 1;
      const name = { chunk, token: state.token, batch: batchesSent };
      if (plan.keepBefore) await keepBeforeImages(engine, this.control, this.scope, name, batch.changes);
      const call = () => watch.pace.timed('target', () => writer.write(batch.changes));
      const outcomes = await withRetry(engine, `write ${chunk}`, call, this.options.signal);
      for (const [i, outcome] of outcomes.entries()) {
        const key = batch.sourceKeys[i] ?? null;
        const change = batch.changes[i];
        const letter = key === null ? undefined : letterOf.get(key);
        if (key === null || change === undefined || letter === undefined) continue;
        letterOf.delete(key);
        const reason = deadLetterReason(change, outcome);
        if (reason === null) await this.resolve(letter, countOf(change, outcome) as LetterEnd);
        else await this.keepDead(letter, reason);
      }
      tellKeys(engine.host, settledKeys(batch, outcomes));
      this.tell();
    }
    for (const { letter, reason } of without) {
      if (reason === null) await this.resolve(letter, 'notCarried');
      else await this.keepDead(letter, reason);
    }
    // Their time ran out before it was their turn.
    for (const letter of letterOf.values()) await this.resolve(letter, 'notCarried');
    this.tell();
  }

  /** At what version a letter's record may be overwritten; deletes are no letters, and none of them is tried again. */
  private async guardsOf(chunk: ChunkId, letters: readonly Letter[]): Promise<ChunkGuards> {
    const { engine, scope } = this;
    const planned = await withRetry(engine, 'state', () => engine.state.read('chunk-plan', scope, chunk));
    if (planned === null) throw new KeyferryError('state.conflict', { what: `chunk ${chunk}` });
    const targets = new Set(letters.map(({ item }) => keyFromJson(item.targetKey)));
    return (await readGuards(engine, scope, planned.item)).overwritesOf(targets);
  }

  /** Raises the chunk's token in the state, then its fence in the target, as every claim does (SPEC R2). */
  private async claim(chunk: ChunkId): Promise<{ readonly writer: ChunkWriter; readonly state: ChunkState }> {
    const { engine, spec, scope, epoch, control } = this;
    for (let claims = 1; claims <= claimsMax; claims += 1) {
      const entry = await withRetry(engine, 'state', () => engine.state.read('chunk', scope, chunk));
      if (entry === null) throw new KeyferryError('state.conflict', { what: `chunk ${chunk}` });
      const inTarget = await withRetry(engine, 'fence', () => control.readFence(chunk));
      const state = reopen(entry.item, nextToken(epoch.attempt, entry.item.token, inTarget));
      const change = await writeItem(engine, 'chunk', scope, chunk, state, entry.version);
      if (change.kind === 'lost') continue;
      const fence = { attempt: epoch.attempt, token: state.token };
      const claimed = await withRetry(engine, `claim ${chunk}`, () => control.claimChunk(chunk, fence, epoch));
      if (claimed.kind === 'claimed') return { writer: claimed.writer, state };
      assertSameEpoch(spec.migration, epoch, claimed.epoch);
    }
    throw new KeyferryError('fence.lost', { chunk });
  }

  private async resolve({ id, item, version }: Letter, as: LetterEnd): Promise<void> {
    const resolved = { as, atMs: this.engine.clock.nowMs() };
    await writeItemOrFail(this.engine, 'dead-letter', this.scope, id, { ...item, resolved }, version);
    this.counts = addCounts(this.counts, endOf(item, as));
  }

  private async keepDead({ id, item, version }: Letter, reason: string): Promise<void> {
    if (reason !== item.reason) {
      await writeItemOrFail(this.engine, 'dead-letter', this.scope, id, { ...item, reason }, version);
    }
    this.counts = addCounts(this.counts, { ...noCounts, deadLetters: recordsOf(item) });
    if (this.stillDead.length < stillDeadNamed) {
      const { targetKey } = item;
      this.stillDead.push({ targetKey, reason, sensitive: this.spec.isSensitive(keyFromJson(targetKey)) });
    }
  }

  private assertGoing(watch: RunWatch): void {
    this.session.lock.assertHeld();
    assertNotStopped(this.spec.migration, this.options.signal);
    watch.assertGoing();
  }

  private tell(): void {
    this.engine.host.emit({ code: 'letters.progress', data: { tried: { ...this.counts } } });
  }
}
