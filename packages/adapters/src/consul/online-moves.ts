/**
 * What happens to the records of an online target, for watchers, by comparing looks: Consul's KV store has no log.
 *
 *     index of the records' prefix or of the tombstones' moved ─► a pause ─► position ─► one look at three trees
 *                                                                                           │ beside the last look
 *     origins ─────────────────┐                                                            ▼
 *     records   another index ─┴► an application's put, unless the origin beside it has that index: then a copy
 *               gone            ► deleted
 *     tombstones  made since    ► deleted, also where the record was never copied
 *
 * That is what Consul's own watch of a prefix does, and costs as much: all below the prefix each time that some of it moved. So
 * there is a pause between two looks, as long as the last one took. Of several changes of a key between two looks the last is told,
 * and a put of the value that is there already moves nothing in Consul [measured, 1.8.7], so nobody is told of it.
 *
 * A prefix's index proves for some minutes that nothing moved; Consul forgets deletes after a while, and the index goes back
 * with them. Behind a position that was published, deletes are known by tombstones alone: see watch-course.ts.
 */
import {
  originFromText,
  rangeHolds,
  type FeedReadOptions,
  type Key,
  type KeyRange,
  type MoveStep,
  type OnlineTargetRecord,
  type OpenMoves,
  type Position,
  type StopSignal,
  type TargetMove,
  type TargetMoves,
} from '@keyferry/core';
import { systemClock } from '../environment/system-clock.ts';
import { assertTokenWhereNeeded } from './access.ts';
import type { ConsulApi } from './api.ts';
import type { ConsulConnection } from './connection.ts';
import { versionOf, type ConsulEntry } from './entry.ts';
import { IndexedKeys } from './indexed-keys.ts';
import { treesOf, type ListContext } from './online-list.ts';

type Move = TargetMove<OnlineTargetRecord>;

/** Least time between two looks: what was written together is mostly told together. */
const pauseMinMs = 200;
/** Well below `tombstone_ttl`, 15 minutes by default, after which Consul forgets a delete. */
const indexProvesMs = 5 * 60_000;
/** One question; longer waits are several. */
const waitOnceMs = 60_000;
/** Below a prefix where nothing lies. A record that an application changes moves the records' prefix, and is looked at by that. */
const emptyPollMs = 1000;

export class ConsulMoves implements TargetMoves {
  readonly kind = 'state';
  private readonly connect: () => ConsulConnection;
  private readonly context: Omit<ListContext, 'api'>;

  /** @param connect a connection for each watch: its questions wait for long, and end with it */
  constructor(connect: () => ConsulConnection, context: Omit<ListContext, 'api'>) {
    this.connect = connect;
    this.context = context;
  }

  hasReached(position: Position, mark: Position): boolean {
    return Number(position) >= Number(mark);
  }

  /** @throws {KeyferryError} `store.request-refused` for a range that holds keyferry's own keys */
  async open(range: KeyRange, after: Position | null): Promise<OpenMoves<Move>> {
    const connection = this.connect();
    try {
      const { api } = connection;
      await assertTokenWhereNeeded(api);
      const moves = new OpenConsulMoves(connection, { ...this.context, api }, range, after);
      if (after === null) await moves.begin();
      return moves;
    } catch (error) {
      connection.client.close();
      throw error;
    }
  }
}

/** What was there at a look: each record with the index of its last write, each tombstone with that of its first one. */
interface Image {
  readonly records: IndexedKeys;
  readonly tombs: IndexedKeys;
}

/** With the index at which it happened, as far as that is known. */
interface Told {
  readonly move: Move;
  readonly index: number;
}

class OpenConsulMoves implements OpenMoves<Move> {
  private readonly connection: ConsulConnection;
  private readonly context: ListContext;
  private readonly range: KeyRange;
  private readonly trees: ReturnType<typeof treesOf>;
  private readonly watched: readonly PrefixWatch[];
  /** Null: nothing was looked at. */
  private image: Image | null = null;
  /** All up to here was told; null: nothing before the first look is. */
  private at: number | null;
  private lookedAt = { endMs: Number.NEGATIVE_INFINITY, tookMs: 0 };

  constructor(connection: ConsulConnection, context: ListContext, range: KeyRange, after: Position | null) {
    this.connection = connection;
    this.context = context;
    this.range = range;
    this.at = after === null ? null : Number(after);
    this.trees = treesOf(context, range);
    const { records, tombs } = this.trees;
    this.watched = [records, tombs].map((prefix) => new PrefixWatch(context.api, prefix));
  }

  /** The first look. */
  async begin(): Promise<void> {
    await this.look();
  }

  async read({ waitMs, signal }: FeedReadOptions): Promise<MoveStep<Move>> {
    const startMs = systemClock.monotonicMs();
    const untilMs = startMs + waitMs;
    const isOver = (): boolean => signal?.aborted === true || systemClock.monotonicMs() >= untilMs;
    for (;;) {
      const isLast = isOver();
      // Whoever is told of nothing rests on that nothing had moved when the read began (SPEC R170).
      const hasMoved = await this.hasMoved(isLast ? startMs : systemClock.monotonicMs() - emptyPollMs);
      const { endMs, tookMs } = this.lookedAt;
      const nowMs = systemClock.monotonicMs();
      const pauseMs = endMs + Math.max(pauseMinMs, tookMs) - nowMs;
      if (hasMoved) {
        // Between two looks it rests, also where the time is over meanwhile; who ends the read early is not kept waiting for that.
        if (pauseMs <= 0 || signal?.aborted === true) return await this.look();
        await systemClock.sleep(pauseMs, signal);
      } else if (isLast) return { kind: 'moves', moves: [], position: positionAt(this.at ?? 0) };
      else if (!isOver()) await this.wait(untilMs - nowMs, signal);
    }
  }

  async close(): Promise<void> {
    this.image = null;
    this.connection.client.close();
  }

  /** As far as it is known by now. @param sinceMs an empty prefix was asked since */
  private async hasMoved(sinceMs: number): Promise<boolean> {
    if (systemClock.monotonicMs() - this.lookedAt.endMs > indexProvesMs) return true;
    const moved = await Promise.all(this.watched.map((prefix) => prefix.hasMoved(sinceMs)));
    return moved.includes(true);
  }

  /** Until something has moved, or the time is over. */
  private async wait(ms: number, signal: StopSignal | undefined): Promise<void> {
    const over = new AbortController();
    const end = (): void => over.abort();
    signal?.addEventListener('abort', end);
    // Where nothing lies, each write anywhere in the store would end the wait: it is looked at now and then.
    const emptyMs = this.watched.some((prefix) => prefix.isEmpty) ? emptyPollMs : ms;
    try {
      await Promise.race([
        systemClock.sleep(Math.min(ms, emptyMs), over.signal),
        ...this.watched.map((prefix) => prefix.answered()),
      ]);
    } finally {
      signal?.removeEventListener('abort', end);
      end();
    }
  }

  private async look(): Promise<MoveStep<Move>> {
    const { api } = this.context;
    const startMs = systemClock.monotonicMs();
    const before = Number(await api.readPosition(this.trees.records));
    if (before < (this.at ?? 0)) {
      const why = `the store is at index ${before}, and was at ${this.at}: it is another one, or went back to an older state`;
      return { kind: 'lost', why };
    }
    const states = await Promise.all(this.watched.map((prefix) => prefix.read()));
    const { image, told } = await this.compare();
    this.image = image;
    this.at = before;
    for (const [nth, state] of states.entries()) this.watched[nth]?.looked(state);
    const endMs = systemClock.monotonicMs();
    this.lookedAt = { endMs, tookMs: endMs - startMs };
    const moves = told.toSorted((a, b) => a.index - b.index).map(({ move }) => move);
    return { kind: 'moves', moves, position: positionAt(before) };
  }

  private async compare(): Promise<{ readonly image: Image; readonly told: readonly Told[] }> {
    const { origins, records, tombs } = this.trees;
    return await this.context.api.readTrees([origins, records, tombs], async (feed) => {
      const comparison = new Comparison(this.context, this.range, this.image, this.at);
      await feed({ take: (entry) => comparison.take(entry), notText: () => undefined });
      return comparison.end();
    });
  }
}

/** One look beside the last one, as it comes: origins, then records, then tombstones, each in order. */
class Comparison {
  private readonly context: ListContext;
  private readonly range: KeyRange;
  /** What came after it counts where there was no look before. */
  private readonly after: number;
  private readonly isFirst: boolean;
  private readonly seen: Image = { records: new IndexedKeys(), tombs: new IndexedKeys() };
  private readonly origins = new IndexedKeys();
  private readonly last: {
    readonly records: ReturnType<IndexedKeys['walk']>;
    readonly tombs: ReturnType<IndexedKeys['walk']>;
  };
  private copies: ReturnType<IndexedKeys['walk']> | null = null;
  private readonly told = new Map<Key, Told>();

  constructor(context: ListContext, range: KeyRange, last: Image | null, after: number | null) {
    this.context = context;
    this.range = range;
    this.after = after ?? Number.POSITIVE_INFINITY;
    this.isFirst = last === null;
    const { records, tombs } = last ?? { records: new IndexedKeys(), tombs: new IndexedKeys() };
    this.last = { records: records.walk(), tombs: tombs.walk() };
  }

  take(entry: ConsulEntry): void {
    const { keys } = this.context;
    const { key } = entry;
    if (key.startsWith(keys.origins)) this.takeOrigin(key.slice(keys.origins.length) as Key, entry);
    else if (key.startsWith(keys.tombs)) this.takeTomb(key.slice(keys.tombs.length) as Key, entry);
    else if (!key.startsWith(keys.reservedPrefix) && rangeHolds(this.range, key)) this.takeRecord(key, entry);
  }

  end(): { readonly image: Image; readonly told: readonly Told[] } {
    this.last.records.rest((key) => this.tellGone(key));
    return { image: this.seen, told: [...this.told.values()] };
  }

  private takeOrigin(key: Key, { value, modifyIndex }: ConsulEntry): void {
    if (originFromText(Buffer.from(value).toString('latin1')) !== null) this.origins.add(key, modifyIndex);
  }

  private takeRecord(key: Key, entry: ConsulEntry): void {
    const { modifyIndex } = entry;
    this.copies ??= this.origins.walk();
    this.seen.records.add(key, modifyIndex);
    const before = this.last.records.numberOf(key, (gone) => this.tellGone(gone));
    const isCopy = this.copies.numberOf(key) === modifyIndex;
    const isNew = this.isFirst ? modifyIndex > this.after : modifyIndex !== before;
    if (!isNew || isCopy) return;
    const record = { key, value: this.context.form.toValue(entry), version: versionOf(entry), copiedFrom: null };
    this.told.set(key, { move: { key, change: { kind: 'put', record }, entombed: false }, index: modifyIndex });
  }

  private takeTomb(key: Key, { createIndex }: ConsulEntry): void {
    if (!rangeHolds(this.range, key)) return;
    // All records have come by then, so what is left of the last look is gone.
    this.last.records.rest((gone) => this.tellGone(gone));
    this.seen.tombs.add(key, createIndex);
    const before = this.last.tombs.numberOf(key);
    if (this.isFirst ? createIndex <= this.after : createIndex === before) return;
    const { move = { key, change: null }, index = createIndex } = this.told.get(key) ?? {};
    this.told.set(key, { move: { ...move, entombed: true }, index: Math.min(index, createIndex) });
  }

  /** When, nothing says but a tombstone that came with it; of one key it is told once, so its order is right all the same. */
  private tellGone(key: Key): void {
    this.told.set(key, { move: { key, change: { kind: 'delete' }, entombed: false }, index: Number.POSITIVE_INFINITY });
  }
}

type PrefixState = Awaited<ReturnType<ConsulApi['readPrefix']>>;

/** Whether something below a prefix moved since the last look; one question of the server waits for that. */
class PrefixWatch {
  private readonly api: ConsulApi;
  private readonly prefix: Key;
  private base: PrefixState | null = null;
  /** When it was last asked, and answered. */
  private readAtMs = Number.NEGATIVE_INFINITY;
  private moved = false;
  private question: Promise<void> | null = null;

  constructor(api: ConsulApi, prefix: Key) {
    this.api = api;
    this.prefix = prefix;
  }

  get isEmpty(): boolean {
    return this.base?.isEmpty === true;
  }

  async read(): Promise<PrefixState> {
    const askedAtMs = systemClock.monotonicMs();
    const state = await this.api.readPrefix(this.prefix, null, 0);
    this.readAtMs = askedAtMs;
    return state;
  }

  /** @param state from before the look */
  looked(state: PrefixState): void {
    this.base = state;
    this.moved = false;
  }

  /** @param sinceMs where nothing lies it is asked, unless it was since then */
  async hasMoved(sinceMs: number): Promise<boolean> {
    if (this.moved) return true;
    // What came and went again left nothing: nothing is to be told.
    if (!this.isEmpty) this.question ??= this.ask();
    else if (this.readAtMs < sinceMs && !(await this.read()).isEmpty) this.moved = true;
    return this.moved;
  }

  /** Never where nothing was asked. */
  answered(): Promise<void> {
    return this.question ?? new Promise(() => undefined);
  }

  /** One that failed says nothing: the look that follows says how. */
  private async ask(): Promise<void> {
    const { base } = this;
    const state = await this.api.readPrefix(this.prefix, Math.max(1, base?.index ?? 0), waitOnceMs).catch(() => null);
    this.question = null;
    if (this.base === base && state?.index !== base?.index) this.moved = true;
  }
}

const positionAt = (index: number): Position => String(index) as Position;
