/**
 * The changes of a table as a feed: its stream, of which the service keeps a day.
 *
 *     position = label of the stream, and in each of its open shards the last record that was read (place.ts)
 *
 * Changes of one key come in their order; those of several keys in that of their shard, and shards in none: what changes keys
 * of two partitions in one transaction is not told as one. Whoever puts each key's last change has the same end (SPEC R116).
 * keyferry's own items are not told. An item that is a record no longer (a tombstone, another type of value) is told as
 * deleted; a delete by TTL is one like any other.
 *
 * Records that end by the clock cannot be followed: the service takes them away up to days later, and no stream says before
 * that they are over. So a store with `ttl` tells no changes; without it the end of an item is told when it goes.
 */
import {
  rangeHolds,
  type ChangeFeed,
  type FeedCapabilities,
  type FeedForesight,
  type FeedNotice,
  type FeedReadOptions,
  type FeedStep,
  type Key,
  type KeyRange,
  type OpenFeed,
  type Position,
  type SourceChange,
} from '@keyferry/core';
import { systemClock } from '../../environment/system-clock.ts';
import type { Items } from '../items.ts';
import { HeadMarks, type MarkContext } from './head-marks.ts';
import { keysOf, streamOf } from './notices.ts';
import { hasRead, meetShards, placeOf, positionOf, reaches, type ListedShard, type Place } from './place.ts';
import type { Outcome, RecordsPage, Stream, StreamApi, StreamRecord } from './stream-api.ts';

const dayMs = 24 * 3_600_000;
/** Each look costs a request a shard. */
const pollMs = 200;
/** A shard that ended has its children listed at once, as a rule. */
const listEveryMs = 1000;
/** Shards of one round, which is up to 1 MB each. */
const shardsAtOnce = 16;

export class DynamoDbFeed implements ChangeFeed {
  readonly capabilities: FeedCapabilities = {
    kind: 'log',
    rangeDeletes: false,
    retention: { changesMax: null, ageMsMax: dayMs },
  };
  private readonly api: StreamApi;
  private readonly items: Items;
  private readonly marks: HeadMarks;
  private readonly lanes: MarkContext['lanes'];
  /** Of every shard that was ever listed here. */
  private readonly parents = new Map<string, string | null>();
  private turn: Promise<unknown> = Promise.resolve();

  constructor(context: Omit<MarkContext, 'heard'>) {
    this.api = context.api;
    this.items = context.items;
    this.lanes = context.lanes;
    this.marks = new HeadMarks({ ...context, heard: (shards) => this.hear(shards) });
  }

  /** One at a time: they would wait for the same marks, and read the same shards. */
  async head(): Promise<Position> {
    const head = this.turn.then(() => this.marks.head());
    this.turn = head.catch(() => undefined);
    return positionOf(await head);
  }

  hasReached(position: Position, mark: Position): boolean {
    return reaches(placeOf(this.api.store, position), placeOf(this.api.store, mark), this.parents);
  }

  /** Sequence numbers are in order, and count nothing. */
  changesBetween(position: Position, mark: Position): number | null {
    return this.hasReached(position, mark) ? 0 : null;
  }

  async open(range: KeyRange, after: Position): Promise<OpenFeed> {
    const { api, items, lanes } = this;
    const hear = (shards: readonly ListedShard[]) => this.hear(shards);
    return new OpenStream({ api, items, lanes, hear, range }, placeOf(api.store, after));
  }

  /** One request, for the shards that there are; none where the notices are of no concern, or of a stream that is no more. */
  async unread(position: Position | null, notices: readonly FeedNotice[]): Promise<readonly FeedNotice[]> {
    const { api, items } = this;
    const told = notices.flatMap((notice) => {
      const stream = streamOf(notice, api.table);
      return stream === null || items.isOwn(keysOf(notice)) ? [] : [{ notice, stream }];
    });
    const place = position === null ? null : placeOf(api.store, position);
    const current = told.find(({ stream }) => stream.label === place?.stream)?.stream;
    if (place === null || current === undefined) return told.map(({ notice }) => notice);
    const listed = await api.shards(current);
    this.hear(listed);
    const isRead = ({ notice: { number }, stream: { label } }: (typeof told)[number]): boolean =>
      hasRead(place, { stream: label, number }, listed, this.parents);
    return told.filter((each) => !isRead(each)).map(({ notice }) => notice);
  }

  async foresee(): Promise<FeedForesight> {
    const { ttl } = this.items.mapping;
    const unusable = await this.api.whyUnusable();
    const lacks = [
      ...(unusable === null ? [] : [`${unusable.detail}; turn it on:   ${unusable.command}`]),
      ...(ttl === null
        ? []
        : [
            `its records end by the clock (ttl: ${ttl}), and a stream tells that up to days later; take ttl out of the store to have them end when the service deletes them`,
          ]),
    ];
    const makes =
      'keyferry writes small items of its own about once a second and partition, to see how far the stream is; who reads the stream sees them';
    return { lacks: lacks.length === 0 ? null : lacks.join('; '), makes };
  }

  /** Positions go on to be good: what is taken away are items of marks. */
  async end(): Promise<void> {
    await this.marks.end();
  }

  private hear(shards: readonly ListedShard[]): void {
    for (const { id, parent } of shards) this.parents.set(id, parent);
  }
}

interface OpenContext {
  readonly api: StreamApi;
  readonly items: Items;
  readonly lanes: MarkContext['lanes'];
  readonly hear: (shards: readonly ListedShard[]) => void;
  readonly range: KeyRange;
}

class OpenStream implements OpenFeed {
  private readonly context: OpenContext;
  private place: Place;
  private stream: Stream | null = null;
  private listedAtMs = Number.NEGATIVE_INFINITY;
  private readonly iterators = new Map<string, string>();
  /** Of the shards in their order, how many were read since the first: where many change, all have their turn. */
  private readBefore = 0;
  private isClosed = false;

  constructor(context: OpenContext, place: Place) {
    this.context = context;
    this.place = place;
  }

  async read({ changesMax, waitMs, signal }: FeedReadOptions): Promise<FeedStep> {
    const untilMs = systemClock.monotonicMs() + waitMs;
    for (;;) {
      const before = this.place;
      const changes: SourceChange[] = [];
      const why = (await this.meet()) ?? (await this.round(changesMax, changes));
      if (why !== null) return { kind: 'lost', why };
      const leftMs = untilMs - systemClock.monotonicMs();
      if (this.place !== before || leftMs <= 0 || signal?.aborted === true || this.isClosed) {
        return { kind: 'changes', changes, position: positionOf(this.place) };
      }
      await systemClock.sleep(Math.min(pollMs, leftMs), signal);
    }
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }

  /** Finds the shards that follow those that ended. @returns why the place is lost */
  private async meet(): Promise<string | null> {
    const hasEnded = [...this.place.shards.values()].includes('end');
    const isDue = systemClock.monotonicMs() - this.listedAtMs >= listEveryMs;
    if (this.stream !== null && !(hasEnded && isDue)) return null;
    const { api, hear } = this.context;
    const stream = await api.stream();
    if (stream.label !== this.place.stream) {
      return `table ${api.table} has another stream than before: it was turned off in between, or is another table`;
    }
    const listed = await api.shards(stream);
    hear(listed);
    const met = meetShards(this.place, listed);
    if (met.kind === 'lost') return met.why;
    this.listedAtMs = systemClock.monotonicMs();
    this.stream = stream;
    this.moveTo(met.place.shards);
    return null;
  }

  /** Reads each shard once, or until there is enough. A failure leaves the place as it was: what was read is told to nobody. */
  private async round(changesMax: number, changes: SourceChange[]): Promise<string | null> {
    const before = this.place;
    try {
      return await this.readGroups(changesMax, changes);
    } catch (error) {
      this.goBackTo(before);
      throw error;
    }
  }

  private async readGroups(changesMax: number, changes: SourceChange[]): Promise<string | null> {
    const ids = [...this.place.shards].filter(([, at]) => at !== 'end').map(([id]) => id);
    for (let read = 0; read < ids.length && changes.length < changesMax; read += shardsAtOnce) {
      const from = this.readBefore % ids.length;
      const group = [...ids.slice(from), ...ids.slice(0, from)].slice(0, Math.min(shardsAtOnce, ids.length - read));
      const pages = await this.context.lanes.all(group, (id) => this.pageOf(id, changesMax));
      this.readBefore = from + group.length;
      const shards = new Map(this.place.shards);
      for (const [i, id] of group.entries()) {
        const page = pages[i];
        if (page === 'trimmed') return `shard ${id} no longer has what followed the last record that was read`;
        if (page === undefined || page === 'expired') continue; // opened anew in the next round
        for (const record of page.records) this.take(record, changes);
        const last = page.records.at(-1);
        if (last !== undefined) shards.set(id, last.sequence);
        if (page.next === null) shards.set(id, 'end');
        else this.iterators.set(id, page.next);
      }
      this.moveTo(shards);
    }
    return null;
  }

  private async pageOf(id: string, max: number): Promise<Outcome<RecordsPage>> {
    const { api } = this.context;
    const known = this.iterators.get(id);
    // It is good once: after a failure the place says where to go on.
    this.iterators.delete(id);
    if (known !== undefined) return await api.records(known, max);
    const found = await api.iterator(this.stream as Stream, id, this.place.shards.get(id) ?? 'begin');
    return typeof found === 'string' ? found : await api.records(found.iterator, max);
  }

  private take({ keys, image }: StreamRecord, changes: SourceChange[]): void {
    const { items, range } = this.context;
    const change = changeOf(items, keys, image);
    if (change !== null && rangeHolds(range, change.key)) changes.push(change);
  }

  /** Iterators of shards that had nothing are as good as before; the others are asked for anew, at the place. */
  private goBackTo(place: Place): void {
    for (const [id, at] of place.shards) if (this.place.shards.get(id) !== at) this.iterators.delete(id);
    this.place = place;
  }

  /** The same object where nothing moved. */
  private moveTo(shards: Place['shards']): void {
    const { place } = this;
    const isSame = shards.size === place.shards.size && [...shards].every(([id, at]) => place.shards.get(id) === at);
    if (!isSame) this.place = { ...place, shards };
  }
}

/** Null: it concerns nobody. */
function changeOf(
  items: Items,
  keys: StreamRecord['keys'],
  image: StreamRecord['image'],
): Extract<SourceChange, { readonly key: Key }> | null {
  // Ends are of no account here: a store with a `ttl` is not followed.
  const found = items.find(image ?? keys, 0);
  if (found.kind === 'own') return null;
  // Its key may be another item's, whose changes are told by themselves.
  if (found.kind === 'unmapped' && found.mayBeAnothers) return null;
  if (image === null || found.kind !== 'record') {
    return { kind: 'delete', key: found.kind === 'record' ? found.record.key : found.key };
  }
  const { key, value, version, expiresAtMs } = found.record;
  return { kind: 'put', key, value, version, expiresAtMs };
}
