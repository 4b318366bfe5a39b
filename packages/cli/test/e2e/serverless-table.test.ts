/**
 * Goal: functions that get their chunks from a queue fill a DynamoDB table: dispatch sends the items, whoever is killed or
 * runs out of time leaves an item that comes again, and every record is in the table once.
 * Method: the built bundles in the local cloud, from etcd v3 into a table of DynamoDB Local, which holds the state too; the
 * table is looked at beside keyferry.
 */
import { LocalCloud, LocalQueue, type LocalInvocation } from '@keyferry/lambda/local';
import { serverOrSkip, startDynamoDb, startEtcd, type DynamoDbServer, type EtcdServer } from '@keyferry/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTable, itemsOf } from './dynamodb-data.ts';
import { loadV3 } from './etcd-data.ts';
import { findingsWith, MigrationFolder, until } from './migration-folder.ts';

const available = await Promise.all([serverOrSkip('etcd-3.5'), serverOrSkip('dynamodb-local')]);
const note = available.find((server) => !server.ok)?.note ?? '';
const keyCount = 3000;
const chunkKeys = 150;
const chunks = keyCount / chunkKeys;
const region = 'eu-west-1';
const entries = Array.from({ length: keyCount }, (_, i) => ({
  key: `/config/${String(i).padStart(5, '0')}`,
  value: `v${i}`,
}));

describe.skipIf(available.some(({ ok }) => !ok))(`functions and a table${note}`, { timeout: 300_000 }, () => {
  let servers: { readonly source: EtcdServer; readonly dynamo: DynamoDbServer };
  const folders: MigrationFolder[] = [];

  const open = async (writes: 'transactions' | 'single'): Promise<MigrationFolder> => {
    const { source, dynamo } = servers;
    const { endpoint } = dynamo;
    await createTable(endpoint, `records-${writes}`, { hash: 'id' });
    const key = { hash: 'id' };
    const folder = await MigrationFolder.create({
      source: { kind: 'etcd-v3', endpoints: source.endpoints },
      target: {
        kind: 'dynamodb',
        table: `records-${writes}`,
        region,
        endpoint,
        key,
        value: { type: 'string' },
        writes,
      },
      settings: { limits: { chunkKeys, workers: 1, functions: 2 } },
      state: { dynamodb: { table: `state-${writes}`, region, endpoint } },
    });
    folders.push(folder);
    for (const args of [
      ['lambda', 'package', 'move', '--out', 'functions'],
      ['state', 'create-table'],
      ['plan', 'move', '--out', 'move.kfplan'],
    ]) {
      expect(await folder.run(args)).toMatchObject({ exitCode: 0 });
    }
    return folder;
  };

  beforeAll(async () => {
    const [source, dynamo] = await Promise.all([startEtcd({ version: '3.5', unsafeNoFsync: true }), startDynamoDb()]);
    servers = { source, dynamo };
    Object.assign(process.env, dynamo.credentials);
    await loadV3(
      source.endpoints[0] as string,
      entries.map(({ key, value }) => [key, value]),
    );
  }, 120_000);
  afterAll(async () => {
    await Promise.all(folders.map((folder) => folder.remove()));
    await Promise.all(Object.values(servers ?? {}).map((server) => server.stop()));
  });

  it('meet by way of a queue that dispatch fills, through kills and duplicates', async () => {
    const folder = await open('transactions');
    const applying = folder.start(['apply', 'move.kfplan', '--runner', 'lambda']);
    let isOver = false;
    void applying.ended.then(() => (isOver = true));
    const queue = await LocalQueue.start({ visibilityMs: 3000 });
    const queued: number[] = [];
    const ends: LocalInvocation[] = [];
    let claims = 0;
    let traced = 0;
    const cloud = new LocalCloud({
      folder: folder.file('functions'),
      timeoutMs: 20_000,
      concurrency: 2,
      queue,
      env: { AWS_LAMBDA_LOG_LEVEL: 'DEBUG' },
      onEnd: (name, end) => {
        if (name === 'backfill') ends.push(end);
        if (name === 'dispatch' && end.kind === 'returned') queued.push((end.result as Dispatched).queued ?? 0);
      },
      onLine: (text, _name, environment) => {
        if (!text.includes('"message":"chunk.claimed"')) return;
        if (/"trace":"1-/.test(text)) traced += 1;
        claims += 1;
        // Until one was quick enough to meet it at work.
        if (claims % 3 === 2 && !ends.some(({ kind }) => kind === 'died')) environment.kill();
      },
    });
    try {
      await cloud.run(1000, async () => isOver);
    } finally {
      await cloud.close();
      await queue.close();
    }
    expect(await applying.output).toMatchObject({
      exitCode: 0,
      document: {
        outcome: 'done',
        counts: { written: keyCount, equal: 0, kept: 0, deadLetters: 0 },
        verify: { verdict: 'agree', source: { records: keyCount }, target: { records: keyCount } },
        deviations: [],
      },
    });
    expect(traced).toBe(claims);
    // Every chunk was an item, sent once as long as any was left.
    expect(queued[queued.findIndex((count) => count > 0)]).toBe(chunks);
    expect(queue.sent % chunks).toBe(0);
    expect([queue.deadLetters, ends.filter(({ kind }) => kind === 'failed')]).toEqual([[], []]);
    expect(ends.filter(({ kind }) => kind === 'died').length).toBeGreaterThanOrEqual(1);
    const { records } = await itemsOf(servers.dynamo.endpoint, 'records-transactions');
    expect(records).toEqual(new Map(entries.map(({ key, value }) => [key, { id: { S: key }, value: { S: value } }])));
    expect((await folder.run(['rollback', 'move', '--yes'])).exitCode).toBe(0);
    expect((await itemsOf(servers.dynamo.endpoint, 'records-transactions')).records.size).toBe(0);
  });

  it('refuse a table that is written by single puts, as nothing would shut out one that wakes up late', async () => {
    const folder = await open('single');
    const plan = await folder.run(['show', 'move.kfplan']);
    expect(plan.document).toMatchObject({ findings: findingsWith({ code: 'target.not-fenced' }) });
    const applying = folder.start(['apply', 'move.kfplan', '--runner', 'lambda']);
    let isOver = false;
    void applying.ended.then(() => (isOver = true));
    const cloud = new LocalCloud({ folder: folder.file('functions'), timeoutMs: 20_000, concurrency: 1 });
    try {
      await until(async () => {
        await cloud.invoke('dispatch');
        return isOver;
      });
    } finally {
      await cloud.close();
    }
    expect(await applying.output).toMatchObject({
      document: { error: { code: 'functions.refused', details: { refusedAs: 'slices.not-fit' } } },
    });
    expect((await itemsOf(servers.dynamo.endpoint, 'records-single')).records.size).toBe(0);
  });
});

interface Dispatched {
  readonly queued: number | null;
}
