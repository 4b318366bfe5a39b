/**
 * Goal: an apply from PostgreSQL goes on through the loss of Consul's leader, or ends so that the same command ends it; nothing is
 * lost or written twice, and its counts add up. A host that lost its lock meanwhile writes no more, wherever the next one is.
 * Method: the built binary and three servers, whose leader is killed or stopped in the middle; Consul is read over HTTP.
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
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { callConsul, readConsul } from './consul-data.ts';
import { MigrationFolder, until } from './migration-folder.ts';

const [postgres, consul] = await Promise.all([serverOrSkip('postgres-15'), serverOrSkip('consul-1.8')]);
const note = [postgres, consul].find((server) => !server.ok)?.note ?? '';
const rowCount = 3000;
const apply = ['apply', 'move.kfplan', '--yes'];
const patience = ['--lock-timeout', '4m'];

describe.skipIf(!postgres.ok || !consul.ok)(`an apply into three servers of Consul${note}`, () => {
  let database: PostgresServer;
  let cluster: ConsulServer;
  const folders: MigrationFolder[] = [];
  beforeAll(async () => {
    [database, cluster] = await Promise.all([startPostgres(), startConsul({ members: 3 })]);
    await database.psql(`CREATE TABLE rows (id text PRIMARY KEY, n integer NOT NULL);
      INSERT INTO rows SELECT lpad(i::text, 4, '0'), i FROM generate_series(1, ${rowCount}) i`);
  }, 240_000);
  beforeEach(async () => {
    await cluster.waitHealthy(60_000);
    await callConsul(cluster, 'DELETE', 'kv/?recurse');
  });
  afterEach(() => Promise.all(folders.splice(0).map((folder) => folder.remove())));
  afterAll(() => Promise.all([database?.stop(), cluster?.stop()]));

  const env = () => ({ ADMIN_PASSWORD: database.password });
  const open = async (): Promise<MigrationFolder> => {
    const { host, port, user } = database;
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
      // Slow enough for what happens in the middle of it to happen there.
      settings: { limits: { chunkKeys: 100, workers: 2, rate: '300/s' } },
    });
    folders.push(folder);
    return folder;
  };
  const planned = async (): Promise<MigrationFolder> => {
    const folder = await open();
    const { exitCode, stderr } = await folder.run(['plan', 'move', '--out', 'move.kfplan'], env());
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
    return folder;
  };
  const leader = async (): Promise<ConsulMember> => {
    const { body } = await request(`${cluster.endpoints[0] ?? ''}/v1/operator/raft/configuration`);
    const { Servers } = JSON.parse(body) as { Servers: readonly { readonly Node: string; readonly Leader: boolean }[] };
    const member = cluster.members.find(({ name }) => name === Servers.find(({ Leader }) => Leader)?.Node);
    if (member === undefined) throw new TypeError('nobody leads');
    return member;
  };
  /** All rows, each as it is in PostgreSQL and written once. */
  const expectWhole = async () => {
    const records = await readConsul(cluster, 'rows/');
    const rows = Array.from({ length: rowCount }, (_, i) => [
      `rows/${String(i + 1).padStart(4, '0')}`,
      `{"n":${i + 1}}`,
    ]);
    expect([...records].map(([key, { value }]) => [key, value])).toEqual(rows);
    expect([...records.values()].filter(({ createIndex, modifyIndex }) => createIndex !== modifyIndex)).toEqual([]);
  };

  it.each(['SIGKILL', 'SIGSTOP'] as const)(
    'comes to its end, by itself or by the same command, when %s meets the leader',
    async (signal) => {
      const folder = await planned();
      const running = folder.start(apply, env());
      await running.reaches('chunk.done', 4);
      const lost = await leader();
      await lost.kill(signal);
      try {
        let ended = await running.output;
        for (let triesLeft = 3; ended.exitCode !== 0 && triesLeft > 0; triesLeft -= 1) {
          // Out of reach for longer than it is waited for: said so, and nothing is in doubt.
          expect(ended).toMatchObject({ exitCode: 1, document: { error: { retry: 'backoff' } } });
          for (const member of cluster.members) if (member !== lost) await member.waitHealthy(60_000);
          ended = await folder.run([...apply, ...patience], env());
        }
        expect(ended).toMatchObject({
          exitCode: 0,
          document: {
            outcome: 'done',
            counts: { written: rowCount, equal: 0, kept: 0, deadLetters: 0 },
            verify: { verdict: 'agree' },
          },
        });
      } finally {
        if (signal === 'SIGSTOP') await lost.kill('SIGCONT');
        else await lost.restart();
      }
      // With the one that led, and may have kept what it had not told the others.
      await cluster.waitHealthy(60_000);
      await expectWhole();
      expect(await folder.run(['verify', 'move'], env())).toMatchObject({ exitCode: 0 });
    },
  );

  it('whose host slept until its lock had ended writes no more, and another host brings it to its end', async () => {
    const [sleeper, next] = [await planned(), await planned()];
    const asleep = sleeper.start(apply, env());
    await asleep.reaches('chunk.done', 4);
    asleep.kill('SIGSTOP');
    expect(await next.run(apply, env())).toMatchObject({
      exitCode: 5,
      document: { error: { code: 'lease.elsewhere' } },
    });
    // Who leads anew gives every session its whole time again, and ends it then.
    const lost = await leader();
    await lost.kill('SIGKILL');
    try {
      // The host that slept had begun: nobody goes on behind it unasked, and whoever does plans what is left.
      expect(await next.run([...apply, ...patience], env())).toMatchObject({
        document: { error: { code: 'lease.unfinished' } },
      });
      const taking = next.start(['apply', 'move', '--yes', ...patience, '--accept', 'lease.unfinished'], env());
      await taking.reaches('chunk.done', 4);
      asleep.kill('SIGCONT');
      const [woken, taken] = await Promise.all([asleep.output, taking.output]);
      expect(woken).toMatchObject({ exitCode: 5 });
      expect(taken).toMatchObject({
        exitCode: 0,
        document: { outcome: 'done', verify: { verdict: 'agree' } },
      });
      const { written, equal } = (taken.document as { counts: { written: number; equal: number } }).counts;
      expect(written + equal).toBe(rowCount);
      expect(equal).toBeGreaterThan(0);
    } finally {
      await lost.restart();
    }
    await cluster.waitHealthy(60_000);
    await expectWhole();
    await until(async () => {
      const [entry] = (await callConsul(cluster, 'GET', 'kv/_keyferry/move/lock')) as readonly { Session?: string }[];
      return entry?.Session === undefined;
    });
  });
});
