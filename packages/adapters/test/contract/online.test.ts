/** Goal: the stores of an online migration keep the promises of their ports. Method: core's suites, on real servers. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  keyFromText,
  keyToText,
  originText,
  type ChunkId,
  type Fence,
  type Key,
  type MigrationId,
  type SwitchVersion,
  type TargetControl,
} from '@keyferry/core';
import {
  onlineSourceContract,
  onlineTargetContract,
  sourceMovesContract,
  targetMovesContract,
  type OnlineTargetFixture,
} from '@keyferry/core/testing';
import {
  consulVersions,
  serverOrSkip,
  startConsul,
  startEtcd,
  startPostgres,
  type ConsulServer,
  type EtcdServer,
  type PostgresServer,
} from '@keyferry/servers';
import { Etcd3 } from 'etcd3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openConsulOnlineTarget, openConsulTarget } from '../../src/consul/index.ts';
import { openEtcdV2OnlineSource } from '../../src/etcd-v2/index.ts';
import { keyToBuffer } from '../../src/etcd-v3/codec.ts';
import { ControlKeys } from '../../src/etcd-v3/control.ts';
import { openEtcdV3OnlineTarget } from '../../src/etcd-v3/index.ts';
import { openPostgresOnlineSource, openPostgresOnlineTarget, switchSql } from '../../src/postgres/index.ts';
import { readPosition } from '../../src/postgres/position.ts';
import { ConsulApplication } from './consul-fixture.ts';
import { connectTo, mappingOf, openStore } from './postgres-fixture.ts';

const outlive = (ttlMs: number): Promise<void> => sleep(ttlMs);

/** The writer of a backfill itself. */
function copierOf(control: TargetControl): OnlineTargetFixture['copy'] {
  const epoch: Fence = { attempt: 1, token: 1 };
  let claims = 0;
  return async (key, text, from) => {
    claims += 1;
    await control.raiseEpoch(epoch);
    const claimed = await control.claimChunk('c1' as ChunkId, { attempt: 1, token: claims }, epoch);
    const put = {
      kind: 'put',
      key,
      value: Buffer.from(text),
      expiresAtMs: null,
      expect: 'absent',
      origin: from,
    } as const;
    const outcomes = claimed.kind === 'claimed' ? await claimed.writer.write([put]) : [];
    expect(outcomes).toMatchObject([{ kind: 'written' }]);
  };
}

for (const version of ['3.3', '3.4', '3.5'] as const) {
  const available = await serverOrSkip(`etcd-${version}`);
  describe.skipIf(!available.ok)(`on ${version}${available.note}`, () => {
    let server: EtcdServer;
    let application: Etcd3;
    beforeAll(async () => {
      server = await startEtcd({ version, enableV2: true, unsafeNoFsync: true });
      application = new Etcd3({ hosts: [...server.endpoints] });
    });
    afterAll(async () => {
      application.close();
      await server.stop();
    });

    const openSource = async () => {
      const folder = `/online-${randomUUID()}`;
      const store = openEtcdV2OnlineSource({ name: 'old', endpoints: server.endpoints });
      return { store, key: (name: string) => keyFromText(`${folder}/${name}`), outlive, close: () => store.close() };
    };
    onlineSourceContract('etcd v2', openSource);
    sourceMovesContract('etcd v2', openSource);

    const openTarget = async (holdsSwitch: boolean): Promise<OnlineTargetFixture> => {
      const folder = randomUUID();
      const migration = `m-${folder}`;
      const switchKey = `config/${folder}`;
      const store = openEtcdV3OnlineTarget({
        name: 'new',
        endpoints: server.endpoints,
        migration,
        ...(holdsSwitch && { switchKey }),
      });
      const keys = new ControlKeys(keyFromText('_keyferry/'), migration as MigrationId);
      return {
        store,
        key: (name) => keyFromText(`/online-${folder}/${name}`),
        outlive,
        copy: async (key, text, from) => {
          const success = [
            { request_put: { key: keyToBuffer(key), value: Buffer.from(text) } },
            { request_put: { key: keys.origin(key), value: Buffer.from(originText(from)) } },
          ];
          await application.kv.txn({ success });
        },
        moveSwitch: async () => {
          const { header } = await application.put(`${switchKey}/record`).value('moved');
          return header.revision as SwitchVersion;
        },
        close: () => store.close(),
      };
    };
    onlineTargetContract('etcd v3', openTarget);
    targetMovesContract('etcd v3', openTarget);

    it('lists of a target go on over several pages, in one snapshot', async () => {
      const folder = `/pages-${randomUUID()}/`;
      const store = openEtcdV3OnlineTarget({ name: 'new', endpoints: server.endpoints, migration: 'pages' });
      const keys = new ControlKeys(keyFromText('_keyferry/'), 'pages' as MigrationId);
      const names = Array.from({ length: 1300 }, (_, i) => String(i).padStart(4, '0'));
      for (let at = 0; at < names.length; at += 100) {
        // Every third is deleted, the next of them present besides its tombstone.
        const success = names.slice(at, at + 100).map((name, i) => {
          const key = keyFromText(`${folder}${name}`);
          return { request_put: { key: i % 3 === 0 ? keys.tomb(key) : keyToBuffer(key), value: Buffer.from('x') } };
        });
        await application.kv.txn({ success });
      }
      const listed: { readonly key: Key; readonly isThere: boolean }[] = [];
      const range = { start: keyFromText(folder), end: keyFromText(`${folder}~`) };
      for await (const page of store.list(range)) {
        if (listed.length === 0) await application.delete().prefix(folder).exec();
        listed.push(...page.map(({ key, record }) => ({ key, isThere: record !== null })));
      }
      expect(listed.map(({ key }) => key)).toEqual(names.map((name) => keyFromText(`${folder}${name}`)));
      expect(listed.map(({ isThere }) => isThere)).toEqual(names.map((_, i) => (i % 100) % 3 !== 0));
      await store.close();
    });
  });
}

for (const version of consulVersions) {
  const consul = await serverOrSkip(`consul-${version}`);
  describe.skipIf(!consul.ok)(`on Consul ${version}${consul.note}`, () => {
    let server: ConsulServer;
    let application: ConsulApplication;
    beforeAll(async () => {
      server = await startConsul({ version });
      application = new ConsulApplication(server);
    });
    afterAll(async () => {
      application.close();
      await server.stop();
    });

    const openTarget = async (holdsSwitch: boolean): Promise<OnlineTargetFixture> => {
      const { endpoints } = server;
      const folder = randomUUID();
      const migration = `m-${folder}`;
      const switchKey = `config/${folder}`;
      const store = openConsulOnlineTarget({ name: 'new', endpoints, migration, ...(holdsSwitch && { switchKey }) });
      const backfill = openConsulTarget({ name: 'new', endpoints, nowMs: () => Date.now() });
      const control = backfill.control(migration as MigrationId);
      let moves = 0;
      return {
        store,
        key: (name) => keyFromText(`online-${folder}/${name}`),
        outlive,
        expires: false,
        copy: copierOf(control),
        moveSwitch: async () => {
          moves += 1;
          await application.call('PUT', `kv/${switchKey}/record`, `moved ${moves}`);
          const [entry] = (await application.call('GET', `kv/${switchKey}/record`)) as {
            readonly ModifyIndex: number;
          }[];
          return String(entry?.ModifyIndex) as SwitchVersion;
        },
        close: async () => {
          await Promise.all([store.close(), backfill.close()]);
        },
      };
    };
    onlineTargetContract('Consul', openTarget);
    targetMovesContract('Consul', openTarget, 'state');

    it('lists of a target are of one state of the store, over several pages and of any size', async () => {
      const folder = `pages-${randomUUID()}/`;
      const store = openConsulOnlineTarget({ name: 'new', endpoints: server.endpoints, migration: 'pages' });
      const names = Array.from({ length: 1300 }, (_, i) => String(i).padStart(4, '0'));
      const value = Buffer.alloc(1500, 'v');
      await application.write(
        names.map((name, i) => {
          // Every third is deleted.
          const key = i % 3 === 0 ? `_keyferry/pages/tomb/${folder}${name}` : `${folder}${name}`;
          return { put: { key: keyFromText(key), value, ttlMs: null } };
        }),
      );
      const listed: { readonly key: Key; readonly bytes: number | undefined }[] = [];
      for await (const page of store.list({ start: keyFromText(folder), end: keyFromText(`${folder}~`) })) {
        if (listed.length === 0) await application.call('DELETE', `kv/${folder}?recurse`);
        listed.push(...page.map(({ key, record }) => ({ key, bytes: record?.value.length })));
      }
      expect(listed.map(({ key }) => key)).toEqual(names.map((name) => keyFromText(`${folder}${name}`)));
      expect(listed.map(({ bytes }) => bytes)).toEqual(names.map((_, i) => (i % 3 === 0 ? undefined : value.length)));
      await store.close();
    });

    it('refuses by name what Consul cannot hold, and writes nothing of it', async () => {
      const store = openConsulOnlineTarget({ name: 'new', endpoints: server.endpoints, migration: 'refusals' });
      const put = (value: Uint8Array) =>
        ({ kind: 'write', write: { kind: 'put', value, ttlMs: null }, expect: 'any', tombstone: 'clear' }) as const;
      const seen = { epoch: 1 as never, version: null };
      for (const [key, value] of [
        ['/slash', 'v'],
        ['_keyferry/own', 'v'],
        ['large', 'v'.repeat(400_000)],
      ] as const) {
        const refused = store.ask(keyFromText(key), put(Buffer.from(value)), seen);
        await expect(refused).rejects.toMatchObject({ code: 'store.request-refused' });
      }
      const everything = async () => {
        for await (const page of store.list({ start: '' as Key, end: null })) expect(page).toEqual([]);
      };
      await expect(everything()).rejects.toMatchObject({ code: 'store.request-refused' });
      expect(await application.call('GET', 'kv/large')).toBeNull();
      await store.close();
    });
  });
}

const postgres = await serverOrSkip('postgres-15');
describe.skipIf(!postgres.ok)(`on PostgreSQL${postgres.note}`, () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server.stop());

  let made = 0;
  const openTables = async (columns: string, value: string) => {
    made += 1;
    const table = `online_${made}`;
    await server.psql(`CREATE TABLE ${table} (name text COLLATE "C" PRIMARY KEY, ${columns})`);
    const { host, port, database, user, password } = server;
    const store = openPostgresOnlineSource({
      name: 'old',
      host,
      port,
      database,
      auth: { user, password },
      migration: table,
      tables: [mappingOf(table, `${table}/{name...}`, { value: value === 'row' ? 'row' : { column: value } })],
    });
    const key = (name: string): Key => keyFromText(`${table}/${name}`);
    const close = async () => {
      await store.moves?.end?.();
      await store.close();
    };
    return { store, key, outlive, expires: false, table, close };
  };
  onlineSourceContract('PostgreSQL', () => openTables('body bytea NOT NULL', 'body'));
  sourceMovesContract('PostgreSQL', () => openTables('body bytea NOT NULL', 'body'), false);

  it('tells which rows came after a position, whoever was under way then', async () => {
    const { store, key, table, close } = await openTables('body text NOT NULL', 'body');
    const open = await connectTo(server);
    const reader = await connectTo(server);
    const insert = (name: string) => `INSERT INTO ${table} VALUES ('${name}', 'v')`;
    await server.psql(insert('before'));
    await open.query(`BEGIN; ${insert('under way')}`);
    const position = await readPosition(reader);
    await open.query('COMMIT');
    await server.psql(insert('after'));
    const came: Record<string, boolean> = {};
    for (const name of ['before', 'under way', 'after']) {
      const answer = await store.ask(key(name), { kind: 'read' });
      if (answer.kind === 'read' && answer.record !== null)
        came[name] = store.cameAfter(answer.record.version, position);
    }
    expect(came).toEqual({ before: false, 'under way': true, after: true });
    await Promise.all([open.end(), reader.end(), close()]);
  });

  const openTarget = async (holdsSwitch: boolean): Promise<OnlineTargetFixture> => {
    const folder = randomUUID();
    const migration = `m-${folder}`;
    const switchKey = `switches/${folder}`;
    made += 1;
    const table = `online_${made}`;
    await server.psql(`CREATE TABLE ${table} (name text COLLATE "C" PRIMARY KEY, body bytea NOT NULL);
      ${switchSql('keyferry')}`);
    const { host, port, database, user, password } = server;
    const tables = [mappingOf(table, `${table}/{name...}`, { value: { column: 'body' } })];
    const connection = { name: 'new', host, port, database, auth: { user, password }, tables };
    const store = openPostgresOnlineTarget({ ...connection, migration, ...(holdsSwitch && { switchKey }) });
    const backfill = openStore(server, { tables });
    const sql = `INSERT INTO keyferry.switches VALUES ('${switchKey}/record', nextval('keyferry.switch_versions'), 'moved')
      ON CONFLICT (name) DO UPDATE SET version = excluded.version RETURNING version`;
    return {
      store,
      key: (name) => keyFromText(`${table}/${name}`),
      outlive,
      expires: false,
      copy: copierOf(backfill.control(migration as MigrationId)),
      moveSwitch: async () => (await server.psql(sql)).trim().split(/\s/)[0] as SwitchVersion,
      close: async () => {
        await Promise.all([store.close(), backfill.close()]);
      },
    };
  };
  onlineTargetContract('PostgreSQL', openTarget);

  it('refuses a value that its row would not give back, and a row that is no record', async () => {
    const { store, key, table, close } = await openTables('level int, note text NOT NULL', 'row');
    const put = (text: string) =>
      ({ kind: 'write', write: { kind: 'put', value: Buffer.from(text), ttlMs: null }, expect: 'any' }) as const;
    const good = '{"level":3,"note":"x"}';
    expect(await store.ask(key('a'), put(good))).toMatchObject({ kind: 'written', previous: null });
    for (const text of ['{"level": 3, "note": "x"}', '{"level":3}', '{"level":"many","note":"x"}', 'no JSON']) {
      await expect(store.ask(key('a'), put(text))).rejects.toMatchObject({ code: 'store.request-refused' });
    }
    const read = await store.ask(key('a'), { kind: 'read' });
    expect(read.kind === 'read' && read.record && Buffer.from(read.record.value).toString()).toBe(good);
    await close();
    expect(keyToText(key('a'))).toBe(`${table}/a`);
  });
});
