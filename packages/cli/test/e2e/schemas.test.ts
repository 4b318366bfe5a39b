/**
 * Goal: whoever validates what --json and --events print against `keyferry schema NAME` is never surprised.
 * Method: every document of a whole migration, its failures included, held against the schema that the same binary
 * prints. The schemas admit members of later versions; here they are closed first, so that a member they do not know fails.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DocumentSchemas, problems, type Schema } from './document-schemas.ts';
import { rows, Workbench } from './workbench.ts';

/** Schemas of other things than documents, and documents that need what is not here. */
const notHere = new Map([
  ['config', 'the configuration file'],
  ['events', 'below'],
  ['lock-broken', 'needs a run that was killed'],
  ['run-control', 'needs a run that works: run-control.test.ts'],
  ['state-table', 'needs DynamoDB: shared-state.test.ts'],
  ['lambda-package', 'needs state in DynamoDB: serverless.test.ts'],
  ['lambda-invocation', 'serverless.test.ts'],
  ['lambda-served', 'serverless.test.ts'],
]);

const memberDir = (name: string): string =>
  fileURLToPath(new URL(`../../../../examples/15-instead-of-etcdctl-migrate/input/${name}`, import.meta.url));
const datadir = fileURLToPath(new URL('../../../../examples/06-etcd-v2-datadir-to-sqlite/input/data', import.meta.url));

const registryExport = fileURLToPath(
  new URL('../../../../examples/16-apicurio-export/input/export.zip', import.meta.url),
);
/** From the target of the other migrations on; a person is its switch. */
const replicateConfig = `version: 1
stores:
  first: { kind: sqlite, file: target.db }
  second: { kind: sqlite, file: second.db }
migrations:
  follow:
    source: { store: first, prefix: /config/ }
    target: { store: second, prefix: /config/ }
    strategy: replicate
    replicate: { freeze: person, requestLife: 1s }
`;

/** Nobody answers there: the documents say so. Those of a migration that is under way are seen in parallel.test.ts. */
const registriesConfig = `version: 1
stores:
  two: { kind: apicurio-2, endpoints: ['http://127.0.0.1:1'] }
  three: { kind: apicurio-3, endpoints: ['http://127.0.0.1:2'] }
balancers:
  edge:
    kind: haproxy
    url: http://127.0.0.1:3
    reload: 'false'
    configFile: haproxy.cfg
    directory: keyferry
    pidFile: haproxy.pid
    socket: /nowhere/haproxy.sock
    v2: registry
    v3: { servers: ['127.0.0.1:2'] }
migrations:
  registry: { strategy: parallel, source: { store: two }, target: { store: three }, balancers: [edge] }
`;

let bench: Workbench;
const seen = new Map<string, number>();
const schemas = new DocumentSchemas(async (name) => {
  const { code, stdout } = await bench.run(['schema', name]);
  expect(code, `schema ${name}`).toBe(0);
  return stdout;
});

beforeAll(async () => {
  bench = await Workbench.create([
    ...rows(400),
    { key: '/config/db/password', value: 'secret' },
    { key: '/config/sessions/a', value: 's', expiresAt: '2099-01-01T00:00:00Z' },
  ]);
});
afterAll(() => bench.remove());

/** Schemas that tests beside this one hold real documents against, with servers that are not started here. */
async function heldElsewhere(): Promise<ReadonlySet<string>> {
  const folder = fileURLToPath(new URL('.', import.meta.url));
  const files = (await readdir(folder)).filter((name) => name.endsWith('.test.ts') && name !== 'schemas.test.ts');
  const texts = await Promise.all(files.map((name) => readFile(join(folder, name), 'utf8')));
  const held = texts.flatMap((text) => [...text.matchAll(/expect\(await schemas\.problems\('([a-z-]+)'/g)]);
  return new Set(held.map(([, name = '']) => name));
}

/** Runs, and holds the document against the schema of its own format. */
async function expectDocument(args: readonly string[], name: string): Promise<void> {
  const { document } = await bench.json(args);
  expect(document['format'], `${args.join(' ')}: ${JSON.stringify(document)}`).toBe(`keyferry.${name}`);
  expect(await schemas.problems(name, document), `keyferry ${args.join(' ')}`).toEqual([]);
  seen.set(name, (seen.get(name) ?? 0) + 1);
}

describe('documents of --json', () => {
  it('of commands that read are what their schemas say', async () => {
    await expectDocument(['validate'], 'validate');
    await expectDocument(['status'], 'status');
    await expectDocument(['doctor'], 'doctor');
    await expectDocument(['locks', 'list'], 'locks');
    await expectDocument(['explain'], 'codes');
    await expectDocument(['adapters', 'list'], 'adapters');
    for (const kind of ['etcd-v3', 'file']) await expectDocument(['adapters', 'describe', kind], 'adapter');
    await expectDocument(['schema'], 'schemas');
    await expectDocument(['schema', 'plan'], 'schema');
    await expectDocument(['init', '--out', 'other.yaml'], 'init');
    await bench.write('a.ndjson', '{"given":{"key":"/config/a","value":"v"},"expect":{"value":"w"}}\n');
    await expectDocument(['test', 'config', '--fixtures', 'a.ndjson'], 'test');
  });

  it('of a whole migration are what their schemas say', async () => {
    await expectDocument(['plan', 'config', '--out', 'a.kfplan'], 'plan');
    await expectDocument(['show', 'a.kfplan', '--only', 'create'], 'changes');
    await expectDocument(['show', 'a.kfplan', '--finding', 'ttl.short'], 'error');
    await expectDocument(['apply', 'a.kfplan', '--events', 'events.ndjson', '--log-file', 'log.ndjson'], 'apply');
    await expectDocument(['status'], 'status');
    await expectDocument(['verify', 'config'], 'verify');
    await expectDocument(['verify', '--all'], 'all');
    await bench.writeRows([...rows(3), { key: '/config/features/000000', value: 'changed' }].slice(1));
    await expectDocument(['verify', 'config'], 'verify');
    await expectDocument(['plan', 'config', '--out', 'b.kfplan'], 'plan');
    await expectDocument(['show', 'b.kfplan', '--finding', 'conflict.found'], 'findings');
    await expectDocument(['apply', 'b.kfplan'], 'error');
    await expectDocument(['rollback', 'config', '--yes'], 'rollback');
    await expectDocument(['status'], 'status');
  });

  it('of what comes after an apply are what their schemas say', async () => {
    await bench.writeRows(rows(5));
    await expectDocument(['plan', 'config', '--out', 'c.kfplan'], 'plan');
    await expectDocument(['apply', 'c.kfplan'], 'apply');
    await expectDocument(['runs', 'list'], 'runs');
    await expectDocument(['runs', 'show', 'config'], 'run');
    await expectDocument(['runs', 'retry', 'config'], 'retry');
    await expectDocument(['report', 'config'], 'report');
    await expectDocument(['finalize', 'config', '--yes'], 'finalize');
    await expectDocument(['apply', 'c.kfplan'], 'already-done');
    await expectDocument(['status'], 'status');
    await expectDocument(['finalize', 'config', '--reopen', '--yes'], 'reopen');
    await expectDocument(['inspect', datadir], 'inspect');
    await expectDocument(['inspect', registryExport, '--repaired', 'repaired.zip'], 'inspect-export');
    await expectDocument(['inspect', memberDir('m1'), '--member', memberDir('m2')], 'members');
  });

  it('of the state are what their schemas say', async () => {
    await expectDocument(['state', 'list'], 'state-list');
    await expectDocument(['state', 'show', 'config'], 'state-migration');
    await expectDocument(['state', 'history', 'config'], 'state-history');
    await expectDocument(['state', 'upgrade'], 'state-upgraded');
    await expectDocument(['state', 'export', 'config', '--out', 'state.ndjson'], 'state-exported');
    await expectDocument(['state', 'forget', 'config', '--yes'], 'state-forgotten');
    await expectDocument(['state', 'import', 'state.ndjson'], 'state-imported');
    await expectDocument(['plan', 'config', '--out', 'd.kfplan'], 'plan');
    await expectDocument(['apply', 'd.kfplan'], 'apply');
    await expectDocument(['state', 'forget', 'config', '--yes', '--accept', 'forget.way-back'], 'state-forgotten');
    await expectDocument(['state', 'adopt', 'd.kfplan'], 'state-adopted');
  });

  it('of a replication are what their schemas say', async () => {
    await bench.write('replicate.yaml', replicateConfig);
    const move = (...args: readonly string[]) => [...args, '-c', 'replicate.yaml'];
    await expectDocument(move('plan', 'follow', '--out', 'follow.kfplan'), 'plan');
    await expectDocument(move('apply', 'follow.kfplan'), 'replicate');
    await expectDocument(move('status'), 'status');
    await expectDocument(move('cutover', 'follow', '--confirm', '--yes'), 'cutover');
    await expectDocument(move('status'), 'status');
    await expectDocument(move('rollback', 'follow', '--confirm', '--yes'), 'rollback');
  });

  it('of a migration between registries that nobody applied are what their schemas say', async () => {
    await bench.write('registries.yaml', registriesConfig);
    await expectDocument(['status', 'registry', '-c', 'registries.yaml'], 'parallel-status');
    await expectDocument(['report', 'registry', '-c', 'registries.yaml'], 'parallel-report');
  });

  it('of failures are what the schema of errors says', async () => {
    await expectDocument(['plan', 'nothing'], 'error');
    await expectDocument(['plann'], 'error');
    await expectDocument(['show', 'none.kfplan'], 'error');
    await bench.write('wrong.yaml', 'version: 1\nstoresss: {}\n');
    await expectDocument(['validate', '-c', 'wrong.yaml'], 'error');
  });

  it('are all seen here or held in another of these tests, but for those that take more than that', async () => {
    const { document } = await bench.json(['schema']);
    const elsewhere = await heldElsewhere();
    expect([...elsewhere]).toEqual(expect.arrayContaining(['parallel-plan', 'parallel-run', 'rehearsal']));
    const unseen = (document['schemas'] as string[]).filter(
      (name) => !seen.has(name) && !elsewhere.has(name) && !notHere.has(name),
    );
    expect(unseen, 'run the command that prints it in a test above, or say in notHere why not').toEqual([]);
  });
});

describe('lines of --events and --log-file', () => {
  it.each(['events.ndjson', 'log.ndjson'])('of %s are what the schema says', async (file) => {
    const schema = await schemas.get('events');
    const events = await bench.readEvents(file);
    expect(events.map(({ type }) => type)).toEqual(expect.arrayContaining(['version', 'apply.started', 'end']));
    for (const event of events) expect(problems(schema, event), `event ${JSON.stringify(event)}`).toEqual([]);
  });
});

describe('a schema', () => {
  it('refuses a document that is not so, and admits what a later minor version adds', async () => {
    const { document } = await bench.json(['validate']);
    const schema = JSON.parse((await bench.run(['schema', 'validate'])).stdout) as Schema;
    expect(problems(schema, { ...document, formatVersion: '1.7', added: true })).toEqual([]);
    expect(problems(schema, { ...document, formatVersion: '2.0' })).not.toEqual([]);
    expect(problems(schema, { ...document, stores: null })).not.toEqual([]);
  });
});
