/**
 * Tables of PostgreSQL as the source of an online migration: what an application's instance asks of them, one transaction each.
 *
 *     read    one look at the row, at a server that takes writes
 *     write   BEGIN ─► lock the row and look ─► is it as expected? ─no─► unmet
 *                          ▲                        │ yes
 *                          └─somebody inserted it── insert, update, delete ─► COMMIT
 *
 * A row's version is the transaction that wrote it (xmin); a position is what a reader sees (position.ts), so whether a
 * version came after a position can be told from the two. Rows do not end by themselves: a put with a TTL is refused, and so
 * is a value that its row would not give back with the same bytes. For watchers, see online-moves.ts.
 */
import {
  keyForDisplay,
  KeyferryError,
  type Key,
  type KeyRange,
  type OnlineRecord,
  type OnlineSource,
  type OnlineSourceAnswer,
  type OnlineSourceRequest,
  type Position,
  type SourceMoves,
  type SourceRecord,
  type Version,
} from '@keyferry/core';
import { defaultSchema } from './capabilities.ts';
import type { ResolvedTable, TableMapping } from './catalog.ts';
import { PostgresMoves } from './online-moves.ts';
import { cameAfter, readPosition } from './position.ts';
import { deleteRows, insertRows, lookAtRows, ownVersion, updateRows, type RowFound, type RowInput } from './rows.ts';
import { Sessions, type PostgresConnectionOptions, type Session } from './session.ts';
import { Tables, type Located } from './tables.ts';
import { openTablesView } from './view.ts';

export interface PostgresOnlineOptions extends Omit<PostgresConnectionOptions, 'readTimeoutMs'> {
  /** As in the store's configuration. Each is a table that can be written, with a unique index on the columns of its key. */
  readonly tables: readonly TableMapping[];
  /** The migration's name: watchers of it share an outbox. Default: changes are not told. */
  readonly migration?: string | undefined;
  /** Where keyferry's own tables are; `keyferry` by default. */
  readonly schema?: string | undefined;
  /** For one statement. Default 5,000: an operation is up to six of them, so keep it well below the client's `requestLifeMs`. */
  readonly statementTimeoutMs?: number | undefined;
}

/** Connects with the first call. */
export function openPostgresOnlineSource(options: PostgresOnlineOptions): OnlineSource {
  return new PostgresOnlineSource(options);
}

type SourceWrite = Extract<OnlineSourceRequest, { kind: 'write' }>;
type Found = SourceRecord<Uint8Array>;

const defaultOnlineTimeoutMs = 5000;
const pageKeysMax = 500;
/** Looks at a key that others insert and delete all the time. */
const looksMax = 5;

class PostgresOnlineSource implements OnlineSource {
  readonly role = 'source';
  readonly moves?: SourceMoves;
  private readonly store: string;
  private readonly sessions: Sessions;
  private readonly tables: Tables;

  constructor(options: PostgresOnlineOptions) {
    const {
      tables: mappings,
      statementTimeoutMs = defaultOnlineTimeoutMs,
      migration,
      schema = defaultSchema,
    } = options;
    const { name: store, database } = options;
    const sessions = new Sessions({ ...options, statementTimeoutMs });
    const tables = new Tables(store, mappings, true);
    this.store = store;
    this.sessions = sessions;
    this.tables = tables;
    if (migration === undefined) return;
    const load = () => sessions.run('looking at its tables', (session) => tables.load(session));
    this.moves = new PostgresMoves({ store, database, schema, sessions, tables, load }, migration);
  }

  async ask(key: Key, request: OnlineSourceRequest): Promise<OnlineSourceAnswer> {
    if (request.kind === 'write') return await this.write(key, request);
    const record = await this.sessions.run('reading a row', async (session) => {
      await this.assertPrimary(session);
      const located = await this.locate(session, key);
      if (located === null) return null;
      const [row] = await lookAtRows(session, located.table, [inputOf(key, located)], { value: true });
      return this.recordIn(key, row);
    });
    return { kind: 'read', record };
  }

  async *list(range: KeyRange): AsyncIterable<readonly OnlineRecord[]> {
    const doing = 'listing its rows';
    const { tables, serverIsUtf8 } = await this.sessions.run(doing, (session) => this.tables.load(session));
    const client = await this.sessions.openReader(doing);
    const view = await this.sessions.guarded(doing, async () => {
      try {
        await this.assertPrimary(client);
        return await openTablesView({ store: this.store, client, tables, serverIsUtf8, readPosition }, range);
      } catch (error) {
        await client.end().catch(() => undefined); // what failed is the first failure
        throw error;
      }
    });
    try {
      for await (const { records, unplaced = [] } of view.scan(range, { pageKeysMax })) {
        const [noRecord] = unplaced;
        if (noRecord !== undefined) throw this.isNoRecord(noRecord.key, noRecord.detail ?? noRecord.reason);
        yield records;
      }
    } finally {
      await view.close();
    }
  }

  cameAfter(version: Version, position: Position): boolean {
    return cameAfter(version, position);
  }

  close(): Promise<void> {
    return this.sessions.close();
  }

  private async write(key: Key, { write, expect }: SourceWrite): Promise<OnlineSourceAnswer> {
    if (write.kind === 'put' && write.ttlMs !== null) {
      const detail = `${keyForDisplay(key)} was to end by itself (ttlMs), and no row of PostgreSQL does`;
      throw new KeyferryError('store.unsupported', { store: this.store, detail });
    }
    const value = write.kind === 'put' ? write.value : null;
    return await this.sessions.transaction('writing a row', async (session): Promise<OnlineSourceAnswer> => {
      const located = await this.locate(session, key);
      if (value !== null) {
        const unfit = this.tables.unfit({ key, value });
        if (unfit !== null) throw this.refused(key, unfit);
      }
      for (let looks = 1; ; looks += 1) {
        const input = located === null ? null : inputOf(key, located, value);
        const rows = input && (await lookAtRows(session, input.table, [input], { value: true, lock: true }));
        const row = rows?.[0];
        const previous = this.recordIn(key, row);
        if (!isMet(expect, previous)) return { kind: 'unmet', record: previous };
        if (input === null || (value === null && previous === null))
          return { kind: 'written', version: null, previous };
        if (value !== null && row?.fits !== true)
          throw this.refused(key, 'its table would keep other bytes than these');
        if (await change(session, { ...input, expect: previous?.version ?? null })) {
          const version = value === null ? null : ((await ownVersion(session)) as Version);
          return { kind: 'written', version, previous };
        }
        if (looks === looksMax)
          throw this.refused(key, 'the table takes another row for it, or a trigger keeps it out');
      }
    });
  }

  private async locate(session: Session, key: Key): Promise<Located | null> {
    await this.tables.load(session);
    return this.tables.locate(key);
  }

  private recordIn(key: Key, row: RowFound | undefined): Found | null {
    if (row === undefined || row.version === null) return null;
    if (row.value === null || row.value === undefined) throw this.isNoRecord(key, 'the column of its value is NULL');
    return { value: row.value, version: row.version as Version };
  }

  /** A standby shows what was, and an instance must not. */
  private async assertPrimary(session: Session): Promise<void> {
    const { rows } = await session.query<{ readonly standby: boolean }>('SELECT pg_is_in_recovery() AS standby');
    if (rows[0]?.standby === false) return;
    const detail = 'it is a standby, which may show what is over; name the primary';
    throw new KeyferryError('store.unsupported', { store: this.store, detail });
  }

  private refused(key: Key, why: string): KeyferryError {
    const detail = `${keyForDisplay(key)} cannot be written: ${why}`;
    return new KeyferryError('store.request-refused', { store: this.store, detail });
  }

  private isNoRecord(key: Key, why: string): KeyferryError {
    const detail = `the row of ${keyForDisplay(key)} is no record: ${why}`;
    return new KeyferryError('store.unsupported', { store: this.store, detail });
  }
}

type Input = RowInput & { readonly table: ResolvedTable };

function inputOf(key: Key, located: Located, value: Uint8Array | null = null): Input {
  return { ...located, ord: 0, key, value, expect: null };
}

function isMet(expect: SourceWrite['expect'], found: Found | null): boolean {
  if (expect === 'any') return true;
  return expect === 'absent' ? found === null : found?.version === expect.version;
}

/** @returns whether it was done; else somebody was quicker */
async function change(session: Session, { table, ...input }: Input): Promise<boolean> {
  if (input.value === null) return (await deleteRows(session, table, [input])).size === 1;
  if (input.expect === null) return (await insertRows(session, table, [input])).has(input.key);
  return (await updateRows(session, table, [input])).size === 1;
}
