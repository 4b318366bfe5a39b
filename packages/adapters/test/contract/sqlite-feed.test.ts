/**
 * Goal: the log of an SQLite table has what an application did, by whatever statement, and says so when it does not.
 * Method: an application with a connection of its own; the changes that the feed tells, in short.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { keyFromText, prefixRange, type OpenFeed, type Position } from '@keyferry/core';
import { openSqliteStore, sqliteTableSql, type SqliteStore } from '../../src/sqlite/index.ts';

const range = prefixRange(keyFromText(''));
const startMs = 1_700_000_000_000;

describe('the feed of an SQLite table', () => {
  let folder: string;
  let file: string;
  let nowMs: number;
  let store: SqliteStore;
  let application: DatabaseSync;

  const open = () => openSqliteStore({ name: 's', file, nowMs: () => nowMs });
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'keyferry-sqlite-'));
    file = join(folder, 'store.db');
    nowMs = startMs;
    application = new DatabaseSync(file);
    application.exec(`PRAGMA journal_mode = WAL; ${sqliteTableSql()}`);
    store = await open();
  });
  afterEach(async () => {
    await store.close();
    application.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const insert = (name: string, expiresAtMs: number | null = null): string =>
    `INSERT INTO records (key, value, expires_at_ms) VALUES (CAST('${name}' AS BLOB), CAST('${name}' AS BLOB), ${expiresAtMs ?? 'NULL'});`;
  const stepOf = async (feed: OpenFeed) => {
    const step = await feed.read({ changesMax: 1000, waitMs: 0 });
    if (step.kind === 'lost') throw new Error(step.why);
    const told = step.changes.map((change) =>
      change.kind === 'put'
        ? `${change.key}=${Buffer.from(change.value).toString()}`
        : `${change.kind} ${String('key' in change && change.key)}`,
    );
    return { told, position: step.position };
  };
  const toldAfter = async (after: Position) => {
    const feed = await store.feed.open(range, after);
    try {
      return (await stepOf(feed)).told;
    } finally {
      await feed.close();
    }
  };

  it('tells what one statement does to many rows, and a key that becomes another', async () => {
    application.exec(`${insert('a')}${insert('b')}${insert('c')}`);
    const after = await store.feed.head();
    application.exec(`UPDATE records SET value = CAST('2' AS BLOB) WHERE key < CAST('c' AS BLOB)`);
    application.exec(`UPDATE records SET key = CAST('d' AS BLOB) WHERE key = CAST('c' AS BLOB)`);
    application.exec(`DELETE FROM records WHERE key <= CAST('b' AS BLOB)`);
    expect(await toldAfter(after)).toEqual(['a=2', 'b=2', 'delete c', 'd=c', 'delete a', 'delete b']);
  });

  it('tells nothing of what was rolled back', async () => {
    const after = await store.feed.head();
    application.exec(`BEGIN; ${insert('a')} ROLLBACK; ${insert('b')}`);
    expect(await toldAfter(after)).toEqual(['b=b']);
  });

  it('tells each expiry once, and that of a row which had expired when it was put', async () => {
    application.exec(insert('before', startMs + 1000));
    const after = await store.feed.head();
    application.exec(
      `${insert('soon', startMs + 2000)}${insert('past', startMs - 1)}${insert('late', startMs + 9000)}`,
    );
    const feed = await store.feed.open(range, after);
    expect((await stepOf(feed)).told).toEqual([`soon=soon`, 'past=past', 'late=late', 'delete past']);
    nowMs += 5000;
    const { told, position } = await stepOf(feed);
    expect(told).toEqual(['delete before', 'delete soon']);
    expect((await stepOf(feed)).told).toEqual([]);
    expect(await toldAfter(position)).toEqual([]);
    await feed.close();
  });

  it('hears of a change of another process while it waits', async () => {
    const feed = await store.feed.open(range, await store.feed.head());
    const reading = feed.read({ changesMax: 10, waitMs: 60_000 });
    application.exec(insert('a'));
    expect(await reading).toMatchObject({ changes: [{ kind: 'put', key: 'a' }] });
    await feed.close();
  });

  it('is lost past 100,000 changes, behind the beginning of the log, and in another file', async () => {
    const whyLost = async (after: Position) => {
      const feed = await store.feed.open(range, after);
      const step = await feed.read({ changesMax: 1, waitMs: 0 });
      await feed.close();
      return step.kind === 'lost' ? step.why : '';
    };
    application.exec(insert('a'));
    const [generation, counter] = (await store.feed.head()).split(':');
    const at = (position: string) => position as Position;
    expect(await whyLost(at(`${generation}:0:0`))).toContain(`begins at change ${counter}`);
    expect(await whyLost(at(`${generation}:999:0`))).toContain('put back');
    expect(await whyLost(at(`0123456789abcdef:1:0`))).toContain('another one');
    const after = await store.feed.head();
    application.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100001)
      INSERT INTO records (key, value) SELECT CAST(printf('k%06d', i) AS BLOB), x'' FROM n`);
    expect(await whyLost(after)).toContain('begins at change');
    const kept = application.prepare('SELECT count(*) AS count FROM keyferry_records_changes').get();
    expect(kept?.['count']).toBe(100_000);
  });
});
