/**
 * Goal: the records of a component go from PostgreSQL to Consul and come back as the same rows, through kills and restarts;
 * what cannot go is named before anything is written; and what was never used is not migrated into emptiness.
 * Method: the built binary between real servers; tables are compared in SQL by the server itself, Consul over HTTP.
 */
import {
  request,
  serverOrSkip,
  startConsul,
  startPostgres,
  type ConsulServer,
  type PostgresServer,
} from '@keyferry/servers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startHeldAnswers } from './held-answers.ts';
import { killPhases } from './kill-phases.ts';
import { findingsWith, MigrationFolder, type MigrationOptions } from './migration-folder.ts';

const [postgres, consul] = await Promise.all([serverOrSkip('postgres-15'), serverOrSkip('consul-1.8')]);
const note = [postgres, consul].find((server) => !server.ok)?.note ?? '';
const jobCount = 3000;
const env = { STORE2_PASSWORD: 'store2-pass' };

/** Jobs with a version of their own, packages with versions in their keys, in types that are easily bent. */
const schemaOf = (schema: string) => `
  CREATE TABLE ${schema}.jobs (
    service text, name text, state text NOT NULL, attempts integer NOT NULL, version bigint NOT NULL, cost numeric(12,2),
    spec jsonb NOT NULL, started_at timestamptz, labels text[], PRIMARY KEY (service, name)
  );
  CREATE TABLE ${schema}.packages (name text, version text, digest bytea, manifest json, PRIMARY KEY (name, version));`;
const rowsOf = (schema: string) => `
  INSERT INTO ${schema}.jobs SELECT CASE i % 4 WHEN 0 THEN 'billing' WHEN 1 THEN 'billing-eu' WHEN 2 THEN 'a/b' ELSE 'sück' END,
      'job ' || i, 'done', i % 5, 9007199254740993 + i, i / 100.0, jsonb_build_object('retry', i % 3, 'queue', 'q' || i % 7, 'ratio', 0.10),
      CASE WHEN i % 2 = 0 THEN timestamptz '2024-02-29 12:00:00.000001+01' + i * interval '1 second' END, array['x', 'y"' || i]
    FROM generate_series(1, ${jobCount}) i;
  INSERT INTO ${schema}.packages SELECT 'pkg' || i % 50, i || '.0.0', decode(md5(i::text), 'hex'), '{"deps": [1,  2], "n": 1.50}'
    FROM generate_series(1, 500) i;`;
const tables = (schema: string) => [
  { table: `${schema}.jobs`, key: 'app/jobs/{service}/{name}' },
  { table: `${schema}.packages`, key: 'app/packages/{name}/{version}' },
];

describe.skipIf(!postgres.ok || !consul.ok)(`PostgreSQL and Consul${note}`, () => {
  let database: PostgresServer;
  let kv: ConsulServer;
  const folders: MigrationFolder[] = [];
  const store = (schema: string, more: object = {}) => {
    const { host, port } = database;
    const auth = { user: 'store2', password: { env: 'STORE2_PASSWORD' } };
    return { kind: 'postgres', host, port, database: 'postgres', auth, tables: tables(schema), ...more };
  };
  const target = () => ({ kind: 'consul', endpoints: kv.endpoints });
  const open = async (options: Partial<MigrationOptions> = {}): Promise<MigrationFolder> => {
    const folder = await MigrationFolder.create({
      source: store('jm'),
      target: target(),
      prefix: 'app/',
      settings: { limits: { chunkKeys: 200, workers: 2 } },
      ...options,
    });
    folders.push(folder);
    return folder;
  };
  const differences = async (one: string, other: string) => {
    const of = (table: string) => `SELECT count(*) FROM (
      (SELECT t::text FROM ${one}.${table} t EXCEPT SELECT t::text FROM ${other}.${table} t) UNION ALL
      (SELECT t::text FROM ${other}.${table} t EXCEPT SELECT t::text FROM ${one}.${table} t)) d`;
    return `${await database.psql(of('jobs'))}${await database.psql(of('packages'))}`;
  };
  const done = (more: object = {}) => ({
    exitCode: 0,
    document: { outcome: 'done', verify: { verdict: 'agree' }, deviations: [], ...more },
  });
  /** Kills the command behind so many of its chunks, again and again, until it comes to its end. */
  const killedAndResumed = async (folder: MigrationFolder, args: readonly string[]) => {
    const first = folder.start(args, env);
    await first.reaches('chunk.done', 3);
    first.kill('SIGKILL');
    await first.ended;
    const second = folder.start(args, env);
    await second.reaches('chunk.done', 2);
    return second;
  };

  beforeAll(async () => {
    [database, kv] = await Promise.all([startPostgres(), startConsul()]);
    await database.psql(`CREATE ROLE store2 LOGIN PASSWORD 'store2-pass'; GRANT CREATE ON DATABASE postgres TO store2`);
  }, 240_000);
  beforeEach(async () => {
    await database.psql(`DROP SCHEMA IF EXISTS keyferry CASCADE; DROP SCHEMA IF EXISTS jm CASCADE; DROP SCHEMA IF EXISTS back CASCADE;
      CREATE SCHEMA jm AUTHORIZATION store2; CREATE SCHEMA back AUTHORIZATION store2;
      SET ROLE store2; ${schemaOf('jm')} ${schemaOf('back')}`);
    await request(`${kv.endpoints[0] ?? ''}/v1/kv/?recurse`, { method: 'DELETE' });
  });
  afterEach(() => Promise.all(folders.splice(0).map((folder) => folder.remove())));
  afterAll(() => Promise.all([database?.stop(), kv?.stop()]));

  it('rows go to Consul and come back as they were, with a version in flags, through kill -9 and restarts of PostgreSQL', async () => {
    await database.psql(rowsOf('jm'));
    const out = await open({ target: { ...target(), flagsFrom: '/attempts' } });
    // Dry runs stand in nobody's way, and say the same.
    const dry = await Promise.all([1, 2, 3].map(() => out.run(['plan', 'move'], env)));
    for (const { exitCode, document } of dry) {
      expect({ exitCode, document }).toMatchObject({
        exitCode: 0,
        document: { totals: { actions: { create: { keys: jobCount + 500 } } } },
      });
    }
    expect((await out.run(['plan', 'move', '--out', 'move.kfplan'], env)).exitCode).toBe(0);
    const going = await killedAndResumed(out, ['apply', 'move.kfplan']);
    await database.restart();
    expect(await going.output).toMatchObject(
      done({ resumed: true, counts: { written: jobCount + 500, deadLetters: 0 } }),
    );
    const [job] = JSON.parse((await request(`${kv.endpoints[0] ?? ''}/v1/kv/app/jobs/billing/job%2012`)).body) as [
      { Value: string; Flags: number },
    ];
    expect(job.Flags).toBe(12 % 5);
    const text = Buffer.from(job.Value, 'base64').toString('utf8');
    expect(text).toContain(`"version":${9007199254740993n + 12n}}`);
    expect(text).toContain('"spec":{"queue": "q5", "ratio": 0.10, "retry": 0}');

    const back = await open({ source: target(), target: store('back') });
    await back.configure({
      source: { ...target(), flags: 'drop' },
      target: store('back'),
      prefix: 'app/',
      settings: { limits: { chunkKeys: 200, workers: 2 } },
    });
    expect((await back.run(['plan', 'move', '--out', 'back.kfplan'], env)).exitCode).toBe(0);
    const returning = await killedAndResumed(back, ['apply', 'back.kfplan']);
    await database.restart();
    expect(await returning.output).toMatchObject(
      done({ resumed: true, counts: { written: jobCount + 500, deadLetters: 0 } }),
    );
    expect(await differences('jm', 'back')).toBe('0\n0\n');
    expect(await back.run(['verify', 'move'], env)).toMatchObject({ exitCode: 0 });

    // The way back leaves what somebody changed since, and takes the rest.
    await database.psql(`UPDATE back.jobs SET state = 'theirs' WHERE name = 'job 7'`);
    expect(await back.run(['rollback', 'move', '--yes'], env)).toMatchObject({ document: { left: 1 } });
    expect(await database.psql('SELECT name, state FROM back.jobs')).toBe('job 7|theirs\n');
    expect(await database.psql('SELECT count(*) FROM back.packages')).toBe('0\n');
    expect(await database.psql('SELECT count(*) FROM keyferry.marks')).toBe('0\n');
  });

  const phaseRows = 100;

  it.each(killPhases(phaseRows))(
    'kill -9 while it $phase: the same command ends it, and its counts add up',
    async ({ command, at }) => {
      await database.psql(`INSERT INTO jm.packages SELECT 'pkg' || i % 7, i || '.0.0', NULL, json_build_object('n', i)
      FROM generate_series(1, ${phaseRows}) i`);
      const left = Array.from({ length: 20 }, (_, i) => `app/jobs/earlier/${i}`);
      const other = ['app/packages/pkg1/1.0.0', 'app/packages/pkg2/2.0.0'];
      const kvUrl = `${kv.endpoints[0] ?? ''}/v1/kv`;
      for (const key of [...left, ...other, 'elsewhere/x'])
        await request(`${kvUrl}/${key}`, { method: 'PUT', body: 'old' });
      const held = await startHeldAnswers(kv.endpoints[0] ?? '');
      try {
        const folder = await open({
          target: { kind: 'consul', endpoints: [held.endpoint] },
          settings: {
            limits: { chunkKeys: 20, workers: 1 },
            onConflict: 'overwrite',
            prune: true,
            keepBefore: true,
            guards: { deleteShareMax: 1 },
          },
        });
        const planned = await folder.run(['plan', 'move', '--out', 'move.kfplan'], env);
        expect(planned).toMatchObject({ exitCode: 0, document: { applyable: true } });
        const apply = ['apply', 'move.kfplan', '--yes'];
        if (command === 'finalize') expect(await folder.run(apply, env)).toMatchObject(done());
        const args = command === 'apply' ? apply : ['finalize', 'move', '--yes'];
        const reached = held.holdAt(at());
        const killed = folder.start(args, env);
        await Promise.race([reached, killed.output.then(({ stdout }) => expect(stdout).toBe('killed before its end'))]);
        killed.kill('SIGKILL');
        expect(await killed.ended).toBeNull();
        const again = await folder.run([...args, '--lock-timeout', '3m'], env);
        const counts = { written: phaseRows - 2, overwritten: 2, deleted: 20, deadLetters: 0 };
        const finalized = { exitCode: 0, document: { format: 'keyferry.finalize' } };
        expect(again).toMatchObject(command === 'apply' ? done({ counts }) : finalized);
        const keys = JSON.parse((await request(`${kvUrl}/?keys`)).body) as readonly string[];
        expect(keys.filter((key) => key.startsWith('app/packages/'))).toHaveLength(phaseRows);
        const own = '_keyferry/move/';
        expect(keys.filter((key) => !key.startsWith(own) && !key.startsWith('app/packages/'))).toEqual(['elsewhere/x']);
        const ownKeys = ['done', 'epoch', 'lock'].map((name) => own + name);
        if (command === 'finalize') expect(keys.filter((key) => key.startsWith(own))).toEqual(ownKeys);
      } finally {
        await held.close();
      }
    },
  );

  it('each bad record is found by the plan, named with its row, and nothing is written', async () => {
    await database.psql(`INSERT INTO jm.jobs SELECT 'billing', 'job ' || i, 'done', 0, 1, 0, '{}', NULL, NULL FROM generate_series(1, 3) i;
      UPDATE jm.jobs SET spec = jsonb_build_object('text', repeat('x', 600000)) WHERE name = 'job 1';
      UPDATE jm.jobs SET service = '' WHERE name = 'job 2';
      SET ROLE store2; CREATE VIEW jm.loose AS SELECT 'same' AS id, i AS n FROM generate_series(1, 2) i UNION ALL SELECT NULL, 3`);
    const folder = await open({
      source: store('jm', { tables: [...tables('jm'), { table: 'jm.loose', key: 'app/loose/{id}' }] }),
    });
    const plan = await folder.run(['plan', 'move', '--out', 'move.kfplan'], env);
    expect(plan).toMatchObject({ exitCode: 4, document: { applyable: false } });
    const { findings } = plan.document as { findings: unknown };
    expect(findings).toEqual(
      findingsWith({ code: 'value.too-large', count: 1, keys: [{ text: 'app/jobs/billing/job 1' }] }),
    );
    expect(findings).toEqual(findingsWith({ code: 'record.unfit', count: 1, keys: [{ text: 'app/jobs//job 2' }] }));
    expect(findings).toEqual(findingsWith({ code: 'key.collision', count: 2, keys: [{ text: 'app/loose/same' }] }));
    expect(findings).toEqual(findingsWith({ code: 'rule.failed', count: 1, keys: [{ text: 'app/loose/{id}' }] }));
    expect(await folder.run(['apply', 'move.kfplan'], env)).toMatchObject({ exitCode: 4 });
    // Whatever restarts the command is answered at once from the second time on, whatever others write to the server.
    const apply = async () => {
      const { exitCode, document } = await folder.run(['apply', 'move', '--finalize', '--yes'], env);
      return [exitCode, (document as { error?: { code: string } }).error?.code];
    };
    expect(await apply()).toEqual([4, 'plan.not-applyable']);
    for (let writes = 1; writes <= 2; writes += 1) {
      await database.psql(`INSERT INTO jm.packages (name, version) VALUES ('by somebody', '${writes}')`);
      expect(await apply()).toEqual([4, 'plan.refused-before']);
    }
    const refused = { findings: ['value.too-large', 'record.unfit', 'key.collision', 'rule.failed'].toSorted() };
    const { migrations } = (await folder.run(['status', 'move'], env)).document as {
      migrations: readonly { readonly refusal: { readonly findings: readonly string[] } }[];
    };
    expect({ findings: migrations[0]?.refusal.findings.toSorted() }).toEqual(refused);
    expect((await request(`${kv.endpoints[0] ?? ''}/v1/kv/app/?keys`)).status).toBe(404);
    await database.psql(`DELETE FROM jm.jobs WHERE name = 'job 1'`);
    // What else blocked it is still there.
    expect(await apply()).toEqual([4, 'plan.refused-before']);
    await database.psql(`DELETE FROM jm.jobs WHERE name = 'job 2'; DROP VIEW jm.loose;
      SET ROLE store2; CREATE VIEW jm.loose AS SELECT 'same' AS id, 1 AS n`);
    expect(await apply()).toEqual([0, undefined]);
  });

  it('what a row would not give back with the same bytes is refused by the table, and the rest comes through', async () => {
    const put = (key: string, value: string) =>
      request(`${kv.endpoints[0] ?? ''}/v1/kv/app/packages/${key}`, { method: 'PUT', body: value });
    const digest = '"digest":"\\\\x00"';
    await put('good/1', `{${digest},"manifest":{"a":1}}`);
    await put('upper/1', `{"digest":"\\\\xAB","manifest":{"a":1}}`);
    const folder = await open({ source: target(), target: store('back') });
    expect((await folder.run(['plan', 'move', '--out', 'move.kfplan'], env)).exitCode).toBe(0);
    expect(await folder.run(['apply', 'move.kfplan'], env)).toMatchObject({
      exitCode: 7,
      document: { counts: { written: 1, deadLetters: 1 } },
    });
    const letters = await folder.run(['runs', 'show', 'move', '--dead-letters'], env);
    expect(JSON.stringify(letters.document)).toContain('app/packages/upper/1');
    expect(JSON.stringify(letters.document)).toContain('its table would keep other bytes than these');
    // What the plan can tell by itself blocks it.
    await put('other/1', '{"unknown":1}');
    const plan = await folder.run(['plan', 'move'], env);
    expect(plan.exitCode).toBe(4);
    expect((plan.document as { findings: unknown }).findings).toEqual(
      findingsWith({ code: 'record.unfit', count: 1, keys: [{ text: 'app/packages/other/1' }] }),
    );
  });

  it('told on three hosts at once, none of which knows of the others, one moves it and marks it as done', async () => {
    await database.psql(rowsOf('jm'));
    const fleet = await Promise.all([open(), open(), open()]);
    const command = ['apply', 'move', '--finalize', '--yes', '--lock-timeout', '5m'];
    const ended = await Promise.all(fleet.map((folder) => folder.run(command, env)));
    expect(ended.map(({ exitCode, stderr }) => (exitCode === 0 ? '' : stderr))).toEqual(['', '', '']);
    const documents = ended.map(({ document }) => document as { format: string; marker: { by: string } });
    expect(documents.map(({ format }) => format).toSorted()).toEqual([
      'keyferry.already-done',
      'keyferry.already-done',
      'keyferry.finalize',
    ]);
    for (const { marker } of documents) {
      expect(marker).toMatchObject({ by: documents[0]?.marker.by, counts: { written: jobCount + 500 } });
    }
    expect(JSON.parse((await request(`${kv.endpoints[0] ?? ''}/v1/kv/app/?keys`)).body)).toHaveLength(jobCount + 500);
  });

  it('a source that was never used is refused, and so are settings that contradict each other', async () => {
    const audited = [...tables('jm'), { table: 'jm.audit', key: 'app/audit/{id}', audit: true }];
    await database.psql(
      `SET ROLE store2; CREATE TABLE jm.audit (id integer PRIMARY KEY); INSERT INTO jm.audit VALUES (1)`,
    );
    const folder = await open({ source: store('jm', { tables: audited }) });
    const plan = await folder.run(['plan', 'move', '--out', 'move.kfplan'], env);
    expect(plan).toMatchObject({ exitCode: 4 });
    expect((plan.document as { findings: unknown }).findings).toEqual(
      findingsWith({ code: 'source.never-used', level: 'blocking' }),
    );
    expect(await folder.run(['doctor', 'move'], env)).toMatchObject({ exitCode: 0 });
    // Told to migrate, and set to go on reading PostgreSQL.
    const reads = { env: 'JM_STORE' };
    await folder.configure({ source: store('jm'), target: target(), prefix: 'app/', settings: { reads } });
    await database.psql(rowsOf('jm'));
    const out = ['plan', 'move', '--out', 'move.kfplan'];
    expect(await folder.run(out, { ...env, JM_STORE: 'old' })).toMatchObject({ exitCode: 0 });
    for (const JM_STORE of ['old', 'other', '']) {
      for (const subject of ['move', 'move.kfplan']) {
        expect(await folder.run(['apply', subject, '--yes'], { ...env, JM_STORE })).toMatchObject({
          exitCode: 78,
          document: { error: { code: 'config.contradiction' } },
        });
      }
    }
    const { body } = await request(`${kv.endpoints[0] ?? ''}/v1/kv/?keys`);
    expect(JSON.parse(body)).toEqual([]);
    const agreed = await folder.run(['apply', 'move.kfplan'], { ...env, JM_STORE: 'new' });
    expect(agreed).toMatchObject(done());
    expect(await folder.run(['finalize', 'move', '--yes'], { ...env, JM_STORE: 'old' })).toMatchObject({
      exitCode: 78,
    });
    await folder.configure({ source: store('jm'), target: target(), prefix: 'pm/' });
    expect(await folder.run(['plan', 'move'], env)).toMatchObject({
      exitCode: 78,
      document: { error: { code: 'config.invalid' } },
    });
  });

  it('a writer is noticed: while it writes, after the plan, and after apply', async () => {
    await database.psql(rowsOf('jm'));
    const folder = await open();
    expect((await folder.run(['plan', 'move', '--out', 'move.kfplan'], env)).exitCode).toBe(0);
    await database.psql(`UPDATE jm.jobs SET state = 'again' WHERE name = 'job 5'`);
    expect(await folder.run(['apply', 'move.kfplan'], env)).toMatchObject({
      exitCode: 3,
      document: { error: { code: 'plan.stale', details: { keysTotal: 1 } } },
    });
    expect((await folder.run(['plan', 'move', '--out', 'move.kfplan'], env)).exitCode).toBe(0);
    expect(await folder.run(['apply', 'move.kfplan'], env)).toMatchObject(done());
    await database.psql(`UPDATE jm.jobs SET state = 'late' WHERE name = 'job 5'`);
    expect(await folder.run(['verify', 'move'], env)).toMatchObject({ exitCode: 7 });
    const { stdout, stderr } = await folder.run(['status', 'move'], env);
    expect(stdout + stderr).not.toContain('store2-pass');
  });
});
