/**
 * A switch in PostgreSQL: a table in keyferry's schema, one row a text, each change one statement on its version.
 *
 *     keyferry.switches    name                      version    body
 *                          <key>/record              7          the mode
 *                          <key>/instances/<id>      9          a registration
 *                          <key>/plain               3          the plain form
 *
 * Versions come from one sequence, so that an entry that was removed and made anew never has an old one. Every read asks the
 * server whether it is a standby, which may show an older mode and is refused. Followers read at their own pace.
 *
 * The record is changed under a lock of the server that stands for it. An online target in the same database shares that lock
 * for as long as a write lasts that compared the record (online-target.ts). It is no lock of the row: whoever shares one of
 * those passes by a change that waits, so that under load the change would never come.
 */
import { createHash } from 'node:crypto';
import { KeyferryError, type PlainSwitch, type PrimarySwitch, type Switch, type SwitchVersion } from '@keyferry/core';
import {
  CellPrimarySwitch,
  CellSwitch,
  instancesFolder,
  plainSwitchOf,
  recordName,
  type Cell,
  type Cells,
  type CellWrite,
  type PlainCells,
} from '../switch/cells.ts';
import { defaultSchema } from './capabilities.ts';
import { makeOwnTables, withSchema } from './own-schema.ts';
import { Sessions, type PostgresConnectionOptions, type Session } from './session.ts';
import { quoteName } from './sql.ts';

export interface PostgresSwitchOptions extends Omit<PostgresConnectionOptions, 'readTimeoutMs'> {
  /** Where its table is; `keyferry` by default. */
  readonly schema?: string | undefined;
  /** Several switches in one schema differ by this; default `switch`. */
  readonly key?: string | undefined;
  /** For one statement. Default 5,000. */
  readonly statementTimeoutMs?: number | undefined;
}

const defaultKey = 'switch';
const plainName = 'plain';
const defaultOnlineTimeoutMs = 5000;

/** Connects with the first call. The first write makes the table where it is missing, if the user may. */
export function openPostgresSwitch(options: PostgresSwitchOptions): Switch {
  return new CellSwitch(new PostgresCells(options));
}

/** For strategy `replicate`; as `openPostgresSwitch`. */
export function openPostgresPrimarySwitch(options: PostgresSwitchOptions): PrimarySwitch {
  return new CellPrimarySwitch(new PostgresCells(options));
}

/** @param options `key` is the name under which the plain form lies, beside any other */
export function openPostgresPlainSwitch(options: PostgresSwitchOptions & { readonly key: string }): PlainSwitch {
  return plainSwitchOf(new PostgresCells(options), plainName);
}

/** The SQL of the table of switches, for whoever makes it beforehand. Harmless to repeat. */
export function switchSql(schema: string): string {
  return withSchema(schema, switchTableSql(schema));
}

function switchTableSql(schema: string): string {
  const { table, sequence } = namesIn(schema);
  return `CREATE SEQUENCE IF NOT EXISTS ${sequence};
CREATE TABLE IF NOT EXISTS ${table} (name text COLLATE "C" PRIMARY KEY, version bigint NOT NULL, body text NOT NULL);`;
}

/** Where the record of a switch lies. */
export interface RecordPlace {
  readonly table: string;
  /** Of its row. */
  readonly name: string;
  /** Of the database's advisory locks: who changes the record holds it alone, who compares it shares it. */
  readonly lock: bigint;
}

export function recordPlace(schema: string, key: string): RecordPlace {
  const { table } = namesIn(schema);
  const name = `${key}/${recordName}`;
  const lock = createHash('sha256').update(`switch\n${table}\n${name}`).digest().readBigInt64BE(0);
  return { table, name, lock };
}

/** Whether the table of switches is there, and whether who says so is a standby. */
export async function findSwitches(
  session: Session,
  schema: string,
): Promise<{ readonly there: boolean; readonly standby: boolean } | undefined> {
  const { rows } = await session.query<{ readonly there: boolean; readonly standby: boolean }>(
    `SELECT pg_is_in_recovery() AS standby, EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname = $1 AND c.relname = 'switches') AS there`,
    [schema],
  );
  return rows[0];
}

function namesIn(schema: string) {
  const own = (name: string): string => `${quoteName(schema)}.${quoteName(name)}`;
  return { table: own('switches'), sequence: own('switch_versions') };
}

interface CellRow {
  readonly version: string | null;
  readonly body: string | null;
  readonly standby: boolean;
}

class PostgresCells implements Cells, PlainCells {
  readonly where: string;
  private readonly store: string;
  private readonly sessions: Sessions;
  private readonly schema: string;
  private readonly base: string;
  private readonly table: string;
  private readonly next: string;
  private readonly recordLock: bigint;
  private hasTable = false;

  constructor({
    schema = defaultSchema,
    key = defaultKey,
    statementTimeoutMs = defaultOnlineTimeoutMs,
    ...connecting
  }: PostgresSwitchOptions) {
    this.store = connecting.name;
    this.where = `${key} in ${connecting.name}`;
    this.sessions = new Sessions({ statementTimeoutMs, ...connecting });
    this.schema = schema;
    this.base = `${key}/`;
    const { table, sequence } = namesIn(schema);
    this.table = table;
    this.next = `nextval('${sequence.replaceAll("'", "''")}')`;
    this.recordLock = recordPlace(schema, key).lock;
  }

  read(name: string): Promise<Cell | null> {
    return this.run('reading the switch', false, null, async (session) => {
      const { rows } = await session.query<CellRow>(
        `SELECT pg_is_in_recovery() AS standby, version::text AS version, body
         FROM (VALUES ($1)) AS i(name) LEFT JOIN ${this.table} USING (name)`,
        [this.base + name],
      );
      this.assertPrimary(rows);
      return cellOf(rows[0]);
    });
  }

  write(name: string, text: string, expected: SwitchVersion | 'absent'): Promise<CellWrite> {
    const own = this.base + name;
    if (expected === 'absent') {
      const sql = `INSERT INTO ${this.table} VALUES ($1, ${this.next}, $2) ON CONFLICT DO NOTHING`;
      return this.change(name, sql, [own, text]);
    }
    const sql = `UPDATE ${this.table} SET version = ${this.next}, body = $2 WHERE name = $1 AND version::text = $3`;
    return this.change(name, sql, [own, text, expected]);
  }

  remove(name: string, expected: SwitchVersion): Promise<CellWrite> {
    const sql = `DELETE FROM ${this.table} WHERE name = $1 AND version::text = $2`;
    return this.change(name, sql, [this.base + name, expected]);
  }

  async put(name: string, text: string): Promise<void> {
    const sql = `INSERT INTO ${this.table} VALUES ($1, ${this.next}, $2)
      ON CONFLICT (name) DO UPDATE SET version = excluded.version, body = excluded.body`;
    await this.run('writing the switch', true, null, (session) => session.query(sql, [this.base + name, text]));
  }

  listInstances(): Promise<readonly Cell[]> {
    const prefix = this.base + instancesFolder;
    return this.run('reading registrations', false, [], async (session) => {
      const { rows } = await session.query<CellRow>(
        `SELECT pg_is_in_recovery() AS standby, version::text AS version, body
         FROM (SELECT 1) AS one LEFT JOIN ${this.table} ON starts_with(name, $1)`,
        [prefix],
      );
      this.assertPrimary(rows);
      return rows.flatMap((row) => cellOf(row) ?? []);
    });
  }

  close(): Promise<void> {
    return this.sessions.close();
  }

  private async change(name: string, sql: string, parameters: readonly string[]): Promise<CellWrite> {
    const version = await this.run('writing the switch', true, null, async (session) => {
      if (name === recordName) await session.query(`BEGIN; SELECT pg_advisory_xact_lock(${this.recordLock})`);
      // Looks behind the lock: each statement has a snapshot of its own.
      const { rows } = await session.query<{ readonly version: string }>(`${sql} RETURNING version::text AS version`, [
        ...parameters,
      ]);
      if (name === recordName) await session.query('COMMIT');
      return rows[0]?.version ?? null;
    });
    if (version !== null) return { kind: 'written', version: version as SwitchVersion };
    return { kind: 'lost', current: await this.read(name) };
  }

  /** @param absent what is answered while there is no table, unless it is to be made */
  private run<T>(doing: string, make: boolean, absent: T, body: (session: Session) => Promise<T>): Promise<T> {
    return this.sessions.run(doing, async (session) => {
      this.hasTable ||= await this.findTable(session);
      if (!this.hasTable && !make) return absent;
      if (!this.hasTable) await makeOwnTables(session, this.schema, switchTableSql(this.schema));
      this.hasTable = true;
      return await body(session);
    });
  }

  private async findTable(session: Session): Promise<boolean> {
    const found = await findSwitches(session, this.schema);
    this.assertPrimary(found === undefined ? [] : [found]);
    return found?.there === true;
  }

  private assertPrimary(rows: readonly { readonly standby: boolean }[]): void {
    if (rows[0]?.standby !== true) return;
    const detail = 'it is a standby, which may show a mode that is over; name the primary';
    throw new KeyferryError('store.unsupported', { store: this.store, detail });
  }
}

function cellOf(row: CellRow | undefined): Cell | null {
  if (typeof row?.version !== 'string' || row.body === null) return null;
  return { value: row.body, version: row.version as SwitchVersion };
}
