/**
 * Goal: one record that a table refuses keeps no other from being carried, wherever in a batch it is, and at what moment
 * the server finds it. Method: tables with rules of their own, on a real server.
 */
import {
  keyFromText,
  type Fence,
  type MigrationId,
  type Position,
  type TailChange,
  type TailWriter,
} from '@keyferry/core';
import { bytes } from '@keyferry/core/testing';
import { serverOrSkip, startPostgres, type PostgresServer } from '@keyferry/servers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { PostgresStore } from '../../src/postgres/index.ts';
import { mappingOf, openStore } from './postgres-fixture.ts';

const available = await serverOrSkip('postgres-15');
const migration = 'm' as MigrationId;
const fence: Fence = { attempt: 1, token: 1 };

describe.skipIf(!available.ok)(`a tail that writes to tables with rules${available.note}`, () => {
  let server: PostgresServer;
  let store: PostgresStore;
  let writer: TailWriter;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    await server.psql(`DROP SCHEMA IF EXISTS keyferry CASCADE; DROP SCHEMA IF EXISTS t CASCADE; CREATE SCHEMA t;
      CREATE TABLE t.parents (id text PRIMARY KEY, n integer NOT NULL CHECK (n > 0), CONSTRAINT one_n UNIQUE (n));
      CREATE TABLE t.children (id text PRIMARY KEY, parent text REFERENCES t.parents DEFERRABLE INITIALLY DEFERRED)`);
    store = openStore(server, { tables: [mappingOf('t.parents', 'p/{id}'), mappingOf('t.children', 'c/{id}')] });
    await store.control(migration).raiseEpoch(fence);
    const claim = await store.tail(migration).claimTail('forward', fence, fence);
    if (claim.kind !== 'claimed') throw new Error('the claim was refused');
    ({ writer } = claim);
  });
  afterEach(() => store.close());

  const put = (key: string, value: object): TailChange => {
    return { kind: 'put', key: keyFromText(key), value: bytes(JSON.stringify(value)), expiresAtMs: null };
  };
  const gone = (key: string): TailChange => ({ kind: 'delete', key: keyFromText(key) });
  const apply = async (changes: readonly TailChange[], position: string) => {
    const outcomes = await writer.apply(changes, position as Position);
    const found = await store.lookUp(changes.map(({ key }) => key));
    return outcomes.map((outcome, i) => {
      if (outcome.kind === 'written') expect(outcome.version).toBe(found[i]?.version);
      return outcome.kind === 'refused' ? outcome.detail : outcome.kind;
    });
  };

  it('refuses the one to blame, and says which rule', async () => {
    const changes = [1, 2, 3, 4, 5].map((n) => put(`p/${n}`, { n: n === 3 ? -3 : n }));
    const outcomes = await apply(changes, '1');
    expect(outcomes.filter((_, i) => i !== 2)).toEqual(['written', 'written', 'written', 'written']);
    expect(outcomes[2]).toMatch(/23514.*parents_n_check/);
    expect(await store.tail(migration).readTail('forward')).toEqual({ fence, position: '1' });
    expect(await server.psql('SELECT string_agg(id, $$ $$ ORDER BY id) FROM t.parents')).toBe('1 2 4 5\n');
  });

  it('makes them in their order where that is what lets them through', async () => {
    expect(await apply([put('p/a', { n: 1 }), put('p/b', { n: 2 })], '1')).toEqual(['written', 'written']);
    // Rows of one table are written by kind of statement first; only one by one is the number free in time.
    expect(await apply([gone('p/a'), put('p/c', { n: 1 }), put('p/b', { n: 3 }), put('p/d', { n: 2 })], '2')).toEqual([
      'deleted',
      'written',
      'written',
      'written',
    ]);
  });

  it('finds what the server would check at the end only', async () => {
    const outcomes = await apply(
      [put('p/a', { n: 1 }), put('c/1', { parent: 'a' }), put('c/2', { parent: 'nobody' })],
      '1',
    );
    expect(outcomes.slice(0, 2)).toEqual(['written', 'written']);
    expect(outcomes[2]).toMatch(/23503/);
    expect((await store.tail(migration).readTail('forward'))?.position).toBe('1');
  });

  it('says what its user lacks, as what to run, and nothing once that was run', async () => {
    await server.psql(`DROP SCHEMA keyferry CASCADE; DROP ROLE IF EXISTS writer; CREATE ROLE writer LOGIN PASSWORD 'writer';
      GRANT USAGE ON SCHEMA t TO writer; GRANT SELECT ON t.parents, t.children TO writer`);
    const tables = [mappingOf('t.parents', 'p/{id}'), mappingOf('t.children', 'c/{id}')];
    const theirs = openStore(server, { tables, auth: { user: 'writer', password: 'writer' } });
    const tail = theirs.tail(migration);
    const lacks = (await tail.lacks?.()) ?? '';
    const statements = lacks.split('   ').slice(1);
    expect(statements).toEqual([
      'GRANT INSERT, UPDATE, DELETE ON "t"."parents" TO writer;',
      'GRANT INSERT, UPDATE, DELETE ON "t"."children" TO writer;',
      'CREATE SCHEMA "keyferry" AUTHORIZATION writer',
    ]);
    await server.psql(statements.map((statement) => statement.replace(/;?$/, ';')).join(' '));
    expect(await tail.lacks?.()).toBeNull();
    await theirs.control(migration).raiseEpoch(fence);
    expect(await theirs.tail(migration).claimTail('reverse', fence, fence)).toMatchObject({ kind: 'claimed' });
    await server.psql('REVOKE UPDATE ON keyferry.tails FROM writer');
    expect(await tail.lacks?.()).toContain('ALL TABLES IN SCHEMA "keyferry"');
    await theirs.close();
    await server.psql('DROP SCHEMA keyferry CASCADE; DROP OWNED BY writer; DROP ROLE writer');
  });

  it('says of a table that nothing can be written to it', async () => {
    await server.psql('CREATE VIEW t.seen AS SELECT * FROM t.parents');
    const theirs = openStore(server, { tables: [mappingOf('t.seen', 'p/{id}')] });
    expect(await theirs.tail(migration).lacks?.()).toContain('t.seen is no table');
    await theirs.close();
  });
});
