/**
 * Tables of a PostgreSQL database, as a source and as a target.
 *
 * Opening connects to nothing; the first call does. See README.md for how rows become records, for the rights that
 * keyferry needs, and for what it leaves in the database.
 */
import { createHash } from 'node:crypto';
import {
  invariant,
  type ChangeFeed,
  type Key,
  type KeyRange,
  type MemberPosition,
  type MigrationId,
  type Position,
  type SourceStore,
  type StoredRecord,
  type StoreDescription,
  type StoreView,
  type TailControl,
  type TargetCapabilities,
  type TargetControl,
  type TargetStore,
} from '@keyferry/core';
import { defaultSchema, postgresCapabilities } from './capabilities.ts';
import type { TableMapping } from './catalog.ts';
import { PostgresControl } from './control.ts';
import { LogFeed } from './feed/log-feed.ts';
import { OutboxFeed } from './feed/outbox-feed.ts';
import { lookUpRows } from './look-up.ts';
import { readPosition } from './position.ts';
import { rangeSql } from './select.ts';
import { Sessions, type PostgresConnectionOptions } from './session.ts';
import { PostgresTail } from './tail.ts';
import { Tables, type ServerTables } from './tables.ts';
import type { PostgresTarget } from './target-context.ts';
import { neverUsed, writersNow } from './usage.ts';
import type { RowOrder } from './row-order.ts';
import type { TakePlaces } from './copy-rows.ts';
import { openTablesView, readUnordered, type ViewSource } from './view.ts';

export type { TableMapping } from './catalog.ts';
export { controlSql } from './control-tables.ts';
export { watchFeedName } from './online-moves.ts';
export { openPostgresOnlineSource, type PostgresOnlineOptions } from './online-source.ts';
export { openPostgresOnlineTarget, type PostgresOnlineTargetOptions } from './online-target.ts';
export {
  openPostgresPlainSwitch,
  openPostgresPrimarySwitch,
  openPostgresSwitch,
  switchSql,
  type PostgresSwitchOptions,
} from './switch.ts';
export { compileKeyTemplate, type KeyTemplate } from './key-template.ts';

export interface PostgresStoreOptions extends PostgresConnectionOptions {
  readonly tables: readonly TableMapping[];
  /** A source is only read; of a target the tables must be ones that can be written. */
  readonly side: 'source' | 'target';
  /** Where keyferry's own tables are; `keyferry` by default. */
  readonly schema?: string | undefined;
  /** How its changes are followed: by the server's log (the default), or by triggers that keyferry makes. */
  readonly changes?: 'log' | 'triggers' | undefined;
  /** Who puts rows in the order of their keys: see view.ts. Default `server`. */
  readonly order?: RowOrder | undefined;
  /** Tells the feed of one migration from those of others on the same database. Default `feed`. */
  readonly feedName?: string | undefined;
  /** The clock by which an image of another store counts as expired. */
  readonly nowMs: () => number;
}

/**
 * @example
 * const store = openPostgresStore({ name: 'store2', side: 'source', host: '127.0.0.1', port: 5432, database: 'app', auth,
 *   tables: [{ from: { table: 'jm.jobs' }, key: template, value: 'row', leaveOut: [], audit: false }], nowMs: Date.now });
 * const view = await store.openView(prefixRange(keyFromText('jm/')));
 */
export function openPostgresStore(options: PostgresStoreOptions): PostgresStore {
  return new PostgresStore(options);
}

export class PostgresStore implements SourceStore, TargetStore, PostgresTarget {
  readonly capabilities: TargetCapabilities;
  readonly publication = null;
  readonly store: string;
  readonly schema: string;
  readonly sessions: Sessions;
  readonly tables: Tables;
  /** Absent: what a query makes of its tables tells no changes. */
  readonly feed: ChangeFeed | undefined;
  private readonly options: PostgresStoreOptions;

  constructor(options: PostgresStoreOptions) {
    this.options = options;
    this.store = options.name;
    this.schema = options.schema ?? defaultSchema;
    this.sessions = new Sessions(options);
    const tables = new Tables(options.name, options.tables, options.side === 'target');
    this.tables = tables;
    this.capabilities = postgresCapabilities((record) => tables.unfit(record));
    const { sessions } = this;
    const { schema, store } = this;
    const source = { store, schema, database: options.database, sessions, tables, load: () => this.load() };
    const hasQueries = options.tables.some(({ from }) => 'query' in from);
    const Feed = options.changes === 'triggers' ? OutboxFeed : LogFeed;
    this.feed = hasQueries ? undefined : new Feed(source, options.feedName ?? 'feed');
  }

  load(): Promise<ServerTables> {
    return this.sessions.run('looking at its tables', (session) => this.tables.load(session));
  }

  async describe(): Promise<StoreDescription> {
    const known = await this.load();
    return await this.sessions.run('asking who it is', async (session) => {
      const { rows } = await session.query<{
        readonly version: string;
        readonly system: string;
        readonly database: string;
      }>(
        `SELECT current_setting('server_version') AS version, system_identifier::text AS system,
           (SELECT oid::text FROM pg_database WHERE datname = current_database()) AS database FROM pg_control_system()`,
      );
      const { version = 'unknown', system = '', database = '' } = rows[0] ?? {};
      const [number = version] = version.split(' ');
      const isSource = this.options.side === 'source';
      const unused = isSource ? await neverUsed(session, known) : null;
      const written = isSource ? await writersNow(session, known) : null;
      return {
        kind: 'postgres',
        version: number,
        endpoints: [this.sessions.endpoint],
        members: null,
        identity: `${system}/${database}#${tablesIdentity(known)}`,
        viewLocks: null,
        ...(unused === null ? {} : { neverUsed: unused }),
        ...(written === null ? {} : { beingWritten: written }),
      };
    });
  }

  async readMembers(): Promise<readonly MemberPosition[] | null> {
    return null;
  }

  head(): Promise<Position> {
    return this.sessions.run('reading its position', readPosition);
  }

  async openView(range: KeyRange): Promise<StoreView> {
    return await this.reading((source) => openTablesView(source, range));
  }

  /**
   * Goes through the rows of a range in no order, as they come, and keeps nothing of them: for what does not depend on an
   * order. What is no record (a NULL in its key, two rows of one key) comes like all others, with its note.
   * @returns the position that they are of
   */
  async readUnordered(range: KeyRange, take: TakePlaces): Promise<Position> {
    return await this.reading((source) => readUnordered(source, range, take));
  }

  /** On a connection of its own, which `read` takes over. */
  private async reading<T>(read: (source: ViewSource) => Promise<T>): Promise<T> {
    const { tables, serverIsUtf8 } = await this.load();
    const { order = 'server' } = this.options;
    const doing = 'reading its tables';
    const client = await this.sessions.openReader(doing);
    return await this.sessions.guarded(doing, async () => {
      try {
        return await read({ store: this.store, client, tables, serverIsUtf8, readPosition, order });
      } catch (error) {
        await client.end().catch(() => undefined); // what failed is the first failure
        throw error;
      }
    });
  }

  async countRecords(range: KeyRange | null, max: number): Promise<number> {
    const { tables, serverIsUtf8 } = await this.load();
    return await this.sessions.run('counting its rows', async (session) => {
      let counted = 0;
      for (const table of tables) {
        const where = range === null ? null : rangeSql(table, range, serverIsUtf8);
        const { rows } = await session.query<{ readonly count: number }>(
          `SELECT count(*)::int AS count FROM (SELECT 1 FROM ${table.sql} AS r ${where === null ? '' : `WHERE ${where}`} LIMIT $1) AS s`,
          [max - counted],
        );
        counted += rows[0]?.count ?? 0;
        if (counted >= max) break;
      }
      return counted;
    });
  }

  async lookUp(keys: readonly Key[]): Promise<readonly (StoredRecord | null)[]> {
    invariant(keys.length <= this.capabilities.batchKeysMax, `a look at ${keys.length} records`);
    await this.load();
    return await this.sessions.run('looking up rows', (session) => lookUpRows(session, this.tables, keys));
  }

  control(migration: MigrationId): TargetControl {
    return new PostgresControl(this, migration, this.options.nowMs);
  }

  tail(migration: MigrationId): TailControl {
    return new PostgresTail(this, migration);
  }

  /** Views stay open until they are closed themselves. */
  close(): Promise<void> {
    return this.sessions.close();
  }
}

/** A table that was made anew under the name of another is another one. */
function tablesIdentity({ tables }: ServerTables): string {
  const parts = tables.map(({ oid, sql }) => oid ?? sql).toSorted();
  return createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 16);
}
