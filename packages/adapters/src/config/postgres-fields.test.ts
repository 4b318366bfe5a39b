/**
 * Goal: a store of kind postgres means what it says, and settings that contradict each other are found before anything is
 * asked of a server. Method: one valid file; each case changes one line of it and names every complaint.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isKeyferryError } from '@keyferry/core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadConfig } from './load-config.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyferry-config-'));
});
afterAll(() => rm(folder, { recursive: true }));

const jobs = "- { table: jm.jobs, key: 'jm/{service}/{name}' }";
const textOf = (
  tables: string,
  migration = 'source: { store: db, prefix: jm/ }, target: { store: out, prefix: jm/ }',
) => `
version: 1
stores:
  db:
    kind: postgres
    host: db
    database: app
    auth: { user: keyferry, password: { env: PGPASSWORD } }
    tables:
      ${tables}
  out: { kind: sqlite, file: out.db }
migrations:
  m: { ${migration}, strategy: offline }
`;

async function load(text: string) {
  const file = join(folder, 'keyferry.yaml');
  await writeFile(file, text);
  return await loadConfig(file);
}

async function issuesOf(text: string): Promise<readonly string[]> {
  const error: unknown = await load(text).catch((thrown: unknown) => thrown);
  if (!isKeyferryError(error, 'config.invalid')) throw error;
  return error.details.issues.map(({ path, message }) => `${path}: ${message}`);
}

it('has defaults for all that is not said', async () => {
  const { stores } = await load(textOf(jobs));
  expect(stores['db']).toEqual({
    kind: 'postgres',
    host: 'db',
    port: 5432,
    database: 'app',
    auth: { user: 'keyferry', password: { env: 'PGPASSWORD' } },
    tls: null,
    tables: [{ from: { table: 'jm.jobs' }, key: 'jm/{service}/{name}', value: 'row', leaveOut: [], audit: false }],
    changes: 'log',
    order: 'server',
    schema: null,
    statementTimeoutMs: null,
    readTimeoutMs: null,
  });
});

const at = 'stores.db.tables[0]';
it.each<[name: string, text: string, ...issues: string[]]>([
  ['no table and no query', textOf("- { key: '{a}' }"), `${at}: one of table, query is expected`],
  [
    'a name that is none',
    textOf("- { table: 'jm.jobs; DROP TABLE x', key: 'jm/{a}' }"),
    `${at}.table: the name of a table or view, such as jobs or jm.jobs, is expected`,
  ],
  [
    'a key without a column',
    textOf('- { table: jobs, key: jm/jobs }'),
    `${at}.key: a key of columns is expected: it names no column: {column}`,
  ],
  [
    'a value that is in the key',
    textOf("- { table: jobs, key: 'jm/{a}', value: { column: a } }"),
    `${at}.value.column: a is in the key already`,
  ],
  [
    'a column that is carried and left out',
    textOf("- { table: jobs, key: 'jm/{a}', value: { column: b }, leaveOut: [a, b, c] }"),
    `${at}.leaveOut[0]: a is in the key, and would be left out`,
    `${at}.leaveOut[1]: b is the value, and would be left out`,
  ],
  [
    'a prefix that no key has',
    textOf("- { table: jobs, key: 'pm/{a}' }"),
    'migrations.m.source.prefix: no table of store db has a key under it; theirs are pm/{a}',
  ],
  [
    'tables that only log',
    textOf("- { table: jobs, key: 'jm/{a}', audit: true }"),
    'stores.db.tables: all tables are audits, so nothing could show that the source was ever used; one that is none is expected',
  ],
  [
    'a query as a target',
    textOf(
      "- { query: SELECT 1, key: 'jm/{a}' }",
      'source: { store: out, prefix: jm/ }, target: { store: db, prefix: jm/ }',
    ),
    `${at}.query: nothing can be written to a query, and a migration has store db as its target; name a table`,
  ],
])('refuses %s', async (_name, text, ...issues) => {
  expect(await issuesOf(text)).toEqual(issues);
});
