/**
 * The changes of tables as a log that triggers write (outbox.ts), where `wal_level` forbids to follow the server's own.
 *
 *     head() ─► outbox and triggers ─► what the server's snapshot sees now       from here on changes are written down
 *     open(after) ─► whole transactions, as outbox-reader.ts tells them ─► steps
 *
 * A TRUNCATE tells no rows: a position before one is lost, as are those before the triggers were made or changed.
 */
import {
  invariant,
  keyFromBytes,
  rangeHolds,
  type ChangeFeed,
  type FeedBacklog,
  type FeedCapabilities,
  type FeedForesight,
  type KeyRange,
  type OpenFeed,
  type Position,
  type SourceChange,
  type Version,
} from '@keyferry/core';
import { DatabaseError } from 'pg';
import { systemClock } from '../../environment/system-clock.ts';
import type { Session } from '../session.ts';
import {
  dropOutbox,
  makeOutbox,
  outboxBacklog,
  outboxNames,
  isWhole,
  readStanding,
  whyUnable,
  type OutboxNames,
  type OutboxStanding,
} from './outbox.ts';
import type { FeedSource } from './feed-source.ts';
import { feedObjectName } from './slot.ts';
import { OutboxReader, type OutboxRow } from './outbox-reader.ts';
import { hasReachedPlace, placeOf, positionAt, type OutboxPlace } from './snapshot.ts';

/** A look is one statement that reads an index. */
const lookEveryMs = 100;
/** Altogether, for the locks that triggers take. */
const triggersWithinMs = 30_000;
const triggersAgainMs = 200;

export class OutboxFeed implements ChangeFeed {
  readonly capabilities: FeedCapabilities = {
    kind: 'log',
    rangeDeletes: false,
    retention: { changesMax: null, ageMsMax: null },
  };
  private readonly source: FeedSource;
  readonly names: OutboxNames;

  /** @param feed tells one feed of a database from another: the migration's name */
  constructor(source: FeedSource, feed: string) {
    this.source = source;
    this.names = outboxNames(source.schema, feedObjectName(source.database, feed));
  }

  async head(): Promise<Position> {
    const { tables } = await this.source.load();
    return await onceUnlocked(async () =>
      this.run('asking for the head of its changes', async (session) => {
        const { names, source } = this;
        if (!(await isWhole(session, names, tables))) await makeOutbox(session, source.store, names, tables);
        const standing = await readStanding(session, names);
        invariant(standing !== null, 'an outbox that was made is there');
        return positionAt(placeNow(standing));
      }),
    );
  }

  async foresee(): Promise<FeedForesight> {
    const { tables } = await this.source.load();
    const labels = tables.map(({ label }) => label).join(', ');
    const makes = `triggers on ${labels}, and an outbox in schema ${this.names.schema}: each write to them writes a row more`;
    const doing = 'looking at whether triggers can be made';
    return { lacks: await this.run(doing, (session) => whyUnable(session, this.names, tables)), makes };
  }

  hasReached(position: Position, mark: Position): boolean {
    const [at, wanted] = [placeOf(position), placeOf(mark)];
    return at !== null && wanted !== null && hasReachedPlace(at, wanted);
  }

  /** Snapshots say nothing of a number of changes. */
  changesBetween(position: Position, mark: Position): number | null {
    return this.hasReached(position, mark) ? 0 : null;
  }

  async open(range: KeyRange, after: Position): Promise<OpenFeed> {
    const { tables } = await this.source.load();
    invariant(tables.length > 0, 'a feed without tables');
    const reader = new OutboxReader(this.source, this.names, tables, after, lookEveryMs);
    return {
      read: async (options) => {
        const step = await reader.read(options);
        if (step.kind === 'lost') return step;
        const changes = step.transactions.flatMap(({ xid, rows }) => rows.flatMap((row) => changesOf(xid, row, range)));
        return { kind: 'changes', changes, position: step.position };
      },
      confirm: (position) => reader.confirm(position),
      close: () => reader.close(),
    };
  }

  backlog(): Promise<FeedBacklog | null> {
    return this.run('asking how much its outbox holds', (session) => outboxBacklog(session, this.names));
  }

  end(): Promise<void> {
    const doing = 'dropping its triggers';
    return onceUnlocked(() => this.run(doing, (session) => dropOutbox(session, this.names)));
  }

  private run<T>(doing: string, body: (session: Session) => Promise<T>): Promise<T> {
    return this.source.sessions.run(doing, body);
  }
}

/** None: the key is out of the range. */
export function changesOf(xid: string, { kind, key: bytes, value }: OutboxRow, range: KeyRange): readonly KeyChange[] {
  invariant(bytes !== null, `a change of kind ${kind} without a key`);
  const key = keyFromBytes(bytes);
  if (!rangeHolds(range, key)) return [];
  if (kind === 'delete') return [{ kind: 'delete', key }];
  // The low half of the transaction's number, as xmin has it; a row that was written behind a savepoint has another xmin.
  const version = String(BigInt(xid) % 2n ** 32n) as Version;
  return [{ kind: 'put', key, value: value ?? new Uint8Array(0), version, expiresAtMs: null }];
}

type KeyChange = Exclude<SourceChange, { readonly kind: 'delete-range' }>;

function placeNow({ generation, timeline, now }: OutboxStanding): OutboxPlace {
  return { generation, timeline, snapshot: now, within: null };
}

const lockNotAvailable = '55P03';

/** Tries again while somebody writes to a table, so that nobody queues behind a trigger that is to be made or dropped. */
async function onceUnlocked<T>(use: () => Promise<T>): Promise<T> {
  const untilMs = systemClock.monotonicMs() + triggersWithinMs;
  for (;;) {
    try {
      return await use();
    } catch (error) {
      const { cause } = error instanceof Error ? error : {};
      const isLocked = cause instanceof DatabaseError && cause.code === lockNotAvailable;
      if (!isLocked || systemClock.monotonicMs() > untilMs) throw error;
      await systemClock.sleep(triggersAgainMs);
    }
  }
}
