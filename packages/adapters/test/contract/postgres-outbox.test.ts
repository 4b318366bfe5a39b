/**
 * Goal: where `wal_level` forbids to follow the log, triggers tell what the log would, whoever writes and however; they hold no
 * writer up and break no write, and nothing of them stays. Method: the feed's contract and cases of its own, on a real
 * server with `wal_level = replica`, with applications of their own role.
 */
import { keyFromText, type ChangeFeed, type KeyRange } from '@keyferry/core';
import { feedContract, readAll } from '@keyferry/core/testing';
import { serverOrSkip, startPostgres, type PostgresServer } from '@keyferry/servers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { PostgresStore, PostgresStoreOptions, TableMapping } from '../../src/postgres/index.ts';
import { connectTo, feedHarness, mappingOf, openStore } from './postgres-fixture.ts';
import { briefly, changesSince, firstStep, readTo } from './read-feed.ts';

const available = await serverOrSkip('postgres-15');

describe.skipIf(!available.ok)(`triggers of PostgreSQL 15 without logical replication${available.note}`, () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres({ walLevel: 'replica' });
  });
  afterAll(() => server.stop());
  for (const type of ['bytea', 'text'] as const)
    feedContract(
      `a table of ${type}`,
      feedHarness(() => server, type, 'triggers'),
    );

  describe('of tables of an application', () => {
    const stores: PostgresStore[] = [];
    beforeEach(() =>
      server.psql(`SET client_min_messages = warning; DROP SCHEMA IF EXISTS t CASCADE; DROP SCHEMA IF EXISTS keyferry CASCADE;
        CREATE SCHEMA t`),
    );
    afterEach(async () => {
      for (const store of stores.splice(0)) {
        await store.feed?.end?.();
        await store.close();
      }
    });
    const everything: KeyRange = { start: keyFromText(''), end: null };
    const open = (
      mappings: readonly TableMapping[],
      options: Partial<PostgresStoreOptions> = {},
    ): { readonly store: PostgresStore; readonly feed: ChangeFeed } => {
      const store = openStore(server, { tables: mappings, side: 'source', changes: 'triggers', ...options });
      stores.push(store);
      if (store.feed === undefined) throw new Error('a store of tables has a feed');
      return { store, feed: store.feed };
    };
    const keysOnly = mappingOf('t.x', '{id}');
    const makeX = () => server.psql('CREATE TABLE t.x (id text PRIMARY KEY, a text)');

    it('says of the log what is in the way, and what to set', async () => {
      await makeX();
      const { feed } = open([keysOnly], { changes: 'log' });
      expect((await feed.foresee?.())?.lacks).toMatch(/wal_level is replica.*changes: triggers/);
      await expect(feed.head()).rejects.toMatchObject({
        code: 'store.unsupported',
        details: { detail: expect.stringMatching(/wal_level is replica.*changes: triggers/) as string },
      });
    });

    it('tells the bytes and the version that a scan finds, of every type, whatever the session that writes', async () => {
      await server.psql(`CREATE TYPE t.mood AS ENUM ('a b', 'c/d');
        CREATE TABLE t.types (a text, b bigint, PRIMARY KEY (a, b), num numeric(30,10), re real, dbl double precision,
          ok boolean, raw bytea, id uuid, d date, ts timestamptz, iv interval, jb jsonb, js json, arr text[], m t.mood,
          net inet, made integer GENERATED ALWAYS AS (1) STORED)`);
      const { store, feed } = open([mappingOf('t.types', 'x/{a}/{b}')]);
      const position = await feed.head();
      await server.psql(`SET TimeZone = 'Asia/Kolkata'; SET DateStyle = 'German'; SET extra_float_digits = -3;
        SET bytea_output = 'escape'; SET IntervalStyle = 'sql_standard'; SET search_path = t;
        INSERT INTO types (a, b, num, re, dbl, ok, raw, id, d, ts, iv, jb, js, arr, m, net) VALUES
        ('ä/%', -1, 12.5, 0.1, 1e300, true, '\\\\x00ff', gen_random_uuid(), '29.02.2020', '2020-01-01 00:00:00.123456+02',
         '1 year 2 days 3:04', '{"b": 1.50, "a": null}', '{ "x" : 1 }', ARRAY['a', NULL, 'c"d'], 'c/d', '10.0.0.1/8'),
        ('nulls', 2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)`);
      const told = new Map(
        (await changesSince(feed, everything, position)).flatMap((each) =>
          each.kind === 'put' ? [[each.key, each]] : [],
        ),
      );
      const scanned = await readAll(store, everything);
      expect(scanned).toHaveLength(2);
      for (const { key, value, version } of scanned) {
        expect(Buffer.from(told.get(key)?.value ?? []).toString('utf8')).toBe(Buffer.from(value).toString('utf8'));
        expect(told.get(key)?.version).toBe(version);
      }
    });

    it('tells a key that changed as one that went and one that came, and nothing of what was rolled back', async () => {
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

    it('tells transactions in the order in which they ended, also those that began before what was told', async () => {
      await makeX();
      const { feed } = open([keysOnly]);
      await feed.head();
      const [early, other] = [await connectTo(server), await connectTo(server)];
      try {
        await early.query('BEGIN');
        await early.query(`INSERT INTO t.x VALUES ('early', '1')`); // a low number, and the end last
        const position = await feed.head();
        const reader = await feed.open(everything, position);
        await other.query(`INSERT INTO t.x VALUES ('k', 'first')`);
        expect(briefly(await readTo(feed, reader, await feed.head()))).toEqual(['k = {"a":"first"}']);
        const between = await feed.head();
        await early.query(`UPDATE t.x SET a = 'second' WHERE id = 'k'`);
        await early.query('COMMIT');
        const both = ['early = {"a":"1"}', 'k = {"a":"second"}'];
        expect(briefly(await readTo(feed, reader, await feed.head()))).toEqual(both);
        await reader.close();
        expect(briefly(await changesSince(feed, everything, between))).toEqual(both);
        // From the beginning: the one that wrote to the key last is the last.
        expect(briefly(await changesSince(feed, everything, position))).toEqual(['k = {"a":"first"}', ...both]);
      } finally {
        await Promise.all([early.end(), other.end()]);
      }
    });

    it('has lost its position when a table is truncated, and tells what was before', async () => {
      await makeX();
      const { feed } = open([keysOnly]);
      const position = await feed.head();
      await server.psql(`INSERT INTO t.x VALUES ('a', 'a')`);
      await server.psql('TRUNCATE t.x');
      const reader = await feed.open(everything, position);
      expect(await reader.read({ changesMax: 1, waitMs: 1000 })).toMatchObject({
        changes: [{ kind: 'put', key: 'a' }],
      });
      expect(await reader.read({ changesMax: 1, waitMs: 1000 })).toEqual({
        kind: 'lost',
        why: expect.stringContaining('truncated') as string,
      });
      await reader.close();
    });

    it('breaks no write when a column goes that it names, and says so', async () => {
      await makeX();
      const { feed } = open([keysOnly]);
      const before = await feed.head();
      await server.psql(`ALTER TABLE t.x DROP a; INSERT INTO t.x VALUES ('a')`);
      expect(await server.psql('SELECT id FROM t.x')).toBe('a\n');
      await expect(firstStep(feed, everything, before)).rejects.toMatchObject({ code: 'store.unsupported' });
      // Started again, it knows the table as it is, and that it was not told of all that happened to it.
      const { feed: anew } = open([keysOnly]);
      const after = await anew.head();
      expect(await firstStep(anew, everything, before)).toMatchObject({
        kind: 'lost',
        why: expect.stringMatching(/anew/) as string,
      });
      await server.psql(`INSERT INTO t.x VALUES ('b')`);
      expect(briefly(await changesSince(anew, everything, after))).toEqual(['b = {}']);
    });

    it('has lost its position when somebody took a trigger away', async () => {
      await makeX();
      const { feed } = open([keysOnly]);
      const before = await feed.head();
      await server.psql(`ALTER TABLE t.x DISABLE TRIGGER USER; INSERT INTO t.x VALUES ('a', 'unseen')`);
      expect(await firstStep(feed, everything, before)).toMatchObject({
        kind: 'lost',
        why: expect.stringMatching(/t\.x/) as string,
      });
      const after = await feed.head();
      await server.psql(`INSERT INTO t.x VALUES ('b', 'seen')`);
      expect(briefly(await changesSince(feed, everything, after))).toEqual(['b = {"a":"seen"}']);
    });

    it('goes on where it was when the server is killed and comes back', async () => {
      await makeX();
      const { feed } = open([keysOnly]);
      const reader = await feed.open(everything, await feed.head());
      await server.psql(`INSERT INTO t.x VALUES ('a', '1')`);
      expect(briefly(await readTo(feed, reader, await feed.head()))).toEqual(['a = {"a":"1"}']);
      await server.psql(`INSERT INTO t.x VALUES ('b', '1')`);
      await server.kill();
      await expect(reader.read({ changesMax: 1, waitMs: 1000 })).rejects.toMatchObject({ retry: 'backoff' });
      await server.restart();
      await server.psql(`INSERT INTO t.x VALUES ('c', '1')`);
      const changes = await readTo(feed, reader, await feed.head());
      expect(briefly(changes)).toEqual(['b = {"a":"1"}', 'c = {"a":"1"}']);
      await reader.close();
    });

    it('deletes what was confirmed, and says what it holds', async () => {
      await makeX();
      const { feed } = open([keysOnly]);
      expect(await feed.backlog?.()).toBeNull();
      const position = await feed.head();
      await server.psql(`INSERT INTO t.x SELECT i::text, repeat('x', 1000) FROM generate_series(1, 1000) i`);
      const held = await feed.backlog?.();
      expect(held?.bytes).toBeGreaterThan(1000 * 1000);
      const reader = await feed.open(everything, position);
      await readTo(feed, reader, await feed.head());
      const last = await feed.head();
      await readTo(feed, reader, last);
      reader.confirm?.(last);
      await reader.close();
      const table = await server.psql(
        `SELECT c.oid::regclass FROM pg_class c WHERE relname LIKE 'keyferry\\_feed\\_%' AND relkind = 'r'`,
      );
      expect(await server.psql(`SELECT count(*) FROM ${table}`)).toBe('0\n');
      expect(await firstStep(feed, everything, position)).toMatchObject({
        kind: 'lost',
        why: expect.stringMatching(/gone on/) as string,
      });
      expect(await firstStep(feed, everything, last)).toMatchObject({ kind: 'changes' });
    });

    it('needs TRIGGER and its own schema and no more; applications need nothing; and nothing stays', async () => {
      await server.psql(`SET client_min_messages = error; DROP OWNED BY reader, writer CASCADE`).catch(() => undefined);
      await server.psql(`DROP ROLE IF EXISTS reader, writer; CREATE ROLE reader LOGIN PASSWORD 'p'; CREATE ROLE writer LOGIN PASSWORD 'p';
        CREATE TABLE t.x (id text PRIMARY KEY, a text); GRANT USAGE ON SCHEMA t TO reader, writer;
        GRANT SELECT ON t.x TO reader; GRANT SELECT, INSERT, UPDATE, DELETE ON t.x TO writer`);
      const { feed } = open([keysOnly], { auth: { user: 'reader', password: 'p' } });
      const lacks = async () => (await feed.foresee?.())?.lacks;
      await server.psql('GRANT TRIGGER ON t.x TO reader');
      expect(await lacks()).toContain('CREATE SCHEMA "keyferry"');
      await expect(feed.head()).rejects.toMatchObject({ code: 'store.permission-denied' });
      await server.psql('REVOKE TRIGGER ON t.x FROM reader; CREATE SCHEMA keyferry AUTHORIZATION reader');
      expect(await lacks()).toContain('GRANT TRIGGER ON "t"."x"');
      await expect(feed.head()).rejects.toMatchObject({
        code: 'store.permission-denied',
        details: { detail: expect.stringContaining('GRANT TRIGGER ON "t"."x"') as string },
      });
      await server.psql('GRANT TRIGGER ON t.x TO reader');
      expect(await feed.foresee?.()).toEqual({
        lacks: null,
        makes: expect.stringContaining('triggers on t.x') as string,
      });
      const position = await feed.head();
      const application = await connectTo(server, { user: 'writer', password: 'p' });
      await application.query(`INSERT INTO t.x VALUES ('a', '1')`);
      await application.end();
      expect(briefly(await changesSince(feed, everything, position))).toEqual(['a = {"a":"1"}']);
      await feed.end?.();
      expect(
        await server.psql(`SELECT count(*) FROM pg_trigger WHERE tgrelid = 't.x'::regclass AND NOT tgisinternal`),
      ).toBe('0\n');
      expect(
        await server.psql(
          `SELECT relname FROM pg_class WHERE relnamespace = 'keyferry'::regnamespace AND relkind = 'r'`,
        ),
      ).toBe('outboxes\n');
      expect(await server.psql('SELECT count(*) FROM keyferry.outboxes')).toBe('0\n');
      expect(await feed.backlog?.()).toBeNull();
    });

    it('drops nothing of others unless it may drop all, says what to grant, and then does', async () => {
      await server.psql(`SET client_min_messages = error; DROP OWNED BY maker, ender CASCADE`).catch(() => undefined);
      await server.psql(`DROP ROLE IF EXISTS maker, ender; CREATE ROLE maker LOGIN PASSWORD 'p'; CREATE ROLE ender LOGIN PASSWORD 'p';
        CREATE TABLE t.x (id text PRIMARY KEY); CREATE TABLE t.y (id text PRIMARY KEY); CREATE SCHEMA keyferry;
        GRANT USAGE ON SCHEMA t TO maker, ender; GRANT ALL ON SCHEMA keyferry TO maker, ender;
        GRANT SELECT, TRIGGER ON t.x, t.y TO maker, ender`);
      const mappings = [mappingOf('t.x', 'x/{id}'), mappingOf('t.y', 'y/{id}')];
      const as = (user: string) => open(mappings, { auth: { user, password: 'p' } }).feed;
      const triggers = `SELECT count(*) FROM pg_trigger WHERE tgrelid IN ('t.x'::regclass, 't.y'::regclass) AND NOT tgisinternal`;
      const write = (id: string) => server.psql(`INSERT INTO t.x VALUES ('${id}'); INSERT INTO t.y VALUES ('${id}')`);
      await as('maker').head();
      // All is another one's but the outbox itself, which could go without them.
      const outbox = `keyferry.${(await server.psql('SELECT name FROM keyferry.outboxes')).trim()}`;
      await server.psql(`ALTER TABLE ${outbox} OWNER TO ender; GRANT INSERT ON ${outbox} TO maker;
        GRANT SELECT, DELETE ON keyferry.outboxes TO ender`);
      const ender = as('ender');
      await expect(ender.end?.()).rejects.toMatchObject({
        code: 'store.permission-denied',
        details: {
          detail: expect.stringMatching(
            /_0\(\) of maker.*_1\(\) of maker.*nothing was dropped.*GRANT maker TO ender/,
          ) as string,
        },
      });
      expect(await server.psql(triggers)).toBe('4\n');
      await write('meanwhile');
      await server.psql('GRANT maker TO ender');
      await ender.end?.();
      expect(await server.psql(triggers)).toBe('0\n');
      await write('after');
      // Whoever owns the schema may drop what others made in it.
      await server.psql('REVOKE maker FROM ender');
      await as('maker').head();
      await server.psql('ALTER SCHEMA keyferry OWNER TO ender');
      await ender.end?.();
      expect(await server.psql(triggers)).toBe('0\n');
      await write('again');
    });

    it('lets writers pass while somebody holds the table whose triggers it makes', async () => {
      await makeX();
      const { feed } = open([keysOnly]);
      const [holder, writer] = [await connectTo(server), await connectTo(server)];
      try {
        await holder.query(`BEGIN; INSERT INTO t.x VALUES ('held', '1')`);
        const head = feed.head();
        const waiting = `SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 't.x'::regclass`;
        await expect.poll(() => server.psql(waiting), { interval: 20, timeout: 60_000 }).toBe('1\n');
        for (let i = 0; i < 20; i += 1) {
          // Behind the trigger's lock it waits for half a second at most, not for the holder.
          await writer.query(`SET statement_timeout = '60s'; INSERT INTO t.x VALUES ('w${i}', '1')`);
        }
        await holder.query('COMMIT');
        const position = await head;
        await writer.query(`INSERT INTO t.x VALUES ('after', '1')`);
        expect(briefly(await changesSince(feed, everything, position))).toContain('after = {"a":"1"}');
      } finally {
        await Promise.all([holder.end(), writer.end()]);
      }
    });
  });
});
