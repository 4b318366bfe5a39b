/**
 * Records and tombstones of a range for a list of an online target, all of one state of the database.
 *
 *     BEGIN REPEATABLE READ ─► tombstones, origins ─► spools on disk ┐
 *                         └──► rows, by one COPY ─► scratch file ────┴──► merged, page by page
 *
 * A key that was deleted between two reads would be in neither, and its old record in the source would come back (SPEC R33).
 */
import {
  keyFromBytes,
  keyToBytes,
  type Key,
  type KeyRange,
  type OnlineTargetRecord,
  type RecordPage,
  type StoredRecord,
  type TargetEntry,
  type Version,
} from '@keyferry/core';
import type { Client } from 'pg';
import { RecordSpool } from '../spool/record-spool.ts';
import { hasControlTables, type ControlContext } from './control-tables.ts';
import type { OnlineRows } from './online-rows.ts';

const pageKeysMax = 500;
const readRowsMax = 10_000;
const noBytes = new Uint8Array(0);

/** Ascending by bytes. */
export async function* listTarget(
  rows: OnlineRows,
  context: ControlContext,
  schema: string,
  range: KeyRange,
): AsyncGenerator<readonly TargetEntry<OnlineTargetRecord>[]> {
  const [tombs, origins] = [new RecordSpool(), new RecordSpool()];
  try {
    const beside = async (client: Client): Promise<void> => {
      if (await hasControlTables(client, rows.store, schema)) {
        const { tables } = context;
        await fill(
          client,
          tombs,
          { from: tables.tombstones, columns: "'' AS version, NULL AS origin" },
          context,
          range,
        );
        await fill(client, origins, { from: tables.origins, columns: 'version, origin' }, context, range);
      }
      await tombs.seal();
      await origins.seal();
    };
    // Asked for their first page once they are filled: before the first page of rows comes.
    const entombed = new Ascending(tombs.scan(range, { pageKeysMax }));
    const copied = new Ascending(origins.scan(range, { pageKeysMax }));
    // Page by page of the rows, whose bytes are bounded.
    for await (const page of rows.list(range, beside)) yield* inPages(merged(page, entombed, copied));
    yield* inPages(tombsBelow(null, entombed));
  } finally {
    tombs.close();
    origins.close();
  }
}

async function* merged(
  rows: readonly StoredRecord[],
  entombed: Ascending,
  copied: Ascending,
): AsyncGenerator<TargetEntry<OnlineTargetRecord>> {
  for (const { key, value, version } of rows) {
    yield* tombsBelow(key, entombed);
    await entombed.take(key);
    const origin = await copied.take(key);
    const copiedFrom = origin?.version === version ? (origin.created ?? null) : null;
    yield { key, record: { key, value, version, copiedFrom } };
  }
}

/** @param key null: all that are left */
async function* tombsBelow(key: Key | null, entombed: Ascending): AsyncGenerator<TargetEntry<OnlineTargetRecord>> {
  for (let tomb = await entombed.below(key); tomb !== null; tomb = await entombed.below(key)) {
    yield { key: tomb.key, record: null };
  }
}

/** However many tombstones lie between two rows or behind the last one. */
async function* inPages<T>(entries: AsyncIterable<T>): AsyncGenerator<readonly T[]> {
  let page: T[] = [];
  for await (const entry of entries) {
    page.push(entry);
    if (page.length < pageKeysMax) continue;
    yield page;
    page = [];
  }
  if (page.length > 0) yield page;
}

/** Page by page behind the last key, in the transaction under way. */
async function fill(
  client: Client,
  spool: RecordSpool,
  { from, columns }: { readonly from: string; readonly columns: string },
  { migration }: ControlContext,
  { start, end }: KeyRange,
): Promise<void> {
  let after: Buffer | null = null;
  for (;;) {
    const { rows }: { readonly rows: readonly Remembered[] } = await client.query<Remembered>(
      `SELECT key, ${columns} FROM ${from} WHERE migration = $1 AND key >= $2 AND ($3::bytea IS NULL OR key > $3)
         AND ($4::bytea IS NULL OR key < $4) ORDER BY key LIMIT ${readRowsMax}`,
      [migration, bytesOf(start), after, end === null ? null : bytesOf(end)],
    );
    for (const { key, version, origin } of rows) {
      const record = { key: keyFromBytes(key), value: noBytes, version: version as Version, expiresAtMs: null };
      spool.add(origin === null ? record : { ...record, created: origin as Version });
    }
    if (rows.length < readRowsMax) return;
    after = rows.at(-1)?.key ?? null;
  }
}

interface Remembered {
  readonly key: Buffer;
  readonly version: string;
  readonly origin: string | null;
}

/** What comes in order, gone through beside something else that does. */
class Ascending {
  private readonly pages: AsyncIterator<RecordPage>;
  private page: readonly StoredRecord[] = [];
  private at = 0;
  private isOver = false;

  constructor(pages: AsyncIterable<RecordPage>) {
    this.pages = pages[Symbol.asyncIterator]();
  }

  /** The next one below a key, which is then gone through. @param key null: of all that are left */
  async below(key: Key | null): Promise<StoredRecord | null> {
    const record = await this.current();
    if (record === null || (key !== null && record.key >= key)) return null;
    this.at += 1;
    return record;
  }

  async take(key: Key): Promise<StoredRecord | null> {
    while ((await this.below(key)) !== null);
    const record = await this.current();
    if (record?.key !== key) return null;
    this.at += 1;
    return record;
  }

  private async current(): Promise<StoredRecord | null> {
    while (this.at >= this.page.length && !this.isOver) {
      const next = await this.pages.next();
      this.isOver = next.done === true;
      this.page = next.done === true ? [] : next.value.records;
      this.at = 0;
    }
    return this.page[this.at] ?? null;
  }
}

const bytesOf = (key: Key): Buffer => Buffer.from(keyToBytes(key));
