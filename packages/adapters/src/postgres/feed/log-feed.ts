/**
 * The changes of tables as a log, by logical replication: every row that a transaction changed, in the order of commits.
 *
 *     head() ─► slot, publication ─► place in the log           from here on the server keeps it
 *     open(after) ─► does the slot still have it? ─► START_REPLICATION after ─► transactions, whole ─► steps
 *
 * Positions are places in the log. It stays on the server's disk until `confirm` says that it is not needed any more, for as
 * long as the slot is there: `backlog` says how much that is, `end` takes slot and publication away. One connection at a
 * time reads from a slot, so of several readers of a feed the one that reads now has it, and the others open anew.
 *
 * TRUNCATE tells no rows, nor does a column that comes or goes; a position before one is lost, and a comparison of both sides
 * finds what went.
 */
import {
  invariant,
  isKeyferryError,
  KeyferryError,
  rangeHolds,
  type ChangeFeed,
  type FeedBacklog,
  type FeedCapabilities,
  type FeedForesight,
  type FeedReadOptions,
  type FeedStep,
  type KeyRange,
  type OpenFeed,
  type Position,
  type SourceChange,
} from '@keyferry/core';
import { DatabaseError } from 'pg';
import { systemClock } from '../../environment/system-clock.ts';
import type { ResolvedTable } from '../catalog.ts';
import type { Session } from '../session.ts';
import type { ServerTables } from '../tables.ts';
import { changesOf, type RowChange } from './decode-changes.ts';
import type { FeedSource } from './feed-source.ts';
import { placeOf, positionAt, shapeOf, type FeedPlace } from './lsn.ts';
import { readMessage, type PgoutputMessage, type Relation } from './pgoutput.ts';
import { ReplicationStream } from './replication-stream.ts';
import {
  assertIdentity,
  backlogOf,
  dropSlot,
  feedObjectName,
  foreseeSlot,
  headWithSlot,
  onceSlotIsFree,
  whyLost,
} from './slot.ts';

/** Of one transaction, which is one step at least: rows as the stream has them. */
const transactionBytesMax = 256 * 1024 * 1024;
/** The server answers a question about its place at once; this is for a slow one. */
const answerMs = 10_000;
const askAgainMs = 250;
const undefinedObject = '42704';

export class LogFeed implements ChangeFeed {
  readonly capabilities: FeedCapabilities = {
    kind: 'log',
    rangeDeletes: false,
    retention: { changesMax: null, ageMsMax: null },
  };
  private readonly source: FeedSource;
  private readonly name: string;
  private reader: OpenLog | null = null;

  /** @param feed tells one feed of a database from another: the migration's name */
  constructor(source: FeedSource, feed: string) {
    this.source = source;
    this.name = feedObjectName(source.database, feed);
  }

  async head(): Promise<Position> {
    const { tables } = await this.source.load();
    const doing = 'asking for the head of its changes';
    const place = await onceSlotIsFree(
      () => this.run(doing, (session) => headWithSlot(session, this.source.store, this.name, tables)),
      async () => await this.reader?.drop(),
    );
    return positionAt({ ...place, shape: shapeOf(tables) });
  }

  async foresee(): Promise<FeedForesight> {
    const { tables } = await this.source.load();
    return await this.run('looking at how its log can be followed', (session) =>
      foreseeSlot(session, this.source.store, this.name, tables),
    );
  }

  hasReached(position: Position, mark: Position): boolean {
    const [at, wanted] = [placeOf(position), placeOf(mark)];
    return at !== null && wanted !== null && at.timeline === wanted.timeline && at.lsn >= wanted.lsn;
  }

  /** Bytes of log say nothing of a number of changes. */
  changesBetween(position: Position, mark: Position): number | null {
    return this.hasReached(position, mark) ? 0 : null;
  }

  async open(range: KeyRange, after: Position): Promise<OpenFeed> {
    const { tables } = await this.source.load();
    invariant(tables.length > 0, 'a feed without tables');
    const log: OpenLog = new OpenLog(this.source, tables, this.name, range, after, async () => {
      if (this.reader !== log) await this.reader?.drop();
      this.reader = log;
    });
    return log;
  }

  backlog(): Promise<FeedBacklog | null> {
    return this.run('asking how much of its log is kept', (session) => backlogOf(session, this.name));
  }

  end(): Promise<void> {
    const doing = 'dropping the replication slot';
    return onceSlotIsFree(() => this.run(doing, (session) => dropSlot(session, this.name)));
  }

  /** A server that shuts down waits for whoever reads its log until all of that is confirmed: it is not kept from it. */
  private async run<T>(doing: string, body: (session: Session) => Promise<T>): Promise<T> {
    try {
      return await this.source.sessions.run(doing, body);
    } catch (error) {
      if (isKeyferryError(error, 'store.unreachable')) await this.reader?.drop();
      throw error;
    }
  }
}

interface Transaction {
  readonly rows: readonly RowChange[];
  readonly end: bigint;
}

class OpenLog implements OpenFeed {
  private readonly source: FeedSource;
  private readonly known: ServerTables['tables'];
  private readonly name: string;
  private readonly range: KeyRange;
  private at: Position;
  private stream: ReplicationStream | null = null;
  /** Of the stream: what is whole, and what still comes. */
  private whole: Transaction[] = [];
  private partly: { rows: RowChange[]; bytes: number; transaction: string } | null = null;
  private relations = new Map<string, Relation>();
  /** All before it has come. */
  private readUpTo = 0n;
  private lost: string | null = null;
  /** Whose change the stream told without the key that its row had; what comes behind it is not taken. */
  private keyless: ResolvedTable | null = null;
  private readonly takeSlot: () => Promise<void>;

  /** @param takeSlot makes whoever has the slot give it up */
  constructor(
    source: FeedSource,
    known: ServerTables['tables'],
    name: string,
    range: KeyRange,
    after: Position,
    takeSlot: () => Promise<void>,
  ) {
    this.takeSlot = takeSlot;
    this.source = source;
    this.known = known;
    this.name = name;
    this.range = range;
    this.at = after;
  }

  async read(options: FeedReadOptions): Promise<FeedStep> {
    const place = placeOf(this.at);
    if (place === null) return { kind: 'lost', why: `${this.at} is no position of this feed` };
    try {
      return await this.source.sessions.guarded('reading its changes', () => this.step(place, options));
    } catch (error) {
      await this.drop();
      throw error;
    }
  }

  confirm(position: Position): void {
    const place = placeOf(position);
    if (place !== null) this.stream?.confirm(place.lsn);
  }

  async close(): Promise<void> {
    await this.drop();
  }

  private async step(place: FeedPlace, { changesMax, waitMs, signal }: FeedReadOptions): Promise<FeedStep> {
    const { sessions, store, tables } = this.source;
    if (this.stream === null) {
      const why = await sessions.run('looking at its replication slot', (session) =>
        whyLost(session, this.name, place, this.known),
      );
      if (why !== null) return { kind: 'lost', why };
      await this.takeSlot();
      this.stream = await this.start(place);
      this.readUpTo = place.lsn;
    }
    const interrupt = () => this.stream?.interrupt();
    signal?.addEventListener('abort', interrupt);
    try {
      await this.gather(this.stream, changesMax, waitMs, () => signal?.aborted === true);
    } catch (error) {
      if (!(error instanceof DatabaseError) || error.code !== undefinedObject) throw error;
      await this.drop();
      return { kind: 'lost', why: `the publication ${this.name} was dropped` };
    } finally {
      signal?.removeEventListener('abort', interrupt);
    }
    let count = 0;
    const taken: Transaction[] = [];
    while (this.whole.length > 0 && count < changesMax) {
      const next = this.whole.shift() as Transaction;
      taken.push(next);
      count += next.rows.length;
    }
    if (taken.length === 0 && this.keyless !== null) await this.assertKeysTold(this.keyless);
    if (taken.length === 0 && this.lost !== null) return { kind: 'lost', why: this.lost };
    const rows = taken.flatMap((each) => each.rows);
    // Before anything is waited for: whoever drops the stream meanwhile takes what was not told with it.
    const end = this.whole.length === 0 && this.lost === null ? this.readUpTo : (taken.at(-1)?.end ?? place.lsn);
    const changes =
      rows.length === 0
        ? []
        : await sessions.run('making records of its changes', (session) =>
            changesOf(session, store, tables, this.known, rows),
          );
    const lsn = end > place.lsn ? end : place.lsn;
    this.at = positionAt({ timeline: place.timeline, lsn, shape: shapeOf(this.known) });
    return { kind: 'changes', changes: changes.filter((change) => this.isTold(change)), position: this.at };
  }

  /** Until something has come; without any, until the server said how far it read, and the time is over. */
  private async gather(
    stream: ReplicationStream,
    changesMax: number,
    waitMs: number,
    isStopped: () => boolean,
  ): Promise<void> {
    const startMs = systemClock.monotonicMs();
    const from = this.readUpTo;
    let hasAnswer = false;
    stream.askHowFar();
    for (;;) {
      if (this.lost !== null || this.whole.reduce((sum, { rows }) => sum + rows.length, 0) >= changesMax) return;
      const passedMs = systemClock.monotonicMs() - startMs;
      // Rows come quickly one after another: what is on its way belongs to this step.
      if (hasAnswer && this.whole.length > 0) return;
      if (hasAnswer && (isStopped() || passedMs >= waitMs)) return;
      // Only other tables moved: told soon, so that whoever waits for a head gets there.
      if (hasAnswer && this.readUpTo > from && passedMs >= askAgainMs) return;
      if (!hasAnswer && passedMs >= Math.max(answerMs, waitMs)) {
        throw new KeyferryError('store.timeout', {
          store: this.source.store,
          detail: `the stream of changes is silent for ${answerMs} ms`,
        });
      }
      const leftMs = hasAnswer ? Math.min(askAgainMs, waitMs - passedMs) : answerMs;
      const events = await stream.events(Math.max(1, leftMs));
      if (stream !== this.stream) {
        const detail = 'reading its changes: the stream was given up in between';
        throw new KeyferryError('store.unreachable', { store: this.source.store, detail });
      }
      for (const event of events) {
        if (event.kind === 'message') this.take(event.bytes);
        else {
          hasAnswer = true;
          if (this.partly === null && event.read > this.readUpTo) this.readUpTo = event.read;
        }
        if (this.lost !== null) return;
      }
      if (events.length === 0 && hasAnswer) stream.askHowFar();
    }
  }

  private take(bytes: Buffer): void {
    const message = this.messageIn(bytes);
    switch (message.kind) {
      case 'begin':
        this.partly = { rows: [], bytes: 0, transaction: message.transaction };
        break;
      case 'commit':
        invariant(this.partly !== null, 'the end of a transaction that did not begin');
        this.whole.push({ rows: this.partly.rows, end: message.end });
        if (message.end > this.readUpTo) this.readUpTo = message.end;
        this.partly = null;
        break;
      case 'relation':
        this.relations.set(message.relation.oid, message.relation);
        break;
      case 'truncate':
        if (this.known.some(({ oid }) => oid !== null && message.oids.includes(oid))) {
          this.lost = 'a table was truncated, which tells no rows';
        }
        break;
      case 'insert':
      case 'update':
      case 'delete': {
        const relation = this.relations.get(message.oid);
        invariant(this.partly !== null && relation !== undefined, 'a row out of place');
        this.partly.bytes += bytes.length;
        this.keyless ??= message.kind === 'insert' ? null : this.keylessIn(relation);
        if (this.partly.bytes > transactionBytesMax) {
          this.lost = `a transaction changed more than ${transactionBytesMax} bytes, which no step holds`;
        } else if (this.keyless !== null) {
          this.lost = `the replica identity of ${this.keyless.label} did not hold all of its key, so what went was not told`;
        } else this.partly.rows.push({ message, relation, transaction: this.partly.transaction });
        break;
      }
      case 'other':
        break;
    }
  }

  /** What went is not told, and not what will go as long as that is so. @throws {KeyferryError} `store.unsupported`: it is */
  private async assertKeysTold(table: ResolvedTable): Promise<void> {
    const { sessions, store } = this.source;
    await sessions.run('looking at what its changes tell', (session) => assertIdentity(session, store, table));
  }

  private messageIn(bytes: Buffer): PgoutputMessage {
    try {
      return readMessage(bytes);
    } catch (error) {
      const detail = `the stream of changes is not what pgoutput sends: ${error instanceof Error ? error.message : ''}`;
      throw new KeyferryError('store.answer-unexpected', { store: this.source.store, detail }, { cause: error });
    }
  }

  private keylessIn({ oid, identity }: Relation): ResolvedTable | null {
    const table = this.known.find((each) => each.oid === oid);
    if (table === undefined || identity === null) return null;
    return table.keyColumns.every(({ name }) => identity.includes(name)) ? null : table;
  }

  private isTold(change: SourceChange): boolean {
    return change.kind !== 'delete-range' && rangeHolds(this.range, change.key);
  }

  private start({ lsn }: FeedPlace): Promise<ReplicationStream> {
    return onceSlotIsFree(async () => {
      const stream = new ReplicationStream(await this.source.sessions.openReplication(), this.name, lsn);
      try {
        await stream.started();
        return stream;
      } catch (error) {
        await stream.close();
        throw error;
      }
    });
  }

  /** The next read opens anew, behind the last step. */
  async drop(): Promise<void> {
    const { stream } = this;
    this.stream = null;
    this.whole = [];
    this.partly = null;
    this.relations = new Map();
    await stream?.close();
  }
}
