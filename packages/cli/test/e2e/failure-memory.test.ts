/**
 * Goal: what a target refuses for good is answered at once by whatever starts the command again and again, for as long as nothing
 * about those records changed and whatever else did; and it is tried again once something did. Where a whole plan is blocked:
 * postgres.test.ts. Method: the built binary between real servers, PostgreSQL to Consul and back, with an application that writes on.
 */
import { serverOrSkip, startConsul, startPostgres, type ConsulServer, type PostgresServer } from '@keyferry/servers';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { callConsul, loadConsul, readConsulTexts } from './consul-data.ts';
import { MigrationFolder, type MigrationOptions } from './migration-folder.ts';

const [postgres, consul] = await Promise.all([serverOrSkip('postgres-15'), serverOrSkip('consul-1.8')]);
const note = [postgres, consul].find((server) => !server.ok)?.note ?? '';
const again = [7, 'apply.failed-before'];

describe.skipIf(!postgres.ok || !consul.ok)(`an apply that failed${note}`, () => {
  let database: PostgresServer;
  let kv: ConsulServer;
  const folders: MigrationFolder[] = [];
  beforeAll(async () => {
    [database, kv] = await Promise.all([startPostgres(), startConsul()]);
  }, 240_000);
  afterEach(() => Promise.all(folders.splice(0).map((folder) => folder.remove())));
  afterAll(() => Promise.all([database?.stop(), kv?.stop()]));

  const open = async (options: MigrationOptions): Promise<MigrationFolder> => {
    const folder = await MigrationFolder.create({ ...options, settings: { onConflict: 'overwrite' } });
    folders.push(folder);
    return folder;
  };
  const inPostgres = (table: string) => ({
    kind: 'postgres',
    host: database.host,
    port: database.port,
    database: 'postgres',
    auth: { user: database.user, password: { env: 'ADMIN_PASSWORD' } },
    tables: [{ table, key: `${table}/{id}` }],
  });
  const inConsul = () => ({ kind: 'consul', endpoints: kv.endpoints });
  const applied = async (folder: MigrationFolder) => {
    const env = { ADMIN_PASSWORD: database.password };
    const { exitCode, document } = await folder.run(['apply', 'move', '--finalize', '--yes'], env);
    const { error, outcome = null } = document as { error?: { code: string }; outcome?: string };
    return [exitCode, error?.code ?? outcome];
  };

  it('over a key that a session holds in Consul is remembered while PostgreSQL is written to, until the session lets go', async () => {
    await database.psql(`CREATE TABLE jobs (id text PRIMARY KEY, n integer);
      INSERT INTO jobs SELECT 'job-' || i, i FROM generate_series(1, 200) i`);
    const { ID } = (await callConsul(kv, 'PUT', 'session/create', '{"TTL":"3600s","LockDelay":"0s"}')) as {
      ID: string;
    };
    await callConsul(kv, 'PUT', `kv/jobs/job-7?acquire=${ID}`, 'theirs');
    const folder = await open({ source: inPostgres('jobs'), target: inConsul(), prefix: 'jobs/' });
    expect(await applied(folder)).toEqual([7, 'deviated']);
    expect(Object.keys(await readConsulTexts(kv, 'jobs/'))).toHaveLength(200);
    // The component works on in PostgreSQL, and somebody else in Consul.
    for (const restart of [1, 2]) {
      await database.psql(
        `INSERT INTO jobs VALUES ('late-${restart}', 0); UPDATE jobs SET n = n + 1 WHERE id = 'job-8'`,
      );
      await loadConsul(kv, [{ key: 'elsewhere', value: `${restart}` }]);
      expect(await applied(folder)).toEqual(again);
    }
    expect((await readConsulTexts(kv, 'jobs/'))['jobs/late-1']).toBeUndefined();
    await callConsul(kv, 'PUT', `session/destroy/${ID}`);
    expect(await applied(folder)).toEqual([0, null]);
    const values = await readConsulTexts(kv, 'jobs/');
    expect([values['jobs/job-7'], values['jobs/job-8'], values['jobs/late-2']]).toEqual([
      '{"n":7}',
      '{"n":10}',
      '{"n":0}',
    ]);
  });

  it('out of Consul, which does not say which store it is, is remembered until its record changes', async () => {
    await database.psql('CREATE TABLE packages (id text PRIMARY KEY, digest bytea)');
    const value = (digest: string) => `{"digest":"\\\\x${digest}"}`;
    await loadConsul(kv, [
      { key: 'packages/good', value: value('ab') },
      { key: 'packages/upper', value: value('AB') }, // the table would give it back in small letters
    ]);
    const folder = await open({ source: inConsul(), target: inPostgres('packages'), prefix: 'packages/' });
    expect(await applied(folder)).toEqual([7, 'deviated']);
    for (const restart of [1, 2]) {
      await loadConsul(kv, [{ key: `packages/late-${restart}`, value: value('cd') }]);
      expect(await applied(folder)).toEqual(again);
    }
    expect(await database.psql('SELECT id FROM packages')).toBe('good\n');
    await loadConsul(kv, [{ key: 'packages/upper', value: value('ab') }]);
    expect(await applied(folder)).toEqual([0, null]);
    expect(await database.psql('SELECT count(*) FROM packages')).toBe('4\n');
  });
});
