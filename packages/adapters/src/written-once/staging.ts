/**
 * Where the records of a file that is not written yet wait: an SQLite file beside it, `.NAME.keyferry`. New ones in packs
 * (packs.ts), all others as rows.
 *
 * A file that is written whole or not at all has no place for half of its records, and workers put them in any order, in
 * several processes, with kills in between. The table of records of the sqlite adapter has all that this needs: guarded
 * puts, fences, an epoch, what each migration put. Once the file is there, what waited is dropped, and of keyferry's own
 * remains what rollback needs: the epoch, and the digest of the file as it was written.
 *
 * The file is named after the target, so whoever opens the target finds it; its values are readable by its owner only.
 */
import { closeSync, existsSync, openSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import {
  KeyferryError,
  keyAfter,
  keyToBytes,
  prefixRange,
  rangeHolds,
  type BeforeImage,
  type ChangeOutcome,
  type CreatedRecord,
  type Fence,
  type GuardedChange,
  type GuardedPut,
  type Key,
  type KeyRange,
  type MigrationId,
  type PackedPuts,
  type Position,
  type RecordPage,
  type RemoveOutcome,
  type Restoration,
  type RestoreOutcome,
  type ScanOptions,
  type StoredRecord,
  type StoreView,
  type Version,
} from '@keyferry/core';
import { directoriesAbove } from '../etcd-v2/key-form.ts';
import { Connection } from '../sqlite/connection.ts';
import { storeErrorOf } from '../sqlite/errors.ts';
import { GroupCommit } from '../sqlite/group-commit.ts';
import { ensureSchema, readGeneration, readSchema, tableNames } from '../sqlite/schema.ts';
import { countRecords, inRange, isAlive, readPosition, readRecord, recordOf, SqliteView } from '../sqlite/source.ts';
import { SqliteControl, type ControlContext } from '../sqlite/target.ts';
import { stagedCapabilities } from './capabilities.ts';
import { mergedRecords } from './merged-records.ts';
import { newPuts, packOf, packOfPage } from './pack-bytes.ts';
import { addPack, dropPacks, ensurePacks, isFree, packsIn, unpack } from './packs.ts';
import { lives, living, recordsIn, StagedView } from './staged-view.ts';

export interface StagingOptions {
  /** The store's name in the configuration. */
  readonly name: string;
  /** The file that is to be written. */
  readonly file: string;
  readonly nowMs: () => number;
  readonly emptyKeys: boolean;
  /** A key may hold a value above others. */
  readonly parentKeys: boolean;
  readonly unfit: ((put: GuardedPut) => string | null) | null;
}

/** How far the publication of a migration's records has come. */
export interface PublishedRow {
  /** `writing`: the file may be there, with this digest, or not. */
  readonly phase: 'writing' | 'written';
  readonly digest: Position;
}

const busyTimeoutMs = 5000;
const everything: KeyRange = prefixRange('' as Key);
const names = tableNames('', 'records');
/** For a file that holds no page yet; else nothing. Packs are large, and each page of one costs two calls of its own. */
const largePages = 'PRAGMA page_size = 16384';
/**
 * 128 MiB of such pages, where SQLite's own is 16: what is put is read once and dropped, and until then the log holds it as well.
 * Each time that it is copied from there into the file costs writing and syncing it once more.
 */
const rareCheckpoints = 'PRAGMA wal_autocheckpoint = 8192';
const createPublished = `CREATE TABLE IF NOT EXISTS keyferry_published (
  migration TEXT NOT NULL PRIMARY KEY, phase TEXT NOT NULL, digest TEXT NOT NULL
) WITHOUT ROWID`;

export class Staging {
  private readonly options: StagingOptions;
  private readonly path: string;
  private connection: Connection | null = null;
  private readonly batches = new GroupCommit((body) => this.write(body));
  /** Of the schema in which all that is needed was there; each change of it, whoever makes it, counts it up. */
  private ensuredVersion: number | null = null;

  constructor(options: StagingOptions) {
    this.options = options;
    this.path = join(dirname(options.file), `.${basename(options.file)}.keyferry`);
  }

  control(migration: MigrationId): SqliteControl {
    const { nowMs, parentKeys, unfit } = this.options;
    const refuse = (connection: Connection, put: GuardedPut): string | null => this.refusal(connection, put);
    const takeBatch: ControlContext['takeBatch'] = (connection, changes, attempt) =>
      this.pack(connection, migration, changes, attempt);
    const { read, write } = this;
    const { batchKeysMax } = stagedCapabilities;
    const takePacked: ControlContext['takePacked'] = (connection, puts, attempt) =>
      this.packPage(connection, migration, puts, attempt);
    const writeSoon: ControlContext['writeSoon'] = (bytes, body) => this.batches.run(bytes, body);
    // Where records have to be judged by their values or by each other, they are looked at one by one.
    const packed = parentKeys && unfit === null ? { takePacked } : {};
    const batches = { batchKeysMax, takeBatch, writeSoon, ...packed };
    return new StagedControl({ migration, names, nowMs, read, write, refuse, ...batches });
  }

  /** Unlike any position of another staging, so that equal ones mean equal content. */
  position(): Position {
    const nowMs = this.options.nowMs();
    return this.read('absent' as Position, (connection) => this.positionOf(readPosition(connection, names, nowMs)));
  }

  lookUp(keys: readonly Key[]): readonly (StoredRecord | null)[] {
    const nowMs = this.options.nowMs();
    const absent = keys.map(() => null);
    return this.read<readonly (StoredRecord | null)[]>(absent, (connection) =>
      keys.map((key) => readRecord(connection, names, key, nowMs) ?? inPack(connection, key, nowMs)),
    );
  }

  count(range: KeyRange, max: number): number {
    const nowMs = this.options.nowMs();
    return this.read(0, (connection) => {
      let count = countRecords(connection, names, range, max, nowMs);
      for (const { records } of packsIn(connection, range, null)) {
        if (count >= max) break;
        count += records.filter((record) => rangeHolds(range, record.key) && lives(record, nowMs)).length;
      }
      return Math.min(count, max);
    });
  }

  openView(range: KeyRange): StoreView {
    return this.read<StoreView>(nothing, () => {
      const connection = this.connect(true);
      try {
        const nowMs = this.options.nowMs();
        const view = new SqliteView(connection, names, range, nowMs);
        return new StagedView(view, this.positionOf(view.position), connection, nowMs);
      } catch (error) {
        connection.close();
        throw error;
      }
    });
  }

  /** What one migration put, in byte order; others may have put theirs for the same file. */
  async *putBy(migration: MigrationId, pageKeysMax: number): AsyncGenerator<RecordPage> {
    const connection = this.connect(true);
    try {
      connection.script('BEGIN');
      const nowMs = this.options.nowMs();
      const packs = packsIn(connection, everything, migration);
      if (hasMarks(connection, migration)) {
        const rows = this.rowsPutBy(connection, migration, pageKeysMax);
        for await (const records of mergedRecords(rows, recordsIn(packs)))
          yield living({ records, notCarried: [] }, nowMs);
      } else for (const page of packs) yield page.isPermanent ? page : living(page, nowMs);
    } finally {
      connection.close();
    }
  }

  private *rowsPutBy(
    connection: Connection,
    migration: MigrationId,
    pageKeysMax: number,
  ): Generator<RecordPage['records']> {
    let beyond = keyToBytes('' as KeyRange['start']);
    for (let operator = '>='; ; operator = '>') {
      const rows = connection.all(
        `SELECT record.key AS key, record.value AS value, CAST(record.version AS TEXT) AS version, record.expires_at_ms
           FROM ${names.records} AS record JOIN ${names.marks} AS mark ON mark.key = record.key
           WHERE mark.migration = ? AND mark.version = record.version AND mark.key ${operator} ? AND ${isAlive}
           ORDER BY mark.key LIMIT ?`,
        migration,
        beyond,
        this.options.nowMs(),
        pageKeysMax,
      );
      const records = rows.map(recordOf);
      const last = records.at(-1);
      if (last === undefined) return;
      yield records;
      beyond = keyToBytes(last.key);
    }
  }

  hasPut(migration: MigrationId): boolean {
    return this.read(
      false,
      (connection) => hasMarks(connection, migration) || !packsIn(connection, everything, migration).next().done,
    );
  }

  published(migration: MigrationId): PublishedRow | null {
    return this.read<PublishedRow | null>(null, (connection) => {
      connection.script(createPublished);
      const row = connection.get('SELECT phase, digest FROM keyferry_published WHERE migration = ?', migration);
      return row === undefined ? null : ({ phase: row['phase'], digest: row['digest'] } as PublishedRow);
    });
  }

  setPublished(connection: Connection, migration: MigrationId, row: PublishedRow | null): void {
    connection.script(createPublished);
    if (row === null) connection.run('DELETE FROM keyferry_published WHERE migration = ?', migration);
    else connection.run('REPLACE INTO keyferry_published VALUES (?, ?, ?)', migration, row.phase, row.digest);
  }

  /** Fences go too: a worker that wakes up after this is shut out. */
  forgetPut(connection: Connection, migration: MigrationId): void {
    const marked = `SELECT key FROM ${names.marks} WHERE migration = ?`;
    connection.run(`DELETE FROM ${names.records} WHERE key IN (${marked})`, migration);
    dropPacks(connection, migration);
    for (const table of [names.marks, names.fences]) {
      connection.run(`DELETE FROM ${table} WHERE migration = ?`, migration);
    }
  }

  /** Gives the disk back what was dropped, and leaves nothing of the values in free pages. */
  shrink(): void {
    this.read(undefined, (connection) => connection.script('VACUUM; PRAGMA wal_checkpoint(TRUNCATE)'));
  }

  close(): void {
    this.connection?.close();
    this.connection = null;
    this.ensuredVersion = null;
  }

  /** Answers `absent` while nothing was ever put. */
  readonly read = <T>(absent: T, body: (connection: Connection) => T): T => {
    if (this.connection === null && !existsSync(this.path)) return absent;
    this.connection ??= this.connect(false);
    return readSchema(this.connection, this.options.name, names) === 'whole' ? body(this.connection) : absent;
  };

  readonly write = <T>(body: (connection: Connection) => T): T => {
    if (this.connection === null) this.createPrivate();
    this.connection ??= this.connect(false);
    const { connection } = this;
    if (this.ensuredVersion === null || this.ensuredVersion !== schemaVersion(connection)) {
      ensureSchema(connection, this.options.name, names);
      ensurePacks(connection);
      this.ensuredVersion = schemaVersion(connection);
    }
    return connection.writeTransaction(() => body(connection));
  };

  /** Only what nothing speaks against: whatever has to be judged record by record is judged as rows. */
  private pack(
    connection: Connection,
    migration: MigrationId,
    changes: readonly GuardedChange[],
    attempt: number,
  ): readonly ChangeOutcome[] | null {
    const [first, last] = [changes[0]?.key, changes.at(-1)?.key];
    if (first === undefined || last === undefined) return null;
    const puts = this.options.parentKeys ? newPuts(changes) : null;
    if (
      puts !== null &&
      isFree(connection, names, { first, last }) &&
      puts.every((put) => this.refusal(connection, put) === null)
    ) {
      let version = addPack(connection, migration, attempt, packOf(puts));
      return puts.map(() => ({ kind: 'written', version: String(version++) as Version }));
    }
    let [low, high] = [first, first];
    for (const { key } of changes) {
      if (key < low) low = key;
      if (key > high) high = key;
    }
    unpack(connection, names, { first: low, last: high });
    return null;
  }

  /** As `pack`. */
  private packPage(connection: Connection, migration: MigrationId, puts: PackedPuts, attempt: number): boolean {
    const pack = packOfPage(puts);
    if (pack === null || (pack.first === '' && !this.options.emptyKeys) || !isFree(connection, names, pack))
      return false;
    addPack(connection, migration, attempt, pack);
    return true;
  }

  private positionOf(counter: Position): Position {
    const generation = this.read<string | null>(null, readGeneration) ?? '';
    return `staged:${generation}:${counter}` as Position;
  }

  /** Nobody else may read what is put. SQLite gives its side files the rights of the file. */
  private createPrivate(): void {
    try {
      closeSync(openSync(this.path, 'a', 0o600));
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      throw new KeyferryError('file.unwritable', { file: this.path, detail }, { cause: error });
    }
  }

  private connect(readOnly: boolean): Connection {
    const { name } = this.options;
    const toError = (error: unknown): unknown => storeErrorOf(name, error);
    const connection = new Connection({ file: this.path, readOnly, busyTimeoutMs, toError });
    if (!readOnly) connection.script(`${largePages}; ${rareCheckpoints}`);
    return connection;
  }

  /** A plan has found these before; here they come only from what changed since. */
  private refusal(connection: Connection, put: GuardedPut): string | null {
    const { unfit, parentKeys, emptyKeys } = this.options;
    if (put.key === '' && !emptyKeys) return 'a key cannot be empty there';
    const detail = unfit?.(put) ?? null;
    if (detail !== null || parentKeys) return detail;
    const isThere = `SELECT 1 FROM ${names.records} WHERE key = ?`;
    for (const above of directoriesAbove(put.key)) {
      if (connection.get(isThere, keyToBytes(above)) !== undefined) return 'a key above it holds a value';
    }
    const { sql, keys } = inRange({
      start: `${put.key}/` as KeyRange['start'],
      end: `${put.key}0` as KeyRange['start'],
    });
    const below = connection.get(`SELECT 1 FROM ${names.records} WHERE ${sql} LIMIT 1`, ...keys);
    return below === undefined ? null : 'there are keys below it';
  }
}

/** What is done to records that are there already is done to rows. */
class StagedControl extends SqliteControl {
  private readonly unpackAll: () => void;

  constructor(context: ControlContext) {
    super(context);
    this.unpackAll = () => {
      const hasAny = context.read(false, (connection) => !packsIn(connection, everything, null).next().done);
      if (hasAny) context.write((connection) => unpack(connection, names, null));
    };
  }

  override async *listCreated(range: KeyRange, options: ScanOptions): AsyncIterable<readonly CreatedRecord[]> {
    this.unpackAll();
    yield* super.listCreated(range, options);
  }

  override removeCreated(records: readonly CreatedRecord[], epoch: Fence): Promise<readonly RemoveOutcome[]> {
    this.unpackAll();
    return super.removeCreated(records, epoch);
  }

  override readBefore(keys: readonly Key[]): Promise<readonly (BeforeImage | null)[]> {
    this.unpackAll();
    return super.readBefore(keys);
  }

  override restore(restorations: readonly Restoration[], epoch: Fence): Promise<readonly RestoreOutcome[]> {
    this.unpackAll();
    return super.restore(restorations, epoch);
  }

  override dropControl(epoch: Fence): Promise<void> {
    this.unpackAll();
    return super.dropControl(epoch);
  }
}

const schemaVersion = (connection: Connection): number =>
  Number(connection.get('PRAGMA schema_version')?.['schema_version']);

function hasMarks(connection: Connection, migration: MigrationId): boolean {
  return connection.get(`SELECT 1 FROM ${names.marks} WHERE migration = ? LIMIT 1`, migration) !== undefined;
}

function inPack(connection: Connection, key: Key, nowMs: number): StoredRecord | null {
  for (const { records } of packsIn(connection, { start: key, end: keyAfter(key) }, null)) {
    const found = records.find((record) => record.key === key);
    if (found !== undefined) return lives(found, nowMs) ? found : null;
  }
  return null;
}

const nothing: StoreView = {
  position: 'absent' as Position,
  async *scan() {
    // nothing was put, no pages
  },
  close: async () => undefined,
};
