/**
 * What the tests of PostgreSQL share: a database on a real server, its tables emptied between tests, and an application
 * that writes to them with SQL of its own. One server serves all tests of a file.
 */
import { randomUUID } from 'node:crypto';
import type { PostgresServer } from '@keyferry/servers';
import { keyFromText, keyToBytes, type Key, type MigrationId } from '@keyferry/core';
import type { Change, FeedHarness, SeedRecord, TargetFixture, TargetHarness } from '@keyferry/core/testing';
import { Client, type ClientConfig } from 'pg';
import {
  compileKeyTemplate,
  openPostgresStore,
  type KeyTemplate,
  type PostgresStore,
  type PostgresStoreOptions,
  type TableMapping,
} from '../../src/postgres/index.ts';

export interface PostgresFixture extends Omit<TargetFixture, 'store'> {
  readonly store: PostgresStore;
  readonly openAnother: () => Promise<PostgresStore>;
  /** In one transaction. */
  readonly atOnce: (changes: readonly Change[]) => Promise<void>;
}

/** Two shapes of one table: keys and values of any bytes, or of text. */
export type KeyValueType = 'bytea' | 'text';

const prefix = 'contract/';

export function templateOf(text: string): KeyTemplate {
  const compiled = compileKeyTemplate(text);
  if (!compiled.ok) throw new RangeError(compiled.why);
  return compiled.template;
}

export function mappingOf(table: string, key: string, more: Partial<TableMapping> = {}): TableMapping {
  return { from: { table }, key: templateOf(key), value: 'row', leaveOut: [], audit: false, ...more };
}

export function openStore(server: PostgresServer, options: Partial<PostgresStoreOptions>): PostgresStore {
  const { host, port, database, user, password } = server;
  const auth = { user, password };
  return openPostgresStore({
    name: 'test',
    host,
    port,
    database,
    auth,
    side: 'target',
    tables: [],
    nowMs: () => Date.now(),
    ...options,
  });
}

export async function connectTo(server: PostgresServer, more: ClientConfig = {}): Promise<Client> {
  const { host, port, database, user, password } = server;
  const client = new Client({ host, port, database, user, password, ...more });
  client.on('error', () => undefined); // tests that end the server end this too
  await client.connect();
  return client;
}

export function harnessOf(server: () => PostgresServer, type: KeyValueType) {
  return {
    key: (name: string) => keyFromText(`${prefix}${name}`),
    nowMs: () => Date.now(),
    traits: { binaryKeys: type === 'bytea', binaryValues: type === 'bytea', lawRuns: 10 },
    open: (records: readonly SeedRecord[]) => openFixture(server(), type, records),
  } satisfies TargetHarness;
}

/** Each store has a feed of its own, which goes with it. */
export function feedHarness(
  server: () => PostgresServer,
  type: KeyValueType,
  changes: PostgresStoreOptions['changes'] = 'log',
): FeedHarness {
  return {
    ...harnessOf(server, type),
    open: async (records) => {
      const fixture = await openFixture(server(), type, records, { feedName: randomUUID(), changes });
      const { store, close, change } = fixture;
      return {
        ...fixture,
        putAtOnce: (puts) => fixture.atOnce(puts.map((put) => ({ put }))),
        // Slot or triggers go, as when the server drops the log that it kept; what comes next makes others.
        loseHistory: async () => {
          await store.feed?.end?.();
          await store.feed?.head();
          await change([]);
        },
        close: async () => {
          await store.feed?.end?.();
          await close();
        },
      };
    },
  };
}

async function openFixture(
  server: PostgresServer,
  type: KeyValueType,
  records: readonly SeedRecord[],
  options: Partial<PostgresStoreOptions> = {},
): Promise<PostgresFixture> {
  const application = await connectTo(server);
  const table = `kv_${type}`;
  const collation = type === 'text' ? 'COLLATE "C"' : '';
  await application.query(`SET client_min_messages = warning; DROP SCHEMA IF EXISTS keyferry CASCADE;
    CREATE TABLE IF NOT EXISTS ${table} (name ${type} ${collation} PRIMARY KEY, body ${type} NOT NULL);
    DELETE FROM ${table}`);
  const bytesOf = (key: Key) => Buffer.from(keyToBytes(key).subarray(prefix.length));
  const parameter = (bytes: Uint8Array) =>
    type === 'bytea' ? Buffer.from(bytes) : Buffer.from(bytes).toString('utf8');
  const change = async (changes: readonly Change[]): Promise<void> => {
    for (const each of changes) {
      if ('put' in each) {
        const { key, value } = each.put;
        await application.query(
          `INSERT INTO ${table} VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET body = excluded.body`,
          [parameter(bytesOf(key)), parameter(value)],
        );
      } else await application.query(`DELETE FROM ${table} WHERE name = $1`, [parameter(bytesOf(each.delete))]);
    }
  };
  await change(records.map((put) => ({ put })));
  const mapping = mappingOf(table, `${prefix}{name...}`, { value: { column: 'body' } });
  // Either way of sorting, each under all that a store has to keep.
  const order = type === 'bytea' ? 'server' : 'local';
  const open = () => openStore(server, { tables: [mapping], order, ...options });
  const stores = [open()];
  return {
    store: stores[0] as PostgresStore,
    change,
    atOnce: async (changes) => {
      await application.query('BEGIN');
      await change(changes);
      await application.query('COMMIT');
    },
    putTombstone: async (migration: MigrationId, key: Key) => {
      await application.query('BEGIN');
      await application.query(`DELETE FROM ${table} WHERE name = $1`, [parameter(bytesOf(key))]);
      const insert = 'INSERT INTO keyferry.tombstones VALUES ($1, $2) ON CONFLICT DO NOTHING';
      await application.query(insert, [migration, Buffer.from(keyToBytes(key))]);
      await application.query('COMMIT');
    },
    openAnother: async () => {
      const another = open();
      stores.push(another);
      return another;
    },
    close: async () => {
      await Promise.all([application.end(), ...stores.map((store) => store.close())]);
    },
  };
}
