/**
 * What happens to the rows of an online source, for watchers: an outbox that triggers fill (feed/outbox.ts), one for all
 * instances of a migration, made when the first of them watches.
 *
 *     open ─► outbox and triggers, if they are not there ─► from the server's snapshot on ─► a look, four times a second
 *                                            what lies behind its own place of ten minutes ago is deleted ◄─┘
 *
 * A slot of the server's log for every watch of every instance would keep the log of the whole server back for each; NOTIFY has
 * no past and makes all who commit wait for one lock; and what an instance notes by itself misses whoever writes SQL by himself,
 * as anybody may while the mode is `legacy`. The price is a second row for each row that changes.
 *
 * A reader who is behind by more than is kept is lost. Where the source was frozen is said in another form (position.ts), so
 * a change carries the number of its transaction beside its place.
 */
import {
  type FeedReadOptions,
  type KeyRange,
  type MoveStep,
  type OpenMoves,
  type Position,
  type SourceMove,
  type SourceMoves,
  type Version,
} from '@keyferry/core';
import { systemClock } from '../environment/system-clock.ts';
import type { FeedSource } from './feed/feed-source.ts';
import { changesOf, OutboxFeed } from './feed/outbox-feed.ts';
import { OutboxReader, type ToldTransaction } from './feed/outbox-reader.ts';
import { placeOf, seesAllOf } from './feed/snapshot.ts';
import { cameAfter, snapshotOf } from './position.ts';

const lookEveryMs = 250;
/** For whoever is behind. */
const keptMs = 10 * 60_000;
const noteEveryMs = 60_000;

/** Tells the outbox for watchers from that of the migration's own feed. */
export const watchFeedName = (migration: string): string => `${migration} watch`;

export class PostgresMoves implements SourceMoves {
  readonly kind = 'log';
  private readonly source: FeedSource;
  private readonly feed: OutboxFeed;

  constructor(source: FeedSource, migration: string) {
    this.source = source;
    this.feed = new OutboxFeed(source, watchFeedName(migration));
  }

  /** Either of them may be a position of the store itself: where it was frozen. */
  hasReached(position: Position, mark: Position): boolean {
    const [at, wanted] = [splitAt(position), splitAt(mark)];
    const frozenAt = snapshotOf(position);
    if (frozenAt !== null) return wanted.transaction !== null && !cameAfter(wanted.transaction, position);
    const frozenMark = snapshotOf(mark);
    if (frozenMark === null) return this.feed.hasReached(at.place, wanted.place);
    const place = placeOf(at.place);
    return place !== null && place.timeline === frozenMark.timeline && seesAllOf(place.snapshot, frozenMark.snapshot);
  }

  /** @throws {KeyferryError} `store.permission-denied`, saying what whom to grant; `store.timeout`: a table is locked */
  async open(range: KeyRange, after: Position | null): Promise<OpenMoves<SourceMove>> {
    const place = after === null ? await this.feed.head() : splitAt(after).place;
    const { tables } = await this.source.load();
    return new OpenPostgresMoves(new OutboxReader(this.source, this.feed.names, tables, place, lookEveryMs), range);
  }

  /** Takes triggers and outbox away. */
  end(): Promise<void> {
    return this.feed.end();
  }
}

class OpenPostgresMoves implements OpenMoves<SourceMove> {
  private readonly reader: OutboxReader;
  private readonly range: KeyRange;
  /** Where it was at times of the last minutes, so that what is older may be deleted. */
  private notes: { readonly atMs: number; readonly position: Position }[] = [];

  constructor(reader: OutboxReader, range: KeyRange) {
    this.reader = reader;
    this.range = range;
  }

  async read(options: FeedReadOptions): Promise<MoveStep<SourceMove>> {
    const step = await this.reader.read(options);
    if (step.kind === 'lost') return step;
    this.note(step.position);
    const moves = step.transactions.flatMap((transaction) => movesOf(transaction, this.range));
    return { kind: 'moves', moves, position: step.position };
  }

  async close(): Promise<void> {}

  private note(position: Position): void {
    const atMs = systemClock.monotonicMs();
    const last = this.notes.at(-1);
    if (last === undefined || atMs - last.atMs >= noteEveryMs) this.notes.push({ atMs, position });
    const old = this.notes.findLast((each) => atMs - each.atMs >= keptMs);
    if (old === undefined) return;
    this.reader.confirm(old.position);
    this.notes = this.notes.filter((each) => each.atMs > old.atMs);
  }
}

function movesOf({ xid, position, rows }: ToldTransaction, range: KeyRange): readonly SourceMove[] {
  const at = `${position}${mark}${xid}` as Position;
  return rows.flatMap((row) =>
    changesOf(xid, row, range).map((change): SourceMove => {
      if (change.kind === 'delete') return { key: change.key, change: { kind: 'delete' }, at };
      const { key, value, version } = change;
      return { key, change: { kind: 'put', record: { key, value, version } }, at };
    }),
  );
}

/** Before the number of the transaction that made a change. */
const mark = '@';

function splitAt(position: Position): { readonly place: Position; readonly transaction: Version | null } {
  const [place = '', xid] = position.split(mark);
  const transaction = xid === undefined ? null : (String(BigInt(xid) % 2n ** 32n) as Version);
  return { place: place as Position, transaction };
}
