/**
 * The changes of tables as a log that triggers write (outbox.ts), where `wal_level` forbids to follow the server's own.
 *
 *     head() ─► outbox and triggers ─► what the server's snapshot sees now       from here on changes are written down
 *     open(after) ─► which transactions ended since, in what order ─► their rows, whole transactions ─► steps
 *     confirm(position) ─► what lies before it is deleted with the next read
 *
 * Transactions are told by the number of the last thing that they wrote. Whoever changes a row waits for the one that changed it
 * before, so of any key that is the order in which it was changed. Nobody tells a reader that something was written:
 * it looks. A TRUNCATE tells no rows: a position before one is lost, as are those before the triggers were made or changed.
 */
import {
  invariant,
  KeyferryError,
  keyFromBytes,
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
  type Version,
} from '@keyferry/core';
import { DatabaseError } from 'pg';
import { systemClock } from '../../environment/system-clock.ts';
import type { ResolvedTable } from '../catalog.ts';
import type { Session } from '../session.ts';
import {
  dropOutbox,
  makeOutbox,
  outboxBacklog,
  outboxNames,
  readStanding,
  shapeOf,
  whyIncomplete,
  whyUnable,
  type OutboxNames,
  type OutboxStanding,
} from './outbox.ts';
import type { FeedSource } from './feed-source.ts';
import { feedObjectName } from './slot.ts';
import { hasReachedPlace, placeOf, positionAt, seesAllOf, type OutboxPlace, type Snapshot } from './snapshot.ts';

/** A look is one statement that reads an index. */
const lookEveryMs = 100;
/** Of one transaction, which is one step at least; a step of several ends well before. */
const transactionBytesMax = 256 * 1024 * 1024;
const stepBytesMax = 16 * 1024 * 1024;
/** Transactions whose numbers are known at once. */
const listedMax = 50_000;
const confirmEveryMs = 1000;
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
  private readonly names: OutboxNames;

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
        let standing = await readStanding(session, names);
        const isWhole = standing?.shape === shapeOf(names, tables) && !(await whyIncomplete(session, names, tables));
        if (!isWhole) {
          await makeOutbox(session, source.store, names, tables);
          standing = await readStanding(session, names);
        }
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
    return new OpenOutbox(this.source, this.names, tables, range, after);
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

/** One that ended, as the list has it. */
interface Ended {
  readonly xid: string;
  readonly last: bigint;
  readonly rows: number;
  readonly bytes: number;
}

interface OutboxRow {
  readonly xid: string;
  readonly kind: string;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
}

class OpenOutbox implements OpenFeed {
  private readonly source: FeedSource;
  private readonly names: OutboxNames;
  private readonly known: readonly ResolvedTable[];
  private readonly range: KeyRange;
  private readonly shape: string;
  private at: Position;
  /** What ended between `at` and a later snapshot, and was not told yet. */
  private part: { readonly until: Snapshot; readonly ended: Ended[]; readonly isAll: boolean } | null = null;
  private confirmed: { readonly snapshot: Snapshot; isDone: boolean } | null = null;
  private confirmedAtMs = Number.NEGATIVE_INFINITY;

  constructor(
    source: FeedSource,
    names: OutboxNames,
    known: readonly ResolvedTable[],
    range: KeyRange,
    after: Position,
  ) {
    this.source = source;
    this.names = names;
    this.known = known;
    this.range = range;
    this.at = after;
    this.shape = shapeOf(names, known);
  }

  async read({ changesMax, waitMs, signal }: FeedReadOptions): Promise<FeedStep> {
    const place = placeOf(this.at);
    if (place === null) return { kind: 'lost', why: `${this.at} is no position of an outbox` };
    const untilMs = systemClock.monotonicMs() + waitMs;
    await this.deleteConfirmed(place);
    for (;;) {
      const step = await this.step(place, changesMax);
      const leftMs = untilMs - systemClock.monotonicMs();
      const isOver = signal?.aborted === true || leftMs <= 0;
      if (step.kind === 'changes' && step.changes.length === 0 && !step.moved && !isOver) {
        await systemClock.sleep(Math.min(lookEveryMs, leftMs), signal);
        continue;
      }
      if (step.kind === 'lost') return step;
      this.at = step.position;
      return { kind: 'changes', changes: step.changes, position: step.position };
    }
  }

  confirm(position: Position): void {
    const place = placeOf(position);
    if (place !== null) this.confirmed = { snapshot: place.snapshot, isDone: false };
  }

  async close(): Promise<void> {
    const place = placeOf(this.at);
    if (place === null) return;
    this.confirmedAtMs = Number.NEGATIVE_INFINITY;
    // Whoever opens next deletes what could not be deleted now.
    await this.deleteConfirmed(place).catch(() => undefined);
  }

  /** `moved`: a transaction outside of the range was told of, or the part that was begun is over. */
  private async step(
    place: OutboxPlace,
    changesMax: number,
  ): Promise<
    | Extract<FeedStep, { readonly kind: 'lost' }>
    | (Extract<FeedStep, { readonly kind: 'changes' }> & { readonly moved: boolean })
  > {
    const { sessions } = this.source;
    const begin = 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY';
    return await sessions.transaction(
      'reading its changes',
      async (session) => {
        const standing = await readStanding(session, this.names);
        const why = whyLost(place, standing);
        if (why !== null || standing === null) return { kind: 'lost', why: why ?? '' };
        if (standing.shape !== this.shape || (await this.columnsMoved(session))) throw this.changed();
        const incomplete = await whyIncomplete(session, this.names, this.known);
        if (incomplete !== null) return { kind: 'lost', why: incomplete };
        this.part ??= await this.list(session, place, place.within?.until ?? standing.now);
        const taken = this.take(changesMax);
        const here = { ...place, timeline: standing.timeline };
        if (taken.length === 0) {
          const { until } = this.part;
          this.part = null;
          const moved = place.within !== null;
          return {
            kind: 'changes',
            changes: [],
            position: positionAt({ ...here, snapshot: until, within: null }),
            moved,
          };
        }
        return await this.tell(session, here, taken);
      },
      begin,
    );
  }

  private async tell(session: Session, place: OutboxPlace, taken: readonly Ended[]) {
    const large = taken.find(({ bytes }) => bytes > transactionBytesMax);
    if (large !== undefined) {
      return lost(`a transaction changed more than ${transactionBytesMax} bytes, which no step holds`);
    }
    const { rows } = await session.query<OutboxRow>(
      `SELECT xid::text AS xid, kind, key, value FROM ${this.names.outbox} WHERE xid = ANY($1::xid8[]) ORDER BY id`,
      [taken.map(({ xid }) => xid)],
    );
    const byTransaction = Map.groupBy(rows, ({ xid }) => xid);
    const changes: SourceChange[] = [];
    let last: Ended | null = null;
    for (const ended of taken) {
      const own = byTransaction.get(ended.xid) ?? [];
      const why = own.map(whyUntold).find((each) => each !== null) ?? null;
      if (why !== null && last === null) return lost(why);
      if (why !== null) break;
      changes.push(...own.flatMap((row) => this.changeOf(row)));
      last = ended;
    }
    invariant(last !== null && this.part !== null, 'a step without a transaction');
    const { until, ended, isAll } = this.part;
    const told = last.last;
    const rest = ended.filter((each) => each.last > told);
    const isEnd = rest.length === 0 && isAll;
    this.part = rest.length === 0 ? null : { until, ended: rest, isAll };
    const position = isEnd
      ? positionAt({ ...place, snapshot: until, within: null })
      : positionAt({ ...place, within: { until, last: told } });
    return { kind: 'changes' as const, changes, position, moved: true };
  }

  private take(changesMax: number): readonly Ended[] {
    const taken: Ended[] = [];
    let [rows, bytes] = [0, 0];
    for (const ended of this.part?.ended ?? []) {
      if (rows >= changesMax || (taken.length > 0 && bytes + ended.bytes > stepBytesMax)) break;
      taken.push(ended);
      rows += ended.rows;
      bytes += ended.bytes;
    }
    return taken;
  }

  private async list(session: Session, { snapshot, within }: OutboxPlace, until: Snapshot) {
    const { rows } = await session.query<{
      readonly xid: string;
      readonly last: string;
      readonly rows: string;
      readonly bytes: string;
    }>(
      `SELECT xid::text AS xid, max(id)::text AS last, count(*)::text AS rows,
         sum(coalesce(octet_length(key), 0) + coalesce(octet_length(value), 0))::text AS bytes
       FROM ${this.names.outbox}
       WHERE xid >= pg_snapshot_xmin($1::pg_snapshot) AND NOT pg_visible_in_snapshot(xid, $1::pg_snapshot)
         AND pg_visible_in_snapshot(xid, $2::pg_snapshot)
       GROUP BY xid HAVING max(id) > $3 ORDER BY max(id) LIMIT ${listedMax}`,
      [snapshot.text, until.text, String(within?.last ?? 0n)],
    );
    const ended = rows.map((row) => ({
      xid: row.xid,
      last: BigInt(row.last),
      rows: Number(row.rows),
      bytes: Number(row.bytes),
    }));
    return { until, ended, isAll: rows.length < listedMax };
  }

  private changeOf({ xid, kind, key: bytes, value }: OutboxRow): readonly SourceChange[] {
    invariant(bytes !== null, `a change of kind ${kind} without a key`);
    const key = keyFromBytes(bytes);
    if (!rangeHolds(this.range, key)) return [];
    if (kind === 'delete') return [{ kind: 'delete', key }];
    // The number that xmin has, which is its low half.
    const version = String(BigInt(xid) % 2n ** 32n) as Version;
    return [{ kind: 'put', key, value: value ?? new Uint8Array(0), version, expiresAtMs: null }];
  }

  /** The functions name the columns as they were: one that came would be missing in what they tell. */
  private async columnsMoved(session: Session): Promise<boolean> {
    const { rows } = await session.query<{ readonly oid: string; readonly names: readonly string[] }>(
      `SELECT attrelid::text AS oid, array_agg(attname::text) AS names FROM pg_attribute
       WHERE attrelid = ANY($1::oid[]) AND attnum > 0 AND NOT attisdropped AND attgenerated = '' GROUP BY attrelid`,
      [this.known.map(({ oid }) => oid)],
    );
    return this.known.some(({ oid, writable, mapping }) => {
      const names = rows.find((row) => row.oid === oid)?.names ?? [];
      const isKnown = (name: string) =>
        mapping.leaveOut.includes(name) || writable.some((column) => column.name === name);
      return (
        names.some((name) => !isKnown(name)) ||
        writable.some(({ name, isGenerated }) => !isGenerated && !names.includes(name))
      );
    });
  }

  private changed(): KeyferryError {
    const detail = 'a column came or went since its triggers were made, or its tables are other ones; start it again';
    return new KeyferryError('store.unsupported', { store: this.source.store, detail });
  }

  private async deleteConfirmed({ snapshot: own }: OutboxPlace): Promise<void> {
    const { confirmed, names } = this;
    const nowMs = systemClock.monotonicMs();
    if (confirmed === null || confirmed.isDone || nowMs - this.confirmedAtMs < confirmEveryMs) return;
    if (!seesAllOf(own, confirmed.snapshot)) return;
    this.confirmedAtMs = nowMs;
    const { text } = confirmed.snapshot;
    await this.source.sessions.transaction('deleting what was carried', async (session) => {
      await session.query(`UPDATE ${names.register} SET confirmed = $2 WHERE name = $1`, [names.name, text]);
      await session.query(
        `DELETE FROM ${names.outbox} WHERE xid < pg_snapshot_xmax($1::pg_snapshot) AND pg_visible_in_snapshot(xid, $1::pg_snapshot)`,
        [text],
      );
    });
    confirmed.isDone = true;
  }
}

const lost = (why: string) => ({ kind: 'lost' as const, why });

function placeNow({ generation, timeline, now }: OutboxStanding): OutboxPlace {
  return { generation, timeline, snapshot: now, within: null };
}

function whyLost(place: OutboxPlace, standing: OutboxStanding | null): string | null {
  if (standing === null) return 'its outbox is not there (dropped, or the server is another one)';
  const { generation, timeline, now, confirmed } = standing;
  if (generation !== place.generation) return 'its triggers were made anew since';
  if (timeline !== place.timeline) return `the server is on timeline ${timeline}, and was on ${place.timeline}`;
  if (!seesAllOf(now, place.snapshot)) return 'the server went back to an older state';
  if (confirmed !== null && !seesAllOf(place.snapshot, confirmed)) return 'its outbox has gone on since';
  return null;
}

function whyUntold({ kind, value }: OutboxRow): string | null {
  if (kind === 'truncate') return 'a table was truncated, which tells no rows';
  if (kind !== 'untold') return null;
  return `a trigger could not tell a change (SQLSTATE ${value?.toString('utf8') ?? 'unknown'})`;
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
