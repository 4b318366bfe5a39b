/**
 * A view of all tables of a store at one position: one transaction, one COPY, one scratch file.
 *
 *     BEGIN REPEATABLE READ ─► position ─► COPY … ORDER BY key ─► file ─► COMMIT, connection closed
 *                                                                  └──► any number of scans, from the first row on
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
import { problemSign, recordsSql } from './select.ts';
import { readRows, SortedFile, type Row } from './sorted-file.ts';

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
}

/** Takes over the connection. @returns once the first row, or the end, has come: what a COPY fails of, it mostly fails of before. */
export async function openTablesView(source: ViewSource, range: KeyRange): Promise<StoreView> {
  const { client, tables, serverIsUtf8, readPosition } = source;
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  // The transaction sees what was committed when its first statement began, and this one is it.
  const position = await readPosition(client);
  if (tables.length === 0) {
    await client.end();
    return emptyView(position);
  }
  const file = new SortedFile();
  const sql = `COPY (\n${recordsSql(tables, range, serverIsUtf8)}\n) TO STDOUT (FORMAT binary)`;
  const filling = fill(source, file, sql, position);
  try {
    await file.more(0);
  } catch (error) {
    await filling;
    file.close();
    throw error;
  }
  return new TablesView(source, range, position, file, filling);
}

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
    const told = storeErrorOf(store, `reading ${tables.map(({ label }) => label).join(', ')}`, error);
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

class TablesView implements StoreView {
  readonly position: Position;
  private readonly source: ViewSource;
  private readonly range: KeyRange;
  private readonly file: SortedFile;
  private readonly filling: Promise<void>;

  constructor(source: ViewSource, range: KeyRange, position: Position, file: SortedFile, filling: Promise<void>) {
    this.source = source;
    this.range = range;
    this.position = position;
    this.file = file;
    this.filling = filling;
  }

  async *scan(part: KeyRange, { pageKeysMax }: ScanOptions): AsyncGenerator<RecordPage, void, undefined> {
    const range = intersectRanges(this.range, part);
    if (range === null) return;
    const { file } = this;
    const pages = new Pages(this.source.tables, range, pageKeysMax);
    let at = file.placeBefore(range.start);
    let wanted = readBytes;
    for (;;) {
      await file.more(at);
      const bytes = file.read(at, wanted);
      const { read, ended } = readRows(bytes, (row) => pages.take(row));
      at += read;
      // A row that is larger than what was read needs more at once; one that still comes needs to wait.
      wanted = read > 0 ? readBytes : wanted * 2;
      if (read === 0 && !ended && bytes.length > 0 && at + bytes.length === file.length && !file.isWhole) {
        await file.more(at + bytes.length);
      }
      if (pages.isFull) {
        await turnOfTheLoop(); // reading is synchronous: signals, leases and the COPY itself need their turn
        yield pages.drain();
      }
      if (pages.isPast || (file.isWhole && at >= file.length)) break;
    }
    pages.end();
    yield pages.drain();
  }

  /** What still comes is no use to anybody: the connection is closed under the COPY. */
  async close(): Promise<void> {
    const { client } = this.source;
    if (!this.file.isWhole) await client.end().catch(() => undefined);
    await this.filling;
    this.file.close();
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
