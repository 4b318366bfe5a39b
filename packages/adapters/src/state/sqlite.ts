/**
 * State in an SQLite file: the default, for one machine. Any number of processes share it.
 *
 * Each change is one IMMEDIATE transaction that reads the version, compares and writes. Versions come from one counter
 * of the file, so that an item that was removed and made anew never has a version that somebody still remembers.
 * `synchronous = FULL`: a checkpoint that was answered survives a power cut; a worker builds on it.
 */
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import {
  invariant,
  KeyferryError,
  type StateEntry,
  type StateItems,
  type StateKind,
  type StateStore,
  type StateVersion,
  type StateWriteOutcome,
} from '@keyferry/core';
import { Connection, type Row } from '../sqlite/connection.ts';
import { resultCodeOf, resultCodes, textOf } from '../sqlite/errors.ts';
import { ensureFormat } from './sqlite-format.ts';

export interface SqliteStateOptions {
  /** Path of the state file. What is missing of it and its folders is made, readable by its owner only. */
  readonly file: string;
  /** How long to wait for another process's lock; 5,000 by default. */
  readonly busyTimeoutMs?: number;
}

/**
 * @throws {KeyferryError} `state.newer`, `state.busy`, or `state.unusable` when the file is not to be had.
 *
 * @example
 *     const state = await openSqliteState({ file: '.keyferry/state.db' });
 */
export async function openSqliteState({ file, busyTimeoutMs = 5000 }: SqliteStateOptions): Promise<StateStore> {
  const toError = (error: unknown) => stateErrorOf(file, error);
  ensureFile(file);
  const connection = new Connection({ file, readOnly: false, busyTimeoutMs, toError });
  try {
    connection.script('PRAGMA synchronous = FULL');
    ensureFormat(connection, file);
    return new SqliteState(connection);
  } catch (error) {
    connection.close();
    throw error;
  }
}

class SqliteState implements StateStore {
  private readonly connection: Connection;
  private closed = false;

  constructor(connection: Connection) {
    this.connection = connection;
  }

  async read<K extends StateKind>(kind: K, scope: string, id: string): Promise<StateEntry<K> | null> {
    return this.entry(this.open(), kind, scope, id);
  }

  async write<K extends StateKind>(
    kind: K,
    scope: string,
    id: string,
    item: StateItems[K],
    expected: StateVersion | 'absent',
  ): Promise<StateWriteOutcome<K>> {
    const body = JSON.stringify(item);
    return this.change(kind, scope, id, expected, (connection, version) =>
      connection.run(`REPLACE INTO items VALUES (?, ?, ?, CAST(? AS INTEGER), ?)`, kind, scope, id, version, body),
    );
  }

  async remove<K extends StateKind>(
    kind: K,
    scope: string,
    id: string,
    expected: StateVersion,
  ): Promise<StateWriteOutcome<K>> {
    return this.change(kind, scope, id, expected, (connection) =>
      connection.run('DELETE FROM items WHERE kind = ? AND scope = ? AND id = ?', kind, scope, id),
    );
  }

  async list<K extends StateKind>(
    kind: K,
    scope: string,
    page: { readonly after: string | null; readonly itemsMax: number },
  ): Promise<{ readonly entries: readonly StateEntry<K>[]; readonly next: string | null }> {
    // SQLite compares TEXT by its UTF-8 bytes. One more than asked for tells whether there is a next page.
    const rows = this.open().all(
      `SELECT id, CAST(version AS TEXT) AS version, body FROM items
       WHERE kind = ? AND scope = ? AND (? OR id > ?) ORDER BY id LIMIT ?`,
      kind,
      scope,
      page.after === null ? 1 : 0,
      page.after ?? '',
      page.itemsMax + 1,
    );
    const entries = rows.slice(0, page.itemsMax).map((row) => entryOf<K>(row));
    return { entries, next: rows.length > page.itemsMax ? (entries.at(-1)?.id ?? null) : null };
  }

  async close(): Promise<void> {
    this.closed = true;
    this.connection.close();
  }

  private change<K extends StateKind>(
    kind: K,
    scope: string,
    id: string,
    expected: StateVersion | 'absent',
    effect: (connection: Connection, version: StateVersion) => void,
  ): StateWriteOutcome<K> {
    const connection = this.open();
    return connection.writeTransaction<StateWriteOutcome<K>>(() => {
      const current = this.entry(connection, kind, scope, id);
      if ((current?.version ?? 'absent') !== expected) return { kind: 'conflict', current };
      const counter = connection.get(
        `UPDATE meta SET value = value + 1 WHERE name = 'version' RETURNING CAST(value AS TEXT) AS version`,
      );
      const version = counter?.['version'] as StateVersion;
      effect(connection, version);
      return { kind: 'written', version };
    });
  }

  private entry<K extends StateKind>(connection: Connection, kind: K, scope: string, id: string): StateEntry<K> | null {
    const row = connection.get(
      'SELECT id, CAST(version AS TEXT) AS version, body FROM items WHERE kind = ? AND scope = ? AND id = ?',
      kind,
      scope,
      id,
    );
    return row === undefined ? null : entryOf<K>(row);
  }

  private open(): Connection {
    invariant(!this.closed, 'the state was used after it was closed');
    return this.connection;
  }
}

function entryOf<K extends StateKind>(row: Row): StateEntry<K> {
  return {
    id: String(row['id']),
    item: JSON.parse(String(row['body'])) as StateItems[K],
    version: row['version'] as StateVersion,
  };
}

/** SQLite gives its log files the mode of the database file, so the file is made first. */
function ensureFile(file: string): void {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    closeSync(openSync(file, 'a', 0o600));
  } catch (error) {
    throw new KeyferryError('state.unusable', { where: file, detail: textOf(error) }, { cause: error });
  }
}

function stateErrorOf(file: string, error: unknown): unknown {
  const code = resultCodeOf(error);
  if (code === null) return error;
  return code === resultCodes.busy || code === resultCodes.locked
    ? new KeyferryError('state.busy', { where: file }, { cause: error })
    : new KeyferryError('state.unusable', { where: file, detail: textOf(error) }, { cause: error });
}
