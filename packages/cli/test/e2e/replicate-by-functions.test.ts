/**
 * Goal: a scheduled function carries on a replication that a machine began: through a kill, through events that come twice, up
 * to a cutover that it gives way to, and back; no write of the application is lost, and the target is never long behind.
 * Method: the built bundle in the local cloud, state and switch in a table of DynamoDB Local, and prefixes of an etcd 3.4; the
 * application's own tally is held against what a client reads.
 */
import { openDynamoDbPrimarySwitch } from '@keyferry/adapters/state-dynamodb';
import { LocalCloud } from '@keyferry/lambda/local';
import { serverOrSkip, startDynamoDb, startEtcd, type DynamoDbServer, type EtcdServer } from '@keyferry/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MigrationFolder, until } from './migration-folder.ts';
import { Application, v3Store, type ApplicationStore } from './replicate-application.ts';

const available = await Promise.all([serverOrSkip('etcd-3.4'), serverOrSkip('dynamodb-local')]);
const note = available.find((server) => !server.ok)?.note ?? '';
const everyMs = 1000;
const timeoutMs = 30_000;
const scheduleMs = 60_000;

/** What an invocation said. */
interface Slice {
  readonly outcome: string;
  readonly tail: string | null;
  readonly carried: { readonly puts: number };
  readonly lag: { readonly ms: number } | null;
}

describe.skipIf(available.some(({ ok }) => !ok))(`replication by a function${note}`, { timeout: 600_000 }, () => {
  let server: EtcdServer;
  let dynamo: DynamoDbServer;
  let folder: MigrationFolder;
  let app: Application;
  let stores: Record<'source' | 'target', ApplicationStore>;
  const place = () =>
    openDynamoDbPrimarySwitch({ table: 'keyferry', region: 'eu-west-1', endpoint: dynamo.endpoint, name: 'move' });

  beforeAll(async () => {
    [server, dynamo] = await Promise.all([startEtcd({ version: '3.4', unsafeNoFsync: true }), startDynamoDb()]);
    Object.assign(process.env, dynamo.credentials);
    const table = { table: 'keyferry', region: 'eu-west-1', endpoint: dynamo.endpoint };
    const endpoint = server.endpoints[0] as string;
    stores = { source: v3Store(endpoint, '/from/'), target: v3Store(endpoint, '/to/') };
    const freeze = { switch: { dynamodb: table, key: 'move' } };
    folder = await MigrationFolder.create({
      source: { kind: 'etcd-v3', endpoints: server.endpoints },
      target: { kind: 'etcd-v3', endpoints: server.endpoints },
      prefix: '/from/',
      targetPrefix: '/to/',
      settings: { strategy: 'replicate', replicate: { freeze, pauseMax: '90s', requestLife: '2s' } },
      state: { dynamodb: table },
    });
  });
  afterAll(async () => {
    await app?.stop().catch(() => undefined);
    await folder?.remove();
    await Promise.all([server?.stop(), dynamo?.stop()]);
  });

  it('goes on through a kill, gives way to a cutover, and carries the way back', async () => {
    expect((await folder.run(['state', 'create-table'])).exitCode).toBe(0);
    const made = await folder.run(['lambda', 'package', 'move', '--out', 'functions']);
    expect(made.document).toMatchObject({ functions: [{ name: 'tail' }] });
    const at = place();
    app = new Application(stores, async () => {
      const entry = await at.read();
      return entry === null ? null : JSON.stringify(entry.value);
    });
    app.start();
    expect((await folder.run(['plan', 'move', '--out', 'move.kfplan'])).exitCode).toBe(0);
    expect(await folder.run(['apply', 'move.kfplan'])).toMatchObject({ document: { outcome: 'proven' } });

    const slices: Slice[] = [];
    const failures: unknown[] = [];
    let isKilled = false;
    const cloud = new LocalCloud({
      folder: folder.file('functions'),
      timeoutMs,
      concurrency: 1,
      onEnd: (_name, end) => {
        if (end.kind === 'returned') slices.push(end.result as Slice);
        if (end.kind === 'failed') failures.push(end.error);
      },
      // In the middle of its work: it holds the lock and the tail then.
      onLine: (line, _name, environment) => {
        if (!isKilled && line.includes('"tail.progress"')) {
          isKilled = true;
          environment.kill();
        }
      },
    });
    const carriedBy = (tail: string) => slices.filter((each) => each.tail === tail && each.outcome === 'done');
    const stop = new AbortController();
    const ticking = cloud.run(
      everyMs,
      async () => {
        void cloud.invoke('tail'); // delivered twice: now, and with the tick
        return false;
      },
      stop.signal,
    );
    try {
      await until(async () => isKilled && carriedBy('forward').filter(({ carried }) => carried.puts > 0).length >= 3);
      const before = app.writes;
      expect(await folder.run(['cutover', 'move', '--yes'])).toMatchObject({ exitCode: 0, document: { strays: [] } });
      await until(async () => app.writes > before + 50);
      await until(async () => carriedBy('reverse').filter(({ carried }) => carried.puts > 0).length >= 2);
      expect(await folder.run(['rollback', 'move', '--yes'])).toMatchObject({ exitCode: 0, document: { left: 0 } });
    } finally {
      stop.abort();
      await ticking;
      await cloud.close();
    }
    const after = app.writes;
    await until(async () => app.writes > after + 20);
    await app.stop();
    await at.close();
    expect(await stores.source.read()).toEqual(Object.fromEntries(app.tally));
    expect(await stores.target.read()).toEqual({});
    expect(failures).toEqual([]);
    const lags = slices.flatMap(({ outcome, lag }) => (outcome === 'done' && lag !== null ? [lag.ms] : []));
    expect(Math.max(...lags)).toBeLessThan(scheduleMs);
    expect(new Set(slices.map(({ outcome }) => outcome))).toContain('waiting');
  });
});
