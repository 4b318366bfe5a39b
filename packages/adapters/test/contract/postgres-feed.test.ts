/**
 * Goal: what the log of PostgreSQL tells is what a scan would find, of every type, and a feed never passes over what it was
 * not told. Method: a real server, that is killed and started again under an open feed, and that drops its log.
 */
import { readFile } from 'node:fs/promises';
import { keyFromText, type ChangeFeed, type KeyRange, type Position } from '@keyferry/core';
import { readAll } from '@keyferry/core/testing';
import { serverOrSkip, startPostgres, type PostgresServer } from '@keyferry/servers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { PostgresStore, TableMapping } from '../../src/postgres/index.ts';
import { mappingOf, openStore } from './postgres-fixture.ts';
import { briefly, changesSince, firstStep, readTo } from './read-feed.ts';

const available = await serverOrSkip('postgres-15');

describe.skipIf(!available.ok)(`the feed of PostgreSQL 15${available.note}`, () => {
  let server: PostgresServer;
  const stores: PostgresStore[] = [];
  beforeAll(async () => {
    server = await startPostgres({ walLevel: 'logical', settings: { max_slot_wal_keep_size: '96MB' } });
  });
  afterAll(() => server.stop());
  beforeEach(() => server.psql('DROP SCHEMA IF EXISTS t CASCADE; CREATE SCHEMA t'));
  afterEach(async () => {
    for (const store of stores.splice(0)) {
      await store.feed?.end?.();
      await store.close();
    }
  });

  const everything: KeyRange = { start: keyFromText(''), end: null };
  const open = (mappings: readonly TableMapping[]): { readonly store: PostgresStore; readonly feed: ChangeFeed } => {
    const store = openStore(server, { tables: mappings, side: 'source' });
    stores.push(store);
    if (store.feed === undefined) throw new Error('a store of tables has a feed');
    return { store, feed: store.feed };
  };
  it('has the bytes and the version that a scan finds, of every type', async () => {
    await server.psql(`CREATE TYPE t.mood AS ENUM ('a b', 'c/d');
      CREATE TABLE t.types (a text, b bigint, PRIMARY KEY (a, b), num numeric(30,10), bare numeric, re real,
        dbl double precision, ok boolean, raw bytea, id uuid, d date, ts timestamptz, tsn timestamp, iv interval,
        jb jsonb, js json, arr text[], jarr jsonb[], five char(5), v varchar(9), m t.mood, net inet,
        made integer GENERATED ALWAYS AS (1) STORED)`);
    const { store, feed } = open([mappingOf('t.types', 'x/{a}/{b}')]);
    const position = await feed.head();
    await server.psql(`SET TimeZone = 'Asia/Kolkata'; SET DateStyle = 'German';
      INSERT INTO t.types (a, b, num, bare, re, dbl, ok, raw, id, d, ts, tsn, iv, jb, js, arr, jarr, five, v, m, net) VALUES
      ('ä/%', -1, 12.5, 'NaN', 0.1, 1e300, true, '\\\\x00ff', gen_random_uuid(), '2020-02-29', '2020-01-01 00:00:00.123456+02',
       '1999-12-31 23:59:59', '1 year 2 days 3:04', '{"b": 1.50, "a": null}', '{ "x" : 1 }', ARRAY['a', NULL, 'c"d'],
       ARRAY['{"a":1}'::jsonb], 'ab', 'x''y', 'c/d', '10.0.0.1/8'),
      ('nulls', 2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)`);
    await server.psql(`UPDATE t.types SET re = 'Infinity', js = 'null', arr = '[2:3]={x,y}' WHERE a = 'nulls'`);
    const changes = await changesSince(feed, everything, position);
    const latest = new Map(changes.flatMap((each) => (each.kind === 'put' ? [[each.key, each]] : [])));
    const scanned = await readAll(store, everything);
    expect(scanned).toHaveLength(2);
    for (const { key, value, version } of scanned) {
      const told = latest.get(key);
      expect(Buffer.from(told?.value ?? []).toString('utf8')).toBe(Buffer.from(value).toString('utf8'));
      expect(told?.version).toBe(version);
    }
  });

  it('tells a key that changed as one that went and one that came, over several tables in one order', async () => {
    await server.psql(`CREATE TABLE t.jobs (service text, name text, state text, PRIMARY KEY (service, name));
      CREATE TABLE t.blobs (path bytea PRIMARY KEY, content bytea NOT NULL)`);
    const { feed } = open([
      mappingOf('t.jobs', 'jm/{service}/{name}'),
      mappingOf('t.blobs', 'blobs/{path...}', { value: { column: 'content' } }),
    ]);
    const position = await feed.head();
    await server.psql(`INSERT INTO t.jobs VALUES ('s', 'a', 'new'); INSERT INTO t.blobs VALUES ('p/q', 'bytes');
      UPDATE t.jobs SET name = 'b' WHERE name = 'a'; UPDATE t.jobs SET state = 'old'; DELETE FROM t.blobs`);
    await server.psql(`BEGIN; DELETE FROM t.jobs; INSERT INTO t.jobs VALUES ('s', 'c', NULL); ROLLBACK`);
    expect(briefly(await changesSince(feed, everything, position))).toEqual([
      'jm/s/a = {"state":"new"}',
      'blobs/p/q = bytes',
      'jm/s/a gone',
      'jm/s/b = {"state":"new"}',
      'jm/s/b = {"state":"old"}',
      'blobs/p/q gone',
    ]);
  });

  it('reads a large value again that an update left as it was', async () => {
    await server.psql(`CREATE TABLE t.large (id text PRIMARY KEY, body text, n integer);
      ALTER TABLE t.large ALTER body SET STORAGE EXTERNAL;
      INSERT INTO t.large VALUES ('stays', repeat('x', 100000), 1), ('goes', repeat('y', 100000), 1)`);
    const { feed } = open([mappingOf('t.large', '{id}')]);
    const position = await feed.head();
    await server.psql(`UPDATE t.large SET n = 2; DELETE FROM t.large WHERE id = 'goes'`);
    const changes = await changesSince(feed, everything, position);
    expect(briefly(changes)).toEqual([`stays = {"body":"${'x'.repeat(100_000)}","n":2}`, 'goes gone']);
  });

  it('wants all of the key in what a delete tells, and says how', async () => {
    await server.psql('CREATE TABLE t.u (id integer PRIMARY KEY, name text NOT NULL UNIQUE, body text)');
    const mapping = mappingOf('t.u', 'u/{name}');
    expect((await open([mapping]).feed.foresee?.())?.lacks).toContain('REPLICA IDENTITY FULL');
    await expect(open([mapping]).feed.head()).rejects.toMatchObject({
      code: 'store.unsupported',
      details: { detail: expect.stringContaining('ALTER TABLE "t"."u" REPLICA IDENTITY FULL') as string },
    });
    await server.psql('ALTER TABLE t.u REPLICA IDENTITY FULL');
    const { feed } = open([mapping]);
    expect(await feed.foresee?.()).toEqual({ lacks: null, makes: expect.stringContaining('slot') as string });
    const position = await feed.head();
    await server.psql(`INSERT INTO t.u VALUES (1, 'a', 'x'); UPDATE t.u SET id = 2; DELETE FROM t.u`);
    expect(briefly(await changesSince(feed, everything, position))).toEqual([
      'u/a = {"body":"x","id":1}',
      'u/a = {"body":"x","id":2}',
      'u/a gone',
    ]);
  });

  it('has lost its position when a table is truncated, or a column comes', async () => {
    await server.psql(`CREATE TABLE t.x (id text PRIMARY KEY, a text)`);
    const { feed } = open([mappingOf('t.x', '{id}')]);
    const position = await feed.head();
    await server.psql(`INSERT INTO t.x VALUES ('a', 'a')`);
    const before = await feed.head();
    await server.psql('TRUNCATE t.x');
    expect(await firstStep(feed, everything, before)).toEqual({
      kind: 'lost',
      why: expect.stringContaining('truncated') as string,
    });
    const reader = await feed.open(everything, position);
    expect(await reader.read({ changesMax: 1, waitMs: 1000 })).toMatchObject({ changes: [{ kind: 'put', key: 'a' }] });
    await expect(readTo(feed, reader, await feed.head())).rejects.toThrow('truncated');
    await reader.close();
    const anew = await feed.head();
    await server.psql(`ALTER TABLE t.x ADD b text; INSERT INTO t.x VALUES ('b', 'b', 'b')`);
    await expect(changesSince(feed, everything, anew)).rejects.toMatchObject({ code: 'store.unsupported' });
  });

  it('goes on where it was when the server is killed and comes back', async () => {
    await server.psql(`CREATE TABLE t.x (id text PRIMARY KEY, a text)`);
    const { feed } = open([mappingOf('t.x', '{id}')]);
    const reader = await feed.open(everything, await feed.head());
    await server.psql(`INSERT INTO t.x VALUES ('a', '1')`);
    expect(briefly(await readTo(feed, reader, await feed.head()))).toEqual(['a = {"a":"1"}']);
    await server.psql(`INSERT INTO t.x VALUES ('b', '1')`);
    await server.kill();
    await expect(
      reader.read({ changesMax: 1, waitMs: 60_000 }).then(() => reader.read({ changesMax: 1, waitMs: 1000 })),
    ).rejects.toMatchObject({ retry: 'backoff' });
    await server.restart();
    await server.psql(`INSERT INTO t.x VALUES ('c', '1')`);
    const changes = await readTo(feed, reader, await feed.head());
    expect(briefly(changes).slice(-1)).toEqual(['c = {"a":"1"}']);
    await reader.close();
  });

  it('lets the server shut down while it reads, and goes on where it was', async () => {
    await server.psql(`CREATE TABLE t.x (id text PRIMARY KEY, a text)`);
    const { feed } = open([mappingOf('t.x', '{id}')]);
    const reader = await feed.open(everything, await feed.head());
    await server.psql(`INSERT INTO t.x VALUES ('a', '1')`);
    const options = { changesMax: 1, waitMs: 1000 };
    expect(await reader.read(options)).toMatchObject({ changes: [{ kind: 'put', key: 'a' }] });
    // It is carried, and nobody has confirmed it.
    const shutdowns = async () =>
      (await readFile(server.logFile, 'utf8')).split('database system is shut down').length - 1;
    const before = await shutdowns();
    const restarted = server.restart();
    // Whoever follows reads, and looks where the head is, all the while.
    const reading = { goesOn: true };
    const following = (async () => {
      while (reading.goesOn) {
        await Promise.allSettled([feed.head(), reader.read({ ...options, waitMs: 10 })]);
      }
    })();
    await restarted;
    reading.goesOn = false;
    await following;
    expect(await shutdowns()).toBe(before + 1);
    await server.psql(`INSERT INTO t.x VALUES ('c', '1')`);
    const changes = await readTo(feed, reader, await feed.head());
    expect(briefly(changes).slice(-1)).toEqual(['c = {"a":"1"}']);
    await reader.close();
  });

  it('keeps the log until it is confirmed, and no longer than the server is told to', async () => {
    await server.psql(`CREATE TABLE t.x (id text PRIMARY KEY, a text)`);
    const { feed } = open([mappingOf('t.x', '{id}')]);
    expect(await feed.backlog?.()).toBeNull();
    const position = await feed.head();
    const grow = () =>
      server.psql(
        Array.from(
          { length: 3 },
          (_, i) =>
            `INSERT INTO t.x VALUES ('${i}', 'x') ON CONFLICT (id) DO UPDATE SET a = 'y'; SELECT pg_switch_wal();`,
        ).join('\n'),
      );
    await grow();
    const grown = await feed.backlog?.();
    expect(grown?.bytes).toBeGreaterThan(2 * 16 * 1024 * 1024);
    const reader = await feed.open(everything, position);
    await readTo(feed, reader, await feed.head());
    reader.confirm?.(await feed.head());
    const kept = async () => {
      await server.psql('CHECKPOINT'); // from which on the log is needed is noted with one
      return (await feed.backlog?.())?.bytes;
    };
    await expect.poll(kept, { timeout: 60_000 }).toBeLessThan(grown?.bytes ?? 0);
    await reader.close();
    const last = await feed.head();
    for (let i = 0; i < 4; i += 1) await grow();
    await server.psql('CHECKPOINT');
    expect(await firstStep(feed, everything, last)).toMatchObject({
      kind: 'lost',
      why: expect.stringMatching(/max_slot_wal_keep_size/) as string,
    });
    // Nothing is kept for it any more; from the next head on there is a slot again that keeps what comes.
    expect(await feed.backlog?.()).toBeNull();
    const anew = await feed.head();
    await server.psql(`INSERT INTO t.x VALUES ('later', 'x')`);
    expect(briefly(await changesSince(feed, everything, anew))).toEqual(['later = {"a":"x"}']);
    await feed.end?.();
    expect(await feed.backlog?.()).toBeNull();
    expect(await server.psql('SELECT count(*) FROM pg_publication')).toMatch(/^0/);
    expect(await firstStep(feed, everything, last)).toMatchObject({
      kind: 'lost',
      why: expect.stringMatching(/not there/) as string,
    });
  });

  const publication = async () => (await server.psql('SELECT pubname FROM pg_publication')).trim();
  const somebody = [
    { does: 'drops the publication', sql: (name: string) => `DROP PUBLICATION ${name}` },
    { does: 'takes a table out of it', sql: (name: string) => `ALTER PUBLICATION ${name} DROP TABLE t.y` },
    {
      does: 'leaves rows out of it',
      sql: (name: string) => `ALTER PUBLICATION ${name} SET TABLE t.x, t.y WHERE (id > 'b')`,
    },
    { does: 'leaves columns out of it', sql: (name: string) => `ALTER PUBLICATION ${name} SET TABLE t.x, t.y (id)` },
    { does: 'leaves deletes out of it', sql: (name: string) => `ALTER PUBLICATION ${name} SET (publish = 'insert')` },
  ];
  it.each(somebody)('has lost its position when somebody $does, and makes it anew', async ({ sql }) => {
    await server.psql(`CREATE TABLE t.x (id text PRIMARY KEY, a text); CREATE TABLE t.y (id text PRIMARY KEY, a text)`);
    const { feed } = open([mappingOf('t.x', 'x/{id}'), mappingOf('t.y', 'y/{id}')]);
    const position = await feed.head();
    await server.psql(`INSERT INTO t.y VALUES ('a', '1')`);
    await server.psql(sql(await publication()));
    await server.psql(`INSERT INTO t.y VALUES ('b', '1'); DELETE FROM t.y WHERE id = 'b'`);
    expect(await firstStep(feed, everything, position)).toMatchObject({
      kind: 'lost',
      why: expect.stringContaining('publication') as string,
    });
    const anew = await feed.head();
    await server.psql(`DELETE FROM t.y WHERE id = 'a'`);
    expect(briefly(await changesSince(feed, everything, anew))).toEqual(['y/a gone']);
  });

  it('has lost its position when the publication is dropped while it reads, and makes it anew beside its own reader', async () => {
    await server.psql(`CREATE TABLE t.x (id text PRIMARY KEY, a text)`);
    const { feed } = open([mappingOf('t.x', '{id}')]);
    const reader = await feed.open(everything, await feed.head());
    await server.psql(`INSERT INTO t.x VALUES ('a', '1')`);
    expect(briefly(await readTo(feed, reader, await feed.head()))).toEqual(['a = {"a":"1"}']);
    const name = await publication();
    await server.psql(`DROP PUBLICATION ${name}; INSERT INTO t.x VALUES ('b', '1')`);
    expect(await reader.read({ changesMax: 1, waitMs: 5000 })).toEqual({
      kind: 'lost',
      why: `the publication ${name} was dropped`,
    });
    const again = await feed.open(everything, await feed.head());
    await again.read({ changesMax: 1, waitMs: 1 });
    await server.psql(`DROP PUBLICATION ${name}`);
    const anew = await feed.head();
    await server.psql(`INSERT INTO t.x VALUES ('c', '1')`);
    expect(briefly(await changesSince(feed, everything, anew))).toEqual(['c = {"a":"1"}']);
    await Promise.all([reader.close(), again.close()]);
  });

  it('passes over nothing when the replica identity of a table shrinks below its key', async () => {
    await server.psql(
      `CREATE TABLE t.x (id text PRIMARY KEY, v bigint NOT NULL UNIQUE); INSERT INTO t.x VALUES ('a', 1), ('b', 2), ('c', 3)`,
    );
    const { feed } = open([mappingOf('t.x', '{id}')]);
    const reader = await feed.open(everything, await feed.head());
    await server.psql(`UPDATE t.x SET v = 4 WHERE id = 'a'`);
    await server.psql(`ALTER TABLE t.x REPLICA IDENTITY USING INDEX x_v_key; DELETE FROM t.x WHERE id = 'b'`);
    const read = () => reader.read({ changesMax: 1, waitMs: 5000 });
    expect(await read()).toMatchObject({ kind: 'changes', changes: [{ kind: 'put', key: 'a' }] });
    // As long as it is so, each such change would be passed over: the owner of the table is asked.
    await expect(read()).rejects.toMatchObject({
      code: 'store.unsupported',
      message: expect.stringContaining('ALTER TABLE "t"."x" REPLICA IDENTITY FULL') as string,
    });
    await server.psql('ALTER TABLE t.x REPLICA IDENTITY DEFAULT');
    expect(await read()).toMatchObject({ kind: 'lost', why: expect.stringContaining('t.x') as string });
    await reader.close();
    const anew = await feed.head();
    await server.psql(`DELETE FROM t.x WHERE id = 'c'`);
    expect(briefly(await changesSince(feed, everything, anew))).toEqual(['c gone']);
  });

  it('has lost its position when a column came that no row was written for, and when one came behind what was written', async () => {
    await server.psql(`CREATE TABLE t.x (id text PRIMARY KEY, a text); INSERT INTO t.x VALUES ('a', '1')`);
    const before = await open([mappingOf('t.x', '{id}')]).feed.head();
    await server.psql(`INSERT INTO t.x VALUES ('b', '1'); ALTER TABLE t.x ADD b text DEFAULT 'new'`);
    const { feed, store } = open([mappingOf('t.x', '{id}')]);
    expect(await firstStep(feed, everything, before)).toMatchObject({
      kind: 'lost',
      why: expect.stringContaining('column') as string,
    });
    const position = await feed.head();
    await server.psql(`UPDATE t.x SET a = '2' WHERE id = 'b'`);
    expect(briefly(await changesSince(feed, everything, position))).toEqual(['b = {"a":"2","b":"new"}']);
    expect(await readAll(store, everything)).toHaveLength(2);
  });

  it('goes on from a position of an older keyferry, which noted no columns', async () => {
    await server.psql(`CREATE TABLE t.x (id text PRIMARY KEY, a text)`);
    const { feed } = open([mappingOf('t.x', '{id}')]);
    const position = (await feed.head()).replace(/\/[0-9a-f]{8}$/, '') as Position;
    expect(position).toMatch(/^\d+\/[0-9A-F]+\/[0-9A-F]+$/);
    await server.psql(`INSERT INTO t.x VALUES ('a', '1')`);
    expect(briefly(await changesSince(feed, everything, position))).toEqual(['a = {"a":"1"}']);
  });

  it('says beforehand what it lacks, as what to run', async () => {
    await server.psql(`CREATE TABLE t.x (id text PRIMARY KEY, a text);
      DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN PASSWORD 'reader'; GRANT USAGE ON SCHEMA t TO reader; GRANT SELECT ON t.x TO reader`);
    const auth = { user: 'reader', password: 'reader' };
    const store = openStore(server, { tables: [mappingOf('t.x', '{id}')], side: 'source', auth });
    stores.push(store);
    const lacks = async () => (await store.feed?.foresee?.())?.lacks ?? null;
    expect(await lacks()).toBe('its user lacks   ALTER ROLE reader REPLICATION');
    await server.psql('ALTER ROLE reader REPLICATION');
    const said = (await lacks()) ?? '';
    const [make = ''] = /CREATE PUBLICATION .*$/.exec(said) ?? [];
    await server.psql(make);
    expect(await lacks()).toBeNull();
    const position = await store.feed?.head();
    await server.psql(`INSERT INTO t.x VALUES ('a', '1')`);
    if (store.feed === undefined || position === undefined) throw new Error('a store of tables has a feed');
    expect(briefly(await changesSince(store.feed, everything, position))).toEqual(['a = {"a":"1"}']);
    await store.feed.end?.();
    await server.psql(`DROP PUBLICATION ${await publication()}; DROP OWNED BY reader; DROP ROLE reader`);
  });

  it('says beforehand that the server has no slot left, unless it has one already', async () => {
    await server.psql(`CREATE TABLE t.x (id text PRIMARY KEY, a text)`);
    const { feed } = open([mappingOf('t.x', '{id}')]);
    const lacks = async () => (await feed.foresee?.())?.lacks ?? null;
    const others = (count: number) =>
      server.psql(`SELECT pg_create_physical_replication_slot('other_' || i) FROM generate_series(1, ${count}) i`);
    const dropOthers = () =>
      server.psql(
        `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name LIKE 'other_%'`,
      );
    await others(10);
    expect(await lacks()).toBe('all of its replication slots are in use (max_replication_slots is 10)');
    await dropOthers();
    expect(await lacks()).toBeNull();
    await feed.head();
    await others(9);
    expect(await lacks()).toBeNull();
    await dropOthers();
  });
});
