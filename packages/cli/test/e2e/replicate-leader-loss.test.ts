/**
 * Goal: a Consul of three servers may lose its leader at any time, under the backfill, under the tail and under its own feed, and
 * a PostgreSQL may restart under its: nothing is lost or doubled. Method: the built binary between real servers, whose leader is
 * killed or stopped at a chosen moment, and an application that writes on.
 */
import {
  request,
  serverOrSkip,
  startConsul,
  startPostgres,
  type ConsulMember,
  type ConsulServer,
  type PostgresServer,
} from '@keyferry/servers';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { MigrationFolder, until, type LoggedRun } from './migration-folder.ts';

const [postgres, consul] = await Promise.all([serverOrSkip('postgres-15'), serverOrSkip('consul-1.8')]);
const note = [postgres, consul].find((server) => !server.ok)?.note ?? '';
const rowCount = 3000;
/** A lock in Consul of a process that died ends within a minute. */
const patience = ['--lock-timeout', '3m'];

describe.skipIf(!postgres.ok || !consul.ok)(`a Consul that loses its leader${note}`, () => {
  let database: PostgresServer;
  let cluster: ConsulServer;
  const folders: MigrationFolder[] = [];
  beforeAll(async () => {
    [database, cluster] = await Promise.all([startPostgres({ walLevel: 'logical' }), startConsul({ members: 3 })]);
    await database.psql(`CREATE TABLE rows (id text PRIMARY KEY, n integer NOT NULL);
      INSERT INTO rows SELECT lpad(i::text, 4, '0'), 0 FROM generate_series(1, ${rowCount}) i`);
  }, 240_000);
  afterEach(() => Promise.all(folders.splice(0).map((folder) => folder.remove())));
  afterAll(() => Promise.all([database?.stop(), cluster?.stop()]));

  /** Of whichever server answers; asked again while they choose. */
  const ask = async (path: string, options: Parameters<typeof request>[1] = {}): Promise<string> => {
    let body: string | null = null;
    await until(async () => {
      for (const { endpoint } of cluster.members) {
        const answer = await request(`${endpoint}/v1/${path}`, { timeoutMs: 3000, ...options }).catch(() => null);
        if (answer === null || answer.status >= 500) continue;
        body = answer.status === 404 ? '' : answer.body;
        return true;
      }
      return false;
    });
    return body ?? '';
  };
  const leader = async (): Promise<ConsulMember> => {
    const { Servers } = JSON.parse(await ask('operator/raft/configuration')) as {
      Servers: readonly { readonly Node: string; readonly Leader: boolean }[];
    };
    const name = Servers.find(({ Leader }) => Leader)?.Node;
    const member = cluster.members.find((each) => each.name === name);
    if (member === undefined) throw new TypeError(`no member is called ${name}`);
    return member;
  };
  const valueOf = (id: string) => ask(`kv/rows/${id}?raw&consistent`);
  const keysInConsul = async (): Promise<number> =>
    (JSON.parse((await ask('kv/rows/?keys&consistent')) || '[]') as readonly string[]).length;

  it('carries all of it, forward and back', { timeout: 400_000 }, async () => {
    const { host, port, user, password } = database;
    const folder = await MigrationFolder.create({
      source: {
        kind: 'postgres',
        host,
        port,
        database: 'postgres',
        auth: { user, password: { env: 'ADMIN_PASSWORD' } },
        tables: [{ table: 'rows', key: 'rows/{id}' }],
      },
      target: { kind: 'consul', endpoints: cluster.endpoints, requestTimeout: '3s' },
      prefix: 'rows/',
      settings: {
        strategy: 'replicate',
        replicate: { freeze: { switch: { store: 'new', key: 'config/primary' } }, requestLife: '1s' },
        limits: { chunkKeys: 300, workers: 2 },
      },
    });
    folders.push(folder);
    const env = { ADMIN_PASSWORD: password };
    /** A command that ends for want of a leader has changed nothing by halves: whoever is on duty repeats it. */
    const succeeds = async (args: readonly string[]) => {
      for (let triesLeft = 3; ; triesLeft -= 1) {
        const { exitCode, stdout, stderr } = await folder.run(args, env);
        if (exitCode === 0) return;
        if (triesLeft === 0) expect(stdout + stderr).toBe('');
        await cluster.waitHealthy();
      }
    };
    /** Where the cluster had no leader for longer than a lock there lives, it lost its own, and said so. */
    const endsWhole = async ({ output }: LoggedRun) => {
      const { exitCode, stdout, stderr } = await output;
      if (exitCode !== 5 && exitCode !== 130) expect(`${exitCode}: ${stdout}${stderr}`).toBe('');
    };
    await succeeds(['plan', 'move', '--out', 'move.kfplan']);

    // Under the backfill it is killed, and PostgreSQL restarts under its own feed.
    const following = folder.start(['apply', 'move.kfplan', '--follow', '--yes'], env);
    await following.reaches('chunk.done', 2);
    const first = await leader();
    await first.kill('SIGKILL');
    await database.psql(`UPDATE rows SET n = 1 WHERE id = '0001'; DELETE FROM rows WHERE id = '0002'`);
    await until(async () => (await valueOf('0001')) === '{"n":1}');
    await database.restart();
    await database.psql(`UPDATE rows SET n = 2 WHERE id = '0001'; INSERT INTO rows VALUES ('late', 1)`);
    await until(async () => (await valueOf('late')) === '{"n":1}' && (await valueOf('0001')) === '{"n":2}');
    await until(async () => (await keysInConsul()) === rowCount);
    await first.restart();
    await cluster.waitHealthy();
    following.kill('SIGINT');
    await endsWhole(following);
    await succeeds(['cutover', 'move', '--yes', ...patience]);

    // Under Consul's own feed it stands still, and comes back late.
    const back = folder.start(['apply', 'move.kfplan', '--follow', '--yes'], env);
    await back.reaches('tail.caught-up');
    const second = await leader();
    await second.kill('SIGSTOP');
    try {
      await ask('kv/rows/late', { method: 'PUT', body: '{"n":9}' });
      await ask('kv/rows/born', { method: 'PUT', body: '{"n":5}' });
      await ask('kv/rows/0003', { method: 'DELETE' });
      const now = `SELECT string_agg(id || '=' || n, ',' ORDER BY id) FROM rows WHERE id IN ('late', 'born', '0003')`;
      await until(async () => (await database.psql(now)) === 'born=5,late=9\n');
    } finally {
      await second.kill('SIGCONT');
    }
    await cluster.waitHealthy();
    back.kill('SIGINT');
    await endsWhole(back);
    await succeeds(['rollback', 'move', '--yes', ...patience]);
    // One gone on each side, one come on each.
    expect(await database.psql('SELECT count(*) FROM rows')).toBe(`${rowCount}\n`);
    expect(await keysInConsul()).toBe(0);
  });
});
