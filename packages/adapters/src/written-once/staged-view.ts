/** What waits for a file as a view: rows and packs in one order, for as long as they live. */
import {
  rangeHolds,
  type KeyRange,
  type Position,
  type RecordPage,
  type ScanOptions,
  type StoredRecord,
  type StoreView,
} from '@keyferry/core';
import type { Connection } from '../sqlite/connection.ts';
import type { SqliteView } from '../sqlite/source.ts';
import { mergedRecords } from './merged-records.ts';
import { packsIn } from './packs.ts';

export class StagedView implements StoreView {
  readonly position: Position;
  private readonly view: SqliteView;
  private readonly connection: Connection;
  private readonly nowMs: number;

  /** @param connection the view's own, which holds both to one state */
  constructor(view: SqliteView, position: Position, connection: Connection, nowMs: number) {
    this.view = view;
    this.position = position;
    this.connection = connection;
    this.nowMs = nowMs;
  }

  async *scan(range: KeyRange, options: ScanOptions): AsyncGenerator<RecordPage, void, undefined> {
    const rows = recordsOf(this.view.scan(range, options));
    for await (const records of mergedRecords(rows, recordsIn(packsIn(this.connection, range, null)))) {
      const wanted = records.filter((record) => rangeHolds(range, record.key) && lives(record, this.nowMs));
      for (let at = 0; at < wanted.length; at += options.pageKeysMax) {
        yield { records: wanted.slice(at, at + options.pageKeysMax), notCarried: [] };
      }
    }
  }

  close(): Promise<void> {
    return this.view.close();
  }
}

async function* recordsOf(pages: AsyncIterable<RecordPage>): AsyncGenerator<RecordPage['records']> {
  for await (const { records } of pages) yield records;
}

export const lives = ({ expiresAtMs }: StoredRecord, nowMs: number): boolean =>
  expiresAtMs === null || expiresAtMs > nowMs;

export function living({ records }: RecordPage, nowMs: number): RecordPage {
  return { records: records.filter((record) => lives(record, nowMs)), notCarried: [] };
}

export function* recordsIn(packs: Iterable<RecordPage>): Generator<RecordPage['records']> {
  for (const { records } of packs) yield records;
}
