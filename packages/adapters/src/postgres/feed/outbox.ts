/**
 * The outbox of a feed: a table into which triggers write what each transaction changes, in that transaction, where the
 * server's log may not be followed.
 *
 *     INSERT, UPDATE, DELETE, TRUNCATE of a user's table ──trigger──► function ──► outbox (number, transaction, key, value)
 *
 * Key and value are made by the SQL that a scan reads them with (select.ts), under the settings of our own sessions
 * (session.ts), so a change has the bytes that a scan finds, whoever made it. The functions run with the rights of whoever made
 * them: applications need none on the outbox. What a function cannot tell (a column that it names has gone) it notes, and lets
 * the application's write happen.
 *
 * All of it is made in one transaction that waits half a second for each table, again and again, so that nobody queues
 * behind it for longer. Who may make a trigger may not drop it, but whoever owns its function, or the schema, may drop that with
 * it. Nothing is dropped unless all is: a function without its outbox would fail each write of an application.
 */
import { createHash, randomBytes } from 'node:crypto';
import { KeyferryError, type FeedBacklog } from '@keyferry/core';
import { DatabaseError } from 'pg';
import { unsupported, type ResolvedTable } from '../catalog.ts';
import { makeOwnTables } from '../own-schema.ts';
import { LackingRight } from '../errors.ts';
import { keyBytesSql, valueBytesSql } from '../select.ts';
import { formSettings, type Session } from '../session.ts';
import { quoteName, quoteText } from '../sql.ts';
import { snapshotFromText, type Snapshot } from './snapshot.ts';

/** Names in SQL of one feed's outbox and of what fills it. */
export interface OutboxNames {
  readonly schema: string;
  /** Of the feed, and of its outbox in the schema. */
  readonly name: string;
  readonly outbox: string;
  /** One row for each outbox of the schema. */
  readonly register: string;
  readonly trigger: string;
  readonly functionOf: (nth: number) => string;
}

/** What the register says of an outbox, with where the server stands. */
export interface OutboxStanding {
  readonly generation: string;
  /** What it was made for; another one, and its triggers tell something else. */
  readonly shape: string;
  /** Everything up to here was confirmed and is gone; null: nothing was. */
  readonly confirmed: Snapshot | null;
  readonly now: Snapshot;
  readonly timeline: number;
}

/** Below the server's own limit for finding deadlocks, so that it is we who give way. */
const triggerLockMs = 500;

export function outboxNames(schema: string, name: string): OutboxNames {
  const hash = name.slice(-12);
  const own = (object: string): string => `${quoteName(schema)}.${quoteName(object)}`;
  return {
    schema,
    name,
    outbox: own(name),
    register: own('outboxes'),
    trigger: quoteName(`keyferry_${hash}`),
    functionOf: (nth) => own(`keyferry_${hash}_${nth}`),
  };
}

/** Null: there is no outbox. */
export async function readStanding(session: Session, names: OutboxNames): Promise<OutboxStanding | null> {
  if (!(await hasRegister(session, names))) return null;
  const { rows } = await session.query<{
    readonly generation: string;
    readonly shape: string;
    readonly confirmed: string | null;
    readonly now: string;
    readonly timeline: number;
  }>(
    `SELECT generation, shape, confirmed, pg_current_snapshot()::text AS now,
       (SELECT timeline_id FROM pg_control_checkpoint()) AS timeline FROM ${names.register} WHERE name = $1`,
    [names.name],
  );
  const [row] = rows;
  if (row === undefined) return null;
  const now = snapshotFromText(row.now);
  if (now === null) throw new TypeError(`a snapshot of another form: ${row.now}`);
  return { ...row, now, confirmed: row.confirmed === null ? null : snapshotFromText(row.confirmed) };
}

/** Of the schema's and not by to_regclass, which fails where the user may not enter the schema at all. */
async function hasRegister(session: Session, { schema }: OutboxNames): Promise<boolean> {
  const { rows } = await session.query(
    `SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = 'outboxes'`,
    [schema],
  );
  return rows.length > 0;
}

/** What of tables and mappings the triggers rest on: the functions themselves, and which tables they are for. */
export function shapeOf(names: OutboxNames, tables: readonly ResolvedTable[]): string {
  const parts = tables.map((table, nth) => `${table.oid}\n${functionSql(names, table, nth)}`);
  return createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 16);
}

/** A trigger that somebody dropped or disabled tells nothing any more, and nothing says so but the catalog. */
export async function whyIncomplete(
  session: Session,
  { trigger }: OutboxNames,
  tables: readonly ResolvedTable[],
): Promise<string | null> {
  const { rows } = await session.query<{ readonly oid: string; readonly count: number }>(
    `SELECT tgrelid::text AS oid, count(*)::int AS count FROM pg_trigger
     WHERE tgrelid = ANY($1::oid[]) AND tgname = ANY($2::text[]) AND tgenabled <> 'D' GROUP BY tgrelid`,
    [tables.map(({ oid }) => oid), triggerNames(trigger)],
  );
  const lacking = tables.find(({ oid }) => rows.find((row) => row.oid === oid)?.count !== 2);
  return lacking === undefined ? null : `the triggers of ${lacking.label} were dropped or disabled`;
}

/** Of rows, and of TRUNCATE: each needs one of its own. */
const triggerNames = (trigger: string): readonly string[] => {
  const plain = trigger.slice(1, -1);
  return [plain, `${plain}_all`];
};

/** Whether the outbox is there, is for these tables, and told of all that was done to them since it was made. */
export async function isWhole(
  session: Session,
  names: OutboxNames,
  tables: readonly ResolvedTable[],
): Promise<boolean> {
  const standing = await readStanding(session, names);
  return standing?.shape === shapeOf(names, tables) && (await whyIncomplete(session, names, tables)) === null;
}

/**
 * Makes the outbox anew unless it is whole, whatever is there of an older one; positions in that are lost.
 * @throws {KeyferryError} `store.permission-denied`, saying what whom to grant
 */
export async function makeOutbox(
  session: Session,
  store: string,
  names: OutboxNames,
  tables: readonly ResolvedTable[],
): Promise<void> {
  await assertTables(session, store, tables);
  const { outbox, register, name, trigger } = names;
  try {
    await makeOwnTables(
      session,
      names.schema,
      `CREATE TABLE IF NOT EXISTS ${register} (name text PRIMARY KEY, generation text NOT NULL, shape text NOT NULL, confirmed text);`,
    );
    await session.query(`BEGIN; SET LOCAL lock_timeout = ${triggerLockMs}`);
    await session.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`keyferry ${name}`]);
    // Somebody else may have made it meanwhile: positions in that one are good.
    if (await isWhole(session, names, tables)) {
      await session.query('COMMIT');
      return;
    }
    await dropObjects(session, names);
    // A queue: what is written is deleted soon, so that it is vacuumed by the number of rows and not by a share.
    await session.query(`CREATE TABLE ${outbox} (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
        kind text NOT NULL, key bytea, value bytea
      ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000,
        autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 10000);
      CREATE INDEX ON ${outbox} (xid)`);
    const [ofRows = '', ofAll = ''] = triggerNames(trigger).map(quoteName);
    for (const [nth, table] of tables.entries()) {
      const call = `${names.functionOf(nth)}()`;
      await session.query(`${functionSql(names, table, nth)}; REVOKE ALL ON FUNCTION ${call} FROM PUBLIC;
        CREATE TRIGGER ${ofRows} AFTER INSERT OR UPDATE OR DELETE ON ${table.sql} FOR EACH ROW EXECUTE FUNCTION ${call};
        CREATE TRIGGER ${ofAll} AFTER TRUNCATE ON ${table.sql} FOR EACH STATEMENT EXECUTE FUNCTION ${call}`);
    }
    await session.query(
      `INSERT INTO ${register} VALUES ($1, $2, $3) ON CONFLICT (name)
         DO UPDATE SET generation = excluded.generation, shape = excluded.shape, confirmed = NULL`,
      [name, randomBytes(8).toString('hex'), shapeOf(names, tables)],
    );
    await session.query('COMMIT');
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.code !== '42501') throw error;
    const grant = `GRANT TRIGGER ON ${tables.map(({ sql }) => sql).join(', ')} TO …`;
    const detail = `${error.message}. Of the store's user changes by triggers need   ${grant}   and   CREATE SCHEMA ${quoteName(names.schema)} AUTHORIZATION …`;
    throw new KeyferryError('store.permission-denied', { store, detail }, { cause: error });
  }
}

/** What the user lacks for `makeOutbox`, as far as the catalog says; null: nothing. */
export async function whyUnable(
  session: Session,
  { schema }: OutboxNames,
  tables: readonly ResolvedTable[],
): Promise<string | null> {
  const { rows } = await session.query<{ readonly oid: string; readonly table: boolean; readonly may: boolean }>(
    `SELECT oid::text AS oid, relkind IN ('r', 'p') AS table, has_table_privilege(oid, 'TRIGGER') AS may
     FROM pg_class WHERE oid = ANY($1::oid[])`,
    [tables.map(({ oid }) => oid)],
  );
  for (const { oid, label, sql } of tables) {
    const row = rows.find((each) => each.oid === oid);
    if (row?.table !== true) return `${label} is no table, so its changes are not told`;
    if (!row.may) return `its user needs   GRANT TRIGGER ON ${sql} TO …`;
  }
  const { rows: places } = await session.query<{ readonly may: boolean }>(
    `SELECT coalesce((SELECT has_schema_privilege(oid, 'CREATE') AND has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = $1),
       has_database_privilege(current_database(), 'CREATE')) AS may`,
    [schema],
  );
  return places[0]?.may === true ? null : `its user needs   CREATE SCHEMA ${quoteName(schema)} AUTHORIZATION …`;
}

/**
 * Harmless to repeat. Where there is no outbox nothing is asked for, so that nobody needs a right for it.
 * @throws {KeyferryError} `store.permission-denied` (by the session's guard), saying what whom to grant; nothing was dropped
 */
export async function dropOutbox(session: Session, names: OutboxNames): Promise<void> {
  if (!(await hasRegister(session, names)) || (await outboxBacklog(session, names)) === null) return;
  await session.query(`BEGIN; SET LOCAL lock_timeout = ${triggerLockMs}`);
  await dropObjects(session, names);
  await session.query(`DELETE FROM ${names.register} WHERE name = $1`, [names.name]);
  await session.query('COMMIT');
}

/** With each function the triggers that call it go, also of tables that are not among the mapped ones any more. */
async function dropObjects(session: Session, names: OutboxNames): Promise<void> {
  const { rows } = await session.query<Droppable>(
    `SELECT name, is_function AS "isFunction", quote_ident(pg_get_userbyid(owner)) AS owner, quote_ident(current_user) AS "user",
       pg_has_role(owner, 'USAGE') OR pg_has_role(n.nspowner, 'USAGE') AS may
     FROM pg_namespace n CROSS JOIN LATERAL (
       SELECT quote_ident(n.nspname) || '.' || quote_ident(proname), true, proowner FROM pg_proc
         WHERE pronamespace = n.oid AND proname ~ $2
       UNION ALL SELECT quote_ident(n.nspname) || '.' || quote_ident(relname), false, relowner FROM pg_class
         WHERE relnamespace = n.oid AND relname = $3
     ) o(name, is_function, owner) WHERE n.nspname = $1`,
    [names.schema, `^${names.trigger.slice(1, -1)}_[0-9]+$`, names.name],
  );
  assertMayDrop(rows);
  for (const { name, isFunction } of rows) if (isFunction) await session.query(`DROP FUNCTION ${name}() CASCADE`);
  await session.query(`DROP TABLE IF EXISTS ${names.outbox}`);
}

/** Names as SQL has them. */
interface Droppable {
  readonly name: string;
  readonly isFunction: boolean;
  readonly owner: string;
  readonly user: string;
  readonly may: boolean;
}

function assertMayDrop(objects: readonly Droppable[]): void {
  const others = objects.filter(({ may }) => !may);
  const [first] = others;
  if (first === undefined) return;
  const what = others.map(
    ({ name, isFunction, owner }) => `${isFunction ? `function ${name}()` : `table ${name}`} of ${owner}`,
  );
  const owners = [...new Set(others.map(({ owner }) => owner))].join(', ');
  throw new LackingRight(
    `its user ${first.user} may not drop ${what.join(', ')}; nothing was dropped, and applications write as before. It needs   GRANT ${owners} TO ${first.user}   ; then run the same command again: it goes on where it stopped`,
  );
}

/** What it holds on the server's disk; null: there is none. */
export async function outboxBacklog(session: Session, names: OutboxNames): Promise<FeedBacklog | null> {
  const { rows } = await session.query<{ readonly bytes: string }>(
    `SELECT pg_total_relation_size(c.oid)::text AS bytes FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relname = $2`,
    [names.schema, names.name],
  );
  const [row] = rows;
  return row === undefined ? null : { bytes: Number(row.bytes), bytesLeft: null };
}

async function assertTables(session: Session, store: string, tables: readonly ResolvedTable[]): Promise<void> {
  const { rows } = await session.query<{ readonly oid: string; readonly kind: string }>(
    'SELECT oid::text AS oid, relkind AS kind FROM pg_class WHERE oid = ANY($1::oid[])',
    [tables.map(({ oid }) => oid)],
  );
  const other = tables.find(({ oid }) => !'rp'.includes(rows.find((row) => row.oid === oid)?.kind ?? 'none'));
  if (other !== undefined) throw unsupported(store, `${other.label} is no table, so its changes are not told`);
}

function functionSql(names: OutboxNames, table: ResolvedTable, nth: number): string {
  const { outbox } = names;
  const body = `DECLARE former bytea; own bytea; content bytea; trouble text;
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    INSERT INTO ${outbox} (kind) VALUES ('truncate');
    RETURN NULL;
  END IF;
  -- Nothing is written within: a part of a transaction that only reads costs the server no number of its own.
  BEGIN
    IF TG_OP <> 'INSERT' THEN former := ${keyBytesSql(table, 'OLD')}; END IF;
    IF TG_OP <> 'DELETE' THEN
      own := ${keyBytesSql(table, 'NEW')};
      content := coalesce(${valueBytesSql(table, 'NEW')}, '');
    END IF;
  EXCEPTION WHEN OTHERS THEN trouble := SQLSTATE;
  END;
  IF trouble IS NOT NULL THEN
    INSERT INTO ${outbox} (kind, value) VALUES ('untold', convert_to(trouble, 'UTF8'));
    RETURN NULL;
  END IF;
  IF former IS NOT NULL AND former IS DISTINCT FROM own THEN
    INSERT INTO ${outbox} (kind, key) VALUES ('delete', former);
  END IF;
  IF own IS NOT NULL THEN
    INSERT INTO ${outbox} (kind, key, value) VALUES ('put', own, content);
  END IF;
  RETURN NULL;
END`;
  const settings = formSettings.map((setting) => `SET ${setting}`).join(' ');
  return `CREATE FUNCTION ${names.functionOf(nth)}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp ${settings} AS ${quoteText(body)}`;
}
