/**
 * A switch in an SQLite file, for applications of one machine: a table of its own, one row a text.
 *
 * Versions come from one counter of the file, so that an entry that was removed and made anew never has an old version.
 */
import { type PlainSwitch, type PrimarySwitch, type Switch, type SwitchVersion } from '@keyferry/core';
import {
  CellPrimarySwitch,
  CellSwitch,
  instancesFolder,
  plainSwitchOf,
  type Cell,
  type Cells,
  type CellWrite,
  type PlainCells,
} from '../switch/cells.ts';
import { Connection, type Row } from './connection.ts';
import { storeErrorOf } from './errors.ts';

export interface SqliteSwitchOptions {
  /** The store's name in the configuration: errors carry it. */
  readonly name: string;
  readonly file: string;
  /** Several switches in one file differ by this; default `switch`. */
  readonly key?: string | undefined;
  /** How long to wait for another process's lock; default 5,000. */
  readonly busyTimeoutMs?: number | undefined;
}

const schema = `
  CREATE TABLE IF NOT EXISTS keyferry_switch (name TEXT PRIMARY KEY, version INTEGER NOT NULL, body TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS keyferry_switch_versions (last INTEGER NOT NULL) STRICT;
  INSERT INTO keyferry_switch_versions SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM keyferry_switch_versions);
`;

/** Creates the file and its tables where they are missing. */
export async function openSqliteSwitch(options: SqliteSwitchOptions): Promise<Switch> {
  return new CellSwitch(new SqliteCells(options));
}

/** For strategy `replicate`. Creates the file and its tables where they are missing. */
export async function openSqlitePrimarySwitch(options: SqliteSwitchOptions): Promise<PrimarySwitch> {
  return new CellPrimarySwitch(new SqliteCells(options));
}

/** @param options `key` is the name under which the plain form lies, beside any other */
export async function openSqlitePlainSwitch(
  options: SqliteSwitchOptions & { readonly key: string },
): Promise<PlainSwitch> {
  return plainSwitchOf(new SqliteCells(options), plainName);
}

const plainName = 'plain';

class SqliteCells implements Cells, PlainCells {
  readonly where: string;
  private readonly connection: Connection;
  private readonly base: string;

  constructor({ name, file, key = 'switch', busyTimeoutMs = 5000 }: SqliteSwitchOptions) {
    this.where = `${key} in ${name}`;
    this.base = `${key}/`;
    const toError = (error: unknown) => storeErrorOf(name, error);
    this.connection = new Connection({ file, readOnly: false, busyTimeoutMs, toError });
    try {
      this.connection.ensureWriteAheadLog();
      this.connection.writeTransaction(() => this.connection.script(schema));
    } catch (error) {
      this.connection.close();
      throw error;
    }
  }

  async read(name: string): Promise<Cell | null> {
    return cellOf(this.row(name));
  }

  async write(name: string, text: string, expected: SwitchVersion | 'absent'): Promise<CellWrite> {
    return this.change(name, expected, () => this.store(name, text));
  }

  async remove(name: string, expected: SwitchVersion): Promise<CellWrite> {
    return this.change(name, expected, () => {
      this.connection.run('DELETE FROM keyferry_switch WHERE name = ?', this.base + name);
      return this.nextVersion();
    });
  }

  async put(name: string, text: string): Promise<void> {
    this.connection.writeTransaction(() => this.store(name, text));
  }

  async listInstances(): Promise<readonly Cell[]> {
    const prefix = this.base + instancesFolder;
    const sql = `SELECT CAST(version AS TEXT) AS version, body FROM keyferry_switch WHERE substr(name, 1, ?) = ?`;
    return this.connection.all(sql, prefix.length, prefix).flatMap((row) => cellOf(row) ?? []);
  }

  async close(): Promise<void> {
    this.connection.close();
  }

  private change(name: string, expected: SwitchVersion | 'absent', effect: () => SwitchVersion): CellWrite {
    return this.connection.writeTransaction((): CellWrite => {
      const current = cellOf(this.row(name));
      if ((current?.version ?? 'absent') !== expected) return { kind: 'lost', current };
      return { kind: 'written', version: effect() };
    });
  }

  private store(name: string, text: string): SwitchVersion {
    const version = this.nextVersion();
    const sql = 'REPLACE INTO keyferry_switch VALUES (?, CAST(? AS INTEGER), ?)';
    this.connection.run(sql, this.base + name, version, text);
    return version;
  }

  private nextVersion(): SwitchVersion {
    const sql = 'UPDATE keyferry_switch_versions SET last = last + 1 RETURNING CAST(last AS TEXT) AS last';
    return String(this.connection.get(sql)?.['last']) as SwitchVersion;
  }

  private row(name: string): Row | undefined {
    const sql = 'SELECT CAST(version AS TEXT) AS version, body FROM keyferry_switch WHERE name = ?';
    return this.connection.get(sql, this.base + name);
  }
}

function cellOf(row: Row | undefined): Cell | null {
  if (row === undefined) return null;
  return { value: String(row['body']), version: String(row['version']) as SwitchVersion };
}
