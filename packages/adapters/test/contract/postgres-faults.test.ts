/**
 * Goal: whatever a server, its network or its rights do in the middle, the failure has its own code, nothing is half done
 * and nothing is missing in silence; and keyferry is in nobody's way.
 * Method: a real server, killed, made slow, locked, closed to a user; a proxy that swallows an answer; certificates that do
 * not fit. Waits are for what the server itself shows.
 */
import { readFile } from 'node:fs/promises';
import { serverOrSkip, startPostgres, waitUntil, type PostgresServer } from '@keyferry/servers';
import { chunkId, keyFromText, type ChunkWriter, type GuardedPut, type Key, type MigrationId } from '@keyferry/core';
import { readAll } from '@keyferry/core/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { PostgresStore, PostgresStoreOptions } from '../../src/postgres/index.ts';
import { startSwallower } from './etcd-v3-proxy.ts';
import { startCutter } from './answer-cutter.ts';
import { connectTo, mappingOf, openStore } from './postgres-fixture.ts';

const available = await serverOrSkip('postgres-15');
const everything = { start: '' as Key, end: null };
const first = { attempt: 1, token: 1 };
const waitMaxMs = 60_000;

describe.skipIf(!available.ok)(`PostgreSQL 15 in trouble${available.note}`, () => {
  let server: PostgresServer;
  const stores: PostgresStore[] = [];
  beforeAll(async () => {
    server = await startPostgres();
  });
  beforeEach(async () => {
    await server.psql(`DROP SCHEMA IF EXISTS keyferry CASCADE; DROP TABLE IF EXISTS kv;
      CREATE TABLE kv (name text PRIMARY KEY, body text NOT NULL)`);
  });
  afterAll(() => server.stop());

  const open = (options: Partial<PostgresStoreOptions> = {}): PostgresStore => {
    const store = openStore(server, {
      tables: [mappingOf('kv', 'k/{name}', { value: { column: 'body' } })],
      ...options,
    });
    stores.push(store);
    return store;
  };
  const closeAll = async () => {
    for (const store of stores.splice(0)) await store.close();
  };
  const claim = async (store: PostgresStore): Promise<ChunkWriter> => {
    const control = store.control('m' as MigrationId);
    await control.raiseEpoch(first);
    const claimed = await control.claimChunk(chunkId(0), first, first);
    if (claimed.kind !== 'claimed') throw new TypeError('the claim was refused');
    return claimed.writer;
  };
  const puts = (count: number, value = 'v'): readonly GuardedPut[] =>
    Array.from({ length: count }, (_, nth) => {
      const key = keyFromText(`k/${String(nth).padStart(6, '0')}`);
      return { kind: 'put', key, value: Buffer.from(value), expiresAtMs: null, expect: 'absent' };
    });
  const failure = async (promise: Promise<unknown>): Promise<{ readonly code: string; readonly message: string }> =>
    promise.then(
      () => ({ code: 'none', message: '' }),
      (error: unknown) => error as { readonly code: string; readonly message: string },
    );

  it('that is killed while a batch is under way has done all of it or nothing, and takes its repeat', async () => {
    const store = open();
    const writer = await claim(store);
    // The batch has written, and waits for a row that somebody else holds; then the server goes.
    const other = await connectTo(server);
    await other.query("BEGIN; INSERT INTO kv VALUES ('000250', 'theirs')");
    const write = failure(writer.write(puts(500)));
    const waits = `SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'keyferry'`;
    expect(await waitUntil(async () => (await server.psql(waits)) !== '', waitMaxMs)).toBe(true);
    await server.kill();
    expect(await write).toMatchObject({ code: 'store.unreachable', retry: 'backoff' });
    expect(await failure(store.head())).toMatchObject({ code: 'store.unreachable' });
    await server.restart();
    expect(await server.psql('SELECT count(*) FROM kv')).toBe('0\n');
    const outcomes = await writer.write(puts(500));
    expect(new Set(outcomes.map(({ kind }) => kind))).toEqual(new Set(['written']));
    await other.end().catch(() => undefined); // its connection went with the server
    await closeAll();
  });

  it('an answer that is lost was still a commit, and the repeat knows it', async () => {
    const proxy = await startSwallower(`http://127.0.0.1:${server.port}`);
    const { port } = new URL(proxy.endpoint);
    const store = open({ port: Number(port) });
    const writer = await claim(store);
    expect((await writer.write(puts(1)))[0]?.kind).toBe('written');
    // The first answer of the batch is dropped; what it was an answer to is done or not, and the repeat must not care.
    proxy.swallowNext();
    expect(await failure(writer.write(puts(200)))).toMatchObject({ code: 'store.unreachable' });
    await proxy.swallowed();
    const outcomes = await writer.write(puts(200));
    expect(new Set(outcomes.map(({ kind }) => kind))).toEqual(new Set(['already-written', 'written']));
    expect(await server.psql('SELECT count(*) FROM kv')).toBe('200\n');
    await closeAll();
    await proxy.close();
  });

  it('that goes while it is being read says that its state is gone, and one that went before that it is away', async () => {
    await server.psql(`INSERT INTO kv SELECT i::text, repeat('x', 10000) FROM generate_series(1, 1000) i`);
    const proxy = await startCutter(server.port, 1_000_000);
    const cut = open({ port: proxy.port, order: 'server' });
    const view = await cut.openView(everything);
    const rows = async () => {
      let read = 0;
      for await (const { records } of view.scan(everything, { pageKeysMax: 10 })) read += records.length;
      return read;
    };
    expect(await failure(rows())).toMatchObject({ code: 'store.position-compacted' });
    expect(await failure(rows())).toMatchObject({ code: 'store.position-compacted' });
    await view.close();
    // Sorted here, nothing of it was shown when it broke.
    const sorting = open({ port: proxy.port, order: 'local' });
    expect(await failure(sorting.openView(everything))).toMatchObject({ code: 'store.unreachable' });
    await proxy.close();
    const store = open();
    expect(await readAll(store, everything)).toHaveLength(1000);
    await server.kill();
    expect(await failure(store.openView(everything))).toMatchObject({ code: 'store.unreachable' });
    await server.restart();
    expect(await readAll(store, everything)).toHaveLength(1000);
    await closeAll();
  });

  it('a read that takes longer than it may is ended by the server', async () => {
    await server.psql(`INSERT INTO kv SELECT i::text, 'x' FROM generate_series(1, 1000) i`);
    const query = 'SELECT name, body FROM kv WHERE pg_sleep(0.05) IS NOT NULL';
    const slow = { ...mappingOf('kv', 'k/{name}', { value: { column: 'body' } }), from: { query } };
    const store = open({ tables: [slow], side: 'source', readTimeoutMs: 200 });
    const error = await failure(readAll(store, everything));
    expect(['store.timeout', 'store.position-compacted']).toContain(error.code);
    await closeAll();
  });

  it('a lock that somebody keeps is waited for no longer than a statement may take', async () => {
    const other = await connectTo(server);
    await other.query('BEGIN; LOCK TABLE kv IN ACCESS EXCLUSIVE MODE');
    const store = open({ statementTimeoutMs: 1000, readTimeoutMs: 1000 });
    expect(await failure(store.countRecords(null, 1))).toMatchObject({ code: 'store.timeout', retry: 'backoff' });
    expect(await failure(store.openView(everything))).toMatchObject({ code: 'store.timeout' });
    await other.query('ROLLBACK');
    expect(await store.countRecords(null, 1)).toBe(0);
    await other.end();
    await closeAll();
  });

  it('an open view keeps no table and no transaction', async () => {
    await server.psql(`INSERT INTO kv SELECT i::text, 'x' FROM generate_series(1, 5000) i`);
    const store = open({ side: 'source' });
    const view = await store.openView(everything);
    const busy = `SELECT 1 FROM pg_stat_activity WHERE application_name = 'keyferry' AND xact_start IS NOT NULL`;
    expect(await waitUntil(async () => (await server.psql(busy)) === '', waitMaxMs)).toBe(true);
    await server.psql(`SET lock_timeout = '5s'; ALTER TABLE kv ADD COLUMN later text; DELETE FROM kv`);
    let rows = 0;
    for await (const { records } of view.scan(everything, { pageKeysMax: 100 })) rows += records.length;
    expect(rows).toBe(5000);
    await view.close();
    await closeAll();
  });

  it('nobody there, a wrong password and a database that is none each have their own code', async () => {
    await using gone = await startPostgres();
    await gone.stop();
    const { user } = server;
    const auth = { user, password: 'wrong' };
    expect(await failure(open({ port: gone.port }).head())).toMatchObject({ code: 'store.unreachable' });
    const refused = await failure(open({ auth }).head());
    expect(refused).toMatchObject({ code: 'store.auth-failed' });
    expect(refused.message).not.toContain('wrong');
    expect(await failure(open({ database: 'nowhere' }).head())).toMatchObject({ code: 'store.unsupported' });
    await closeAll();
  });

  it('a role with the documented rights can do all, and one with less is told what it lacks', async () => {
    await server.psql(`DROP ROLE IF EXISTS reader; DROP ROLE IF EXISTS writer; DROP ROLE IF EXISTS nobody;
      CREATE ROLE reader LOGIN PASSWORD 'reader'; CREATE ROLE writer LOGIN PASSWORD 'writer'; CREATE ROLE nobody LOGIN PASSWORD 'nobody';
      GRANT SELECT ON kv TO reader; GRANT SELECT, INSERT, UPDATE, DELETE ON kv TO writer;
      CREATE SCHEMA keyferry AUTHORIZATION writer; INSERT INTO kv VALUES ('theirs', 'x')`);
    const as = (name: string, side: 'source' | 'target') => open({ side, auth: { user: name, password: name } });
    const reader = as('reader', 'source');
    await reader.describe();
    await reader.head();
    expect(await readAll(reader, everything)).toHaveLength(1);
    const writer = await claim(as('writer', 'target'));
    expect((await writer.write(puts(2))).map(({ kind }) => kind)).toEqual(['written', 'written']);
    expect(await failure(readAll(as('nobody', 'source'), everything))).toMatchObject({
      code: 'store.permission-denied',
    });
    const plans = as('reader', 'target');
    expect(await failure(plans.control('m' as MigrationId).readDone())).toMatchObject({
      code: 'store.permission-denied',
    });
    await server.psql('DROP SCHEMA keyferry CASCADE');
    expect(await failure(claim(as('reader', 'target')))).toMatchObject({ code: 'store.permission-denied' });
    await closeAll();
    await server.psql('DROP OWNED BY reader, writer, nobody; DROP ROLE reader, writer, nobody');
  });

  it('rows that a policy hides are an error and not fewer rows', async () => {
    await server.psql(`DROP ROLE IF EXISTS tenant; CREATE ROLE tenant LOGIN PASSWORD 'tenant'; GRANT SELECT ON kv TO tenant;
      INSERT INTO kv VALUES ('mine', 'x'), ('theirs', 'x'); ALTER TABLE kv ENABLE ROW LEVEL SECURITY;
      CREATE POLICY own ON kv USING (name = 'mine')`);
    const store = open({ side: 'source', auth: { user: 'tenant', password: 'tenant' } });
    expect(await failure(readAll(store, everything))).toMatchObject({ code: 'store.permission-denied' });
    await closeAll();
    await server.psql('DROP TABLE kv; DROP OWNED BY tenant; DROP ROLE tenant');
  });

  it('somebody who writes at this moment is noticed', async () => {
    const other = await connectTo(server);
    await other.query("BEGIN; INSERT INTO kv VALUES ('a', 'x')");
    const store = open({ side: 'source' });
    expect((await store.describe()).beingWritten).toBe('1 open transaction has written to kv');
    await other.query('COMMIT');
    expect((await store.describe()).beingWritten).toBeUndefined();
    await other.end();
    await closeAll();
  });

  describe('with TLS', () => {
    let guarded: PostgresServer;
    let ca = '';
    const files = async () => {
      const { tls } = guarded;
      if (tls === undefined) throw new TypeError('a server with TLS has certificates');
      const read = (path: string) => readFile(path, 'utf8');
      const untrusted = {
        cert: await read(tls.untrusted.clientCertFile),
        key: await read(tls.untrusted.clientKeyFile),
      };
      return {
        cert: await read(tls.clientCertFile),
        key: await read(tls.clientKeyFile),
        untrusted,
        otherCa: await read(tls.untrusted.caFile),
      };
    };
    beforeAll(async () => {
      guarded = await startPostgres({ tls: { clientCertAuth: true } });
      ca = await readFile(guarded.tls?.caFile ?? '', 'utf8');
    });
    afterAll(() => guarded.stop());
    const head = async (tls: PostgresStoreOptions['tls']) => {
      const store = openStore(guarded, { side: 'source', ...(tls === undefined ? {} : { tls }) });
      const { code } = await failure(store.head());
      await store.close();
      return code;
    };

    it('trusts a server that proves its name to a client that proves its own', async () => {
      const { cert, key } = await files();
      expect(await head({ ca, cert, key })).toBe('none');
      expect(await head({ ca, cert, key, serverName: 'localhost' })).toBe('none');
    });

    it.each([
      { name: 'another authority', change: async () => ({ ca: (await files()).otherCa }), code: 'store.tls-failed' },
      { name: 'another name', change: async () => ({ serverName: 'db.example' }), code: 'store.tls-failed' },
      {
        name: 'a client certificate of another authority',
        change: async () => (await files()).untrusted,
        code: 'store.tls-failed',
      },
    ])('refuses $name', async ({ change, code }) => {
      const { cert, key } = await files();
      expect(await head({ ca, cert, key, ...(await change()) })).toBe(code);
    });

    it('refuses a client that comes in the clear, and asks for what a plain server has not', async () => {
      expect(await head(undefined)).toBe('store.auth-failed');
      const plain = openStore(server, { side: 'source', tls: { ca } });
      expect(await failure(plain.head())).toMatchObject({ code: 'store.tls-failed' });
      await plain.close();
    });
  });
});
