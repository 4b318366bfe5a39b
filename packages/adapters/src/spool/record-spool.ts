/**
 * Spool: a sorted scratch of records on disk, for sources that answer only once or in another order.
 *
 *     filling ──add, addNotCarried──► filling ──seal──► sealed ──scan, as often as wanted──► closed
 *
 * An etcd v2 tree comes in sibling order (`a-b` before `a/b`) and a file in any; merging needs byte order, and a plan
 * scans its source more than once. Kept in memory, ten million keys would not fit; asked again, the source would have
 * moved. So everything goes once into a private SQLite database: a B-tree on disk, keys as BLOBs (SQLite compares
 * those by memcmp), and any number of scans over it. Memory is its page cache and one page of records.
 *
 * An empty file name asks SQLite for a temporary database: it is unlinked as soon as it is open (where the platform
 * allows), readable by its owner only, and gone with the process however that ends. It lies in SQLITE_TMPDIR, TMPDIR
 * or /var/tmp. No journal: nobody ever needs a half-filled spool back.
 */
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import {
  invariant,
  KeyferryError,
  type Key,
  type KeyRange,
  type NotCarried,
  type NotCarriedReason,
  type RecordPage,
  type ScanOptions,
  type Scratch,
  type Spool,
  type StoredRecord,
  type Version,
} from '@keyferry/core';

/** Value and key bytes after which a page ends early: a page of a thousand values of 1 MiB would not be flat. */
const pageBytesMax = 4 * 1024 * 1024;
const cacheKiB = 16 * 1024;

/** Key (text when all keys are ASCII), value, version, expiry, reason, created. Arrays: half the cost of row objects. */
type Row = readonly [
  key: Uint8Array | string,
  value: Uint8Array | null,
  version: string | null,
  expiresAtMs: number | null,
  reason: NotCarriedReason | typeof nothing | null,
  created: string | null,
];

/** In the place of a reason: the key is taken, by no entry. */
const nothing = '';

/** NUL apart, which ends a TEXT. */
const asciiText = /^[\x01-\x7f]*$/;

export class RecordSpool implements Spool {
  private readonly database: DatabaseSync;
  private readonly insert: StatementSync;
  private state: 'filling' | 'sealed' | 'closed' = 'filling';
  /** Then keys can be read as TEXT, without a buffer for each: a third off the time of a scan. */
  private allKeysAscii = true;
  private entryBytesMax = 0;

  /** @throws {KeyferryError} `file.unreadable` when the temporary directory cannot be used. */
  constructor() {
    this.database = guarded(() => openScratch());
    this.insert = this.database.prepare('INSERT OR IGNORE INTO entry VALUES (?, ?, ?, ?, ?, ?)');
  }

  /** False, and nothing kept, when an entry with this key is already there. */
  add({ key, value, version, expiresAtMs, created }: StoredRecord): boolean {
    return this.put(key, value, version, expiresAtMs, null, created ?? null);
  }

  /** False, and nothing kept, when an entry with this key is already there. */
  addNotCarried({ key, reason, detail }: NotCarried): boolean {
    // It has no version; the column holds its detail.
    return this.put(key, null, (detail ?? null) as Version | null, null, reason, null);
  }

  /**
   * Keeps the place of a key that nothing is at: later entries with it are not kept, and no scan shows it. False, and nothing
   * done, when an entry with this key is already there.
   */
  addNothing(key: Key): boolean {
    return this.put(key, null, null, null, nothing, null);
  }

  seal(): void {
    invariant(this.state === 'filling', 'a spool is sealed once');
    guarded(() => this.database.exec('COMMIT'));
    this.state = 'sealed';
  }

  /**
   * Entries of `range` in ascending byte order. Entries not carried take part like records do, so that adjoining
   * ranges report each exactly once, and a page covers all between its first and its last key.
   */
  async *scan(range: KeyRange, { pageKeysMax }: ScanOptions): AsyncGenerator<RecordPage, void, undefined> {
    const bounded = range.end === null ? '' : 'AND key < ?';
    const columns = `${this.allKeysAscii ? 'CAST(key AS TEXT)' : 'key'}, value, version, expires, reason, created`;
    const pagesFrom = (operator: '>' | '>='): StatementSync => {
      const sql = `SELECT ${columns} FROM entry WHERE key ${operator} ? ${bounded} ORDER BY key LIMIT ?`;
      const statement = this.database.prepare(sql);
      statement.setReturnArrays(true);
      return statement;
    };
    const end = range.end === null ? [] : [bytesOf(range.end)];
    // Fetching a page at once is faster than row by row, which can stop in time when values are large.
    const isSmall = this.entryBytesMax * pageKeysMax <= pageBytesMax;
    invariant(this.state === 'sealed', 'a spool is read only between sealing and closing');
    let from = range.start;
    let statement = pagesFrom('>=');
    for (;;) {
      // One synchronous read a page: nothing is open while the consumer works or another scan runs.
      const read = (): PageRead => {
        const parameters = [bytesOf(from), ...end, pageKeysMax] as const;
        return readPage(isSmall ? statement.all(...parameters) : statement.iterate(...parameters), pageKeysMax);
      };
      const { page, last, more } = guarded(read);
      if (last === null) return;
      // Reads here are synchronous: without a turn of the loop a pair of embedded stores would starve signals and leases.
      await turnOfTheLoop();
      yield page;
      if (!more) return;
      invariant(this.state === 'sealed', 'a spool is read only between sealing and closing');
      if (from === range.start) statement = pagesFrom('>');
      from = last;
    }
  }

  /** Removes everything. Safe to repeat. */
  close(): void {
    if (this.state === 'closed') return;
    this.state = 'closed';
    this.database.close();
  }

  private put(
    key: Key,
    value: Uint8Array | null,
    version: Version | null,
    expiresAtMs: number | null,
    reason: NotCarriedReason | typeof nothing | null,
    created: Version | null,
  ): boolean {
    invariant(this.state === 'filling', 'a sealed spool takes no more entries');
    this.allKeysAscii &&= asciiText.test(key);
    this.entryBytesMax = Math.max(this.entryBytesMax, key.length + (value?.byteLength ?? 0));
    return guarded(() => this.insert.run(bytesOf(key), value, version, expiresAtMs, reason, created).changes) === 1;
  }
}

/** Spools on the disk of this machine. */
export const diskScratch: Scratch = { openSpool: () => new RecordSpool() };

function openScratch(): DatabaseSync {
  const database = new DatabaseSync('');
  database.exec(`
    PRAGMA page_size = 8192;
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA cache_size = -${cacheKiB};
    CREATE TABLE entry (
      key BLOB PRIMARY KEY, value BLOB, version TEXT, expires INTEGER, reason TEXT, created TEXT
    ) STRICT, WITHOUT ROWID;
    BEGIN;
  `);
  return database;
}

interface PageRead {
  readonly page: RecordPage;
  readonly last: Key | null;
  /** Whether there may be another page. */
  readonly more: boolean;
}

function readPage(rows: Iterable<unknown>, pageKeysMax: number): PageRead {
  const records: StoredRecord[] = [];
  const notCarried: NotCarried[] = [];
  const page = { records, notCarried };
  let last: Key | null = null;
  let bytes = 0;
  let count = 0;
  for (const [keyBytes, value, version, expiresAtMs, reason, created] of rows as Iterable<Row>) {
    const key = typeof keyBytes === 'string' ? (keyBytes as Key) : keyOf(keyBytes);
    last = key;
    count += 1;
    if (reason === nothing) continue;
    bytes += key.length + (value?.byteLength ?? 0);
    if (reason !== null) notCarried.push({ key, reason, ...(version !== null && { detail: version }) });
    else {
      const record = { key, value: value ?? new Uint8Array(0), version: (version ?? '') as Version, expiresAtMs };
      records.push(created === null ? record : { ...record, created: created as Version });
    }
    if (bytes >= pageBytesMax) return { page, last, more: true };
  }
  return { page, last, more: count === pageKeysMax };
}

function bytesOf(key: Key): Uint8Array {
  return Buffer.from(key, 'latin1');
}

function keyOf({ buffer, byteOffset, byteLength }: Uint8Array): Key {
  return Buffer.from(buffer, byteOffset, byteLength).toString('latin1') as Key;
}

/** What SQLite can fail of here is the disk: full, read-only, gone. */
function guarded<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof KeyferryError) throw error;
    const detail = error instanceof Error ? error.message : String(error);
    throw new KeyferryError('file.unreadable', { file: 'the scratch file in TMPDIR', detail }, { cause: error });
  }
}
