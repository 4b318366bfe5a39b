/**
 * Goal: watchers of tables share one outbox, are told where the source was frozen, and lose nothing in silence (SPEC R171). What
 * every source tells is in online.test.ts. Method: a real server, with transactions that are under way, and readers that are behind.
 */
import { keyFromText, type Key, type KeyRange, type Position, type SourceMoves } from '@keyferry/core';
import { serverOrSkip, startPostgres, type PostgresServer } from '@keyferry/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OutboxFeed } from '../../src/postgres/feed/outbox-feed.ts';
import { OutboxReader } from '../../src/postgres/feed/outbox-reader.ts';
import { PostgresMoves, watchFeedName } from '../../src/postgres/online-moves.ts';
import { readPosition } from '../../src/postgres/position.ts';
import { connectTo, mappingOf, openStore } from './postgres-fixture.ts';

const available = await serverOrSkip('postgres-15');

describe.skipIf(!available.ok)(`watchers of PostgreSQL 15${available.note}`, () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server.stop());

  let made = 0;
  const openTable = async () => {
    made += 1;
    const table = `watched_${made}`;
    await server.psql(`CREATE TABLE ${table} (name text COLLATE "C" PRIMARY KEY, body text NOT NULL)`);
    const store = openStore(server, {
      tables: [mappingOf(table, `${table}/{name...}`, { value: { column: 'body' } })],
    });
    const { store: name, schema, sessions, tables } = store;
    const source = { store: name, database: server.database, schema, sessions, tables, load: () => store.load() };
    const moves = new PostgresMoves(source, table);
    const close = async () => {
      await moves.end();
      await store.close();
    };
    return { moves, table, source, close, key: (own: string): Key => keyFromText(`${table}/${own}`) };
  };

  const positionNow = async (moves: SourceMoves, range: KeyRange): Promise<Position> => {
    const open = await moves.open(range, null);
    const step = await open.read({ changesMax: 10, waitMs: 0 });
    await open.close();
    if (step.kind === 'lost') throw new RangeError(step.why);
    return step.position;
  };

  it('tells several instances at once by one outbox, and nothing that came after it was frozen as from before', async () => {
    const { moves, key, table, close } = await openTable();
    const range = { start: key(''), end: null };
    const watches = await Promise.all(Array.from({ length: 4 }, () => moves.open(range, null)));
    const open = await connectTo(server);
    const insert = (name: string) => `INSERT INTO ${table} VALUES ('${name}', 'v')`;
    await server.psql(insert('before'));
    await open.query(`BEGIN; ${insert('under way')}`);
    const frozenAt = await readPosition(open);
    await open.query('COMMIT');
    await server.psql(insert('after'));
    for (const watch of watches) {
      const told = new Map<Key, Position>();
      let position = frozenAt;
      for (let reads = 0; told.size < 3 && reads < 240; reads += 1) {
        const step = await watch.read({ changesMax: 10, waitMs: 500 });
        if (step.kind === 'lost') throw new RangeError(step.why);
        for (const { key: changed, at } of step.moves) told.set(changed, at);
        ({ position } = step);
      }
      expect([...told.keys()]).toEqual(['before', 'under way', 'after'].map(key));
      expect([...told.values()].map((at) => moves.hasReached(frozenAt, at))).toEqual([true, false, false]);
      expect(moves.hasReached(position, frozenAt)).toBe(true);
      await watch.close();
    }
    const { rows } = await open.query(`SELECT tgname FROM pg_trigger WHERE tgrelid = '${table}'::regclass`);
    expect(rows).toHaveLength(2);
    await close();
    expect((await open.query(`SELECT FROM pg_trigger WHERE tgrelid = '${table}'::regclass`)).rowCount).toBe(0);
    await open.end();
  });

  it('loses a reader that is behind what another one has given up, and no other', async () => {
    const { moves, key, table, source, close } = await openTable();
    const range = { start: key(''), end: null };
    const start = await positionNow(moves, range);
    await server.psql(`INSERT INTO ${table} VALUES ('a', 'v')`);
    const later = await positionNow(moves, range);
    const names = new OutboxFeed(source, watchFeedName(table)).names;
    const { tables } = await source.load();
    const reader = (after: Position) => new OutboxReader(source, names, tables, after, 10);
    const [ahead, behind] = [reader(later), reader(start)];
    ahead.confirm(later);
    await ahead.read({ changesMax: 10, waitMs: 0 });
    // Behind the other one, so that what it gives up is gone already; that takes nothing back.
    behind.confirm(start);
    expect(await behind.read({ changesMax: 10, waitMs: 0 })).toMatchObject({ kind: 'lost' });
    expect(await (await moves.open(range, start)).read({ changesMax: 10, waitMs: 0 })).toMatchObject({ kind: 'lost' });
    await server.psql(`INSERT INTO ${table} VALUES ('b', 'v')`);
    const step = await (await moves.open(range, later)).read({ changesMax: 10, waitMs: 5000 });
    expect(step).toMatchObject({ kind: 'moves', moves: [{ key: key('b') }] });
    await close();
  });

  it('gives an outbox that grew while nobody read up part by part, and tells meanwhile', async () => {
    const { moves, key, table, source, close } = await openTable();
    const range = { start: key(''), end: null };
    await positionNow(moves, range);
    await server.psql(`INSERT INTO ${table} SELECT 'k' || i, 'v' FROM generate_series(1, 12000) i`);
    const later = await positionNow(moves, range);
    const names = new OutboxFeed(source, watchFeedName(table)).names;
    const { tables } = await source.load();
    const reader = new OutboxReader(source, names, tables, later, 10);
    reader.confirm(later);
    const kept = async (): Promise<number> => Number(await server.psql(`SELECT count(*) FROM ${names.outbox}`));
    await reader.read({ changesMax: 10, waitMs: 0 });
    expect(await kept()).toBe(2000);
    await server.psql(`INSERT INTO ${table} VALUES ('last', 'v')`);
    const step = await reader.read({ changesMax: 10, waitMs: 5000 });
    expect([step.kind, await kept()]).toEqual(['told', 1]);
    await close();
  });

  it('tells again what a look found whose end failed', async () => {
    const { moves, key, table, source, close } = await openTable();
    const start = await positionNow(moves, { start: key(''), end: null });
    for (const name of ['a', 'b', 'c']) await server.psql(`INSERT INTO ${table} VALUES ('${name}', 'v')`);
    let failures = 1;
    const transaction: typeof source.sessions.transaction = async (...args) => {
      const result = await source.sessions.transaction(...args);
      failures -= 1;
      if (failures === 0) throw new RangeError('the connection broke at the end');
      return result;
    };
    const sessions = Object.assign(Object.create(source.sessions) as typeof source.sessions, { transaction });
    const names = new OutboxFeed(source, watchFeedName(table)).names;
    const { tables } = await source.load();
    const reader = new OutboxReader({ ...source, sessions }, names, tables, start, 10);
    const look = () => reader.read({ changesMax: 1, waitMs: 5000 });
    await expect(look()).rejects.toThrow('broke at the end');
    const told: (string | undefined)[] = [];
    while (told.length < 3) {
      const step = await look();
      if (step.kind === 'lost') throw new RangeError(step.why);
      told.push(...step.transactions.flatMap(({ rows }) => rows.map((row) => row.key?.toString())));
    }
    expect(told).toEqual(['a', 'b', 'c'].map(key));
    await close();
  });
});
