/**
 * A watch over both stores: what applications change, each change once and in the order of its key, from when it was opened.
 *
 *     open ─► read (source) ─► kept back while it drains ─► up to the freeze ─► read (target) ─► …
 *                                                                                   └─► taken back: `client.watch-lost`
 *
 * Which changes are shown is core's decision (watch-course.ts), by the mode that this instance knows after the read. A watch
 * holds no mode up: it is behind by as much as its reader is. Reads that failed are repeated, for nothing is lost by it.
 */
import {
  applicationChange,
  isCopied,
  KeyferryError,
  keyToText,
  watchSideAt,
  watchVerdict,
  type Clock,
  type Key,
  type KeyRange,
  type MoveStep,
  type OnlineSource,
  type OnlineTarget,
  type OpenMoves,
  type Position,
  type SourceMove,
  type TargetMove,
  type OnlineTargetRecord,
  type SwitchRecord,
  type Token,
  type WatchVerdict,
} from '@keyferry/core';
import type { ModePresence } from './mode-presence.ts';

export type ClientChange =
  | { readonly kind: 'put'; readonly key: string; readonly value: Uint8Array; readonly token: Token }
  /** By an application, or because its TTL had ended. */
  | { readonly kind: 'delete'; readonly key: string };

/** Iterate it once. Ends when it is closed, with its client or by leaving the loop. */
export interface ClientWatch extends AsyncIterable<readonly ClientChange[]> {
  close(): Promise<void>;
}

export interface WatchParts {
  readonly presence: ModePresence;
  readonly source: OnlineSource;
  readonly target: OnlineTarget;
  readonly clock: Clock;
  readonly onProblem: (error: unknown) => void;
  readonly onClose: (watch: ClientWatch) => void;
}

type Moves = { readonly side: 'source'; readonly open: OpenMoves<SourceMove> } | OfTarget;
type OfTarget = { readonly side: 'target'; readonly open: OpenMoves<TargetMove<OnlineTargetRecord>> };
type Step = MoveStep<SourceMove | TargetMove<OnlineTargetRecord>>;

const changesMax = 500;
const waitMs = 1000;
/** Between two reads of which the first had nothing, or failed. */
const pauseMs = 10;
const repeatMs = 250;

export class Watch implements ClientWatch {
  private readonly parts: WatchParts;
  private readonly prefix: string;
  private readonly range: KeyRange;
  private moves: Moves;
  /** Of the source, read and not shown yet. */
  private kept: SourceMove[] = [];
  private keptBack = false;
  /** Of a target that knows its state alone. */
  private sawCopies: boolean;
  private readonly ending = new AbortController();
  /** Ends a wait: another mode may say something about what was read. */
  private interrupt = new AbortController();
  private readonly unsubscribe: () => void;

  /**
   * Resolves once whatever changes from now on will be shown.
   * @throws {KeyferryError} `capability.missing`: a store cannot tell its changes. The stores' own.
   */
  static async open(parts: WatchParts, prefix: string, range: KeyRange): Promise<Watch> {
    const { source, target, presence } = parts;
    const { record } = presence;
    if (watchSideAt(record) === 'source') {
      const open = await movesOf(source).open(range, null);
      return new Watch(parts, prefix, range, { side: 'source', open }, false);
    }
    const open = await movesOf(target).open(range, null);
    return new Watch(parts, prefix, range, { side: 'target', open }, isCopied(record));
  }

  private constructor(parts: WatchParts, prefix: string, range: KeyRange, moves: Moves, sawCopies: boolean) {
    this.parts = parts;
    this.prefix = prefix;
    this.range = range;
    this.moves = moves;
    this.sawCopies = sawCopies;
    this.unsubscribe = parts.presence.subscribe(() => this.interrupt.abort());
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<readonly ClientChange[], void, undefined> {
    try {
      while (!this.ending.signal.aborted) {
        const changes = await this.next();
        if (changes.length > 0) yield changes;
      }
    } finally {
      await this.close();
    }
  }

  async close(): Promise<void> {
    if (this.ending.signal.aborted) return;
    this.ending.abort();
    this.interrupt.abort();
    this.unsubscribe();
    this.parts.onClose(this);
    await this.moves.open.close();
  }

  /** None: nothing happened, or nothing that may be shown yet. */
  private async next(): Promise<readonly ClientChange[]> {
    const { presence } = this.parts;
    const seesCopies = isCopied(presence.record);
    const step = await this.read();
    if (step === null) return [];
    if (step.kind === 'lost') throw this.lost(step.why);
    // Past the lease the mode may be another one by now.
    while (!presence.isServing() && !this.ending.signal.aborted) await presence.changed(this.inMs(waitMs));
    const { side } = this.moves;
    const knowsStateOnly = side === 'target' && this.parts.target.moves?.kind === 'state';
    const known = knowsStateOnly && !this.sawCopies ? await this.askSwitch() : presence.record;
    const course = { side, keptBack: this.keptBack, ...(knowsStateOnly && { sawCopies: this.sawCopies }) };
    const verdict = watchVerdict(course, known);
    if (verdict.kind === 'lost') throw this.lost(verdict.why);
    if (side === 'target') this.sawCopies ||= seesCopies;
    if (side === 'target') return (step.moves as readonly TargetMove<OnlineTargetRecord>[]).flatMap(ofTarget);
    this.kept.push(...(step.moves as readonly SourceMove[]));
    if (verdict.kind === 'hand-over') return this.handOver(verdict, step.position);
    this.keptBack = verdict.kind === 'keep-back';
    return this.keptBack ? [] : this.kept.splice(0).flatMap(ofSource);
  }

  private async handOver(
    { frozenAt, watchFrom }: Extract<WatchVerdict, { kind: 'hand-over' }>,
    position: Position,
  ): Promise<readonly ClientChange[]> {
    const { source, target } = this.parts;
    const moves = movesOf(source);
    const changes = this.kept.splice(0).filter(({ at }) => moves.hasReached(frozenAt, at));
    if (moves.hasReached(position, frozenAt)) {
      const open = await movesOf(target).open(this.range, watchFrom);
      await this.moves.open.close();
      this.moves = { side: 'target', open };
    }
    return changes.flatMap(ofSource);
  }

  /** Null: it was ended, or failed in a way that passes. */
  private async read(): Promise<Step | null> {
    const { clock, onProblem } = this.parts;
    this.interrupt = new AbortController();
    if (this.ending.signal.aborted) return null;
    try {
      const step = await this.moves.open.read({ changesMax, waitMs, signal: this.interrupt.signal });
      if (step.kind === 'moves' && step.moves.length === 0) await clock.sleep(pauseMs, this.interrupt.signal);
      return this.ending.signal.aborted ? null : step;
    } catch (error) {
      if (this.ending.signal.aborted) return null;
      if (!passes(error)) throw error;
      onProblem(error);
      await clock.sleep(repeatMs, this.ending.signal);
      return null;
    }
  }

  /**
   * What it says behind the read, and not what this instance last heard: others may be further on (SPEC R170).
   * @throws the switch's errors that do not pass
   */
  private async askSwitch(): Promise<SwitchRecord | null> {
    const { presence, clock, onProblem } = this.parts;
    for (;;) {
      try {
        return await presence.ask();
      } catch (error) {
        if (this.ending.signal.aborted) return presence.record;
        if (!passes(error)) throw error;
        onProblem(error);
        await clock.sleep(repeatMs, this.ending.signal);
      }
    }
  }

  private inMs(ms: number): number {
    return this.parts.clock.monotonicMs() + ms;
  }

  private lost(why: string): KeyferryError {
    return new KeyferryError('client.watch-lost', { prefix: this.prefix, why });
  }
}

const passes = (error: unknown): boolean => error instanceof KeyferryError && error.retry === 'backoff';

/** @throws {KeyferryError} `capability.missing` */
function movesOf<S extends OnlineSource | OnlineTarget>({ role, moves }: S): NonNullable<S['moves']> {
  if (moves !== undefined) return moves;
  throw new KeyferryError('capability.missing', { store: role, capability: 'watch', strategy: 'dual-read' });
}

function ofSource({ key, change }: SourceMove): readonly ClientChange[] {
  if (change.kind === 'delete') return deleted(key);
  return put(key, change.record.value, { store: 'source', version: change.record.version });
}

function ofTarget(move: TargetMove<OnlineTargetRecord>): readonly ClientChange[] {
  const change = applicationChange(move);
  if (change === null) return [];
  if (change.kind === 'delete') return deleted(change.key);
  return put(change.key, change.record.value, { store: 'target', version: change.record.version });
}

/** A key that is no text cannot be named to this client, so it is not shown either. */
function deleted(key: Key): readonly ClientChange[] {
  const text = keyToText(key);
  return text === null ? [] : [{ kind: 'delete', key: text }];
}

function put(key: Key, value: Uint8Array, token: Token): readonly ClientChange[] {
  const text = keyToText(key);
  return text === null ? [] : [{ kind: 'put', key: text, value, token }];
}
