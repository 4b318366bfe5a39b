/**
 * The rows of an application's store while it moves, one at a time: read, and written in the transaction under way.
 *
 *     write   lock the row and look ─► is it as expected? ─no─► unmet
 *                 ▲                        │ yes
 *                 └─somebody inserted it── insert, update, delete
 *
 * What source and target have in common, and the list of a range. What is refused is so before anything is written.
 */
import {
  keyForDisplay,
  KeyferryError,
  type Key,
  type KeyRange,
  type Position,
  type StoredRecord,
  type Version,
  type Write,
} from '@keyferry/core';
import type { Client } from 'pg';
import type { ResolvedTable } from './catalog.ts';
import { readPosition } from './position.ts';
import { deleteRows, insertRows, lookAtRows, ownVersion, updateRows, type RowFound, type RowInput } from './rows.ts';
import type { Session, Sessions } from './session.ts';
import type { Located, ServerTables, Tables } from './tables.ts';
import { openTablesView } from './view.ts';

export interface FoundRow {
  readonly value: Uint8Array;
  readonly version: Version;
}

export type RowOutcome =
  | { readonly kind: 'unmet'; readonly found: FoundRow | null }
  /** `version`: null of a delete. */
  | { readonly kind: 'written'; readonly version: Version | null; readonly found: FoundRow | null };

const pageKeysMax = 500;
/** Looks at a key that others insert and delete all the time. */
const looksMax = 5;

export class OnlineRows {
  readonly store: string;
  readonly sessions: Sessions;
  readonly tables: Tables;

  constructor(store: string, sessions: Sessions, tables: Tables) {
    this.store = store;
    this.sessions = sessions;
    this.tables = tables;
  }

  load(): Promise<ServerTables> {
    return this.sessions.run('looking at its tables', (session) => this.tables.load(session));
  }

  async read(session: Session, key: Key): Promise<FoundRow | null> {
    await this.assertPrimary(session);
    const located = await this.locate(session, key);
    if (located === null) return null;
    const [row] = await lookAtRows(session, located.table, [inputOf(key, located)], { value: true });
    return this.foundIn(key, row);
  }

  /** What can be told before a transaction begins. @throws {KeyferryError} `store.unsupported` */
  assertNoTtl(key: Key, write: Write<Uint8Array>): void {
    if (write.kind === 'delete' || write.ttlMs === null) return;
    const detail = `${keyForDisplay(key)} was to end by itself (ttlMs), and no row of PostgreSQL does`;
    throw new KeyferryError('store.unsupported', { store: this.store, detail });
  }

  /**
   * @param isMet judges what is there; asked again where somebody was quicker
   * @throws {KeyferryError} `store.request-refused`: no row of its table would give the value back
   */
  async write(
    session: Session,
    key: Key,
    write: Write<Uint8Array>,
    isMet: (found: FoundRow | null) => boolean | Promise<boolean>,
  ): Promise<RowOutcome> {
    const value = write.kind === 'put' ? write.value : null;
    const located = await this.locate(session, key);
    const unfit = value === null ? null : this.tables.unfit({ key, value });
    if (unfit !== null) throw this.refused(key, unfit);
    for (let looks = 1; ; looks += 1) {
      const input = located === null ? null : inputOf(key, located, value);
      const rows = input && (await lookAtRows(session, input.table, [input], { value: true, lock: true }));
      const row = rows?.[0];
      const found = this.foundIn(key, row);
      if (!(await isMet(found))) return { kind: 'unmet', found };
      if (input === null || (value === null && found === null)) return { kind: 'written', version: null, found };
      if (value !== null && row?.fits !== true) throw this.refused(key, 'its table would keep other bytes than these');
      if (await change(session, { ...input, expect: found?.version ?? null })) {
        const version = value === null ? null : ((await ownVersion(session)) as Version);
        return { kind: 'written', version, found };
      }
      if (looks === looksMax) throw this.refused(key, 'the table takes another row for it, or a trigger keeps it out');
    }
  }

  /** Ascending by bytes, of one state. @param beside reads what is to be of the same state, in the same transaction */
  async *list(
    range: KeyRange,
    beside: (client: Client) => Promise<void> = async () => undefined,
  ): AsyncGenerator<readonly StoredRecord[]> {
    const doing = 'listing its rows';
    const { tables, serverIsUtf8 } = await this.load();
    const client = await this.sessions.openReader(doing);
    const readPositionAndMore = async (session: Client): Promise<Position> => {
      const position = await readPosition(session);
      await beside(session);
      return position;
    };
    const view = await this.sessions.guarded(doing, async () => {
      try {
        await this.assertPrimary(client);
        const order = 'server'; // whose first page comes before its last row has
        const source = {
          store: this.store,
          client,
          tables,
          serverIsUtf8,
          readPosition: readPositionAndMore,
          order,
        } as const;
        return await openTablesView(source, range);
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

  private async locate(session: Session, key: Key): Promise<Located | null> {
    await this.tables.load(session);
    return this.tables.locate(key);
  }

  private foundIn(key: Key, row: RowFound | undefined): FoundRow | null {
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

/** @returns whether it was done; else somebody was quicker */
async function change(session: Session, { table, ...input }: Input): Promise<boolean> {
  if (input.value === null) return (await deleteRows(session, table, [input])).size === 1;
  if (input.expect === null) return (await insertRows(session, table, [input])).has(input.key);
  return (await updateRows(session, table, [input])).size === 1;
}
