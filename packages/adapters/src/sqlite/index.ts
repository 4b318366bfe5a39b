/**
 * A table of records in an SQLite file, as a source and as a target.
 *
 * Opening and reading write nothing: a file or a table that is not there yet reads as empty, and is created with the
 * first write. See README.md for the table's format and for who else may write to it.
 */
import { existsSync, realpathSync } from 'node:fs';
import {
  invariant,
  KeyferryError,
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
  type TargetControl,
  type TargetStore,
} from '@keyferry/core';
import { sqliteCapabilities } from './capabilities.ts';
import { Connection } from './connection.ts';
import { storeErrorOf } from './errors.ts';
import { SqliteFeed, type FeedContext } from './feed.ts';
import { ensureSchema, readGeneration, readSchema, tableNames, type SchemaState, type TableNames } from './schema.ts';
import { countRecords, emptyPosition, emptyView, readPosition, readRecord, SqliteView } from './source.ts';
import { SqliteTailControl } from './tail.ts';
import { SqliteControl, type ControlContext } from './target.ts';

export { sqliteCapabilities } from './capabilities.ts';
export { sqliteTableSql } from './schema.ts';
export {
  openSqlitePlainSwitch,
  openSqlitePrimarySwitch,
  openSqliteSwitch,
  type SqliteSwitchOptions,
} from './switch.ts';

export interface SqliteStoreOptions {
  /** The store's name in the configuration, for errors. */
  readonly name: string;
  /** Path of the database file; its folder must exist. */
  readonly file: string;
  /** `records` by default. Letters, digits and `_`. */
  readonly table?: string;
  /** The file and the table must be there, and nothing is ever written. False by default. */
  readonly readOnly?: boolean;
  /** The file and the table must be there, though they are written: as with a source that logs its changes. False by default. */
  readonly mustExist?: boolean;
  /** The clock by which rows expire. */
  readonly nowMs: () => number;
  /** How long to wait for another process's lock; 5,000 by default. */
  readonly busyTimeoutMs?: number;
}

/**
 * @throws {KeyferryError} `store.unreachable`: the file cannot be opened; `store.unsupported`: its table is not in
 * keyferry's format, or is missing where it must be there; `store.answer-unexpected`: it is no SQLite file.
 *
 * @example
 *     const store = await openSqliteStore({ name: 'settings', file: 'app.db', nowMs: () => Date.now() });
 *     const view = await store.openView(prefixRange(keyFromText('app/')));
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<SqliteStore> {
  const store = new SqliteStore(options);
  await store.head();
  return store;
}

const everything: KeyRange = { start: '' as Key, end: null };

export class SqliteStore implements SourceStore, TargetStore {
  readonly capabilities = sqliteCapabilities;
  readonly publication = null;
  readonly feed: ChangeFeed;
  private readonly options: Required<SqliteStoreOptions>;
  private readonly names: TableNames;
  private connection: Connection | null = null;
  private schema: SchemaState = 'absent';
  /** Every table is there, those that came with a later keyferry too. */
  private ensured = false;
  private closed = false;

  constructor(options: SqliteStoreOptions) {
    this.options = {
      table: 'records',
      readOnly: false,
      mustExist: options.readOnly === true,
      busyTimeoutMs: 5000,
      ...options,
    };
    this.names = tableNames(options.name, this.options.table);
    this.feed = new SqliteFeed(this.feedContext());
    if (options.file === '' || options.file === ':memory:') {
      throw new KeyferryError('store.unsupported', {
        store: options.name,
        detail: 'a database without a file: each of its connections would be another, empty one',
      });
    }
  }

  async describe(): Promise<StoreDescription> {
    const { file, table } = this.options;
    const generation = this.read<string | null>('records', null, readGeneration);
    return {
      kind: 'sqlite',
      version: process.versions['sqlite'] ?? 'unknown',
      endpoints: [file],
      members: null,
      identity: generation === null ? null : `${generation}#${table}`,
      // With a write-ahead log views would lock nobody; but a source keeps the mode that it has.
      viewLocks: existsSync(file) ? realpathSync(file) : null,
    };
  }

  async readMembers(): Promise<readonly MemberPosition[] | null> {
    return null;
  }

  async head(): Promise<Position> {
    const nowMs = this.options.nowMs();
    return this.read('records', emptyPosition, (connection) => readPosition(connection, this.names, nowMs));
  }

  async openView(range: KeyRange): Promise<StoreView> {
    const nowMs = this.options.nowMs();
    return this.read<StoreView>('records', emptyView, () => {
      const connection = this.connect(true);
      try {
        return new SqliteView(connection, this.names, range, nowMs);
      } catch (error) {
        connection.close();
        throw error;
      }
    });
  }

  async countRecords(range: KeyRange | null, max: number): Promise<number> {
    const nowMs = this.options.nowMs();
    return this.read('records', 0, (connection) =>
      countRecords(connection, this.names, range ?? everything, max, nowMs),
    );
  }

  async lookUp(keys: readonly Key[]): Promise<readonly (StoredRecord | null)[]> {
    const absent = keys.map(() => null);
    const nowMs = this.options.nowMs();
    return this.read<readonly (StoredRecord | null)[]>('records', absent, (connection) =>
      keys.map((key) => readRecord(connection, this.names, key, nowMs)),
    );
  }

  control(migration: MigrationId): TargetControl {
    return new SqliteControl(this.controlContext(migration));
  }

  tail(migration: MigrationId): TailControl {
    return new SqliteTailControl(this.controlContext(migration));
  }

  /** Views stay open until they are closed themselves. */
  async close(): Promise<void> {
    this.closed = true;
    this.connection?.close();
    this.connection = null;
  }

  private feedContext(): FeedContext {
    const { name: store, nowMs } = this.options;
    return {
      store,
      names: this.names,
      nowMs,
      read: <T>(body: (connection: Connection) => T) => this.read<T | null>('records', null, body),
      write: (body) => this.write(body),
    };
  }

  private controlContext(migration: MigrationId): ControlContext {
    return {
      migration,
      names: this.names,
      nowMs: this.options.nowMs,
      read: (absent, body) => this.read('whole', absent, body),
      write: (body) => this.write(body),
    };
  }

  /** @param needs how much of the schema `body` reads; `absent` is the answer while there is less */
  private read<T>(needs: 'records' | 'whole', absent: T, body: (connection: Connection) => T): T {
    invariant(!this.closed, `store ${this.options.name} was used after it was closed`);
    const { file, mustExist, readOnly, name } = this.options;
    if (this.connection === null && !existsSync(file)) {
      if (!mustExist) return absent;
      // It would be created, were it opened to be written.
      this.connect(true).close();
    }
    this.connection ??= this.connect(readOnly);
    if (this.schema !== 'whole') this.schema = readSchema(this.connection, name, this.names);
    if (this.schema === 'absent' && mustExist) {
      const detail = `${file} has no table ${this.names.records}`;
      throw new KeyferryError('store.unsupported', { store: name, detail });
    }
    return this.schema === 'whole' || this.schema === needs ? body(this.connection) : absent;
  }

  private write<T>(body: (connection: Connection) => T): T {
    invariant(!this.closed, `store ${this.options.name} was used after it was closed`);
    this.connection ??= this.connect(this.options.readOnly);
    const { connection } = this;
    if (!this.ensured) ensureSchema(connection, this.options.name, this.names);
    this.ensured = true;
    this.schema = 'whole';
    return connection.writeTransaction(() => body(connection));
  }

  private connect(readOnly: boolean): Connection {
    const { name, file, busyTimeoutMs } = this.options;
    return new Connection({ file, readOnly, busyTimeoutMs, toError: (error) => storeErrorOf(name, error) });
  }
}
