/**
 * Goal: an engineer moves records from etcd v2 into tables of PostgreSQL under an application that goes on, with the built program:
 * through a kill -9 in the middle of the backfill to the end, and, another time, from settled back to where it came from.
 * Nothing is lost and nothing comes back; what the target cannot do is refused by name.
 * Method: etcd 3.4 serving v2 and PostgreSQL 15; instances of the real client work throughout, and what they did is the oracle,
 * read by psql and over etcd's HTTP API.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEtcdV2OnlineSource, openEtcdV2Switch } from '@keyferry/adapters/etcd-v2';
import { compileKeyTemplate, openPostgresOnlineTarget, openPostgresSwitch } from '@keyferry/adapters/postgres';
import { openClient } from '@keyferry/client';
import {
  loadV2Keys,
  request,
  serverOrSkip,
  startEtcd,
  startPostgres,
  type EtcdServer,
  type PostgresServer,
} from '@keyferry/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Application } from './application.ts';
import { Keyferry } from './keyferry.ts';

const [old, current] = await Promise.all([serverOrSkip('etcd-3.4'), serverOrSkip('postgres-15')]);
const note = [old, current].find((server) => !server.ok)?.note ?? '';
const instances = 2;
const keysAtRest = 400;
const waitMaxMs = 100_000;
const testMaxMs = 400_000;
const requestLifeMs = 15_000;
/** A table and its keys, and where the switch of the migration is. */
const migrations = { forth: 'new', back: 'old' } as const;
type Name = keyof typeof migrations;

describe.skipIf(!old.ok || !current.ok)(`dual-read from etcd v2 to PostgreSQL${note}`, () => {
  let source: EtcdServer;
  let target: PostgresServer;
  let folder: string;
  let program: Keyferry;
  const keyferry = (args: readonly string[]) => program.run(args);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'keyferry-online-'));
    [source, target] = await Promise.all([
      startEtcd({ version: '3.4', enableV2: true, unsafeNoFsync: true }),
      startPostgres(),
    ]);
    const { host, port, database, user, password } = target;
    program = new Keyferry(folder, { STORE_PASSWORD: password });
    const migration = (name: Name, limits: object = {}) => ({
      source: { store: 'old', prefix: `/${name}/` },
      target: { store: 'new', prefix: `/${name}/` },
      strategy: 'dual-read',
      switch: { store: migrations[name], key: switchKeyOf(name) },
      instances: { min: instances, barrierTimeout: '60s', requestLife: `${requestLifeMs}ms` },
      limits: { workers: 2, chunkKeys: 40, ...limits },
    });
    const tables = ['forth', 'back'].map((name) => {
      return { table: `app.${name}`, key: `/${name}/{name...}`, value: { column: 'body' } };
    });
    const config = {
      version: 1,
      stores: {
        old: { kind: 'etcd-v2', endpoints: source.endpoints },
        new: { kind: 'postgres', host, port, database, auth: { user, password: { env: 'STORE_PASSWORD' } }, tables },
      },
      // Slow enough for a kill in the middle.
      migrations: { forth: migration('forth', { rate: '200/s' }), back: migration('back') },
    };
    await writeFile(join(folder, 'keyferry.yaml'), JSON.stringify(config));
    const made = tables.map(
      ({ table }) => `CREATE TABLE ${table} (name text COLLATE "C" PRIMARY KEY, body text NOT NULL);`,
    );
    await target.psql(`CREATE SCHEMA app; ${made.join(' ')}`);
  }, 240_000);

  afterAll(async () => {
    await Promise.all([source?.stop(), target?.stop()]);
    await rm(folder, { recursive: true, force: true });
  });

  it(
    'comes to normal through a kill in the middle, with all that the application wrote',
    { timeout: testMaxMs },
    async () => {
      const { app, client, before } = await startApplication('forth');
      await app.goOn(10);
      expect(await keyferry(['plan', 'forth', '--out', 'forth.kfplan'])).toMatchObject({
        exitCode: 0,
        document: { applyable: true, strategy: 'dual-read', online: { guardedBySwitch: true } },
      });
      await program.killBehind(2, ['apply', 'forth.kfplan'], waitMaxMs);
      await app.goOn(10);
      // Said by name, and nothing is written.
      await expect(client.put('/forth/ends', 'x', { ttlMs: 1000 })).rejects.toMatchObject({
        code: 'store.unsupported',
      });
      await expect(client.watch('/forth/')).rejects.toMatchObject({ code: 'capability.missing' });
      expect(await keyferry(['apply', 'forth.kfplan'])).toMatchObject({
        exitCode: 0,
        document: { outcome: 'done', resumed: true, online: { mode: 'migrating' } },
      });
      await app.goOn(10);
      expect(await keyferry(['cutover', 'forth', '--yes'])).toMatchObject({
        exitCode: 0,
        document: { online: { mode: 'settled', writesHeldMs: null }, verify: { verdict: 'agree' } },
      });
      await app.goOn(10);
      expect(await keyferry(['finalize', 'forth', '--yes'])).toMatchObject({
        exitCode: 0,
        document: { online: { mode: 'normal' } },
      });
      await app.goOn(10);
      const wanted = new Map([...before, ...(await app.end())]);
      expect(await inTable('forth')).toEqual(wanted);
      expect(await leftOf('forth')).toEqual(0);
    },
  );

  it('goes back from settled with all that the application wrote', { timeout: testMaxMs }, async () => {
    const { app, before } = await startApplication('back');
    await app.goOn(10);
    expect(await keyferry(['apply', 'back', '--yes'])).toMatchObject({ exitCode: 0, document: { outcome: 'done' } });
    await app.goOn(10);
    expect(await keyferry(['cutover', 'back', '--yes'])).toMatchObject({
      exitCode: 0,
      document: { online: { mode: 'settled' } },
    });
    await app.goOn(30);
    const rolledBack = await keyferry(['rollback', 'back', '--yes']);
    expect(rolledBack).toMatchObject({ exitCode: 0, document: { online: { mode: 'legacy' } } });
    expect((rolledBack.document['drained'] as { put: number }).put).toBeGreaterThan(0);
    await app.goOn(10);
    const wanted = new Map([...before, ...(await app.end())]);
    expect(await inTable('back')).toEqual(new Map());
    expect(await leftOf('back')).toEqual(0);
    expect(await inEtcd('/back')).toEqual(wanted);
  });

  /** Records at rest, which no instance touches, and instances at work on others. */
  async function startApplication(name: Name) {
    const { host, port, database, user, password } = target;
    const connection = { name: 'new', host, port, database, auth: { user, password } };
    const { endpoints } = source;
    const atRest = Array.from({ length: keysAtRest }, (_, i) => [`/${name}/rest/${i + 1}`, `value ${i + 1}`] as const);
    await loadV2Keys(
      endpoints[0] as string,
      atRest.map(([key, value]) => ({ key, value })),
    );
    const compiled = compileKeyTemplate(`/${name}/{name...}`);
    if (!compiled.ok) throw new TypeError(compiled.why);
    const mapping = { key: compiled.template, value: { column: 'body' }, leaveOut: [], audit: false };
    const tables = [{ from: { table: `app.${name}` }, ...mapping }];
    const key = switchKeyOf(name);
    const clients = await Promise.all(
      Array.from({ length: instances }, (_, i) =>
        openClient({
          name: `app-${i}`,
          switch:
            migrations[name] === 'new'
              ? openPostgresSwitch({ ...connection, key })
              : openEtcdV2Switch({ name: 'old', endpoints, key }),
          source: openEtcdV2OnlineSource({ name: 'old', endpoints }),
          target: openPostgresOnlineTarget({
            ...connection,
            tables,
            migration: name,
            ...(migrations[name] === 'new' && { switchKey: key }),
          }),
          requestLifeMs,
          waitMaxMs,
        }),
      ),
    );
    const app = new Application(clients, `/${name}/`);
    app.start();
    return { app, client: clients[0] as (typeof clients)[0], before: new Map<string, string>(atRest) };
  }

  async function inTable(name: Name): Promise<ReadonlyMap<string, string>> {
    const sql = `SELECT coalesce(json_agg(json_build_array('/${name}/' || name, body)), '[]') FROM app.${name}`;
    return new Map(JSON.parse(await target.psql(sql)) as readonly [string, string][]);
  }

  /** Rows of keyferry's own that say something of single keys. */
  async function leftOf(name: Name): Promise<number> {
    const of = (table: string) => `(SELECT count(*) FROM keyferry.${table} WHERE migration = '${name}')`;
    return Number(await target.psql(`SELECT ${['marks', 'origins', 'tombstones', 'fences'].map(of).join(' + ')}`));
  }

  async function inEtcd(directory: string): Promise<ReadonlyMap<string, string>> {
    const { body } = await request(`${source.endpoints[0]}/v2/keys${directory}?recursive=true&quorum=true`);
    const leaves = ({ key, value, nodes }: V2Node): readonly [string, string][] =>
      value === undefined ? (nodes ?? []).flatMap(leaves) : [[key, value]];
    return new Map(leaves((JSON.parse(body) as { readonly node: V2Node }).node));
  }
});

interface V2Node {
  readonly key: string;
  readonly value?: string;
  readonly nodes?: readonly V2Node[];
}

const switchKeyOf = (name: Name): string =>
  migrations[name] === 'new' ? `switches/${name}` : `/_keyferry/switch-${name}`;
