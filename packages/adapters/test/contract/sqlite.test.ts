/**
 * Goal: an SQLite file keeps every promise of the ports, whoever else writes to its table, and writes nothing before
 * keyferry's first write. Method: the contract suites, an application with a connection of its own; then the format.
 */
import { existsSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, describe, expect, it } from 'vitest';
import { chunkId, keyFromText, keyToBytes, prefixRange, type Key, type MigrationId } from '@keyferry/core';
import {
  bytes,
  feedContract,
  readAll,
  sourceContract,
  tailContract,
  targetContract,
  type Change,
  type SeedRecord,
} from '@keyferry/core/testing';
import { openSqliteStore, sqliteTableSql, type SqliteStore } from '../../src/sqlite/index.ts';

const startMs = 1_700_000_000_000;
let nowMs = startMs;
const folders: string[] = [];

function newFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'keyferry-sqlite-'));
  folders.push(folder);
  return join(folder, 'store.db');
}

/** What an application does: its own connection, plain SQL, no idea of versions. */
function changeAsApplication(file: string, changes: readonly Change[], table = 'records'): void {
  const database = new DatabaseSync(file);
  database.exec(`PRAGMA journal_mode = WAL; ${sqliteTableSql(table)}`);
  const put = database.prepare(
    `INSERT INTO ${table} (key, value, expires_at_ms) VALUES (?, ?, ?)
     ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at_ms = excluded.expires_at_ms`,
  );
  const remove = database.prepare(`DELETE FROM ${table} WHERE key = ?`);
  for (const change of changes) {
    if ('delete' in change) remove.run(keyToBytes(change.delete));
    else {
      const { key, value, ttlMs } = change.put;
      put.run(keyToBytes(key), value, ttlMs === null ? null : nowMs + ttlMs);
    }
  }
  database.close();
}

function harnessFor(table: string) {
  return {
    key: keyFromText,
    nowMs: () => nowMs,
    open: async (records: readonly SeedRecord[]) => {
      nowMs = startMs;
      const file = newFile();
      if (records.length > 0) {
        changeAsApplication(
          file,
          records.map((put) => ({ put })),
          table,
        );
      }
      const open = () => openSqliteStore({ name: 'sqlite', file, table, nowMs: () => nowMs });
      const stores: SqliteStore[] = [await open()];
      return {
        store: stores[0] as SqliteStore,
        change: async (changes: readonly Change[]) => changeAsApplication(file, changes, table),
        openAnother: async () => {
          const store = await open();
          stores.push(store);
          return store;
        },
        passTime: async (ms: number) => {
          nowMs += ms;
        },
        putAtOnce: async (each: readonly SeedRecord[]) => {
          const database = new DatabaseSync(file);
          database.exec('BEGIN');
          const insert = database.prepare(`INSERT INTO ${table} (key, value) VALUES (?, ?)`);
          for (const { key, value } of each) insert.run(keyToBytes(key), value);
          database.exec('COMMIT');
          database.close();
        },
        putTombstone: async (migration: MigrationId, key: Key) => {
          changeAsApplication(file, [{ delete: key }], table);
          const database = new DatabaseSync(file);
          const insert = `INSERT OR IGNORE INTO keyferry_${table}_tombstones VALUES (?, ?)`;
          database.prepare(insert).run(migration, keyToBytes(key));
          database.close();
        },
        close: async () => {
          for (const store of stores) await store.close();
        },
      };
    },
  };
}

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

sourceContract('an SQLite table', harnessFor('records'));
targetContract('an SQLite table', harnessFor('records'));
targetContract('an SQLite table of another name', harnessFor('settings_2'));
feedContract('an SQLite table', harnessFor('records'));
tailContract('an SQLite table', harnessFor('records'));

describe('an SQLite store', () => {
  const everything = prefixRange(keyFromText(''));
  const open = (file: string, more: { readonly table?: string; readonly readOnly?: boolean } = {}) =>
    openSqliteStore({ name: 's', file, nowMs: () => nowMs, busyTimeoutMs: 50, ...more });
  const seed = (name: string) => ({ put: { key: keyFromText(name), value: bytes(name), ttlMs: null } });

  it('writes nothing by being opened and read: no file, no table', async () => {
    const file = newFile();
    const store = await open(file);
    expect(await readAll(store, everything)).toEqual([]);
    expect(await store.countRecords(null, 1)).toBe(0);
    expect(await store.control('m' as MigrationId).readEpoch()).toBeNull();
    const before = await store.head();
    expect(existsSync(file)).toBe(false);
    await store.control('m' as MigrationId).raiseEpoch({ attempt: 1, token: 1 });
    expect(existsSync(file)).toBe(true);
    expect(await store.head()).toBe(before);
    await store.close();
  });

  it('that is read-only must be there, and takes no write', async () => {
    const file = newFile();
    await expect(open(file, { readOnly: true })).rejects.toMatchObject({ code: 'store.unreachable' });
    changeAsApplication(file, [seed('a')], 'others');
    await expect(open(file, { readOnly: true })).rejects.toMatchObject({ code: 'store.unsupported' });
    changeAsApplication(file, [seed('a')]);
    const store = await open(file, { readOnly: true });
    expect(await readAll(store, everything)).toHaveLength(1);
    expect(await store.control('m' as MigrationId).readFence(chunkId(0))).toBeNull();
    const raise = store.control('m' as MigrationId).raiseEpoch({ attempt: 1, token: 1 });
    await expect(raise).rejects.toMatchObject({ code: 'store.permission-denied' });
    await store.close();
  });

  it.each([
    { name: 'a table without its triggers', sql: 'CREATE TABLE records (key BLOB PRIMARY KEY, value BLOB)' },
    { name: 'a newer format', sql: `${sqliteTableSql()}; UPDATE keyferry_meta SET value = 2 WHERE name = 'format'` },
    { name: 'a trigger that was dropped', sql: `${sqliteTableSql()}; DROP TRIGGER keyferry_records_updated` },
  ])('refuses $name', async ({ sql }) => {
    const file = newFile();
    const database = new DatabaseSync(file);
    database.exec(sql);
    database.close();
    await expect(open(file)).rejects.toMatchObject({ code: 'store.unsupported' });
  });

  it.each([
    { name: 'a file that is no database', text: 'x'.repeat(5000), code: 'store.answer-unexpected' },
    { name: 'an empty file, which has no table yet', text: '', code: null },
  ])('$name answers with $code', async ({ text, code }) => {
    const file = newFile();
    writeFileSync(file, text);
    const opened = await open(file).then(
      (store) => store.close().then(() => null),
      (error: unknown) => (error as { readonly code: string }).code,
    );
    expect(opened).toBe(code);
  });

  it.each(['', 'a b', 'x"; DROP TABLE records; --', 'keyferry_x', 'sqlite_x', '1a'])(
    'refuses %j as the name of a table',
    async (table) => {
      await expect(open(newFile(), { table })).rejects.toMatchObject({ code: 'store.unsupported' });
    },
  );

  it('tells two tables of one file apart', async () => {
    const file = newFile();
    changeAsApplication(file, [seed('a')], 'one');
    const one = await open(file, { table: 'one' });
    const two = await open(file, { table: 'two' });
    expect((await one.describe()).identity).not.toBe((await two.describe()).identity);
    const epoch = { attempt: 1, token: 1 };
    const control = two.control('m' as MigrationId);
    await control.raiseEpoch(epoch);
    const claim = await control.claimChunk(chunkId(0), epoch, epoch);
    if (claim.kind !== 'claimed') throw new Error('refused');
    const put = {
      kind: 'put' as const,
      key: keyFromText('a'),
      value: bytes('two'),
      expiresAtMs: null,
      expect: 'absent' as const,
    };
    expect(await claim.writer.write([put])).toMatchObject([{ kind: 'written' }]);
    expect(await one.control('m' as MigrationId).readEpoch()).toBeNull();
    expect((await readAll(one, everything))[0]?.value).toEqual(bytes('a'));
    await one.close();
    await two.close();
  });

  it('is known by its generation, wherever it lies, and by its real path as what its views lock', async () => {
    const describeAt = async (file: string) => {
      const store = await open(file);
      const description = await store.describe();
      await store.close();
      return description;
    };
    const [file, other, link] = [newFile(), newFile(), newFile()];
    expect(await describeAt(file)).toMatchObject({ identity: null, viewLocks: null });
    changeAsApplication(file, [seed('a')]);
    changeAsApplication(other, [seed('a')]);
    const first = await describeAt(file);
    expect(first).toMatchObject({ identity: expect.stringMatching(/^[0-9a-f]{16}#records$/), viewLocks: file });
    symlinkSync(file, link);
    expect(await describeAt(link)).toMatchObject({ identity: first.identity, viewLocks: file });
    renameSync(other, file);
    expect((await describeAt(file)).identity).not.toBe(first.identity);
  });

  it('writes over a row that expired and that nobody removed', async () => {
    nowMs = startMs;
    const file = newFile();
    changeAsApplication(file, [{ put: { ...seed('a').put, ttlMs: 10 } }]);
    nowMs += 10;
    const store = await open(file);
    const epoch = { attempt: 1, token: 1 };
    const control = store.control('m' as MigrationId);
    await control.raiseEpoch(epoch);
    const claim = await control.claimChunk(chunkId(0), epoch, epoch);
    if (claim.kind !== 'claimed') throw new Error('refused');
    const put = {
      kind: 'put' as const,
      key: keyFromText('a'),
      value: bytes('new'),
      expiresAtMs: null,
      expect: 'absent' as const,
    };
    expect(await claim.writer.write([put])).toMatchObject([{ kind: 'written' }]);
    expect(await readAll(store, everything)).toMatchObject([{ value: bytes('new'), expiresAtMs: null }]);
    await store.close();
  });

  it('says that it timed out when another process keeps the lock', async () => {
    const file = newFile();
    changeAsApplication(file, [seed('a')]);
    const store = await open(file);
    await store.control('m' as MigrationId).raiseEpoch({ attempt: 1, token: 1 });
    const other = new DatabaseSync(file);
    other.exec('BEGIN IMMEDIATE');
    const raise = store.control('m' as MigrationId).raiseEpoch({ attempt: 2, token: 1 });
    await expect(raise).rejects.toMatchObject({ code: 'store.timeout', retry: 'backoff' });
    other.close();
    await expect(store.control('m' as MigrationId).raiseEpoch({ attempt: 2, token: 1 })).resolves.toEqual({
      kind: 'raised',
    });
    await store.close();
  });

  it('moves its position with every statement that an application may use', async () => {
    const file = newFile();
    changeAsApplication(file, [seed('a'), seed('b'), seed('c')]);
    const store = await open(file);
    const database = new DatabaseSync(file);
    const heads = [await store.head()];
    for (const sql of [
      `REPLACE INTO records (key, value) VALUES (CAST('a' AS BLOB), CAST('x' AS BLOB))`,
      `UPDATE records SET value = CAST('y' AS BLOB) WHERE key = CAST('b' AS BLOB)`,
      `UPDATE records SET key = CAST('d' AS BLOB) WHERE key = CAST('c' AS BLOB)`,
      `UPDATE records SET expires_at_ms = ${startMs + 9_000_000} WHERE key = CAST('d' AS BLOB)`,
      `PRAGMA recursive_triggers = ON; REPLACE INTO records (key, value) VALUES (CAST('a' AS BLOB), CAST('x' AS BLOB))`,
      `DELETE FROM records`,
    ]) {
      const before = await readAll(store, everything);
      database.exec(sql);
      heads.push(await store.head());
      const versions = new Set(before.map(({ key, version }) => `${key} ${version}`));
      const after = await readAll(store, everything);
      expect(after.filter(({ key, version }) => !versions.has(`${key} ${version}`)).length).toBe(
        after.length > 0 ? 1 : 0,
      );
    }
    expect(new Set(heads).size).toBe(heads.length);
    database.close();
    await store.close();
  });

  it('refuses keys and values that are text: they would not sort among bytes', () => {
    const database = new DatabaseSync(newFile());
    database.exec(sqliteTableSql());
    expect(() => database.exec(`INSERT INTO records (key, value) VALUES ('a', CAST('v' AS BLOB))`)).toThrow(/CHECK/);
    expect(() => database.exec(`INSERT INTO records (key, value) VALUES (CAST('a' AS BLOB), 'v')`)).toThrow(/CHECK/);
    database.close();
  });
});

describe('a file from before keyferry deleted anything', () => {
  it('keeps its epoch, and gets the table that deletions need with the first write', async () => {
    const file = newFile();
    const open = () => openSqliteStore({ name: 'sqlite', file, nowMs: () => nowMs });
    changeAsApplication(file, [{ put: { key: keyFromText('a'), value: bytes('v'), ttlMs: null } }]);
    const migration = 'm' as MigrationId;
    const before = await open();
    await before.control(migration).raiseEpoch({ attempt: 3, token: 1 });
    await before.close();
    const older = new DatabaseSync(file);
    older.exec('DROP TABLE keyferry_records_deletions');
    older.close();
    const store = await open();
    const control = store.control(migration);
    expect(await control.readEpoch()).toEqual({ attempt: 3, token: 1 });
    const epoch = { attempt: 3, token: 2 };
    expect(await control.raiseEpoch(epoch)).toEqual({ kind: 'raised' });
    const claimed = await control.claimChunk(chunkId(0), epoch, epoch);
    const [image] = await control.readBefore([keyFromText('a')]);
    if (claimed.kind !== 'claimed' || image === null || image === undefined) throw new TypeError('nothing to delete');
    const { key, version } = image;
    expect(await claimed.writer.write([{ kind: 'delete', key, expect: { version } }])).toEqual([{ kind: 'deleted' }]);
    expect(await control.restore([{ undo: 'delete', image }], epoch)).toEqual(['restored']);
    await store.close();
  });
});
