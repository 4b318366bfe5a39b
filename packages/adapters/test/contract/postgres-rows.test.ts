/**
 * Goal: a row becomes the same record whoever reads it, and a record the same row again, for every type of column; what
 * cannot be a record, or a row, is named and neither lost nor changed.
 * Method: tables with columns of each type and awkward content, read, written into an empty copy and read again.
 */
import { serverOrSkip, startPostgres, type PostgresServer } from '@keyferry/servers';
import {
  chunkId,
  keyFromText,
  prefixRange,
  type GuardedPut,
  type Key,
  type MigrationId,
  type RecordPage,
} from '@keyferry/core';
import { readAll } from '@keyferry/core/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { PostgresStore, TableMapping } from '../../src/postgres/index.ts';
import { serverWouldSort } from '../../src/postgres/row-order.ts';
import { connectTo, mappingOf, openStore } from './postgres-fixture.ts';

const available = await serverOrSkip('postgres-15');
const everything = { start: '' as Key, end: null };
const first = { attempt: 1, token: 1 };

describe.skipIf(!available.ok)(`rows of PostgreSQL 15${available.note}`, () => {
  let server: PostgresServer;
  const stores: PostgresStore[] = [];
  beforeAll(async () => {
    server = await startPostgres();
  });
  beforeEach(async () => {
    await Promise.all(stores.splice(0).map((store) => store.close()));
    await server.psql('DROP SCHEMA IF EXISTS keyferry CASCADE; DROP SCHEMA IF EXISTS t CASCADE; CREATE SCHEMA t');
  });
  afterAll(async () => {
    await Promise.all(stores.map((store) => store.close()));
    await server.stop();
  });

  const open = (
    tables: readonly TableMapping[],
    side: 'source' | 'target' = 'source',
    order: 'auto' | 'server' | 'local' = 'auto',
  ) => {
    const store = openStore(server, { tables, side, order });
    stores.push(store);
    return store;
  };
  const textsOf = async (store: PostgresStore) =>
    (await readAll(store, everything)).map(({ key, value }) => [key, Buffer.from(value).toString('utf8')]);
  const pagesOf = async (store: PostgresStore) => {
    const view = await store.openView(everything);
    const pages: RecordPage[] = [];
    for await (const page of view.scan(everything, { pageKeysMax: 2 })) pages.push(page);
    await view.close();
    return pages;
  };
  const writerOf = async (store: PostgresStore) => {
    const control = store.control('m' as MigrationId);
    await control.raiseEpoch(first);
    const claimed = await control.claimChunk(chunkId(0), first, first);
    if (claimed.kind !== 'claimed') throw new TypeError('the claim was refused');
    return claimed.writer;
  };
  const put = (key: string, value: string | Uint8Array): GuardedPut => {
    return { kind: 'put', key: keyFromText(key), value: Buffer.from(value), expiresAtMs: null, expect: 'absent' };
  };

  /** Each type with values in SQL, each with the JSON that it becomes. */
  const types: readonly {
    readonly type: string;
    readonly values: readonly (readonly [sql: string, json: string])[];
  }[] = (
    [
      ['text', [`'a "b" \\ / é 😀'`, '"a \\"b\\" \\\\ / é 😀"'], [`E'\\t\\n\\x01'`, '"\\t\\n\\u0001"'], [`''`, '""']],
      ['varchar(9)', [`'v'`, '"v"']],
      ['char(4)', [`'c'`, '"c"']],
      ['integer', ['-2147483648', '-2147483648']],
      ['bigint', ['9223372036854775807', '9223372036854775807']],
      ['numeric', ['12.50', '12.50'], ['1e-20', '0.00000000000000000001'], [`'NaN'`, '"NaN"']],
      ['numeric(30,10)', ['12345678901234567890.1', '12345678901234567890.1000000000']],
      ['real', ['0.1', '0.1']],
      ['double precision', ['0.1', '0.1'], ['1e300', '1e+300'], [`'-Infinity'`, '"-Infinity"']],
      ['boolean', ['true', 'true'], ['false', 'false']],
      ['bytea', [`'\\x00ff5c'`, '"\\\\x00ff5c"'], [`''`, '"\\\\x"']],
      ['uuid', [`'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'`, '"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"']],
      ['date', [`'2024-02-29'`, '"2024-02-29"'], [`'infinity'`, '"infinity"']],
      ['timestamptz', [`'2024-02-29 12:00:00.123456+02'`, '"2024-02-29T10:00:00.123456+00:00"']],
      ['timestamp', [`'2024-02-29 12:00:00'`, '"2024-02-29T12:00:00"']],
      ['time', [`'12:00:00.5'`, '"12:00:00.5"']],
      ['interval', [`'1 year 2 days 03:04:05'`, '"P1Y2DT3H4M5S"']],
      [
        'jsonb',
        [`'{"bb": 1.50, "a": [null, {"x": "é"}]}'`, '{"a": [null, {"x": "é"}], "bb": 1.50}'],
        [`'null'`, 'null'],
      ],
      ['json', [`' {"b":1 , "a":1, "a":2} '`, '{"b":1 , "a":1, "a":2}'], [`'"x"'`, '"x"']],
      ['text[]', [`'{a,"b c",NULL,"NULL"}'`, '["a","b c",null,"NULL"]'], [`'{}'`, '[]']],
      ['integer[]', [`'{{1,2},{3,4}}'`, '[[1,2],[3,4]]'], [`'[0:1]={5,6}'`, '"[0:1]={5,6}"']],
      ['jsonb[]', [`array['null'::jsonb, NULL, '{"a": 1}']`, '"{\\"null\\",NULL,\\"{\\\\\\"a\\\\\\": 1}\\"}"']],
      ['inet', [`'10.0.0.0/8'`, '"10.0.0.0/8"']],
      ['int4range', [`'[1,5)'`, '"[1,5)"']],
    ] as [type: string, ...values: [sql: string, json: string][]][]
  ).map(([type, ...values]) => ({ type, values }));

  it.each(types)('$type is carried exactly, and comes back as it was', async ({ type, values }) => {
    await server.psql(`CREATE TABLE t.old (id integer PRIMARY KEY, v ${type}); CREATE TABLE t.new (LIKE t.old INCLUDING ALL);
      INSERT INTO t.old VALUES ${values.map(([sql], nth) => `(${nth}, ${sql})`).join(', ')}, (${values.length}, NULL)`);
    const source = open([mappingOf('t.old', 'a/{id}')]);
    const isJson = type.startsWith('json') && !type.endsWith('[]');
    const read = await textsOf(source);
    expect(read).toEqual([
      ...values.map(([, json], nth) => [`a/${nth}`, `{"v":${json}}`]),
      [`a/${values.length}`, isJson ? '{}' : '{"v":null}'],
    ]);
    const target = open([mappingOf('t.new', 'a/{id}')], 'target');
    const writer = await writerOf(target);
    const outcomes = await writer.write(read.map(([key = '', value = '']) => put(key, value)));
    expect(outcomes.map(({ kind }) => kind)).toEqual(read.map(() => 'written'));
    expect(await textsOf(target)).toEqual(read);
    const differing = `SELECT count(*) FROM t.old o FULL JOIN t.new n USING (id)
      WHERE (o.v IS NULL) <> (n.v IS NULL) OR o.v::text <> n.v::text`;
    // Around a json value may be spaces, which say nothing and are not carried.
    expect(await server.psql(type === 'json' ? differing.replace('o.v::text', 'btrim(o.v::text)') : differing)).toBe(
      '0\n',
    );
  });

  it('one column alone is the value, as its bytes', async () => {
    await server.psql(`CREATE TABLE t.blobs (name text PRIMARY KEY, body bytea NOT NULL, at timestamptz DEFAULT now());
      CREATE TABLE t.docs (name text PRIMARY KEY, doc jsonb NOT NULL);
      INSERT INTO t.blobs VALUES ('b', '\\x00ff'); INSERT INTO t.docs VALUES ('d', '{"b": 1, "a": "é"}')`);
    const store = open([
      mappingOf('t.blobs', 'blobs/{name}', { value: { column: 'body' }, leaveOut: ['at'] }),
      mappingOf('t.docs', 'docs/{name}', { value: { column: 'doc' } }),
    ]);
    const records = await readAll(store, everything);
    expect(records.map(({ key, value }) => [key, Buffer.from(value).toString('latin1')])).toEqual([
      ['blobs/b', '\0\xff'],
      ['docs/d', Buffer.from('{"a": "é", "b": 1}').toString('latin1')],
    ]);
  });

  const sorters = ['server', 'local'] as const;

  it.each(sorters)(
    'several tables, views and queries come in the order of the bytes of their keys: %s',
    async (order) => {
      await server.psql(`CREATE TABLE t.jobs (service text, name text, state text, version bigint, PRIMARY KEY (service, name));
      INSERT INTO t.jobs VALUES ('a', 'z', 'x', 7), ('a-b', 'y', 'x', 8), ('a/c', '%', 'x', 9), ('ä', 'B', 'x', 10);
      CREATE VIEW t.active AS SELECT service, count(*) AS jobs FROM t.jobs GROUP BY service`);
      const tables = [
        mappingOf('t.jobs', 'jm/{service}/{name}'),
        mappingOf('t.active', 'jm/{service}.count'),
        { ...mappingOf('x', 'jm/{id}'), from: { query: 'SELECT generate_series(1, 2) AS id, NULL::text AS note;' } },
      ];
      const store = open(tables, 'source', order);
      const read = await textsOf(store);
      expect(read.map(([key]) => key)).toEqual(
        [
          'jm/1',
          'jm/2',
          'jm/a-b.count',
          'jm/a-b/y',
          'jm/a.count',
          'jm/a/z',
          'jm/a%2Fc.count',
          'jm/a%2Fc/%25',
          'jm/ä.count',
          'jm/ä/B',
        ]
          .map(keyFromText)
          .toSorted(),
      );
      expect(Object.fromEntries(read)['jm/a/z']).toBe('{"state":"x","version":7}');
      const part = await readAll(store, prefixRange(keyFromText('jm/a/')));
      expect(part.map(({ key }) => key)).toEqual(['jm/a/z']);
      expect(await store.countRecords(prefixRange(keyFromText('jm/a')), 100)).toBe(6);
    },
  );

  it('reads a part of the keys alone, by whichever way of comparing, also where its bounds are no text', async () => {
    await server.psql(`CREATE TABLE t.x (name text PRIMARY KEY, body text NOT NULL);
      INSERT INTO t.x VALUES ('A', ''), ('a', ''), ('b', ''), ('é', ''), ('z', ''), ('ý', ''), ('中', ''), ('😀', '')`);
    const mapping = mappingOf('t.x', '{name...}', { value: { column: 'body' } });
    const both = sorters.map((order) => open([mapping], 'source', order));
    const bounds = [
      '',
      'A',
      'a',
      'b\0',
      'z',
      '\xc3',
      '\xc3\xa9',
      '\xc3\xbd',
      '\xe4\xb8',
      '\xf0\x9f\x98\x80',
      '\xff',
    ] as Key[];
    const [whole] = both as [PostgresStore, PostgresStore];
    const all = (await readAll(whole, everything)).map(({ key }) => key);
    expect(all).toHaveLength(8);
    for (const start of bounds) {
      for (const end of [...bounds.filter((bound) => bound > start), null]) {
        const wanted = all.filter((key) => key >= start && (end === null || key < end));
        for (const store of both) {
          expect((await readAll(store, { start, end })).map(({ key }) => key)).toEqual(wanted);
        }
        expect(await whole.countRecords({ start, end }, 100)).toBe(wanted.length);
      }
    }
  }, 120_000);

  it.each(sorters)('has the version that the server has, alone and beside rows that have none: %s', async (order) => {
    await server.psql(`CREATE TABLE t.x (name text PRIMARY KEY, body text NOT NULL); INSERT INTO t.x VALUES ('a', '1');
      CREATE VIEW t.v AS SELECT 'v' AS name, 'seen' AS body`);
    await server.psql(`INSERT INTO t.x VALUES ('b', '2')`);
    const table = mappingOf('t.x', 'x/{name}');
    const view = mappingOf('t.v', 'v/{name}');
    const versions = async (tables: readonly TableMapping[]) =>
      (await readAll(open(tables, 'source', order), everything)).map(({ key, version }) => `${key}|${version}`);
    const wanted = (await server.psql(`SELECT 'x/' || name, xmin FROM t.x ORDER BY 1`)).trim().split('\n');
    expect(await versions([table])).toEqual(wanted);
    const [seen, ...others] = await versions([view, table]);
    expect(others).toEqual(wanted);
    expect(seen).toBe(`v/v|${(await server.psql(`SELECT md5('{"body":"seen"}')`)).trim()}`);
  });

  it('asks the server for an order where an index has it, and nowhere else', async () => {
    await server.psql(`CREATE TABLE t.ordered (name text COLLATE "C" PRIMARY KEY, body text NOT NULL);
      INSERT INTO t.ordered SELECT lpad(i::text, 6, '0'), 'x' FROM generate_series(1, 20000) i; ANALYZE t.ordered`);
    const client = await connectTo(server);
    const select = 'SELECT name, body FROM t.ordered';
    expect(await serverWouldSort(client, `${select} ORDER BY name COLLATE "C"`)).toBe(false);
    expect(await serverWouldSort(client, `${select} ORDER BY body, name`)).toBe(true);
    await client.end();
  });

  it.each(sorters)('rows of one key, and rows without one, are named and are no records: %s', async (order) => {
    await server.psql(`CREATE TABLE t.loose (name text, state text);
      INSERT INTO t.loose VALUES ('a', '1'), ('b', '1'), ('b', '2'), ('b', '3'), (NULL, '4'), ('z', NULL)`);
    const pages = await pagesOf(open([mappingOf('t.loose', 'l/{name}')], 'source', order));
    expect(pages.flatMap(({ records }) => records.map(({ key }) => key))).toEqual(['l/a', 'l/z']);
    expect(pages.flatMap(({ unplaced = [] }) => unplaced)).toEqual([
      expect.objectContaining({
        key: 'l/b',
        reason: 'key.collision',
        count: 3,
        detail: expect.stringContaining('3 rows') as string,
      }),
      expect.objectContaining({
        key: 'l/{name}',
        reason: 'rule.failed',
        count: 1,
        detail: 'a row of t.loose is no record: column name of its key is NULL',
      }),
    ]);
  });

  it.each([
    { name: 'a column nobody thought of', mapping: { value: { column: 'a' } }, says: 'b would be carried nowhere' },
    { name: 'a column that is not there', mapping: { leaveOut: ['c'] }, says: 'no column c' },
  ])('refuses $name', async ({ mapping, says }) => {
    await server.psql('CREATE TABLE t.x (id integer PRIMARY KEY, a text, b text)');
    const store = open([mappingOf('t.x', 'x/{id}', mapping)]);
    await expect(store.openView(everything)).rejects.toMatchObject({
      code: 'store.unsupported',
      message: expect.stringContaining(says) as string,
    });
  });

  it.each([
    {
      name: 'a table without a unique index on its key',
      sql: 'CREATE TABLE t.x (id integer NOT NULL, a text)',
      says: 'no unique index on (id)',
    },
    {
      name: 'a unique index of more columns',
      sql: 'CREATE TABLE t.x (id integer, a text, PRIMARY KEY (id, a))',
      says: 'no unique index on (id)',
    },
    { name: 'a view', sql: 'CREATE VIEW t.x AS SELECT 1 AS id', says: 'is no table' },
    {
      name: 'a key of a type that has several texts',
      sql: 'CREATE TABLE t.x (id numeric PRIMARY KEY)',
      says: 'of type numeric',
    },
    {
      name: 'a column that must be there and is left out',
      sql: 'CREATE TABLE t.x (id integer PRIMARY KEY, a text NOT NULL)',
      says: 'a may not be NULL',
    },
    { name: 'a table that is not there', sql: 'SELECT 1', says: 'there is no table t.x' },
  ])('as a target refuses $name', async ({ sql, says }) => {
    await server.psql(sql);
    const leaveOut = says.startsWith('a may') ? ['a'] : [];
    await expect(open([mappingOf('t.x', 'x/{id}', { leaveOut })], 'target').describe()).rejects.toMatchObject({
      code: 'store.unsupported',
      message: expect.stringContaining(says) as string,
    });
  });

  it('refuses each record that the table would keep as something else, and takes those beside it', async () => {
    await server.psql(`CREATE TABLE t.x (id integer PRIMARY KEY, a varchar(3), n numeric(5,1), j jsonb,
      CONSTRAINT small CHECK (id < 100))`);
    const store = open([mappingOf('t.x', 'x/{id}')], 'target');
    const writer = await writerOf(store);
    const good = '{"a":"x","j":{"k": 1},"n":1.5}';
    const outcomes = await writer.write([
      put('x/1', good),
      put('x/2', '{"a":"x","n":1.55}'),
      put('x/3', '{"a":"secret","n":1.5}'),
      put('x/4', '{"a":"x","j":{"k":1},"n":1.5}'),
      put('x/5', '{"a":"x","n":1.5,"other":1}'),
      put('x/6', '{"a":"x"}'),
      put('x/7', 'no JSON'),
      put('x/08', good),
      put('y/8', good),
      put('x/101', good),
      put('x/9', '{"a":null,"n":null}'),
    ]);
    expect(outcomes.map(({ kind }) => kind)).toEqual([
      'written',
      ...Array.from({ length: 9 }, () => 'refused'),
      'written',
    ]);
    expect(JSON.stringify(outcomes)).not.toContain('secret');
    expect(outcomes[9]).toMatchObject({ detail: expect.stringContaining('constraint small') as string });
    expect(await textsOf(store)).toEqual([
      ['x/1', good],
      ['x/9', '{"a":null,"n":null}'],
    ]);
    const { unfit } = store.capabilities;
    const why = (key: string, value: string) => unfit?.({ key: keyFromText(key), value: Buffer.from(value) });
    expect(why('x/5', '{"a":"x","n":1.5,"other":1}')).toBe('the value has a member "other" that no column holds');
    expect(why('x/6', '{"a":"x"}')).toBe('the value has no member for column n');
    expect(why('x/x', good)).toBe('the key holds no integer for column id');
    expect(why('x/1', good)).toBeNull();
  });

  it('was never used while it has no tables, or nothing but a log; a row, or one that went, is use', async () => {
    const tables = [mappingOf('t.jobs', 'j/{id}'), mappingOf('t.audit', 'a/{id}', { audit: true })];
    const unused = async () => (await open(tables).describe()).neverUsed ?? null;
    expect(await unused()).toContain('there is no table t.jobs, t.audit');
    await server.psql('CREATE TABLE t.jobs (id integer PRIMARY KEY); CREATE TABLE t.audit (id integer PRIMARY KEY)');
    expect(await unused()).toContain('nothing was ever written to t.jobs');
    await server.psql('INSERT INTO t.audit VALUES (1)');
    expect(await unused()).toContain('nothing was ever written to t.jobs');
    await server.psql('INSERT INTO t.jobs VALUES (1)');
    expect(await unused()).toBeNull();
    await server.psql('DELETE FROM t.jobs');
    expect(await unused()).toBeNull();
    await server.psql('DROP TABLE t.audit');
    await expect(unused()).rejects.toMatchObject({ code: 'store.unsupported' });
  });
});
