/**
 * Goal: a DynamoDB table is a store like any other: what goes in from etcd v2 and out to etcd v3 is what was there, through
 * a kill, and going back leaves the table as it was; what is no record is said before anything is written. By its stream it
 * is followed while an application writes, and no write is lost on the way to etcd v3 and back.
 * Method: the built binary between real servers; the tables are looked at with the SDK, beside keyferry.
 */
import {
  loadV2Keys,
  serverOrSkip,
  startDynamoDb,
  startEtcd,
  type DynamoDbServer,
  type EtcdServer,
} from '@keyferry/servers';
import type { CostRow } from '@keyferry/core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createTable, deleteItem, itemsOf, putItems, setStream, type TableItems } from './dynamodb-data.ts';
import { readTexts } from './etcd-data.ts';
import { findingsWith, MigrationFolder, until, type MigrationOptions } from './migration-folder.ts';
import { Application, textAtV3, v3Store, type ApplicationStore } from './replicate-application.ts';

const available = await Promise.all([
  serverOrSkip('etcd-3.4'),
  serverOrSkip('etcd-3.5'),
  serverOrSkip('dynamodb-local'),
]);
const note = available.find((server) => !server.ok)?.note ?? '';
const keyCount = 800;
const entries = Array.from({ length: keyCount }, (_, i) => ({ key: `/config/${i % 10}/${i}`, value: `value ${i}` }));
const secret = 'canary-of-a-secret-key';
const region = 'eu-west-1';
const base64 = (text: string): string => Buffer.from(text).toString('base64');

describe.skipIf(available.some(({ ok }) => !ok))(`DynamoDB as a store${note}`, () => {
  let servers: { readonly old: EtcdServer; readonly current: EtcdServer; readonly dynamo: DynamoDbServer };
  const folders: MigrationFolder[] = [];

  const open = async (options: MigrationOptions): Promise<MigrationFolder> => {
    const folder = await MigrationFolder.create(options);
    folders.push(folder);
    return folder;
  };
  const plain = (table: string, more: object = {}) => ({
    kind: 'dynamodb',
    table,
    region,
    endpoint: servers.dynamo.endpoint,
    key: { hash: 'id' },
    ...more,
  });
  const run = async (folder: MigrationFolder, ...args: string[]) => {
    const ended = await folder.run(args);
    expect(ended.stdout + ended.stderr).not.toContain(secret);
    return ended;
  };
  const planAndApply = async (folder: MigrationFolder) => {
    const plan = await run(folder, 'plan', 'move', '--out', 'move.kfplan');
    expect({ exitCode: plan.exitCode, stderr: plan.stderr }).toMatchObject({ exitCode: 0 });
    return await run(folder, 'apply', 'move.kfplan');
  };
  const done = { exitCode: 0, document: { outcome: 'done', verify: { verdict: 'agree' }, deviations: [] } };
  const tableNow = (table: string): Promise<TableItems> => itemsOf(servers.dynamo.endpoint, table);

  beforeAll(async () => {
    const [old, current, dynamo] = await Promise.all([
      startEtcd({ version: '3.4', enableV2: true, unsafeNoFsync: true }),
      startEtcd({ version: '3.5', unsafeNoFsync: true }),
      startDynamoDb(),
    ]);
    servers = { old, current, dynamo };
    Object.assign(process.env, dynamo.credentials, { AWS_SECRET_ACCESS_KEY: secret });
    await loadV2Keys(old.endpoints[0] as string, entries);
  });
  afterEach(() => Promise.all(folders.splice(0).map((folder) => folder.remove())));
  afterAll(() => Promise.all(Object.values(servers ?? {}).map((server) => server.stop())));

  it.each(['transactions', 'single'])('etcd v2 goes into a table by %s, and back out of it', async (writes) => {
    const table = `from-v2-${writes}`;
    await createTable(servers.dynamo.endpoint, table, { hash: 'id' });
    const foreign = { id: { S: 'elsewhere' }, anything: { N: '1' } };
    await putItems(servers.dynamo.endpoint, table, [foreign]);
    const folder = await open({
      source: { kind: 'etcd-v2', endpoints: servers.old.endpoints },
      target: plain(table, { writes, value: { type: 'string' } }),
      settings: { limits: { chunkKeys: 200, workers: 2 } },
    });
    const healthy = await run(folder, 'doctor');
    expect(healthy).toMatchObject({ exitCode: 0 });
    const plan = await run(folder, 'plan', 'move', '--out', 'move.kfplan');
    expect(plan).toMatchObject({
      exitCode: 0,
      document: { totals: { actions: { create: { keys: keyCount } } } },
    });
    // Both ways to write are priced, whichever is configured; what is in a transaction is billed twice.
    const { cost } = plan.document as { readonly cost: { readonly rows: readonly CostRow[] } };
    const ways = cost.rows.filter(({ what }) => what === 'target writes');
    expect(ways.map(({ when }) => when)).toEqual(
      writes === 'single' ? ['other', 'configured'] : ['configured', 'other'],
    );
    expect((ways[0]?.units ?? 0) - (ways[1]?.units ?? 0)).toBe(keyCount);
    const notFenced = findingsWith({ code: 'target.not-fenced' });
    const { findings } = plan.document as { readonly findings: unknown };
    if (writes === 'single') expect(findings).toEqual(notFenced);
    else expect(findings).not.toEqual(notFenced);

    if (writes === 'transactions') {
      const killed = folder.start(['apply', 'move.kfplan']);
      await killed.reaches('chunk.done', 2);
      killed.kill('SIGKILL');
      expect(await killed.ended).toBeNull();
    }
    const applied = await run(folder, 'apply', 'move.kfplan');
    expect(applied).toMatchObject({
      ...done,
      document: { ...done.document, resumed: writes === 'transactions', counts: { written: keyCount } },
    });
    const { records, own } = await tableNow(table);
    const wanted = entries.map(({ key, value }) => [key, { id: { S: key }, value: { S: value } }]);
    expect(records).toEqual(new Map<string, unknown>([...wanted, ['elsewhere', foreign]] as never));
    expect(own.length).toBeGreaterThan(0);
    expect(await run(folder, 'verify', 'move')).toMatchObject({ exitCode: 0 });

    expect(await run(folder, 'rollback', 'move', '--yes')).toMatchObject({ exitCode: 0 });
    const after = await tableNow(table);
    expect([...after.records]).toEqual([['elsewhere', foreign]]);
    expect(after.own.every((id) => id.startsWith('_keyferry/move/epoch/'))).toBe(true);

    expect(await planAndApply(folder)).toMatchObject(done);
    expect(await run(folder, 'finalize', 'move', '--yes')).toMatchObject({ exitCode: 0 });
    const final = await tableNow(table);
    expect(final.records.size).toBe(keyCount + 1);
    expect(final.own.filter((id) => !id.startsWith('_keyferry/move/epoch/'))).toEqual(['_keyferry/move/done']);
  });

  it('a table with two keys goes into etcd v3; an item that is no record is named, and needs a yes', async () => {
    const table = 'to-v3';
    await createTable(servers.dynamo.endpoint, table, { hash: 'tenant', sort: 'name', ttl: 'endsAt' });
    const inAnHour = Math.floor(Date.now() / 1000) + 3600;
    await putItems(servers.dynamo.endpoint, table, [
      ...Array.from({ length: 300 }, (_, i) => ({
        tenant: { S: `t${i % 3}` },
        name: { S: `n/${i}` },
        limit: { N: String(i) },
        ...(i < 10 ? { endsAt: { N: String(inAnHour) } } : {}),
      })),
      { tenant: { S: 'with/slash' }, name: { S: 'x' }, limit: { N: '1' } },
    ]);
    const folder = await open({
      source: plain(table, {
        key: { hash: 'tenant', sort: 'name' },
        value: { from: 'item' },
        ttl: 'endsAt',
      }),
      target: { kind: 'etcd-v3', endpoints: servers.current.endpoints },
      prefix: '',
      targetPrefix: 'from-table/',
    });
    const plan = await run(folder, 'plan', 'move', '--out', 'move.kfplan');
    expect(plan.document).toMatchObject({
      totals: { actions: { create: { keys: 300 } }, notCarried: { 'item.unmapped': 1 }, expiring: 10 },
      findings: findingsWith({
        code: 'source.left-out',
        accept: true,
        cases: [
          expect.objectContaining({
            key: { text: 'with/slash/x' },
            detail: 'tenant holds "/", which is to part it from name',
          }),
        ],
      }),
    });
    expect(await run(folder, 'apply', 'move.kfplan')).toMatchObject({ exitCode: 4 });
    const applied = await run(folder, 'apply', 'move.kfplan', '--accept', 'source.left-out');
    expect(applied).toMatchObject({ ...done, document: { counts: { written: 300, notCarried: 1 } } });
    const texts = await readTexts(servers.current.endpoints[0] as string, 'from-table/');
    expect(Object.keys(texts)).toHaveLength(300);
    expect(texts['from-table/t1/n/4']).toBe('{"limit":{"N":"4"}}');
  });

  it('what is overwritten and deleted in a table comes back with a rollback, and what is left out of records stays', async () => {
    const table = 'overwritten';
    await createTable(servers.dynamo.endpoint, table, { hash: 'id' });
    const before = [
      { id: { S: 'a' }, value: { B: base64('old a') }, rev: { N: '1' } },
      { id: { S: 'b' }, value: { B: base64('old b') } },
      { id: { S: 'gone' }, value: { B: base64('g') } },
    ];
    await putItems(servers.dynamo.endpoint, table, before);
    const start = await tableNow(table);
    const folder = await open({
      source: { kind: 'file', path: 'source.ndjson', format: 'ndjson' },
      target: plain(table, { leaveOut: ['rev'] }),
      prefix: '',
      settings: { onConflict: 'overwrite', prune: true, guards: { deleteShareMax: 1 } },
    });
    await folder.write(
      'source.ndjson',
      ['a', 'b', 'c'].map((key) => `${JSON.stringify({ key, value: `new ${key}` })}\n`).join(''),
    );
    expect(await planAndApply(folder)).toMatchObject(done);
    const { records } = await tableNow(table);
    expect([...records.keys()].toSorted()).toEqual(['a', 'b', 'c']);
    expect(records.get('a')?.['value']).toEqual({ B: base64('new a') });
    expect(records.get('a')?.['rev']).toEqual({ N: '1' });
    expect(await run(folder, 'rollback', 'move', '--yes')).toMatchObject({ exitCode: 0 });
    expect((await tableNow(table)).records).toEqual(start.records);
  });

  it('a table is followed by its stream, lost and found again, cut over to etcd v3, and back without a loss', async () => {
    const { dynamo, current } = servers;
    const [table, endpoint] = ['followed', current.endpoints[0] as string];
    await createTable(dynamo.endpoint, table, { hash: 'id' });
    const source: ApplicationStore = {
      put: (name, value) => putItems(dynamo.endpoint, table, [{ id: { S: name }, value: { S: value } }]),
      delete: (name) => deleteItem(dynamo.endpoint, table, { id: { S: name } }),
      read: async () =>
        Object.fromEntries(
          [...(await tableNow(table)).records].map(([name, item]) => [name, String(item['value']?.['S'])]),
        ),
    };
    const target = v3Store(endpoint, 'followed/');
    const app = new Application({ source, target }, () => textAtV3(endpoint, 'switch/primary'));
    const folder = await open({
      source: plain(table, { value: { type: 'string' } }),
      target: { kind: 'etcd-v3', endpoints: current.endpoints },
      prefix: '',
      targetPrefix: 'followed/',
      settings: {
        strategy: 'replicate',
        replicate: { freeze: { switch: { store: 'new', key: 'switch' } }, pauseMax: '90s', requestLife: '2s' },
        guards: { deleteShareMax: 1 },
      },
    });
    for (let i = 0; i < 100; i += 1) {
      await source.put(`seed/${i}`, `value ${i}`);
      app.tally.set(`seed/${i}`, `value ${i}`);
    }
    await setStream(dynamo.endpoint, table, true);
    app.start();
    try {
      expect(await run(folder, 'plan', 'move', '--out', 'move.kfplan')).toMatchObject({ exitCode: 0 });
      const proven = { format: 'keyferry.replicate', outcome: 'proven', refusedTotal: 0 };
      expect(await run(folder, 'apply', 'move.kfplan')).toMatchObject({ exitCode: 0, document: proven });
      await setStream(dynamo.endpoint, table, false);
      await source.delete('seed/7');
      app.tally.delete('seed/7');
      await setStream(dynamo.endpoint, table, true);
      expect(await run(folder, 'apply', 'move.kfplan')).toMatchObject({
        exitCode: 0,
        document: { ...proven, carried: { reconciled: 1 } },
      });
      expect(await run(folder, 'cutover', 'move', '--yes')).toMatchObject({ exitCode: 0, document: { strays: [] } });
      const before = app.writes;
      await until(() => Promise.resolve(app.writes > before + 50));
      const back = await run(folder, 'rollback', 'move', '--yes');
      expect(back).toMatchObject({ exitCode: 0, document: { ledBack: { strays: [] }, left: 0 } });
      const after = app.writes;
      await until(() => Promise.resolve(app.writes > after + 20));
    } finally {
      await app.stop();
    }
    expect(await source.read()).toEqual(Object.fromEntries(app.tally));
    expect(await target.read()).toEqual({});
    const { own } = await tableNow(table);
    expect(own.filter((id) => !id.startsWith('_keyferry/move/epoch/'))).toEqual([]);
  }, 600_000);

  it('a table that is not there, or has other keys, is told with what is wrong', async () => {
    await createTable(servers.dynamo.endpoint, 'other-keys', { hash: 'pk' });
    for (const [table, code] of [
      ['not-there', 'store.table-missing'],
      ['other-keys', 'store.unsupported'],
    ]) {
      const folder = await open({
        source: { kind: 'file', path: 'source.ndjson', format: 'ndjson' },
        target: plain(table as string),
      });
      await folder.write('source.ndjson', '');
      expect(await run(folder, 'plan', 'move')).toMatchObject({ exitCode: 1, document: { error: { code } } });
    }
  });
});
