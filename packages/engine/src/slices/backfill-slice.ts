/**
 * A backfill slice: joins a started attempt, claims chunks, copies until the deadline, and gives back what it holds at a
 * checkpoint. Workers, claims and fences are those of any run (backfill.ts, worker.ts); only who hands out the chunks
 * differs, and that nobody waits here for a chunk which somebody else has: waiting is what a function is paid for.
 */
import {
  addCounts,
  chunkId,
  clockSkewMs,
  isKeyferryError,
  KeyferryError,
  noCounts,
  runId,
  type ChunkCounts,
  type ChunkId,
  type ChunkState,
  type MigrationSpec,
  type PlannedChunk,
} from '@keyferry/core';
import { runWorkers, type ChunkSupply } from '../backfill.ts';
import type { BackfillRecorder } from '../backfill-context.ts';
import { openLetters } from '../dead-letters.ts';
import { openImage } from '../image.ts';
import type { Engine, Environment } from '../migration.ts';
import { RunWatch } from '../run-watch.ts';
import { SharedView } from '../shared-view.ts';
import { attemptScope, readItem } from '../state-items.ts';
import { withRetry } from '../retry.ts';
import type { ChunkEnd } from '../worker.ts';
import type { Deadline } from './deadline.ts';
import { frozenSource } from './online-moves.ts';
import { Search, shuffled, type SearchPage } from './search.ts';
import { endOf, joinAttempt, type JoinedAttempt, type SliceEnd, type SliceRequest } from './slice.ts';

export interface BackfillSliceRequest extends SliceRequest {
  /** These chunks and no others; null: whatever can be claimed. */
  readonly chunks: readonly ChunkId[] | null;
}

export interface BackfillSlice extends SliceEnd {
  /** What this slice dealt with. */
  readonly counts: ChunkCounts;
  /** Chunks that were done when it was through with them. */
  readonly chunksDone: number;
  /** Of the chunks that were asked for, those that are not done; null: none were asked for by name. */
  readonly left: readonly ChunkId[] | null;
  /** How long the slowest request took, and how many failed and were repeated. */
  readonly slowestMs: number;
  readonly failures: number;
}

/** Chunks looked at in one request. */
const chunksListed = 100;

export async function backfillSlice(
  engine: Engine,
  spec: MigrationSpec,
  request: BackfillSliceRequest,
): Promise<BackfillSlice> {
  const meter = new SliceMeter(engine, request.deadline);
  const join = await joinAttempt(engine, spec, ['applying']);
  if (join.kind === 'ended') {
    // Behind the backfill no chunk is left: a message that comes late is done.
    const { phase } = join.end;
    const isBehind = phase === 'applied' || phase === 'verified' || phase === 'finalized';
    const left = request.chunks === null ? null : isBehind ? [] : request.chunks;
    return { ...join.end, ...meter.value(), chunksDone: 0, left };
  }
  try {
    return await copyChunks(engine, spec, join.attempt, request, meter);
  } catch (error) {
    await request.home.sources.drop(); // it may be what failed
    throw error;
  }
}

async function copyChunks(
  engine: Engine,
  spec: MigrationSpec,
  joined: JoinedAttempt,
  { chunks, deadline, home }: BackfillSliceRequest,
  meter: SliceMeter,
): Promise<BackfillSlice> {
  const { state, plan, control } = joined;
  const scope = attemptScope(spec.migration, state.attempt);
  const supply =
    chunks === null ? new FoundChunks(engine, scope, plan.chunks) : await GivenChunks.of(engine, scope, chunks);
  const end = (outcome: SliceEnd['outcome'], why: string | null): BackfillSlice => ({
    ...endOf(joined, outcome, why),
    ...meter.value(),
    chunksDone: supply.done.size,
    left: supply.left(),
  });
  // Looked for before the source is opened, which can be dear.
  const first = await supply.peek();
  if (first === null) return end(...supply.ending());
  // Asked before the source is opened: it has to be read at or after the last write that applications made there.
  const frozenAt = spec.strategy === 'dual-read' ? await frozenSource(engine, spec) : '';
  if (frozenAt === null) return end('waiting', 'applications still write to the source: dispatch has them leave it');
  const view = await home.sources.under(`${plan.plan}/${state.attempt}/${frozenAt}`, async () => {
    return new SharedView(() => openImage(engine, spec), null);
  });
  if ((await deadline.before(view.view())) === null)
    return end('more', 'the source was still being read when its time ran out: give it more, if that goes on');
  const deadLettersBefore = await countLetters(engine, scope, spec.runLimits.deadLettersMax);
  const run = runId(engine.clock.nowMs(), [engine.random.uint32(), engine.random.uint32()]);
  const share = 1 / spec.runLimits.functions;
  const watch = new RunWatch(engine, { spec, run, scope, control, deadLettersBefore, isSilent: true, share });
  const startedAtMs = engine.clock.monotonicMs();
  const onSettled = (added: ChunkCounts): void => {
    watch.settled(added);
    engine.host.emit({
      code: 'backfill.progress',
      data: {
        counts: meter.counts,
        total: plan.totals.scanned,
        chunksDone: supply.done.size,
        chunksTotal: plan.chunks,
        elapsedMs: engine.clock.monotonicMs() - startedAtMs,
        pace: watch.pace.report(),
      },
    });
  };
  const backfill = {
    engine,
    spec,
    plan,
    attempt: state.attempt,
    epoch: { attempt: state.attempt, token: state.epochToken },
    control: engine.target.control(spec.migration),
    view,
    scope,
    deadRuns: new Set<never>(),
    recorder: meter,
    pace: watch.pace,
    onSettled,
    onChunkDone: (chunk: ChunkId) => void supply.done.add(chunk),
  };
  watch.settled(noCounts); // the budget may be used up by now
  try {
    await runWorkers(backfill, run, AbortSignal.any([deadline.signal, watch.signal]), supply);
    watch.assertGoing();
  } catch (error) {
    const why = stopOf(error);
    if (why === null) throw error;
    return end('stopped', why);
  } finally {
    await watch.close();
  }
  return deadline.hasPassed && supply.mayHaveMore() ? end('more', 'its time ran out') : end(...supply.ending());
}

/** Why an attempt goes no further for now, where it is no failure of this slice; null: it is one. */
function stopOf(error: unknown): string | null {
  if (isKeyferryError(error, 'run.stopped')) return error.details.why;
  if (isKeyferryError(error, 'run.cancelled')) return `cancelled by ${error.details.by}`;
  if (isKeyferryError(error, 'dead-letters.over-budget')) return error.message;
  // Somebody rolls it back, or has started another attempt.
  if (isKeyferryError(error, 'epoch.lost')) return error.message;
  return null;
}

/** Those that are dead, as far as the budget goes. */
async function countLetters(env: Environment, scope: string, max: number): Promise<number> {
  let count = 0;
  for await (const letters of openLetters(env, scope)) {
    count += letters.length;
    if (count > max) break;
  }
  return count;
}

interface SliceSupply extends ChunkSupply {
  readonly done: Set<ChunkId>;
  /** The next chunk without taking it; null: there is none. */
  peek(): Promise<PlannedChunk | null>;
  left(): readonly ChunkId[] | null;
  mayHaveMore(): boolean;
  /** How the slice ended when the supply had no more. */
  ending(): [SliceEnd['outcome'], string | null];
}

/** Chunks by name, each tried once. */
class GivenChunks implements SliceSupply {
  readonly done = new Set<ChunkId>();
  private readonly asked: readonly ChunkId[];
  private readonly waiting: PlannedChunk[];

  private constructor(asked: readonly ChunkId[], waiting: PlannedChunk[]) {
    this.asked = asked;
    this.waiting = waiting;
  }

  static async of(env: Environment, scope: string, asked: readonly ChunkId[]): Promise<GivenChunks> {
    const waiting: PlannedChunk[] = [];
    const done: ChunkId[] = [];
    for (const chunk of new Set(asked)) {
      const state = await readItem(env, 'chunk', scope, chunk);
      if (state?.item.phase === 'done') done.push(chunk);
      else if (state !== null) waiting.push(await readPlanned(env, scope, chunk));
    }
    const supply = new GivenChunks(asked, waiting);
    for (const chunk of done) supply.done.add(chunk);
    return supply;
  }

  async peek(): Promise<PlannedChunk | null> {
    return this.waiting[0] ?? null;
  }

  async next(): Promise<PlannedChunk | null> {
    return this.waiting.shift() ?? null;
  }

  async putBack(): Promise<void> {
    // Held by another worker, or stopped: whoever asked is told, and asks again.
  }

  left(): readonly ChunkId[] {
    return [...new Set(this.asked)].filter((chunk) => !this.done.has(chunk));
  }

  mayHaveMore(): boolean {
    return this.left().length > 0;
  }

  ending(): [SliceEnd['outcome'], string | null] {
    const left = this.left().length;
    return left === 0 ? ['done', null] : ['waiting', `${left} of the chunks are in other hands, or not known yet`];
  }
}

/** Whatever can be claimed, from a random place on. */
class FoundChunks implements SliceSupply {
  readonly done = new Set<ChunkId>();
  private readonly env: Environment;
  private readonly scope: string;
  private readonly total: number;
  private readonly search: Search<ChunkId>;
  /** Found and not taken yet. */
  private waiting: PlannedChunk | null = null;

  constructor(env: Environment, scope: string, total: number) {
    this.env = env;
    this.scope = scope;
    this.total = total;
    const start = Math.floor((env.random.uint32() / 2 ** 32) * total);
    this.search = new Search(chunkId(start), (after, upTo) => this.look(after, upTo));
  }

  async peek(): Promise<PlannedChunk | null> {
    this.waiting ??= await this.find();
    return this.waiting;
  }

  async next(): Promise<PlannedChunk | null> {
    const { waiting } = this;
    this.waiting = null;
    return waiting ?? (await this.find());
  }

  async putBack(_chunk: PlannedChunk, _end: ChunkEnd): Promise<void> {
    // The next round of the search comes by it again.
  }

  left(): null {
    return null;
  }

  mayHaveMore(): boolean {
    return !this.isOver();
  }

  ending(): [SliceEnd['outcome'], string | null] {
    if (this.isOver()) return ['done', null];
    const { items = 0, open = 0 } = this.search.whole ?? {};
    const unknown = this.total - items;
    if (unknown > 0) return ['waiting', `${unknown} chunks are not registered yet`];
    return ['waiting', `${open} chunks are in other hands`];
  }

  private isOver(): boolean {
    const { whole } = this.search;
    return whole !== null && whole.open === 0 && whole.items === this.total;
  }

  private async find(): Promise<PlannedChunk | null> {
    const chunk = await this.search.next();
    return chunk === null ? null : await readPlanned(this.env, this.scope, chunk);
  }

  private async look(after: string | null, upTo: string | null): Promise<SearchPage<ChunkId>> {
    const { env, scope } = this;
    const page = { after, itemsMax: chunksListed };
    const { entries, next } = await withRetry(env, 'state chunk', () => env.state.list('chunk', scope, page));
    const mine = upTo === null ? entries : entries.filter(({ id }) => id <= upTo);
    const open = mine.map(({ item }) => item).filter(({ phase }) => phase !== 'done');
    const nowMs = env.clock.nowMs();
    return {
      found: shuffled(
        open.filter((state) => isFree(state, nowMs)).map(({ chunk }) => chunk),
        env.random,
      ),
      items: mine.length,
      open: open.length,
      next: mine.length < entries.length ? null : next,
    };
  }
}

const isFree = ({ leaseEndsAtMs }: ChunkState, nowMs: number): boolean =>
  leaseEndsAtMs === null || leaseEndsAtMs + clockSkewMs < nowMs;

async function readPlanned(env: Environment, scope: string, chunk: ChunkId): Promise<PlannedChunk> {
  const planned = await readItem(env, 'chunk-plan', scope, chunk);
  if (planned === null) throw new KeyferryError('state.conflict', { what: `chunk ${chunk}` });
  return planned.item;
}

/** Measures a slice while it works; the deadline learns from it how long a request takes. */
class SliceMeter implements BackfillRecorder {
  private readonly env: Environment;
  private readonly deadline: Deadline;
  private dealt: ChunkCounts = noCounts;
  private failures = 0;

  constructor(env: Environment, deadline: Deadline) {
    this.env = env;
    this.deadline = deadline;
  }

  get counts(): ChunkCounts {
    return this.dealt;
  }

  dealtWith(added: ChunkCounts): void {
    this.dealt = addCounts(this.dealt, added);
  }

  async timed<T>(request: () => Promise<T>): Promise<T> {
    const fromMs = this.env.clock.monotonicMs();
    try {
      return await request();
    } catch (error) {
      this.failures += 1;
      throw error;
    } finally {
      this.deadline.observe(this.env.clock.monotonicMs() - fromMs);
    }
  }

  onChunk(): () => void {
    return () => undefined;
  }

  value(): Pick<BackfillSlice, 'counts' | 'failures' | 'slowestMs'> {
    return { counts: this.dealt, failures: this.failures, slowestMs: this.deadline.slowestMs };
  }
}
