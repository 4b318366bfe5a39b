/**
 * A view of all tables of a store at one position: one transaction, one COPY, one scratch file.
 *
 *     BEGIN REPEATABLE READ ─► position ─┬─► COPY … ORDER BY key ─► file ──► any number of scans, from the first row on
 *                                        └─► COPY … ─► sorted here ────────► any number of scans, once all has come
 *
 * A sort is work of the server, which applications wait for, and reading in no order lets it send at once; sorted here, the rows
 * take longer. So the server is asked for the order unless the store's configuration says that it is to be spared that: always,
 * or where no index has the order.
 *
 * Rows that come with one and the same key are a collision: none of them is a record. That takes a look at the next row,
 * so the last row of a page waits for it.
 */
import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import {
  intersectRanges,
  keyForDisplay,
  KeyferryError,
  type KeyRange,
  type Position,
  type RecordPage,
  type ScanOptions,
  type StoredRecord,
  type StoreView,
  type Unplaced,
  type Version,
} from '@keyferry/core';
import type { Client } from 'pg';
import type { ResolvedTable } from './catalog.ts';
import { copyOut } from './copy-out.ts';
import { storeErrorOf } from './errors.ts';
import { RowStream, type OrderedRows, type Row, type TakePlaces } from './copy-rows.ts';
import { serverWouldSort, type RowOrder } from './row-order.ts';
import { orderedRecordsSql, problemSign, recordsSql } from './select.ts';
import { SortedFile } from './sorted-file.ts';
import { RowSort } from './sorted-rows.ts';

/** Value and key bytes after which a page ends early. */
const pageBytesMax = 4 * 1024 * 1024;
const readBytes = 256 * 1024;
/** Rows of a collision that are told. */
const placesNamed = 3;

export interface ViewSource {
  readonly store: string;
  readonly client: Client;
  readonly tables: readonly ResolvedTable[];
  readonly serverIsUtf8: boolean;
  readonly readPosition: (client: Client) => Promise<Position>;
  readonly order: RowOrder;
}

/**
 * Takes over the connection.
 * @returns once the first row, or the end, has come: what a COPY fails of, it mostly fails of before; once all has come, where
 *   keyferry sorts
 */
export async function openTablesView(source: ViewSource, range: KeyRange): Promise<StoreView> {
  const { client, tables, serverIsUtf8 } = source;
  const position = await begin(source);
  if (tables.length === 0) {
    await client.end();
    return emptyView(position);
  }
  const ordered = orderedRecordsSql(tables, range, serverIsUtf8);
  if (source.order === 'local' || (source.order === 'auto' && (await serverWouldSort(client, ordered)))) {
    const rows = await readSorted(source, range);
    return new TablesView({ source, range, position, rows, filling: Promise.resolve() });
  }
  const file = new SortedFile();
  const filling = fill(source, file, copySql(ordered), position);
  try {
    await file.more(0);
  } catch (error) {
    await filling;
    file.close();
    throw error;
  }
  return new TablesView({ source, range, position, rows: file, filling });
}

const copySql = (select: string): string => `COPY (\n${select}\n) TO STDOUT (FORMAT binary)`;

async function readSorted(source: ViewSource, range: KeyRange): Promise<OrderedRows> {
  const sort = new RowSort();
  try {
    await copyRows(source, range, (bytes, row) => sort.add(bytes, row));
    return await sort.sorted();
  } catch (error) {
    sort.close();
    throw error;
  }
}

/** In no order, of one state of the database: for what does not depend on an order. Takes over the connection. */
export async function readUnordered(source: ViewSource, range: KeyRange, take: TakePlaces): Promise<Position> {
  const position = await begin(source);
  if (source.tables.length === 0) await source.client.end();
  else await copyRows(source, range, take);
  return position;
}

/** Ends the connection. */
async function copyRows(source: ViewSource, range: KeyRange, take: TakePlaces): Promise<void> {
  const { store, client, tables, serverIsUtf8 } = source;
  const rows = new RowStream(take);
  try {
    await copyOut(client, copySql(recordsSql(tables, range, serverIsUtf8)), (bytes) => rows.append(bytes));
  } catch (error) {
    throw storeErrorOf(store, doing(tables), error);
  } finally {
    await client.end().catch(() => undefined); // it broke, or all was read: nothing is lost with it
  }
}

/** The transaction sees what was committed when its first statement began, which asks for the position. */
async function begin({ client, readPosition }: ViewSource): Promise<Position> {
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  return await readPosition(client);
}

const doing = (tables: readonly ResolvedTable[]): string => `reading ${tables.map(({ label }) => label).join(', ')}`;

/** Never fails: what goes wrong is for whoever reads. */
async function fill(
  { store, client, tables }: ViewSource,
  file: SortedFile,
  sql: string,
  position: Position,
): Promise<void> {
  let hasRows = false;
  try {
    await copyOut(client, sql, (bytes) => {
      hasRows = true;
      file.append(bytes);
    });
    file.seal();
  } catch (error) {
    const told = storeErrorOf(store, doing(tables), error);
    // Before the first row the call can be repeated as it is. After it the snapshot is gone, and a new one is needed.
    const mayPass = told instanceof KeyferryError && told.retry === 'backoff';
    file.fail(
      hasRows && mayPass ? new KeyferryError('store.position-compacted', { store, position }, { cause: told }) : told,
    );
  } finally {
    await client.end().catch(() => undefined); // it broke, or all was read: nothing is lost with it
  }
}

function emptyView(position: Position): StoreView {
  return {
    position,
    async *scan() {
      // no table, no pages
    },
    close: async () => undefined,
  };
}

interface OpenView {
  readonly source: ViewSource;
  readonly range: KeyRange;
  readonly position: Position;
  readonly rows: OrderedRows;
  /** Ends when nothing comes any more. */
  readonly filling: Promise<void>;
}

class TablesView implements StoreView {
  readonly position: Position;
  private readonly open: OpenView;

  constructor(open: OpenView) {
    this.open = open;
    this.position = open.position;
  }

  async *scan(part: KeyRange, { pageKeysMax }: ScanOptions): AsyncGenerator<RecordPage, void, undefined> {
    const { rows, source } = this.open;
    const range = intersectRanges(this.open.range, part);
    if (range === null) return;
    const pages = new Pages(source.tables, range, pageKeysMax);
    let at = rows.placeBefore(range.start);
    let wanted = readBytes;
    for (;;) {
      await rows.more(at);
      const bytes = rows.read(at, wanted);
      const { read, ended } = rows.rows(bytes, (row) => pages.take(row));
      at += read;
      // A row that is larger than what was read needs more at once; one that still comes needs to wait.
      wanted = read > 0 ? readBytes : wanted * 2;
      if (read === 0 && !ended && bytes.length > 0 && at + bytes.length === rows.length && !rows.isWhole) {
        await rows.more(at + bytes.length);
      }
      if (pages.isFull) {
        await turnOfTheLoop(); // reading is synchronous: signals, leases and the COPY itself need their turn
        yield pages.drain();
      }
      if (pages.isPast || (rows.isWhole && at >= rows.length)) break;
    }
    pages.end();
    yield pages.drain();
  }

  /** What still comes is no use to anybody: the connection is closed under the COPY. */
  async close(): Promise<void> {
    const { source, rows, filling } = this.open;
    if (!rows.isWhole) await source.client.end().catch(() => undefined);
    await filling;
    rows.close();
  }
}

/** Makes pages of rows in order. */
class Pages {
  /** The page has what it may have. */
  isFull = false;
  /** A row behind the range has come. */
  isPast = false;
  private readonly tables: readonly ResolvedTable[];
  private readonly range: KeyRange;
  private readonly pageKeysMax: number;
  private records: StoredRecord[] = [];
  private unplaced: Unplaced[] = [];
  private bytes = 0;
  /** The row before, until the next one shows that it is the only one of its key. */
  private last: Row | null = null;
  private colliding: { readonly tables: string[]; count: number; bytes: number } | null = null;

  constructor(tables: readonly ResolvedTable[], range: KeyRange, pageKeysMax: number) {
    this.tables = tables;
    this.range = range;
    this.pageKeysMax = pageKeysMax;
  }

  /** @returns whether to go on */
  take(row: Row): boolean {
    const { start, end } = this.range;
    if (row.key < start) return true;
    if (end !== null && row.key >= end) {
      this.isPast = true;
      return false;
    }
    if (row.note?.startsWith(problemSign) === true) this.takeProblem(row);
    else if (this.last?.key === row.key) this.takeCollision(this.last, row);
    else {
      this.settle();
      this.last = row;
    }
    return !this.isFull;
  }

  end(): void {
    this.settle();
  }

  drain(): RecordPage {
    const { records, unplaced } = this;
    this.records = [];
    this.unplaced = [];
    this.bytes = 0;
    this.isFull = false;
    return unplaced.length === 0 ? { records, notCarried: [] } : { records, notCarried: [], unplaced };
  }

  private takeProblem({ key, value, note }: Row): void {
    // In its place in the order, and so behind the row that still waits.
    if (this.last?.key !== key) this.settle();
    const bytes = key.length + (value?.length ?? 0);
    const detail = note?.slice(problemSign.length) ?? '';
    this.unplaced.push({ key, reason: 'rule.failed', sourceKeys: [key], count: 1, bytes, detail });
    this.count(bytes);
  }

  private takeCollision(first: Row, row: Row): void {
    this.colliding ??= { tables: [this.labelOf(first)], count: 1, bytes: sizeOf(first) };
    this.colliding.count += 1;
    this.colliding.bytes += sizeOf(row);
    if (this.colliding.tables.length < placesNamed) this.colliding.tables.push(this.labelOf(row));
  }

  /** The row that waits has no other of its key, or it is one of a collision. */
  private settle(): void {
    const { last, colliding } = this;
    if (last === null) return;
    this.last = null;
    this.colliding = null;
    if (colliding === null) {
      const { key, value, version } = last;
      this.records.push({ key, value: value ?? empty, version: version as Version, expiresAtMs: null });
      this.count(sizeOf(last));
      return;
    }
    const { tables, count, bytes } = colliding;
    const rest = count > tables.length ? ` and ${count - tables.length} more` : '';
    const detail = `${count} rows have the key ${keyForDisplay(last.key)}: of ${tables.join(', ')}${rest}`;
    this.unplaced.push({ key: last.key, reason: 'key.collision', sourceKeys: [last.key], count, bytes, detail });
    this.count(bytes);
  }

  private count(bytes: number): void {
    this.bytes += bytes;
    this.isFull = this.records.length + this.unplaced.length >= this.pageKeysMax || this.bytes >= pageBytesMax;
  }

  private labelOf({ note }: Row): string {
    return this.tables[Number(note ?? 0)]?.label ?? '';
  }
}

const empty = new Uint8Array(0);
const sizeOf = ({ key, value }: Row): number => key.length + (value?.length ?? 0);
