/**
 * A verify slice: compares both sides chunk by chunk, until all chunks of a verification are compared or the deadline comes.
 *
 *     all copied ──lock──► applied, verification N ──► checks, by anybody ──► all done ──lock──► verdict
 *
 * Each chunk is read at its own time, at or after the positions at which the verification began. That proves what a
 * verification in one go proves as long as nobody writes; and whoever does write to the source moves it away from the
 * plan's own digest of it, which the sum of all checks is held against. A chunk that is larger than a slice goes on at the
 * key at which the one before stopped.
 */
import {
  chunkId,
  ComparisonTotal,
  decideCheck,
  finishCheck,
  isKeyferryError,
  keyFromJson,
  keyToJson,
  putDownCheck,
  runId,
  workerId,
  type CheckState,
  type ChunkId,
  type ComparisonPart,
  type MigrationSpec,
  type MigrationState,
  type PlannedChunk,
  type StateVersion,
  type Verification,
  type WorkerId,
} from '@keyferry/core';
import { summarizeChunks, type BackfillSummary } from '../backfill-summary.ts';
import { chunkLeaseMs } from '../backfill-context.ts';
import { recordHistory } from '../events.ts';
import { openViews, type Views } from '../image.ts';
import type { Engine } from '../migration.ts';
import { withRetry } from '../retry.ts';
import { RunRecorder } from '../run-record.ts';
import { withSession, type Session } from '../session.ts';
import { attemptScope, currentId, listItems, readItem, writeItem, writeItemOrFail } from '../state-items.ts';
import { recordBackfilled, recordVerdict } from '../backfill-run.ts';
import type { OnlineOutcome } from '../strategies/dual-read/walk.ts';
import { chunkComparison, type ChunkComparison, type Judged } from './chunk-comparison.ts';
import { frozenSource, isSettleDue, isVerdictStale, settle } from './online-moves.ts';
import { Search, shuffled, type SearchPage } from './search.ts';
import { endOf, joinAttempt, type JoinedAttempt, type SliceEnd, type SliceRequest } from './slice.ts';

export interface VerifySliceRequest extends SliceRequest {
  readonly command: string;
  /** These chunks and no others; null: whatever is not compared yet. */
  readonly chunks: readonly ChunkId[] | null;
  /** Begins a verification though the last one came to its end. */
  readonly again: boolean;
}

export interface VerifySlice extends SliceEnd {
  readonly verification: number | null;
  /** Chunks whose comparison this slice finished. */
  readonly chunksDone: number;
  /** Of the chunks that were asked for, those that are not compared; null: none were asked for by name. */
  readonly left: readonly ChunkId[] | null;
  /** What came out of it, once all chunks are compared; null before. */
  readonly verdict: 'agree' | 'differ' | null;
  readonly deviations: readonly string[];
  /** Where it led applications, once it was proven; null: nowhere. */
  readonly online: OnlineOutcome | null;
}

const chunksListed = 100;

export async function verifySlice(
  engine: Engine,
  spec: MigrationSpec,
  request: VerifySliceRequest,
): Promise<VerifySlice> {
  const { chunks } = request;
  const nothing = { verification: null, chunksDone: 0, left: chunks, verdict: null, deviations: [], online: null };
  const join = await joinAttempt(engine, spec, ['applying', 'applied', 'verified']);
  if (join.kind === 'ended') return { ...join.end, ...nothing };
  try {
    const isOnline = spec.strategy === 'dual-read';
    const frozenAt = isOnline ? await frozenSource(engine, spec) : null;
    if (isOnline && frozenAt === null)
      return { ...endOf(join.attempt, 'waiting', 'applications still write to the source'), ...nothing };
    const comparison = chunkComparison(engine, spec, join.attempt.plan, frozenAt);
    return await new VerifyRun(engine, spec, join.attempt, request, comparison).run();
  } catch (error) {
    await request.home.sides.drop(); // it may be what failed
    // Another slice, or somebody's command, has the lock for a moment.
    if (isKeyferryError(error, 'lease.held')) return { ...endOf(join.attempt, 'waiting', error.message), ...nothing };
    // Its time ran out while it waited for that moment to pass.
    if (isKeyferryError(error, 'run.interrupted'))
      return { ...endOf(join.attempt, 'more', 'its time ran out'), ...nothing };
    throw error;
  }
}

class VerifyRun {
  private readonly engine: Engine;
  private readonly spec: MigrationSpec;
  private readonly joined: JoinedAttempt;
  private readonly request: VerifySliceRequest;
  private readonly comparison: ChunkComparison;
  private readonly scope: string;
  private readonly done = new Set<ChunkId>();
  /** Chunks that are in other hands. */
  private readonly held = new Set<ChunkId>();
  private finished = 0;

  constructor(
    engine: Engine,
    spec: MigrationSpec,
    joined: JoinedAttempt,
    request: VerifySliceRequest,
    comparison: ChunkComparison,
  ) {
    this.comparison = comparison;
    this.engine = engine;
    this.spec = spec;
    this.joined = joined;
    this.request = request;
    this.scope = attemptScope(spec.migration, joined.state.attempt);
  }

  async run(): Promise<VerifySlice> {
    const { engine, request, joined } = this;
    const { deadline, chunks } = request;
    const begun = await this.begin();
    if (typeof begun === 'string') return this.end('idle', null, begun);
    const { number, ended } = begun;
    if (ended !== null) {
      for (const chunk of chunks ?? []) this.done.add(chunk);
      const end = { ...this.end('done', number, null), verdict: ended.verdict };
      return ended.verdict === 'agree' ? await this.ledOn(end) : end;
    }
    const views = await this.openViews(number);
    if (views === null)
      return this.end(
        'more',
        number,
        'the source was still being read when its time ran out: give it more, if that goes on',
      );
    const search = this.candidates(number);
    const run = runId(engine.clock.nowMs(), [engine.random.uint32(), engine.random.uint32()]);
    const compare = async (index: number): Promise<void> => {
      for (;;) {
        const chunk = deadline.hasPassed ? null : await search.next();
        if (chunk === null) return;
        await this.check(views, chunk, number, workerId(run, index));
      }
    };
    const results = await Promise.allSettled(Array.from({ length: this.spec.workers }, (_, i) => compare(i)));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
    if (deadline.hasPassed) return this.end('more', number, 'its time ran out');
    const left = search.whole?.open || (await this.countOpen(number));
    if (left > 0) return this.end(this.left()?.length === 0 ? 'done' : 'waiting', number, `${left} chunks are left`);
    const closed = await this.close(number);
    if (closed === null) return this.end('waiting', number, 'another verification has begun');
    const phase = closed.deviations.length === 0 ? ('verified' as const) : ('applied' as const);
    const end = { ...this.end('done', number, null), phase, ...closed, plan: joined.plan.plan };
    return phase === 'verified' ? await this.ledOn(end) : end;
  }

  /** Where applications take part, whoever finds it proven leads them on: who proved it may have died before that. */
  private async ledOn(end: VerifySlice): Promise<VerifySlice> {
    const { engine, spec, joined, request } = this;
    if (spec.strategy !== 'dual-read' || !isSettleDue({ ...joined.state, phase: 'verified' })) return end;
    const { outcome, why, online } = await settle(engine, spec, joined, request);
    return { ...end, outcome, why, online };
  }

  private end(outcome: SliceEnd['outcome'], verification: number | null, why: string | null): VerifySlice {
    const end = endOf(this.joined, outcome, why);
    return {
      ...end,
      verification,
      chunksDone: this.finished,
      left: this.left(),
      verdict: null,
      deviations: [],
      online: null,
    };
  }

  private left(): readonly ChunkId[] | null {
    const { chunks } = this.request;
    return chunks === null ? null : [...new Set(chunks)].filter((chunk) => !this.done.has(chunk));
  }

  /** The verification that is under way, or a new one where one is due; as a text, why there is none. */
  private async begin(): Promise<Verification | string> {
    const { engine, scope, request, joined } = this;
    const current = await readItem(engine, 'verification', scope, currentId);
    const { phase } = joined.state;
    const isOver = current === null ? phase === 'verified' : current.item.ended !== null;
    const isAgain = isOver && (request.again || this.isProofDue(current?.item ?? null));
    const isDue = phase === 'applying' || isAgain || (!isOver && current === null);
    if (!isDue) return current?.item ?? `it is ${phase}`;
    const summary = await summarizeChunks(engine, scope);
    const { chunks } = joined.plan;
    if (summary.chunksDone < chunks) return `${summary.chunksDone} of ${chunks} chunks are copied`;
    return await this.withLock(async (session) => {
      const state = session.state as MigrationState;
      const before = await readItem(engine, 'verification', scope, currentId);
      if (!(await this.isStillMine(state))) return 'another attempt has begun';
      await recordBackfilled(engine, this.spec, session, summary);
      if (before !== null && before.version !== current?.version) return before.item; // another slice was quicker
      const [sourcePosition, targetPosition] = await Promise.all([
        withRetry(engine, 'head of source', () => engine.source.head()),
        withRetry(engine, 'head of target', () => engine.target.head()),
      ]);
      const number = (before?.item.number ?? 0) + 1;
      const startedAtMs = engine.clock.nowMs();
      const next: Verification = { number, startedAtMs, sourcePosition, targetPosition, ended: null };
      await writeItemOrFail(engine, 'verification', scope, currentId, next, before?.version ?? 'absent');
      return next;
    });
  }

  /** Applications are led on by a verdict of functions themselves that is not of long ago. @param last null: a machine verified */
  private isProofDue(last: Verification | null): boolean {
    const { engine, spec, joined } = this;
    if (spec.strategy !== 'dual-read' || !isSettleDue(joined.state)) return false;
    return last === null || (last.ended?.verdict === 'agree' && isVerdictStale(last, engine.clock.nowMs()));
  }

  private withLock<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const { deadline, holder, command } = this.request;
    const options = { holder, command, lockTimeoutMs: 0, holderIsGone: () => false, signal: deadline.signal };
    return withSession(this.engine, this.spec, options, work);
  }

  private async isStillMine(state: MigrationState | null): Promise<boolean> {
    const { attempt } = this.joined.state;
    return state?.attempt === attempt && ['applying', 'applied', 'verified'].includes(state.phase);
  }

  /** Opened anew for each verification: it proves how both sides are now. */
  private async openViews(number: number): Promise<Views | null> {
    const { engine, spec, request, joined } = this;
    const name = `${joined.plan.plan}/${joined.state.attempt}/${number}`;
    return await request.deadline.before(request.home.sides.under(name, () => openViews(engine, spec)));
  }

  private candidates(number: number): Pick<Search<PlannedChunk>, 'next' | 'whole'> {
    const { engine, scope, request, joined } = this;
    if (request.chunks !== null) {
      const asked = [...new Set(request.chunks)];
      return {
        whole: null,
        next: async () => {
          for (let chunk = asked.shift(); chunk !== undefined; chunk = asked.shift()) {
            const planned = await readItem(engine, 'chunk-plan', scope, chunk);
            if (planned !== null) return planned.item;
          }
          return null;
        },
      };
    }
    const start = Math.floor((engine.random.uint32() / 2 ** 32) * joined.plan.chunks);
    return new Search(chunkId(start), (after, upTo) => this.look(number, after, upTo));
  }

  /** Chunks that nobody has compared, nor compares now. */
  private async look(number: number, after: string | null, upTo: string | null): Promise<SearchPage<PlannedChunk>> {
    const { engine, scope } = this;
    const page = { after, itemsMax: chunksListed };
    const [planned, checks] = await Promise.all([
      withRetry(engine, 'state chunk-plan', () => engine.state.list('chunk-plan', scope, page)),
      withRetry(engine, 'state check', () => engine.state.list('check', scope, page)),
    ]);
    const known = new Map(checks.entries.map(({ id, item }) => [id, item]));
    const mine = planned.entries.filter(({ id }) => upTo === null || id <= upTo);
    const nowMs = engine.clock.nowMs();
    const found: PlannedChunk[] = [];
    let open = 0;
    for (const { id, item } of mine) {
      const asked = { chunk: item.chunk, verification: number, worker: '' as WorkerId, nowMs, leaseMs: chunkLeaseMs };
      const { kind } = decideCheck(known.get(id) ?? null, asked);
      // A page of checks may be shorter than that of the chunks: what was met before is not looked at again.
      if (kind === 'done' || this.done.has(item.chunk)) continue;
      open += 1;
      if (kind === 'claim' && !this.held.has(item.chunk)) found.push(item);
    }
    const next = mine.length < planned.entries.length ? null : planned.next;
    return { found: shuffled(found, engine.random), items: mine.length, open, next };
  }

  /** Claims one chunk and compares it as far as time goes. */
  private async check(views: Views, chunk: PlannedChunk, verification: number, worker: WorkerId): Promise<void> {
    const { engine, scope, request } = this;
    const before = await readItem(engine, 'check', scope, chunk.chunk);
    const nowMs = engine.clock.nowMs();
    const asked = { chunk: chunk.chunk, verification, worker, nowMs, leaseMs: chunkLeaseMs };
    const decision = decideCheck(before?.item ?? null, asked);
    if (decision.kind === 'done') this.done.add(chunk.chunk);
    else if (decision.kind !== 'claim') this.held.add(chunk.chunk);
    if (decision.kind !== 'claim') return;
    let claim = decision.next;
    let expected: StateVersion | 'absent' = before?.version ?? 'absent';
    /** @returns false when somebody took it over, whose word is as good */
    const store = async (next: CheckState): Promise<boolean> => {
      const change = await writeItem(engine, 'check', scope, chunk.chunk, next, expected);
      if (change.kind === 'written') [claim, expected] = [next, change.version];
      return change.kind === 'written';
    };
    if (!(await store(claim))) return;
    const { cursor, part: earlier } = claim;
    const withEarlier = (part: ComparisonPart): ComparisonPart => {
      const total = new ComparisonTotal();
      if (earlier !== null) total.add(earlier);
      total.add(part);
      return total.part();
    };
    let renewedAtMs = engine.clock.monotonicMs();
    const whole = await this.comparison.compare(
      views,
      chunk,
      cursor === null ? null : keyFromJson(cursor),
      async (soFar) => {
        const isDue = engine.clock.monotonicMs() - renewedAtMs > chunkLeaseMs / 4;
        if (!request.deadline.hasPassed && !isDue) return true;
        const reached = soFar();
        if (reached === null) return true;
        const [key, part] = [keyToJson(reached.key), withEarlier(reached.part)];
        if (request.deadline.hasPassed) {
          await store(putDownCheck(claim, key, part));
          return false;
        }
        renewedAtMs = engine.clock.monotonicMs();
        const leaseEndsAtMs = engine.clock.nowMs() + chunkLeaseMs;
        return await store({ ...claim, leaseEndsAtMs, cursor: key, part });
      },
    );
    if (whole === null || !(await store(finishCheck(claim, withEarlier(whole))))) return;
    this.done.add(chunk.chunk);
    this.finished += 1;
  }

  private async countOpen(number: number): Promise<number> {
    const done = new Set<string>();
    for await (const entries of listItems(this.engine, 'check', this.scope)) {
      for (const { id, item } of entries) if (item.verification === number && item.phase === 'done') done.add(id);
    }
    return this.joined.plan.chunks - done.size;
  }

  /** Adds all checks up and writes the verdict; null: somebody has begun another verification, or ended this one. */
  private async close(number: number): Promise<Pick<VerifySlice, 'verdict' | 'deviations'> | null> {
    const { engine, spec, scope, joined, request } = this;
    return await this.withLock(async (session) => {
      const current = await readItem(engine, 'verification', scope, currentId);
      if (current?.item.number !== number || !(await this.isStillMine(session.state))) return null;
      const { ended } = current.item;
      if (ended !== null) return { verdict: ended.verdict, deviations: [] };
      const summary = await summarizeChunks(engine, scope);
      const { verified, deviations } = await this.judge(current.item, summary);
      const facts = { plan: joined.plan.plan, attempt: joined.state.attempt, by: request.holder } as const;
      const recorder = new RunRecorder(engine, spec.migration, { ...facts, run: session.run, command: 'apply' });
      await recorder.during(
        async () => recorder.verified(verified, deviations),
        () => (deviations.length === 0 ? 'done' : 'deviated'),
      );
      await recordVerdict(engine, spec, session, deviations.length === 0);
      const { verdict } = verified;
      const item = { ...current.item, ended: { atMs: engine.clock.nowMs(), verdict, deviations: deviations.length } };
      await writeItemOrFail(engine, 'verification', scope, currentId, item, current.version);
      const how = deviations.length === 0 ? 'as planned' : `not as planned: ${deviations.join('; ')}`;
      const message = `functions applied plan ${joined.plan.plan}, ${how}`;
      await recordHistory(engine, spec.migration, { type: 'apply.ended', message, run: session.run });
      return { verdict, deviations };
    });
  }

  private async judge(
    { number, sourcePosition, targetPosition, startedAtMs }: Verification,
    summary: BackfillSummary,
  ): Promise<Judged> {
    const { engine, scope } = this;
    const total = new ComparisonTotal();
    for await (const entries of listItems(engine, 'check', scope)) {
      for (const { item } of entries) {
        if (item.verification !== number || item.part === null || item.phase !== 'done') continue;
        total.add(item.part);
      }
    }
    const elapsedMs = engine.clock.nowMs() - startedAtMs;
    return this.comparison.judge(total, { sourcePosition, targetPosition, elapsedMs }, summary);
  }
}
