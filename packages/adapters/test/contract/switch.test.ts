/**
 * Goal: a switch is the same whichever store it lies in. Method: core's suites, on a real server of each kind, with an
 * application that reads the plain form with its own client.
 */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { GetItemCommand, PutItemCommand } from '@aws-sdk/client-dynamodb';
import type { MigrationId, PlainSwitch, PrimaryRecord, Switch, SwitchEpoch } from '@keyferry/core';
import { plainSwitchContract, switchContract, type SwitchHarness } from '@keyferry/core/testing';
import {
  request,
  consulVersions,
  serverOrSkip,
  startConsul,
  startEtcd,
  startPostgres,
  v2KeyUrl,
  type ConsulServer,
  type EtcdServer,
  type PostgresServer,
} from '@keyferry/servers';
import { Etcd3 } from 'etcd3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openConsulPlainSwitch, openConsulSwitch } from '../../src/consul/index.ts';
import { openEtcdV2PlainSwitch, openEtcdV2Switch } from '../../src/etcd-v2/index.ts';
import { openEtcdV3PlainSwitch, openEtcdV3Switch } from '../../src/etcd-v3/index.ts';
import { openPostgresPlainSwitch, openPostgresSwitch, switchSql } from '../../src/postgres/index.ts';
import { openSqlitePlainSwitch, openSqliteSwitch } from '../../src/sqlite/index.ts';
import {
  openDynamoDbPlainSwitch,
  openDynamoDbPrimarySwitch,
  openDynamoDbSwitch,
} from '../../src/state/dynamodb/index.ts';
import { useDynamoDb } from './dynamodb-fixture.ts';
import { send } from './etcd-v2-fixture.ts';

/** Opens one switch any number of times, and closes them all. */
function harnessOf(
  place: () => Promise<{
    readonly open: () => Promise<Switch>;
    readonly spoil: () => Promise<void>;
    close?: () => void;
  }>,
): SwitchHarness {
  return {
    open: async () => {
      const { open, spoil, close } = await place();
      const opened: Switch[] = [];
      const openAnother = async (): Promise<Switch> => {
        const store = await open();
        opened.push(store);
        return store;
      };
      return {
        store: await openAnother(),
        openAnother,
        spoil,
        close: async () => {
          for (const store of opened) await store.close();
          close?.();
        },
      };
    },
  };
}

const plainFixture = (store: PlainSwitch, readAsApplication: () => Promise<string | null>, close = () => {}) => ({
  store,
  readAsApplication,
  close: async () => {
    await store.close();
    close();
  },
});

describe('in SQLite', () => {
  const inFolder = () => {
    const folder = mkdtempSync(join(tmpdir(), 'keyferry-switch-'));
    return { file: join(folder, 'switch.db'), close: () => rmSync(folder, { recursive: true }) };
  };

  const sqlite = harnessOf(async () => {
    const { file, close } = inFolder();
    const spoil = async () => {
      const database = new DatabaseSync(file);
      database.exec(`INSERT INTO keyferry_switch VALUES ('switch/record', 1000, 'true')`);
      database.close();
    };
    return { open: () => openSqliteSwitch({ name: 'file', file }), spoil, close };
  });
  switchContract('SQLite', sqlite);
  plainSwitchContract('SQLite', async () => {
    const { file, close } = inFolder();
    const store = await openSqlitePlainSwitch({ name: 'file', file, key: 'config' });
    const read = async () => {
      const database = new DatabaseSync(file, { readOnly: true });
      const row = database.prepare(`SELECT body FROM keyferry_switch WHERE name = 'config/plain'`).get();
      database.close();
      return row === undefined ? null : String(row['body']);
    };
    return plainFixture(store, read, close);
  });
});

// One server speaks both: 3.4 is the last that most migrations start from.
const etcd = await serverOrSkip('etcd-3.4');
describe.skipIf(!etcd.ok)(`in etcd${etcd.note}`, () => {
  let server: EtcdServer;
  let application: Etcd3;
  beforeAll(async () => {
    server = await startEtcd({ version: '3.4', enableV2: true, unsafeNoFsync: true });
    application = new Etcd3({ hosts: [...server.endpoints] });
  });
  afterAll(async () => {
    application.close();
    await server.stop();
  });

  const v3 = harnessOf(async () => {
    const options = { name: 'new', endpoints: server.endpoints, key: `config/switch-${randomUUID()}` };
    const spoil = async () => void (await application.put(`${options.key}/record`).value('true'));
    return { open: async () => openEtcdV3Switch(options), spoil };
  });
  switchContract('etcd v3', v3);
  plainSwitchContract('etcd v3', async () => {
    const key = `config/over-${randomUUID()}`;
    const store = openEtcdV3PlainSwitch({ name: 'new', endpoints: server.endpoints, key });
    return plainFixture(store, () => application.get(key).string());
  });

  const v2 = harnessOf(async () => {
    const options = { name: 'old', endpoints: server.endpoints, key: `/config/_switch-${randomUUID()}` };
    const spoil = () => send(server.endpoints[0] ?? '', 'PUT', `${options.key}/record`, { value: 'true' });
    return { open: async () => openEtcdV2Switch(options), spoil };
  });
  switchContract('etcd v2', v2);
  plainSwitchContract('etcd v2', async () => {
    const key = `/config/over-${randomUUID()}`;
    const store = openEtcdV2PlainSwitch({ name: 'old', endpoints: server.endpoints, key });
    const read = async () => {
      const { status, body } = await request(v2KeyUrl(server.endpoints[0] ?? '', key));
      return status === 404 ? null : (JSON.parse(body) as { node: { value: string } }).node.value;
    };
    return plainFixture(store, read);
  });
});

const dynamoDb = await serverOrSkip('dynamodb-local');
describe.skipIf(!dynamoDb.ok)(`in DynamoDB${dynamoDb.note}`, () => {
  const bench = useDynamoDb();
  const inTable = harnessOf(async () => {
    const table = await bench().newTable();
    const Item = { pk: { S: 'switch#m' }, sk: { S: 'record' }, version: { S: 'x' }, body: { S: 'true' } };
    const spoil = async () => void (await bench().client.send(new PutItemCommand({ TableName: table.table, Item })));
    return { open: async () => openDynamoDbSwitch({ ...table, name: 'm' }), spoil };
  });
  switchContract('DynamoDB', inTable);
  it('holds where applications read and write under strategy replicate, beside the modes of dual-read', async () => {
    const table = await bench().newTable();
    const one = openDynamoDbPrimarySwitch({ ...table, name: 'm' });
    const other = openDynamoDbPrimarySwitch({ ...table, name: 'm' });
    const held: PrimaryRecord = {
      migration: 'm' as MigrationId,
      epoch: 1 as SwitchEpoch,
      primary: 'source',
      writes: 'held',
      announcedAt: '2030-01-31T12:00:00.000Z',
      deadlineAt: '2030-01-31T12:00:30.000Z',
    };
    expect(await one.read()).toBeNull();
    const written = await one.write(held, 'absent');
    expect(await other.read()).toMatchObject({ value: held });
    expect(await other.write({ ...held, epoch: 2 as SwitchEpoch }, 'absent')).toMatchObject({
      kind: 'lost',
      current: { value: held },
    });
    const version = written.kind === 'written' ? written.version : 'absent';
    expect(await other.write({ ...held, epoch: 2 as SwitchEpoch, writes: 'open' }, version)).toMatchObject({
      kind: 'written',
    });
    const place = openDynamoDbSwitch({ ...table, name: 'm' });
    expect(await place.read()).toBeNull();
    await Promise.all([one, other, place].map((each) => each.close()));
  });
  plainSwitchContract('DynamoDB', async () => {
    const table = await bench().newTable();
    const store = openDynamoDbPlainSwitch({ ...table, name: 'm' });
    const read = async () => {
      const Key = { pk: { S: 'switch#m' }, sk: { S: 'plain' } };
      const { Item } = await bench().client.send(new GetItemCommand({ TableName: table.table, Key }));
      return Item?.['body']?.S ?? null;
    };
    return plainFixture(store, read);
  });
});

for (const version of consulVersions) {
  const consul = await serverOrSkip(`consul-${version}`);
  describe.skipIf(!consul.ok)(`in Consul ${version}${consul.note}`, () => {
    let server: ConsulServer;
    beforeAll(async () => {
      server = await startConsul({ version });
    });
    afterAll(() => server.stop());

    const place = () => ({ name: 'new', endpoints: server.endpoints, key: `config/switch-${randomUUID()}` });
    const urlOf = (key: string) => `${server.endpoints[0]}/v1/kv/${key}`;
    const inConsul = harnessOf(async () => {
      const options = place();
      const spoil = async () => void (await request(urlOf(`${options.key}/record`), { method: 'PUT', body: 'true' }));
      return { open: async () => openConsulSwitch(options), spoil };
    });
    switchContract('Consul', inConsul);
    plainSwitchContract('Consul', async () => {
      const options = place();
      const read = async () => {
        const { status, body } = await request(`${urlOf(options.key)}?raw`);
        return status === 404 ? null : body;
      };
      return plainFixture(openConsulPlainSwitch(options), read);
    });
  });
}

const postgres = await serverOrSkip('postgres-15');
describe.skipIf(!postgres.ok)(`in PostgreSQL${postgres.note}`, () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server.stop());

  const place = () => {
    const { host, port, database, user, password } = server;
    return { name: 'new', host, port, database, auth: { user, password }, schema: `switch "${randomUUID()}"` };
  };
  const quoted = (schema: string) => `"${schema.replaceAll('"', '""')}"`;
  const inPostgres = harnessOf(async () => {
    const options = { ...place(), key: 'm' };
    const spoil = async () =>
      void (await server.psql(`${switchSql(options.schema)}
        INSERT INTO ${quoted(options.schema)}.switches VALUES ('m/record', 1000, 'true')`));
    return { open: async () => openPostgresSwitch(options), spoil };
  });
  switchContract('PostgreSQL', inPostgres);
  plainSwitchContract('PostgreSQL', async () => {
    const options = { ...place(), key: 'm' };
    await server.psql(switchSql(options.schema));
    const read = async () => {
      const rows = await server.psql(`SELECT body FROM ${quoted(options.schema)}.switches WHERE name = 'm/plain'`);
      return rows.trim() === '' ? null : rows.trim();
    };
    return plainFixture(openPostgresPlainSwitch(options), read);
  });
});
