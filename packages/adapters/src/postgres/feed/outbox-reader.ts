/**
 * Reads an outbox: which transactions ended since a position, in what order, and the rows that they changed.
 *
 *     read ─► which ended between the snapshot of the position and now ─► their rows, whole transactions ─► a position
 *     confirm(position) ─► what lies before it is deleted with the next reads
 *
 * Transactions are told by the number of the last thing that they wrote. Whoever changes a row waits for the one that changed it
 * before, so of any key that is the order in which it was changed. Nobody tells a reader that something was written: it looks.
 * Several may read the same outbox; what is deleted is so for all of them, and never comes back.
 */
import { invariant, KeyferryError, type FeedReadOptions, type Position } from '@keyferry/core';
import { systemClock } from '../../environment/system-clock.ts';
import type { ResolvedTable } from '../catalog.ts';
import type { Session } from '../session.ts';
import { readStanding, shapeOf, whyIncomplete, type OutboxNames, type OutboxStanding } from './outbox.ts';
import type { FeedSource } from './feed-source.ts';
import { placeOf, positionAt, seesAllOf, snapshotFromText, type OutboxPlace, type Snapshot } from './snapshot.ts';

/** Of one transaction, which is one step at least; a step of several ends well before. */
const transactionBytesMax = 256 * 1024 * 1024;
const stepBytesMax = 16 * 1024 * 1024;
/** Transactions whose numbers are known at once. */
const listedMax = 50_000;
const confirmEveryMs = 1000;
/** Rows that are deleted at once: what grew while nobody read must not take longer than a statement may. */
const deletedAtOnce = 10_000;

/** One that ended, as the list has it. */
interface Ended {
  readonly xid: string;
  readonly last: bigint;
  readonly rows: number;
  readonly bytes: number;
}

export interface OutboxRow {
  readonly xid: string;
  readonly kind: string;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
}

/** A transaction of the outbox, with all that it changed. */
export interface ToldTransaction {
  readonly xid: string;
  /** Behind it. */
  readonly position: Position;
  readonly rows: readonly OutboxRow[];
}

export type OutboxStep =
  | { readonly kind: 'lost'; readonly why: string }
  | { readonly kind: 'told'; readonly transactions: readonly ToldTransaction[]; readonly position: Position };

export class OutboxReader {
  private readonly source: FeedSource;
  private readonly names: OutboxNames;
  private readonly known: readonly ResolvedTable[];
  private readonly lookEveryMs: number;
  private readonly shape: string;
  private at: Position;
  /** What ended between `at` and a later snapshot, and was not told yet. */
  private part: { readonly until: Snapshot; readonly ended: Ended[]; readonly isAll: boolean } | null = null;
  private confirmed: { readonly snapshot: Snapshot; isDone: boolean } | null = null;
  private confirmedAtMs = Number.NEGATIVE_INFINITY;

  /** @param lookEveryMs a look is one transaction of a few statements */
  constructor(
    source: FeedSource,
    names: OutboxNames,
    known: readonly ResolvedTable[],
    after: Position,
    lookEveryMs: number,
  ) {
    this.source = source;
    this.names = names;
    this.known = known;
    this.at = after;
    this.lookEveryMs = lookEveryMs;
    this.shape = shapeOf(names, known);
  }

  /** Until something was written by anybody to one of the tables, or the time is over. */
  async read({ changesMax, waitMs, signal }: FeedReadOptions): Promise<OutboxStep> {
    const place = placeOf(this.at);
    if (place === null) return lost(`${this.at} is no position of an outbox`);
    const untilMs = systemClock.monotonicMs() + waitMs;
    await this.deleteConfirmed(place).catch(goesOnGrowing);
    for (;;) {
      const step = await this.step(place, changesMax).catch((error: unknown): never => {
        // It may have gone on by transactions that nobody was given.
        this.part = null;
        throw error;
      });
      if (step.kind === 'lost') return step;
      const leftMs = untilMs - systemClock.monotonicMs();
      const isOver = signal?.aborted === true || leftMs <= 0;
      if (step.moved || isOver) {
        this.at = step.position;
        return { kind: 'told', transactions: step.transactions, position: step.position };
      }
      await systemClock.sleep(Math.min(this.lookEveryMs, leftMs), signal);
    }
  }

  /** What lies before it may be deleted with the next reads. */
  confirm(position: Position): void {
    const place = placeOf(position);
    if (place !== null) this.confirmed = { snapshot: place.snapshot, isDone: false };
  }

  async close(): Promise<void> {
    const place = placeOf(this.at);
    if (place === null) return;
    this.confirmedAtMs = Number.NEGATIVE_INFINITY;
    // Whoever opens next deletes what could not be deleted now.
    await this.deleteConfirmed(place).catch(goesOnGrowing);
  }

  private async step(place: OutboxPlace, changesMax: number): Promise<Step> {
    const { sessions } = this.source;
    const begin = 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY';
    return await sessions.transaction(
      'reading its changes',
      async (session) => {
        const standing = await readStanding(session, this.names);
        const why = whyLost(place, standing);
        if (why !== null || standing === null) return lost(why ?? '');
        if (standing.shape !== this.shape || (await this.columnsMoved(session))) throw this.changed();
        const incomplete = await whyIncomplete(session, this.names, this.known);
        if (incomplete !== null) return lost(incomplete);
        this.part ??= await this.list(session, place, place.within?.until ?? standing.now);
        const taken = this.take(changesMax);
        const here = { ...place, timeline: standing.timeline };
        if (taken.length === 0) {
          const { until } = this.part;
          this.part = null;
          const position = positionAt({ ...here, snapshot: until, within: null });
          return { kind: 'told', transactions: [], position, moved: place.within !== null };
        }
        return await this.tell(session, here, taken);
      },
      begin,
    );
  }

  private async tell(session: Session, place: OutboxPlace, taken: readonly Ended[]): Promise<Step> {
    const large = taken.find(({ bytes }) => bytes > transactionBytesMax);
    if (large !== undefined) {
      return lost(`a transaction changed more than ${transactionBytesMax} bytes, which no step holds`);
    }
    const { rows } = await session.query<OutboxRow>(
      `SELECT xid::text AS xid, kind, key, value FROM ${this.names.outbox} WHERE xid = ANY($1::xid8[]) ORDER BY id`,
      [taken.map(({ xid }) => xid)],
    );
    const byTransaction = Map.groupBy(rows, ({ xid }) => xid);
    invariant(this.part !== null, 'a step without a part');
    const { until, ended, isAll } = this.part;
    const transactions: ToldTransaction[] = [];
    let last: Ended | null = null;
    for (const each of taken) {
      const own = byTransaction.get(each.xid) ?? [];
      const why = own.map(whyUntold).find((one) => one !== null) ?? null;
      if (why !== null && last === null) return lost(why);
      if (why !== null) break;
      const position = positionAt({ ...place, within: { until, last: each.last } });
      transactions.push({ xid: each.xid, position, rows: own });
      last = each;
    }
    invariant(last !== null, 'a step without a transaction');
    const told = last.last;
    const rest = ended.filter((each) => each.last > told);
    const isEnd = rest.length === 0 && isAll;
    this.part = rest.length === 0 ? null : { until, ended: rest, isAll };
    const position = isEnd
      ? positionAt({ ...place, snapshot: until, within: null })
      : positionAt({ ...place, within: { until, last: told } });
    return { kind: 'told', transactions, position, moved: true };
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
      const { rows } = await session.query<{ readonly confirmed: string | null }>(
        `SELECT confirmed FROM ${names.register} WHERE name = $1 FOR UPDATE`,
        [names.name],
      );
      // Others may read the same outbox, and what one has given up is gone for all.
      const before = snapshotFromText(rows[0]?.confirmed ?? '');
      if (before === null || seesAllOf(confirmed.snapshot, before)) {
        await session.query(`UPDATE ${names.register} SET confirmed = $2 WHERE name = $1`, [names.name, text]);
      }
    });
    const { rowCount } = await this.source.sessions.transaction('deleting what was carried', (session) =>
      session.query(
        `DELETE FROM ${names.outbox} WHERE id IN (SELECT id FROM ${names.outbox}
           WHERE xid < pg_snapshot_xmax($1::pg_snapshot) AND pg_visible_in_snapshot(xid, $1::pg_snapshot)
           ORDER BY id LIMIT ${deletedAtOnce})`,
        [text],
      ),
    );
    // The next read goes on at once.
    if (rowCount === deletedAtOnce) this.confirmedAtMs = Number.NEGATIVE_INFINITY;
    else confirmed.isDone = true;
  }
}

/** `moved`: a transaction was told, of whichever key, or the part that was begun is over. */
type Step =
  | Extract<OutboxStep, { readonly kind: 'lost' }>
  | (Extract<OutboxStep, { readonly kind: 'told' }> & { readonly moved: boolean });

/** It is tried again with a later read; how much there is the backlog tells. Whoever reads is told its changes all the same. */
const goesOnGrowing = (): void => undefined;

const lost = (why: string) => ({ kind: 'lost' as const, why });

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
