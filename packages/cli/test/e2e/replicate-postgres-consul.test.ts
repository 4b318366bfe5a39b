/**
 * Goal: components go from PostgreSQL to Consul while they write, and back, and no write is lost either way. Method: the built
 * binary between real servers, an application that writes to whichever store the switch names, and kill -9 in between.
 */
import { rm } from 'node:fs/promises';
import {
  request,
  serverOrSkip,
  startConsul,
  startPostgres,
  type ConsulServer,
  type PostgresServer,
} from '@keyferry/servers';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { findingsWith, MigrationFolder, until } from './migration-folder.ts';

const [postgres, consul] = await Promise.all([serverOrSkip('postgres-15'), serverOrSkip('consul-1.8')]);
const note = [postgres, consul].find((server) => !server.ok)?.note ?? '';
const env = { STORE2_PASSWORD: 'store2-pass' };
const jobCount = 500;
/** A lock in Consul of a process that was killed ends within a minute, and one that gives way may be slow. */
const patience = ['--lock-timeout', '3m'];

const ways = [
  { changes: 'log', walLevel: 'logical', kept: 'SELECT count(*) FROM pg_replication_slots' },
  { changes: 'triggers', walLevel: 'replica', kept: 'SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal' },
] as const;

describe.skipIf(!postgres.ok || !consul.ok).each(ways)(
  `PostgreSQL to Consul while it is written, told by $changes${note}`,
  ({ changes, walLevel, kept }) => {
    let database: PostgresServer;
    let kv: ConsulServer;
    const folders: MigrationFolder[] = [];
    beforeAll(async () => {
      [database, kv] = await Promise.all([startPostgres({ walLevel }), startConsul()]);
      await database.psql(`CREATE ROLE store2 LOGIN REPLICATION PASSWORD 'store2-pass';
      GRANT CREATE ON DATABASE postgres TO store2; CREATE SCHEMA jm AUTHORIZATION store2; SET ROLE store2;
      CREATE TABLE jm.jobs (service text, name text, state text NOT NULL, version bigint NOT NULL, PRIMARY KEY (service, name));
      INSERT INTO jm.jobs SELECT 's' || i % 3, 'job ' || i, 'new', i FROM generate_series(1, ${jobCount}) i`);
    }, 240_000);
    afterEach(() => Promise.all(folders.splice(0).map((folder) => folder.remove())));
    afterAll(() => Promise.all([database?.stop(), kv?.stop()]));

    const valueOf = async (key: string): Promise<string | null> => {
      const { status, body } = await request(`${kv.endpoints[0] ?? ''}/v1/kv/${encodeURI(key)}?raw`);
      return status === 404 ? null : body;
    };
    const put = (key: string, value: string) =>
      request(`${kv.endpoints[0] ?? ''}/v1/kv/${encodeURI(key)}`, { method: 'PUT', body: value });
    const keptInSource = () => database.psql(kept);

    it('a plan says what the user lacks to follow and to come back, as what to run', { timeout: 60_000 }, async () => {
      await database.psql(`DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN PASSWORD 'store2-pass';
        GRANT USAGE ON SCHEMA jm TO reader; GRANT SELECT ON jm.jobs TO reader`);
      const { host, port } = database;
      const auth = { user: 'reader', password: { env: 'STORE2_PASSWORD' } };
      const folder = await MigrationFolder.create({
        source: {
          kind: 'postgres',
          host,
          port,
          database: 'postgres',
          auth,
          tables: [{ table: 'jm.jobs', key: 'app/jobs/{service}/{name}' }],
          changes,
        },
        target: { kind: 'consul', endpoints: kv.endpoints },
        prefix: 'app/',
        settings: {
          strategy: 'replicate',
          replicate: { freeze: { switch: { store: 'new', key: 'config/primary' } } },
        },
      });
      folders.push(folder);
      const { exitCode, document } = await folder.run(['plan', 'move'], env);
      expect(exitCode).toBe(4);
      const { findings } = document as { findings: readonly { readonly code: string; readonly detail: string }[] };
      const detail = findings.find(({ code }) => code === 'replicate.unable')?.detail ?? '';
      expect(detail).toContain(changes === 'log' ? 'ALTER ROLE reader REPLICATION' : 'GRANT TRIGGER ON "jm"."jobs"');
      expect(detail).toContain('GRANT INSERT, UPDATE, DELETE ON "jm"."jobs" TO reader');
      expect(detail).toContain('CREATE SCHEMA "keyferry" AUTHORIZATION reader');
    });

    it('cuts over and back, and what was written on either side is on both', { timeout: 300_000 }, async () => {
      const { host, port } = database;
      const auth = { user: 'store2', password: { env: 'STORE2_PASSWORD' } };
      const tables = [{ table: 'jm.jobs', key: 'app/jobs/{service}/{name}' }];
      const folder = await MigrationFolder.create({
        source: { kind: 'postgres', host, port, database: 'postgres', auth, tables, changes },
        target: { kind: 'consul', endpoints: kv.endpoints },
        prefix: 'app/',
        settings: {
          strategy: 'replicate',
          replicate: { freeze: { switch: { store: 'new', key: 'config/primary' } }, requestLife: '1s' },
          limits: { chunkKeys: 100, workers: 2 },
        },
      });
      folders.push(folder);
      const succeeds = async (args: readonly string[]) => {
        const { exitCode, stdout, stderr } = await folder.run(args, env);
        expect(exitCode === 0 ? '' : stdout + stderr).toBe('');
      };
      const { document } = await folder.run(['plan', 'move', '--out', 'move.kfplan'], env);
      // Who reviews it sees what the source will get.
      expect((document as { findings: unknown }).findings).toEqual(findingsWith({ code: 'replicate.makes' }));
      const following = folder.start(['apply', 'move.kfplan', '--follow', '--yes'], env);
      await following.reaches('chunk.done', 1);
      await database.psql(
        `UPDATE jm.jobs SET state = 'running' WHERE name = 'job 7'; DELETE FROM jm.jobs WHERE name = 'job 8'`,
      );
      await until(async () => (await valueOf('app/jobs/s1/job 7')) === '{"state":"running","version":7}');
      await until(async () => (await valueOf('app/jobs/s2/job 8')) === null);
      following.kill('SIGKILL');
      await following.ended;
      // While nobody follows, the server keeps what happens, and says how much that is.
      await database.psql(
        `INSERT INTO jm.jobs VALUES ('s0', 'late', 'new', 1); UPDATE jm.jobs SET name = 'job 9b' WHERE name = 'job 9'`,
      );
      const { stdout } = await folder.run(['status', 'move'], env);
      const { migrations } = JSON.parse(stdout) as { migrations: readonly { readonly backlogs: readonly unknown[] }[] };
      expect(migrations[0]?.backlogs).toEqual([
        { side: 'source', store: 'old', bytes: expect.any(Number) as number, bytesLeft: null },
      ]);
      await database.restart();
      const again = folder.start(['apply', 'move.kfplan', '--follow', '--yes'], env);
      await until(async () => (await valueOf('app/jobs/s0/job 9b')) !== null);
      expect(await valueOf('app/jobs/s0/job 9')).toBeNull();
      await succeeds(['cutover', 'move', '--yes', ...patience]);
      again.kill('SIGKILL');
      await again.ended;
      expect(await valueOf('config/primary/primary')).toContain('"primary":"target"');
      expect(await valueOf('app/jobs/s0/late')).toBe('{"state":"new","version":1}');

      expect(await keptInSource()).toBe('0\n');

      // The application writes to Consul now; going back loses none of it.
      await put('app/jobs/s0/late', '{"state":"done","version":2}');
      await put('app/jobs/s9/born in Consul', '{"state":"new","version":1}');
      await request(`${kv.endpoints[0] ?? ''}/v1/kv/${encodeURI('app/jobs/s1/job 7')}`, { method: 'DELETE' });
      // From another host, which never saw what was there before: both sides are compared.
      if (changes === 'triggers') await rm(folder.file('.keyferry/feeds'), { recursive: true });
      await succeeds(['rollback', 'move', '--yes', ...patience]);
      expect(
        await database.psql(
          `SELECT service, name, state, version FROM jm.jobs WHERE name IN ('late', 'born in Consul', 'job 7') ORDER BY name`,
        ),
      ).toBe('s9|born in Consul|new|1\ns0|late|done|2\n');
      expect(await database.psql('SELECT count(*) FROM jm.jobs')).toBe(`${jobCount}\n`);
      expect(await keptInSource()).toBe('0\n');
      expect(await valueOf('app/jobs/s0/late')).toBeNull();
    });
  },
);
