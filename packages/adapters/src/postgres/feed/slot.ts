/**
 * The publication and the replication slot of a feed, and what they cost.
 *
 *     publication    which tables are told of
 *     slot           from where on the server keeps its log for us: what is not confirmed stays on its disk
 *
 * Both have the name of the feed and are made when its head is first asked for, the publication before the slot: the
 * slot reads it as it was at each transaction. `drop` takes both away, and with them the log that was kept.
 */
import { createHash } from 'node:crypto';
import { isKeyferryError, KeyferryError, type FeedBacklog, type FeedForesight } from '@keyferry/core';
import { DatabaseError } from 'pg';
import { systemClock } from '../../environment/system-clock.ts';
import { unsupported, type ResolvedTable } from '../catalog.ts';
import type { Session } from '../session.ts';
import { quoteName } from '../sql.ts';
import { lsnFromText, shapeOf, type FeedPlace, type WalPlace } from './lsn.ts';

/** What slots and publications may be called: 63 letters, digits and underscores. */
export function feedObjectName(database: string, feed: string): string {
  const hash = createHash('sha256').update(`${database}\n${feed}`).digest('hex').slice(0, 12);
  return `keyferry_${feed
    .toLowerCase()
    .replaceAll(/[^a-z0-9]/g, '_')
    .slice(0, 40)}_${hash}`;
}

interface HeadRow {
  readonly flushed: string;
  readonly inserted: string;
  readonly timeline: number;
  /** Null: there is no slot. */
  readonly status: string | null;
  readonly level: string;
}

/**
 * Where the log ends now, and the slot from which it is kept; makes publication and slot unless both are as they have to be: a
 * slot whose log the server dropped stays without it, and what was not published cannot be had any more. The stream tells what is on
 * disk: a commit that was acknowledged before that, and records that nobody waits for, are brought there.
 */
export async function headWithSlot(
  session: Session,
  store: string,
  name: string,
  tables: readonly ResolvedTable[],
): Promise<WalPlace> {
  const look = async (): Promise<HeadRow | undefined> => {
    const { rows } = await session.query<HeadRow>(
      `SELECT pg_current_wal_flush_lsn()::text AS flushed, pg_current_wal_insert_lsn()::text AS inserted,
         (SELECT timeline_id FROM pg_control_checkpoint()) AS timeline, current_setting('wal_level') AS level,
         (SELECT coalesce(wal_status, '') FROM pg_replication_slots WHERE slot_name = $1) AS status`,
      [name],
    );
    return rows[0];
  };
  let row = await look();
  const { status = null, level = 'unknown' } = row ?? {};
  if (status === null || status === 'lost' || (await whyUntold(session, name, tables)) !== null) {
    if (level !== 'logical') throw unsupported(store, levelText(level));
    await makeSlot(session, store, name, tables);
    row = await look();
  }
  if (row?.flushed !== row?.inserted) {
    await session.query('BEGIN; SET LOCAL synchronous_commit = local');
    await session.query("SELECT pg_logical_emit_message(true, 'keyferry', '')");
    await session.query('COMMIT');
    row = await look();
  }
  const { flushed = '0/0', timeline = 0 } = row ?? {};
  return { timeline, lsn: lsnFromText(flushed) };
}

/** What stands in the way of a slot, without making one. */
export async function foreseeSlot(
  session: Session,
  store: string,
  name: string,
  tables: readonly ResolvedTable[],
): Promise<FeedForesight> {
  const { rows } = await session.query<{
    readonly level: string;
    readonly user: string;
    readonly may: boolean;
    readonly owns: boolean;
    readonly slots: number;
    readonly full: boolean;
  }>(
    `SELECT current_setting('wal_level') AS level, quote_ident(current_user) AS user,
       (SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user) AS may,
       has_database_privilege(current_database(), 'CREATE')
         AND NOT EXISTS (SELECT 1 FROM pg_class WHERE oid = ANY($1::oid[]) AND NOT pg_has_role(relowner, 'USAGE')) AS owns,
       current_setting('max_replication_slots')::int AS slots,
       (SELECT count(*) >= current_setting('max_replication_slots')::int AND NOT coalesce(bool_or(slot_name = $2), false)
        FROM pg_replication_slots) AS full`,
    [tables.map(({ oid }) => oid), name],
  );
  const { level = 'unknown', user = '', may = false, owns = false, slots = 0, full = false } = rows[0] ?? {};
  const makes = `publication and replication slot ${name}: the server keeps its log until it was carried`;
  if (level !== 'logical') return { lacks: levelText(level), makes };
  if (full) return { lacks: `all of its replication slots are in use (max_replication_slots is ${slots})`, makes };
  if (!may) return { lacks: `its user lacks   ALTER ROLE ${user} REPLICATION`, makes };
  const untold = owns ? null : await whyUntold(session, name, tables);
  if (untold !== null) {
    const why = `${untold}, and its user may not make it; the owner of the tables can:   ${publicationSql(name, tables)}`;
    return { lacks: why, makes };
  }
  try {
    for (const table of tables) await assertIdentity(session, store, table);
    return { lacks: null, makes };
  } catch (error) {
    if (!isKeyferryError(error, 'store.unsupported')) throw error;
    return { lacks: error.details.detail, makes };
  }
}

const levelText = (level: string): string =>
  `wal_level is ${level}, and only logical lets its log be followed: change that and restart the server, or say   changes: triggers   of the store`;

/** Of all kinds of changes, as the server has it where nothing is said. */
function publicationSql(name: string, tables: readonly ResolvedTable[]): string {
  const wanted = tables.map(({ sql }) => sql).join(', ');
  return `CREATE PUBLICATION ${quoteName(name)} FOR TABLE ${wanted} WITH (publish_via_partition_root = true)`;
}

async function makeSlot(
  session: Session,
  store: string,
  name: string,
  tables: readonly ResolvedTable[],
): Promise<void> {
  for (const table of tables) await assertIdentity(session, store, table);
  const make = publicationSql(name, tables);
  try {
    if ((await whyUntold(session, name, tables)) !== null) {
      await session.query(`DROP PUBLICATION IF EXISTS ${quoteName(name)}`);
      await session.query(make);
    }
    // One that is there has no log to go on from, or one from before the publication was as it is.
    await session.query(dropSlotSql, [name]);
    await session.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [name]);
  } catch (error) {
    // Somebody else made it in this moment: it is there.
    if (error instanceof DatabaseError && error.code === '42710') return;
    if (!(error instanceof DatabaseError) || error.code !== '42501') throw error;
    const detail = `${error.message}. The owner of the tables makes what a feed needs with   ${make}   and the user needs   ALTER ROLE … REPLICATION`;
    throw new KeyferryError('store.permission-denied', { store, detail }, { cause: error });
  }
}

/** Why the publication does not tell all changes of the tables, as the remainder of a sentence; null: it does. */
async function whyUntold(session: Session, name: string, tables: readonly ResolvedTable[]): Promise<string | null> {
  // Servers before 15 know neither filters nor lists of columns.
  const { rows } = await session.query<{ readonly whole: boolean; readonly tables: readonly PublishedTable[] }>(
    `SELECT p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate AS whole,
       coalesce((SELECT jsonb_agg(jsonb_build_object('oid', c.oid::text, 'filter', to_jsonb(t)->>'rowfilter',
           'columns', to_jsonb(t)->'attnames'))
         FROM pg_publication_tables t JOIN pg_namespace n ON n.nspname = t.schemaname
         JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename WHERE t.pubname = p.pubname), '[]') AS tables
     FROM pg_publication p WHERE p.pubname = $1`,
    [name],
  );
  const [publication] = rows;
  if (publication === undefined) return `the publication ${name} is not there`;
  if (!publication.whole) return `the publication ${name} leaves out kinds of changes`;
  const lacking = tables.find((table) => !publication.tables.some((published) => tellsAll(published, table)));
  return lacking === undefined ? null : `the publication ${name} does not tell the changes of ${lacking.label}`;
}

interface PublishedTable {
  readonly oid: string;
  /** SQL of the rows that are told; null: all are. */
  readonly filter: string | null;
  readonly columns: readonly string[] | null;
}

function tellsAll({ oid, filter, columns }: PublishedTable, table: ResolvedTable): boolean {
  if (oid !== table.oid || filter !== null) return false;
  return columns === null || table.writable.every(({ name }) => columns.includes(name));
}

/** What is told of a row that went, and of one whose key changed, is its replica identity: all of the key has to be in it. */
export async function assertIdentity(session: Session, store: string, table: ResolvedTable): Promise<void> {
  const { label, sql, oid, keyColumns } = table;
  const { rows } = await session.query<{
    readonly kind: string;
    readonly identity: string;
    readonly columns: readonly string[];
  }>(
    `SELECT c.relkind AS kind, c.relreplident AS identity,
       (SELECT coalesce(array_agg(a.attname::text), '{}') FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY(i.indkey)
        WHERE i.indrelid = c.oid AND (CASE c.relreplident WHEN 'd' THEN i.indisprimary ELSE i.indisreplident END)) AS columns
     FROM pg_class c WHERE c.oid = $1`,
    [oid],
  );
  const [found] = rows;
  if (found === undefined || !'rp'.includes(found.kind))
    throw unsupported(store, `${label} is no table, so its changes are not told`);
  if (found.identity === 'f') return;
  const lacking = keyColumns.filter(({ name }) => !found.columns.includes(name)).map(({ name }) => name);
  if (lacking.length === 0) return;
  const cure = `ALTER TABLE ${sql} REPLICA IDENTITY FULL`;
  throw unsupported(
    store,
    `${label}: deletes would not tell ${lacking.join(', ')}, which its key holds; run   ${cure}`,
  );
}

/** Why what followed a position is not there any more, as the remainder of a sentence; null: it is. */
export async function whyLost(
  session: Session,
  name: string,
  { timeline, lsn, shape }: FeedPlace,
  tables: readonly ResolvedTable[],
): Promise<string | null> {
  if (shape !== null && shape !== shapeOf(tables)) return 'a column came or went, or has another type';
  const { rows } = await session.query<{
    readonly confirmed: string | null;
    readonly status: string | null;
    readonly timeline: number;
  }>(
    `SELECT confirmed_flush_lsn::text AS confirmed, wal_status AS status,
       (SELECT timeline_id FROM pg_control_checkpoint()) AS timeline FROM pg_replication_slots WHERE slot_name = $1`,
    [name],
  );
  const [slot] = rows;
  if (slot === undefined) return `the replication slot ${name} is not there (dropped, or the server is another one)`;
  if (slot.timeline !== timeline) return `the server is on timeline ${slot.timeline}, and was on ${timeline}`;
  if (slot.status === 'lost') return `the server dropped the log that slot ${name} needs (max_slot_wal_keep_size)`;
  if (slot.confirmed === null || lsnFromText(slot.confirmed) > lsn) return `the slot ${name} has gone on since`;
  return await whyUntold(session, name, tables);
}

/** What the server keeps on its disk for the feed; null: it has no slot, or none any more that keeps anything. */
export async function backlogOf(session: Session, name: string): Promise<FeedBacklog | null> {
  const { rows } = await session.query<{ readonly kept: string; readonly safe: string | null }>(
    `SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::text AS kept, safe_wal_size::text AS safe
     FROM pg_replication_slots WHERE slot_name = $1 AND wal_status <> 'lost'`,
    [name],
  );
  const [slot] = rows;
  if (slot === undefined) return null;
  return { bytes: Number(slot.kept ?? 0), bytesLeft: slot.safe === null ? null : Number(slot.safe) };
}

const dropSlotSql = 'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1';

/** Harmless to repeat. A slot that somebody reads from is left: `store.timeout`. */
export async function dropSlot(session: Session, name: string): Promise<void> {
  await session.query(dropSlotSql, [name]);
  // One that the owner of the tables made is the owner's to drop.
  const { rows } = await session.query(
    "SELECT 1 FROM pg_publication WHERE pubname = $1 AND pg_has_role(pubowner, 'USAGE')",
    [name],
  );
  if (rows.length > 0) await session.query(`DROP PUBLICATION IF EXISTS ${quoteName(name)}`);
}

/** For a reader that is gone to be given up by the server. */
const slotFreeMs = 10_000;
const lookAgainMs = 100;
const objectInUse = '55006';

/**
 * Tries again while somebody reads from the slot: who was here just now may not be gone yet, for the server.
 * @param leave for a reader of our own
 */
export async function onceSlotIsFree<T>(use: () => Promise<T>, leave?: () => Promise<void>): Promise<T> {
  const untilMs = systemClock.monotonicMs() + slotFreeMs;
  for (;;) {
    try {
      return await use();
    } catch (error) {
      const cause = isKeyferryError(error, 'store.timeout') ? error.cause : error;
      const isBusy = cause instanceof DatabaseError && cause.code === objectInUse;
      if (!isBusy || systemClock.monotonicMs() > untilMs) throw error;
      await leave?.();
      await systemClock.sleep(lookAgainMs);
    }
  }
}
