/**
 * Tables of PostgreSQL as the target of an online migration: what an application's instance asks of them, one transaction each.
 *
 *     read    BEGIN REPEATABLE READ ─► row, tombstone, origin ─► COMMIT
 *     write   BEGIN, the key for this writer alone ─► lock of the switch, shared ─► switch ─► tombstone ─► row FOR UPDATE, origin
 *               ─► is all as expected? ─no─► unmet, or the epoch moved
 *                        └─yes─► insert, update, delete; tombstone ─► COMMIT
 *
 * Writers of a key take turns by a lock of the server that stands for the key, for a row that is not there cannot be locked. So
 * none but them makes or clears its tombstone, and most writes need no lock on the table of tombstones. Who does need it takes it
 * before it looks at the row: backfill holds it while it inserts (chunk-writer.ts), and then either one sees what the other did.
 * The switch, where it lies here, cannot move until a write is over that compared it (SPEC R37): who moves it waits in a queue for
 * the writes under way, and later ones behind it (switch.ts).
 *
 * An origin counts while the row has the version that came with it (xmin); every write makes another one. It is read behind the
 * row, in whose transaction it came. Changes are not told: there are no moves, and a watch is refused by the client.
 */
import { createHash } from 'node:crypto';
import {
  isExpected,
  keyToBytes,
  type Key,
  type KeyRange,
  type MigrationId,
  type OnlineTarget,
  type OnlineTargetAnswer,
  type OnlineTargetRecord,
  type OnlineTargetRequest,
  type Pair,
  type SeenSwitch,
  type TargetEntry,
  type Version,
} from '@keyferry/core';
import { defaultSchema } from './capabilities.ts';
import { controlTables, hasControlTables, type ControlContext } from './control-tables.ts';
import { listTarget } from './online-list.ts';
import { rowsOf, type PostgresRowsOptions } from './online-options.ts';
import type { FoundRow, OnlineRows } from './online-rows.ts';
import { OwnTables } from './own-tables.ts';
import type { Session } from './session.ts';
import { findSwitches, recordPlace, type RecordPlace } from './switch.ts';

export interface PostgresOnlineTargetOptions extends PostgresRowsOptions {
  readonly migration: string;
  /** The key of the switch, if it is in this very database and schema: writes then compare it. Default: it is elsewhere. */
  readonly switchKey?: string | undefined;
}

/** Connects with the first call. */
export function openPostgresOnlineTarget(options: PostgresOnlineTargetOptions): OnlineTarget {
  return new PostgresOnlineTarget(options);
}

type TargetWrite = Extract<OnlineTargetRequest, { kind: 'write' }>;

class PostgresOnlineTarget implements OnlineTarget {
  readonly role = 'target';
  readonly comparesSwitch: boolean;
  private readonly rows: OnlineRows;
  private readonly schema: string;
  private readonly context: ControlContext;
  private readonly own: OwnTables;
  private readonly switchPlace: RecordPlace | null;
  private hasOwnTables = false;
  private hasSwitches = false;

  constructor(options: PostgresOnlineTargetOptions) {
    const { migration, schema = defaultSchema, switchKey } = options;
    const rows = rowsOf(options);
    const { store, sessions } = rows;
    this.rows = rows;
    this.schema = schema;
    this.context = { store, migration: migration as MigrationId, tables: controlTables(schema) };
    this.own = new OwnTables({ store, schema, sessions, load: () => rows.load() });
    this.switchPlace = switchKey === undefined ? null : recordPlace(schema, switchKey);
    this.comparesSwitch = switchKey !== undefined;
  }

  async ask(key: Key, request: OnlineTargetRequest, seen: SeenSwitch): Promise<OnlineTargetAnswer> {
    if (request.kind === 'write') return await this.write(key, request, seen);
    const begin = 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY';
    const doing = 'reading a row';
    const pair = await this.rows.sessions.transaction(
      doing,
      async (session) => {
        const found = await this.rows.read(session, key);
        this.hasOwnTables ||= await hasControlTables(session, this.rows.store, this.schema);
        if (!this.hasOwnTables) return pairOf(found, null, false);
        return pairOf(found, await this.originOf(session, key, found), await this.hasTombstone(session, key));
      },
      begin,
    );
    return { kind: 'read', pair };
  }

  async *list(range: KeyRange): AsyncIterable<readonly TargetEntry<OnlineTargetRecord>[]> {
    yield* listTarget(this.rows, this.context, this.schema, range);
  }

  close(): Promise<void> {
    return this.rows.sessions.close();
  }

  private async write(key: Key, request: TargetWrite, seen: SeenSwitch): Promise<OnlineTargetAnswer> {
    const { rows, context } = this;
    rows.assertNoTtl(key, request.write);
    const { tombstones } = context.tables;
    const begin = `BEGIN; SELECT pg_advisory_xact_lock(${lockOf(context.migration, key)})`;
    const answer = async (session: Session): Promise<OnlineTargetAnswer> => {
      if (this.switchPlace !== null && (await this.switchVersion(session)) !== seen.version) {
        return { kind: 'epoch-moved' };
      }
      const tombstone = await this.hasTombstone(session, key);
      const touchesTombstone = request.tombstone === 'write' || (request.tombstone === 'clear' && tombstone);
      if (touchesTombstone) await session.query(`LOCK TABLE ${tombstones} IN ROW EXCLUSIVE MODE`);
      let pair = pairOf(null, null, tombstone);
      const outcome = await rows.write(session, key, request.write, async (found) => {
        pair = pairOf(found, await this.originOf(session, key, found), tombstone);
        return isExpected(pair, request.expect);
      });
      if (outcome.kind === 'unmet') return { kind: 'unmet', pair };
      if (touchesTombstone) await this.changeTombstone(session, key, request.tombstone);
      return { kind: 'written', version: outcome.version, previous: pair };
    };
    return await this.own.write('writing a row', answer, begin);
  }

  private async changeTombstone(session: Session, key: Key, change: TargetWrite['tombstone']): Promise<void> {
    const { tables, migration } = this.context;
    const sql =
      change === 'write'
        ? `INSERT INTO ${tables.tombstones} VALUES ($1, $2) ON CONFLICT DO NOTHING`
        : `DELETE FROM ${tables.tombstones} WHERE migration = $1 AND key = $2`;
    await session.query(sql, [migration, bytesOf(key)]);
  }

  private async hasTombstone(session: Session, key: Key): Promise<boolean> {
    const { tables, migration } = this.context;
    const sql = `SELECT FROM ${tables.tombstones} WHERE migration = $1 AND key = $2`;
    return (await session.query(sql, [migration, bytesOf(key)])).rowCount === 1;
  }

  /** The version that a row has in the source, if it is as backfill put it. */
  private async originOf(session: Session, key: Key, found: FoundRow | null): Promise<Version | null> {
    if (found === null) return null;
    const { tables, migration } = this.context;
    const { rows } = await session.query<{ readonly origin: string }>(
      `SELECT origin FROM ${tables.origins} WHERE migration = $1 AND key = $2 AND version = $3`,
      [migration, bytesOf(key), found.version],
    );
    return (rows[0]?.origin ?? null) as Version | null;
  }

  /** Null: nothing was ever announced, and then no instance writes here. */
  private async switchVersion(session: Session): Promise<string | null> {
    const { switchPlace } = this;
    if (switchPlace === null) return null;
    // A statement of its own, so that the next one sees what was committed before the lock was given.
    await session.query(`SELECT pg_advisory_xact_lock_shared(${switchPlace.lock})`);
    this.hasSwitches ||= (await findSwitches(session, this.schema))?.there === true;
    if (!this.hasSwitches) return null;
    const { rows } = await session.query<{ readonly version: string }>(
      `SELECT version::text AS version FROM ${switchPlace.table} WHERE name = $1`,
      [switchPlace.name],
    );
    return rows[0]?.version ?? null;
  }
}

function pairOf(found: FoundRow | null, copiedFrom: Version | null, tombstone: boolean): Pair<Uint8Array> {
  return { record: found === null ? null : { ...found, copiedFrom }, tombstone };
}

const bytesOf = (key: Key): Buffer => Buffer.from(keyToBytes(key));

/** Two keys that share a lock wait for each other, and that is all. */
function lockOf(migration: string, key: Key): bigint {
  return createHash('sha256').update(`${migration}\n`).update(keyToBytes(key)).digest().readBigInt64BE(0);
}
