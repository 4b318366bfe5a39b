/**
 * Writing to a table of records: each call is one IMMEDIATE transaction, which reads fence and epoch and then writes,
 * so that no other process can raise them in between.
 */
import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import {
  compareFences,
  invariant,
  KeyferryError,
  keyFromBytes,
  keyToBytes,
  recordBytes,
  recordsEqual,
  restoreStep,
  type BeforeImage,
  type ChangeOutcome,
  type ChunkId,
  type ChunkWriter,
  type ClaimOutcome,
  type CreatedRecord,
  type Fence,
  type GuardedChange,
  type GuardedDelete,
  type GuardedPut,
  type Key,
  type KeyRange,
  type MigrationId,
  type PackedPuts,
  type RaiseOutcome,
  type RecordOrigin,
  type RemoveOutcome,
  type Restoration,
  type RestoreOutcome,
  type ScanOptions,
  type StoredRecord,
  type TargetControl,
  type Version,
} from '@keyferry/core';
import { sqliteCapabilities } from './capabilities.ts';
import type { Connection, Row } from './connection.ts';
import { ensureDoneTable, hasDoneTable, hasTailTable, type TableNames } from './schema.ts';
import { inRange, isAlive, readRecord } from './source.ts';

export interface ControlContext {
  readonly migration: MigrationId;
  readonly names: TableNames;
  readonly nowMs: () => number;
  /** Runs `body` on the tables, or answers `absent` while there are none. */
  readonly read: <T>(absent: T, body: (connection: Connection) => T) => T;
  /** Changes in one batch; as the capabilities of a table say by default. */
  readonly batchKeysMax?: number;
  /** Takes a whole batch in a form of its own, in the transaction that proved the fence; null: it does not. */
  readonly takeBatch?: (
    connection: Connection,
    changes: readonly GuardedChange[],
    attempt: number,
  ) => readonly ChangeOutcome[] | null;
  /** The same for records as they lie in a page; absent: they come as changes. @returns false: it does not */
  readonly takePacked?: (connection: Connection, puts: PackedPuts, attempt: number) => boolean;
  /** What a table of that shape takes and whatever it is for does not; the remainder of a sentence. */
  readonly refuse?: (connection: Connection, put: GuardedPut) => string | null;
  /** Runs `body` in a transaction, after creating what tables are missing. */
  readonly write: <T>(body: (connection: Connection) => T) => T;
  /** As `write`, for batches: maybe later, in one transaction with others. */
  readonly writeSoon?: <T>(bytes: number, body: (connection: Connection) => T) => Promise<T>;
}

export class SqliteControl implements TargetControl {
  private readonly context: ControlContext;

  constructor(context: ControlContext) {
    this.context = context;
  }

  async readEpoch(): Promise<Fence | null> {
    return this.context.read<Fence | null>(null, (connection) => this.epoch(connection));
  }

  async raiseEpoch(epoch: Fence): Promise<RaiseOutcome> {
    const { names, migration, write } = this.context;
    return write((connection) => {
      const current = this.epoch(connection);
      if (current !== null && compareFences(epoch, current) <= 0) return { kind: 'refused', current };
      connection.run(`REPLACE INTO ${names.epochs} VALUES (?, ?, ?)`, migration, epoch.attempt, epoch.token);
      return { kind: 'raised' };
    });
  }

  async readFence(chunk: ChunkId): Promise<Fence | null> {
    return this.context.read<Fence | null>(null, (connection) => this.fence(connection, chunk));
  }

  async claimChunk(chunk: ChunkId, fence: Fence, epoch: Fence): Promise<ClaimOutcome> {
    const { names, migration, write } = this.context;
    return write((connection) => {
      const held = this.fence(connection, chunk);
      const current = this.epoch(connection);
      const isHigher = held === null || compareFences(fence, held) > 0;
      if (!isHigher || !sameFence(current, epoch)) return { kind: 'refused', fence: held, epoch: current };
      connection.run(`REPLACE INTO ${names.fences} VALUES (?, ?, ?, ?)`, migration, chunk, fence.attempt, fence.token);
      return { kind: 'claimed', writer: this.writer(chunk, fence, epoch) };
    });
  }

  async *listCreated(range: KeyRange, { pageKeysMax }: ScanOptions): AsyncIterable<readonly CreatedRecord[]> {
    const { names, migration, nowMs, read } = this.context;
    let after: Key | null = null;
    for (;;) {
      const { sql, keys } = inRange(after === null ? range : { start: after, end: range.end }, 'mark.key');
      const beyond = after === null ? sql : sql.replace('>=', '>');
      const rows: readonly Row[] = read<readonly Row[]>([], (connection) =>
        connection.all(
          `SELECT mark.key AS key, CAST(mark.version AS TEXT) AS version
           FROM ${names.marks} AS mark JOIN ${names.records} AS record ON record.key = mark.key
           WHERE mark.migration = ? AND ${beyond} AND mark.created AND record.version = mark.version AND ${isAlive}
           ORDER BY mark.key LIMIT ?`,
          migration,
          ...keys,
          nowMs(),
          pageKeysMax,
        ),
      );
      const page = rows.map((row) => ({
        key: keyFromBytes(row['key'] as Uint8Array),
        version: row['version'] as Version,
      }));
      after = page.at(-1)?.key ?? null;
      if (after === null) return;
      await turnOfTheLoop(); // as in source.ts
      yield page;
    }
  }

  async removeCreated(records: readonly CreatedRecord[], epoch: Fence): Promise<readonly RemoveOutcome[]> {
    const { names, migration, write } = this.context;
    return write((connection) => {
      this.assertEpoch(connection, epoch);
      return records.map(({ key, version }) => {
        const present = this.present(connection, key);
        if (present === null) return 'absent';
        if (present.version !== version) return 'changed';
        connection.run(`DELETE FROM ${names.records} WHERE key = ?`, keyToBytes(key));
        connection.run(`DELETE FROM ${names.marks} WHERE migration = ? AND key = ?`, migration, keyToBytes(key));
        return 'removed';
      });
    });
  }

  async readBefore(keys: readonly Key[]): Promise<readonly (BeforeImage | null)[]> {
    const absent = keys.map(() => null);
    return this.context.read<readonly (BeforeImage | null)[]>(absent, (connection) =>
      keys.map((key) => this.image(connection, key)),
    );
  }

  async restore(restorations: readonly Restoration[], epoch: Fence): Promise<readonly RestoreOutcome[]> {
    return this.context.write((connection) => {
      this.assertEpoch(connection, epoch);
      return restorations.map((restoration) => this.restoreOne(connection, restoration, epoch.attempt));
    });
  }

  async dropControl(epoch: Fence): Promise<void> {
    const { names, migration, write } = this.context;
    write((connection) => {
      this.assertEpoch(connection, epoch);
      for (const table of [names.fences, names.marks, names.deletions, names.tombstones]) {
        connection.run(`DELETE FROM ${table} WHERE migration = ?`, migration);
      }
      if (hasTailTable(connection, names)) connection.run(`DELETE FROM ${names.tails} WHERE migration = ?`, migration);
    });
  }

  async readDone(): Promise<string | null> {
    const { names, migration, read } = this.context;
    return read<string | null>(null, (connection) => {
      if (!hasDoneTable(connection, names)) return null;
      const row = connection.get(`SELECT marker FROM ${names.done} WHERE migration = ?`, migration);
      return row === undefined ? null : String(row['marker']);
    });
  }

  async writeDone(marker: string | null, epoch: Fence): Promise<void> {
    const { names, migration, write } = this.context;
    write((connection) => {
      this.assertEpoch(connection, epoch);
      ensureDoneTable(connection, names);
      if (marker === null) connection.run(`DELETE FROM ${names.done} WHERE migration = ?`, migration);
      else connection.run(`REPLACE INTO ${names.done} VALUES (?, ?)`, migration, marker);
    });
  }

  private writer(chunk: ChunkId, fence: Fence, epoch: Fence): ChunkWriter {
    const { batchKeysMax = sqliteCapabilities.batchKeysMax, takePacked, write: writeNow } = this.context;
    const { writeSoon = async <T>(_: number, body: (connection: Connection) => T): Promise<T> => writeNow(body) } =
      this.context;
    const batch = async <T>(keys: number, bytes: number, body: (connection: Connection) => T): Promise<T> => {
      invariant(keys <= batchKeysMax, `a batch of ${keys} changes`);
      return await writeSoon(bytes, (connection) => {
        const isMine = sameFence(this.fence(connection, chunk), fence) && sameFence(this.epoch(connection), epoch);
        if (!isMine) throw new KeyferryError('fence.lost', { chunk });
        return body(connection);
      });
    };
    const write: ChunkWriter['write'] = (changes) =>
      batch(
        changes.length,
        changes.reduce((sum, change) => sum + recordBytes(change), 0),
        (connection) => {
          const taken = this.context.takeBatch?.(connection, changes, fence.attempt) ?? null;
          if (taken !== null) return taken;
          return changes.map((change) =>
            change.kind === 'put'
              ? this.put(connection, change, fence.attempt)
              : this.delete(connection, change, fence.attempt),
          );
        },
      );
    if (takePacked === undefined) return { write };
    return {
      write,
      writePacked: (puts) =>
        batch(puts.end - puts.start, puts.bytes, (connection) =>
          takePacked(connection, puts, fence.attempt) ? 'written' : 'declined',
        ),
    };
  }

  private put(connection: Connection, put: GuardedPut, attempt: number): ChangeOutcome {
    const detail = this.context.refuse?.(connection, put) ?? null;
    if (detail !== null) return { kind: 'refused', detail };
    const size = recordBytes(put);
    const { recordBytesMax } = sqliteCapabilities;
    if (recordBytesMax !== null && size > recordBytesMax) {
      return { kind: 'refused', detail: `${size} bytes, at most ${recordBytesMax}` };
    }
    const present = this.present(connection, put.key);
    const mark = this.mark(connection, put.key);
    const isTombstoned = this.isTombstoned(connection, put.key);
    const { names } = this.context;
    const guardHolds = put.expect === 'absent' ? present === null : present?.version === put.expect.version;
    if (guardHolds && !isTombstoned) {
      const version = writeRecord(connection, names, put);
      this.writeMark(connection, put.key, attempt, version, present === null);
      return { kind: 'written', version };
    }
    if (present === null || guardHolds) return { kind: isTombstoned ? 'tombstoned' : 'missing' };
    const { version } = present;
    const equal = recordsEqual(put, present);
    const isRepeat = mark?.['version'] === version && mark['attempt'] === attempt;
    return isRepeat && equal ? { kind: 'already-written', version } : { kind: 'present', version, equal };
  }

  private delete(connection: Connection, { key, expect }: GuardedDelete, attempt: number): ChangeOutcome {
    const { names, migration } = this.context;
    const present = this.present(connection, key);
    if (present === null) return { kind: this.deletedBy(connection, key) === attempt ? 'deleted' : 'missing' };
    const { version } = present;
    if (version !== expect.version) return { kind: 'present', version, equal: false };
    connection.run(`DELETE FROM ${names.records} WHERE key = ?`, keyToBytes(key));
    connection.run(`REPLACE INTO ${names.deletions} VALUES (?, ?, ?)`, migration, keyToBytes(key), attempt);
    return { kind: 'deleted' };
  }

  private restoreOne(connection: Connection, restoration: Restoration, attempt: number): RestoreOutcome {
    const { names, migration, nowMs } = this.context;
    const { image } = restoration;
    const key = keyToBytes(image.key);
    const wasDeleted = this.deletedBy(connection, image.key) !== null && !this.isTombstoned(connection, image.key);
    const step = restoreStep(restoration, this.image(connection, image.key), wasDeleted, nowMs());
    if (step.kind === 'leave') return step.outcome;
    if (image.origin === 'foreign') {
      connection.run(`DELETE FROM ${names.deletions} WHERE migration = ? AND key = ?`, migration, key);
    }
    if (step.kind === 'remove') connection.run(`DELETE FROM ${names.records} WHERE key = ?`, key);
    else {
      const version = writeRecord(connection, names, image);
      if (step.own) this.writeMark(connection, image.key, attempt, version, false);
    }
    return step.outcome;
  }

  private writeMark(connection: Connection, key: Key, attempt: number, version: Version, created: boolean): void {
    connection.run(
      `REPLACE INTO ${this.context.names.marks} VALUES (?, ?, ?, CAST(? AS INTEGER), ?)`,
      this.context.migration,
      keyToBytes(key),
      attempt,
      version,
      created ? 1 : 0,
    );
  }

  private isTombstoned(connection: Connection, key: Key): boolean {
    const { names, migration } = this.context;
    const sql = `SELECT 1 FROM ${names.tombstones} WHERE migration = ? AND key = ?`;
    return connection.get(sql, migration, keyToBytes(key)) !== undefined;
  }

  private mark(connection: Connection, key: Key): Row | undefined {
    const { names, migration } = this.context;
    return connection.get(
      `SELECT attempt, CAST(version AS TEXT) AS version, created FROM ${names.marks} WHERE migration = ? AND key = ?`,
      migration,
      keyToBytes(key),
    );
  }

  /** The attempt that deleted the key last. Only in a transaction that writes: a file from before has no such table. */
  private deletedBy(connection: Connection, key: Key): number | null {
    const { names, migration } = this.context;
    const row = connection.get(
      `SELECT attempt FROM ${names.deletions} WHERE migration = ? AND key = ?`,
      migration,
      keyToBytes(key),
    );
    return row === undefined ? null : Number(row['attempt']);
  }

  private image(connection: Connection, key: Key): BeforeImage | null {
    const present = this.present(connection, key);
    if (present === null) return null;
    const mark = this.mark(connection, key);
    let origin: RecordOrigin = 'foreign';
    if (mark?.['version'] === present.version) origin = mark['created'] === 1 ? 'created' : 'overwritten';
    return { ...present, origin };
  }

  private present(connection: Connection, key: Key): StoredRecord | null {
    return readRecord(connection, this.context.names, key, this.context.nowMs());
  }

  private epoch(connection: Connection): Fence | null {
    return readEpoch(connection, this.context.names, this.context.migration);
  }

  private fence(connection: Connection, chunk: ChunkId): Fence | null {
    const { names, migration } = this.context;
    return fenceOf(
      connection.get(`SELECT attempt, token FROM ${names.fences} WHERE migration = ? AND chunk = ?`, migration, chunk),
    );
  }

  /** @throws {KeyferryError} `fence.lost` */
  assertEpoch(connection: Connection, epoch: Fence): void {
    if (!sameFence(this.epoch(connection), epoch)) {
      throw new KeyferryError('fence.lost', { chunk: `all of ${this.context.migration}` });
    }
  }
}

/** Over a row that expired, too: it counts as absent, and nobody need have removed it. */
export function writeRecord(
  connection: Connection,
  { records }: TableNames,
  { key, value, expiresAtMs }: Pick<StoredRecord, 'key' | 'value' | 'expiresAtMs'>,
): Version {
  connection.run(
    `INSERT INTO ${records} (key, value, expires_at_ms) VALUES (?, ?, ?)
     ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at_ms = excluded.expires_at_ms`,
    keyToBytes(key),
    value,
    expiresAtMs === null ? null : Math.ceil(expiresAtMs),
  );
  // RETURNING would show the row as it was before the trigger gave it its version.
  const counter = connection.get(`SELECT CAST(value AS TEXT) AS version FROM keyferry_meta WHERE name = 'counter'`);
  return counter?.['version'] as Version;
}

export function readEpoch(connection: Connection, { epochs }: TableNames, migration: MigrationId): Fence | null {
  return fenceOf(connection.get(`SELECT attempt, token FROM ${epochs} WHERE migration = ?`, migration));
}

/** Of a row with `attempt` and `token`. */
export function fenceOf(row: Row | undefined): Fence | null {
  return row === undefined ? null : { attempt: Number(row['attempt']), token: Number(row['token']) };
}

export function sameFence(held: Fence | null, wanted: Fence): boolean {
  return held !== null && compareFences(held, wanted) === 0;
}
