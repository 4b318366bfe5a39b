/**
 * Goal: with state in DynamoDB a migration belongs to no machine: any folder with its configuration and its plan goes on
 * with it, one run at a time, whatever the service and the network do meanwhile.
 * Method: the built binary from etcd v2 to etcd v3 on real servers, in several folders that share nothing but a table on
 * DynamoDB Local; SIGKILL and SIGSTOP behind log lines; a proxy that throttles and loses answers.
 */
import { copyFile, mkdir } from 'node:fs/promises';
import {
  loadV2Keys,
  serverOrSkip,
  startDynamoDb,
  startEtcd,
  startFaultyDynamoDb,
  type DynamoDbFault,
  type DynamoDbServer,
  type EtcdServer,
} from '@keyferry/servers';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { readTexts, readV3 } from './etcd-data.ts';
import { MigrationFolder } from './migration-folder.ts';
import { rows, Workbench } from './workbench.ts';

const available = await Promise.all([
  serverOrSkip('etcd-3.4'),
  serverOrSkip('etcd-3.5'),
  serverOrSkip('dynamodb-local'),
]);
const note = available.find((server) => !server.ok)?.note ?? '';
const keyCount = 8000;
const chunkKeys = 250;
const entries = Array.from({ length: keyCount }, (_, i) => ({ key: `/config/${i % 100}/${i}`, value: `value ${i}` }));
const secret = 'canary-of-a-secret-key';

describe.skipIf(available.some(({ ok }) => !ok))(`state in DynamoDB${note}`, () => {
  let servers: { readonly source: EtcdServer; readonly target: EtcdServer; readonly dynamo: DynamoDbServer };
  const folders: MigrationFolder[] = [];
  let tables = 0;

  /** Folders on machines of their own, as far as anything but the table goes. */
  const newFolders = async (targetPrefix: string, names: number, endpoint = servers.dynamo.endpoint) => {
    tables += 1;
    const made: MigrationFolder[] = [];
    for (let i = 0; i < names; i += 1) {
      const folder = await MigrationFolder.create({
        source: { kind: 'etcd-v2', endpoints: servers.source.endpoints },
        target: { kind: 'etcd-v3', endpoints: servers.target.endpoints, reservedPrefix: `own${targetPrefix}` },
        prefix: '/config/',
        targetPrefix,
        settings: { limits: { chunkKeys, workers: 2 } },
        state: { dynamodb: { table: `keyferry-${tables}`, region: 'eu-west-1', endpoint } },
      });
      made.push(folder);
      folders.push(folder);
    }
    return made as [MigrationFolder, ...MigrationFolder[]];
  };
  const expected = (prefix: string) =>
    Object.fromEntries(entries.map(({ key, value }) => [key.replace('/config/', prefix), value]));
  /** A key that was written twice has version 2. */
  const versionsUnder = async (prefix: string) => {
    const records = await readV3(servers.target.endpoints[0] as string, prefix);
    return [...new Set([...records.values()].map(({ version }) => version))];
  };
  const done = {
    exitCode: 0,
    document: {
      outcome: 'done',
      counts: { written: keyCount, equal: 0, kept: 0, tombstoned: 0, deadLetters: 0, notCarried: 100 },
      verify: { verdict: 'agree', targetOnly: 0 },
      deviations: [],
    },
  };
  const prepare = async (folder: MigrationFolder) => {
    expect((await folder.run(['state', 'create-table'])).exitCode).toBe(0);
    expect((await folder.run(['plan', 'move', '--out', 'move.kfplan'])).exitCode).toBe(0);
  };
  const handOver = (from: MigrationFolder, to: MigrationFolder) =>
    copyFile(from.file('move.kfplan'), to.file('move.kfplan'));

  beforeAll(async () => {
    const [source, target, dynamo] = await Promise.all([
      startEtcd({ version: '3.4', enableV2: true }),
      startEtcd({ version: '3.5', unsafeNoFsync: true }),
      startDynamoDb(),
    ]);
    servers = { source, target, dynamo };
    Object.assign(process.env, dynamo.credentials, { AWS_SECRET_ACCESS_KEY: secret });
    await loadV2Keys(source.endpoints[0] as string, entries);
  });
  afterEach(async () => {
    for (const folder of folders.splice(0)) await folder.remove();
  });
  afterAll(() => Promise.all(Object.values(servers ?? {}).map((server) => server.stop())));

  it('goes on in another folder after a kill, again and again, and is known in all of them', async () => {
    const [first, second, third] = await newFolders('/moved/', 3);
    await prepare(first);
    await handOver(first, second as MigrationFolder);
    const relay = [first, second as MigrationFolder];
    let kills = 0;
    for (; kills < 4; kills += 1) {
      const run = (relay[kills % 2] as MigrationFolder).start(['apply', 'move.kfplan']);
      await run.reaches('chunk.done', 3);
      run.kill('SIGKILL');
      expect(await run.ended).toBeNull();
    }
    const last = await (relay[kills % 2] as MigrationFolder).run(['apply', 'move.kfplan']);
    expect(last).toMatchObject({ ...done, document: { ...done.document, resumed: true } });
    const target = servers.target.endpoints[0] as string;
    expect(await readTexts(target, '/moved/')).toEqual(expected('/moved/'));
    expect(await versionsUnder('/moved/')).toEqual(['1']);
    const elsewhere = await (third as MigrationFolder).run(['status', 'move']);
    expect(elsewhere).toMatchObject({
      exitCode: 0,
      document: { migrations: [{ phase: 'verified', counts: { written: keyCount }, chunks: { done: 32, total: 32 } }] },
    });
    expect((await (third as MigrationFolder).run(['rollback', 'move', '--yes'])).exitCode).toBe(0);
    expect((await readV3(target, '/moved/')).size).toBe(0);
  });

  it('is written by one run at a time', async () => {
    const [first, second] = await newFolders('/locked/', 2);
    await prepare(first);
    await handOver(first, second as MigrationFolder);
    const run = first.start(['apply', 'move.kfplan']);
    await run.reaches('chunk.claimed');
    run.kill('SIGSTOP');
    const other = await (second as MigrationFolder).run(['apply', 'move.kfplan']);
    expect(other).toMatchObject({ exitCode: 5, document: { error: { code: 'lease.held' } } });
    const locks = await (second as MigrationFolder).run(['locks', 'list']);
    expect(locks.document).toMatchObject({ locks: [{ migration: 'move', command: 'keyferry apply move.kfplan' }] });
    run.kill('SIGCONT');
    expect(await run.output).toMatchObject(done);
    // Of two that start together one waits for the other, and finds all done.
    const [third, fourth] = await newFolders('/together/', 2);
    await prepare(third);
    await handOver(third, fourth as MigrationFolder);
    const together = [third, fourth as MigrationFolder].map((folder) =>
      folder.run(['apply', 'move.kfplan', '--lock-timeout', '2m']),
    );
    expect((await Promise.all(together)).map(({ exitCode }) => exitCode)).toEqual([0, 0]);
    const target = servers.target.endpoints[0] as string;
    expect(await readTexts(target, '/together/')).toEqual(expected('/together/'));
    expect(await versionsUnder('/together/')).toEqual(['1']);
  });

  it('comes through throttling, lost answers, requests that are delivered twice and pages cut short', async () => {
    const decide = faultsOf(20_261_127);
    const proxy = await startFaultyDynamoDb(servers.dynamo.endpoint, decide);
    try {
      const [folder] = await newFolders('/faulty/', 1, proxy.endpoint);
      await prepare(folder);
      const run = folder.start(['apply', 'move.kfplan']);
      expect(await run.output).toMatchObject(done);
      const retries = (await run.log()).filter(({ type }) => type === 'store.retrying');
      expect(retries.length).toBeGreaterThan(3);
      expect(await readTexts(servers.target.endpoints[0] as string, '/faulty/')).toEqual(expected('/faulty/'));
      expect((await folder.run(['locks', 'list'])).document).toMatchObject({ locks: [] });
    } finally {
      await proxy.close();
    }
  });

  it('says where the plan is that nobody saved, when another folder is asked to go on', async () => {
    const [first, second] = await newFolders('/unsaved/', 2);
    expect((await first.run(['state', 'create-table'])).exitCode).toBe(0);
    const run = first.start(['apply', 'move', '--yes', '--accept', 'backup.none']);
    await run.reaches('chunk.done');
    run.kill('SIGKILL');
    expect(await run.ended).toBeNull();
    const elsewhere = await (second as MigrationFolder).run(['apply', 'move', '--yes']);
    expect(elsewhere).toMatchObject({
      exitCode: 4,
      document: {
        error: { code: 'phase.not-allowed', details: { next: 'keyferry rollback move' } },
        warnings: [expect.stringMatching(/was kept where its run began, in .*\.keyferry\/plans there/)],
      },
    });
    expect(await first.run(['apply', 'move', '--yes'])).toMatchObject(done);
  });

  it('has a table that one command makes, and says so where it is missing', async () => {
    const [folder] = await newFolders('/fresh/', 1);
    const missing = await folder.run(['status', 'move']);
    expect(missing).toMatchObject({ exitCode: 1, document: { error: { code: 'state.table-missing' } } });
    expect(JSON.stringify(missing.document)).toContain('keyferry state create-table');
    const sick = await folder.run(['doctor']);
    expect(sick).toMatchObject({ exitCode: 1, document: { healthy: false } });
    const made = await folder.run(['state', 'create-table']);
    expect(made).toMatchObject({ exitCode: 0, document: { format: 'keyferry.state-table', outcome: 'created' } });
    const again = await folder.run(['state', 'create-table']);
    expect(again).toMatchObject({ exitCode: 0, document: { outcome: 'exists' } });
    const checks = (await folder.run(['doctor'])).document as { readonly checks: readonly object[] };
    expect(checks.checks).toContainEqual(expect.objectContaining({ subject: 'state', level: 'ok' }));
    expect(JSON.stringify([missing, sick, made, again, checks])).not.toContain(secret);
  });

  it('takes over a migration from a file in its middle, and gives it back', async () => {
    const [shared] = await newFolders('/carried/', 1);
    await prepare(shared);
    const local = await MigrationFolder.create({
      source: { kind: 'etcd-v2', endpoints: servers.source.endpoints },
      target: { kind: 'etcd-v3', endpoints: servers.target.endpoints, reservedPrefix: 'own/carried/' },
      prefix: '/config/',
      targetPrefix: '/carried/',
      settings: { limits: { chunkKeys, workers: 2 } },
    });
    folders.push(local);
    const move = async (from: MigrationFolder, to: MigrationFolder, name: string) => {
      expect((await from.run(['state', 'export', 'move', '--out', name])).exitCode).toBe(0);
      await copyFile(from.file(name), to.file(name));
      expect((await to.run(['state', 'import', name])).exitCode).toBe(0);
      const accepted = ['forget.strands-data', 'forget.way-back'].flatMap((code) => ['--accept', code]);
      expect((await from.run(['state', 'forget', 'move', '--yes', ...accepted])).exitCode).toBe(0);
    };
    await handOver(shared, local);
    expect((await local.run(['apply', 'move.kfplan', '--chunks-max', '5'])).exitCode).toBe(6);
    await move(local, shared, 'to-table.ndjson');
    const status = await shared.run(['status', 'move']);
    expect(status.document).toMatchObject({ migrations: [{ phase: 'applying', chunks: { done: 5, total: 32 } }] });
    expect(await shared.run(['apply', 'move.kfplan'])).toMatchObject({ ...done, document: { resumed: true } });
    expect(await versionsUnder('/carried/')).toEqual(['1']);
    await move(shared, local, 'to-file.ndjson');
    expect((await local.run(['rollback', 'move', '--yes'])).exitCode).toBe(0);
    expect((await readV3(servers.target.endpoints[0] as string, '/carried/')).size).toBe(0);
  });

  it('with state in a file has no table to make', async () => {
    const bench = await Workbench.create(rows(1));
    try {
      const { code, document } = await bench.json(['state', 'create-table']);
      expect([code, document]).toMatchObject([64, { error: { code: 'usage.invalid' } }]);
    } finally {
      await bench.remove();
    }
  });

  it('moves a file into SQLite, and is opened by the configuration alone in an empty folder', async () => {
    tables += 1;
    const { endpoint } = servers.dynamo;
    const state = `state: { dynamodb: { table: keyferry-${tables}, region: eu-west-1, endpoint: '${endpoint}' } }`;
    const bench = await Workbench.create(rows(3000));
    try {
      await bench.write('keyferry.yaml', `${await bench.read('keyferry.yaml')}${state}\n`);
      const env = { ...servers.dynamo.credentials };
      const steps = [
        ['state', 'create-table'],
        ['plan', 'config', '--out', 'c.kfplan'],
        ['apply', 'c.kfplan'],
      ];
      for (const step of steps) expect((await bench.run(step, env)).code).toBe(0);
      await mkdir(bench.path('empty'));
      await copyFile(bench.path('keyferry.yaml'), bench.path('empty/keyferry.yaml'));
      const { code, stdout } = await bench.run(['status', 'config', '-c', 'empty/keyferry.yaml'], env);
      expect([code, stdout]).toEqual([0, expect.stringContaining('3,000')]);
    } finally {
      await bench.remove();
    }
  });
});

/** About one request in ten, of the kinds that a real service and network have; the same ones for a seed and an order. */
function faultsOf(seed: number): (operation: string) => DynamoDbFault | null {
  const writes = new Set(['PutItem', 'DeleteItem', 'TransactWriteItems']);
  let state = seed;
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  // A table is made by requests of its own, which are not repeated.
  const spared = new Set(['CreateTable', 'DescribeTable', 'DescribeTimeToLive', 'UpdateTimeToLive']);
  let requests = 0;
  return (operation) => {
    requests += 1;
    if (spared.has(operation) || requests < 12) return null;
    const luck = random();
    if (luck > 0.1) return operation === 'Query' ? { kind: 'page', items: 7 } : null;
    if (luck < 0.03) return { kind: 'refuse', error: 'ProvisionedThroughputExceededException' };
    if (luck < 0.05 || !writes.has(operation)) return { kind: 'refuse', error: 'InternalServerError', status: 500 };
    return luck < 0.075 ? { kind: 'drop-answer' } : { kind: 'deliver-twice' };
  };
}
