/**
 * Goal: an engineer moves a component's records from PostgreSQL to Consul under an application that goes on, with the built
 * program: through a kill -9 in the middle of the backfill to the end, and, another time, from migrating back to where it
 * came from. Nothing is lost and nothing comes back; what the pair cannot do is refused by name.
 * Method: PostgreSQL 15 and Consul 1.8; instances of the real client work throughout, and what they did is the oracle, read
 * by psql and over Consul's HTTP API; a watch from before the first mode to behind the last one is told enough to make it.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openConsulOnlineTarget, openConsulSwitch } from '@keyferry/adapters/consul';
import { compileKeyTemplate, openPostgresOnlineSource, openPostgresSwitch } from '@keyferry/adapters/postgres';
import { openClient, type ClientWatch } from '@keyferry/client';
import {
  request,
  serverOrSkip,
  startConsul,
  startPostgres,
  type ConsulServer,
  type PostgresServer,
} from '@keyferry/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Application } from './application.ts';
import { Keyferry } from './keyferry.ts';

const [old, current] = await Promise.all([serverOrSkip('postgres-15'), serverOrSkip('consul-1.8')]);
const note = [old, current].find((server) => !server.ok)?.note ?? '';
const instances = 2;
const keysAtRest = 400;
const waitMaxMs = 100_000;
const testMaxMs = 400_000;
const requestLifeMs = 15_000;
/** A lock in Consul of a process that was killed ends within a minute, and one that gives way may be slow. */
const patience = ['--lock-timeout', '3m'];

describe.skipIf(!old.ok || !current.ok)(`dual-read from PostgreSQL to Consul${note}`, () => {
  let source: PostgresServer;
  let target: ConsulServer;
  let folder: string;
  let program: Keyferry;
  const keyferry = (args: readonly string[]) => program.run(args);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'keyferry-online-'));
    [source, target] = await Promise.all([startPostgres(), startConsul()]);
    const { host, port, database, user, password } = source;
    program = new Keyferry(folder, { STORE2_PASSWORD: password });
    const migration = (name: string, place: object, limits: object = {}) => ({
      source: { store: 'old', prefix: `${name}/` },
      target: { store: 'new', prefix: `${name}/` },
      strategy: 'dual-read',
      switch: place,
      instances: { min: instances, barrierTimeout: '60s', requestLife: `${requestLifeMs}ms` },
      limits: { workers: 2, chunkKeys: 40, ...limits },
    });
    const tables = ['forth', 'back'].map((name) => {
      return { table: `app.${name}`, key: `${name}/{name...}`, value: { column: 'body' } };
    });
    const config = {
      version: 1,
      stores: {
        old: { kind: 'postgres', host, port, database, auth: { user, password: { env: 'STORE2_PASSWORD' } }, tables },
        new: { kind: 'consul', endpoints: target.endpoints },
      },
      migrations: {
        // Slow enough for a kill in the middle.
        forth: migration('forth', { store: 'new', key: 'switches/forth' }, { rate: '200/s' }),
        back: migration('back', { store: 'old', key: 'switches/back' }),
      },
    };
    await writeFile(join(folder, 'keyferry.yaml'), JSON.stringify(config));
    const made = ['forth', 'back'].map(
      (name) => `CREATE TABLE app.${name} (name text COLLATE "C" PRIMARY KEY, body text NOT NULL);
        INSERT INTO app.${name} SELECT 'rest/' || i, 'value ' || i FROM generate_series(1, ${keysAtRest}) i;`,
    );
    await source.psql(`CREATE SCHEMA app; ${made.join(' ')}`);
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
      // Said by name, and nothing is written.
      await expect(client.put('forth/ends', 'x', { ttlMs: 1000 })).rejects.toMatchObject({ code: 'store.unsupported' });
      const watch = await client.watch('forth/');
      const seen = follow(watch, before);
      const planned = await keyferry(['plan', 'forth', '--out', 'forth.kfplan']);
      expect(planned).toMatchObject({ exitCode: 0, document: { applyable: true, strategy: 'dual-read' } });
      expect(planned.document).toMatchObject({ online: { instancesMin: instances, guardedBySwitch: true } });
      // What watchers read is kept in the source, and said so.
      expect(await keyferry(['status', 'forth'])).toMatchObject({
        document: { migrations: [{ backlogs: [{ side: 'source', store: 'old' }] }] },
      });
      await program.killBehind(2, ['apply', 'forth.kfplan', '--yes'], waitMaxMs);
      await app.goOn(10);
      await expect(client.put('forth/ends', 'x', { ttlMs: 1000 })).rejects.toMatchObject({ code: 'store.unsupported' });
      expect(await keyferry(['apply', 'forth.kfplan', '--yes', ...patience])).toMatchObject({
        exitCode: 0,
        document: { outcome: 'done', resumed: true, online: { mode: 'migrating' }, next: 'keyferry cutover forth' },
      });
      await app.goOn(10);
      expect(await keyferry(['cutover', 'forth', '--yes', ...patience])).toMatchObject({
        exitCode: 0,
        document: { online: { mode: 'settled', writesHeldMs: null }, verify: { verdict: 'agree' } },
      });
      // The second is shown by a look that began when the first had been: in settled, as it must (SPEC R170).
      for (const value of ['first', 'second']) {
        await client.put('forth/mark', value);
        await expect.poll(() => seen.records.get('forth/mark'), { timeout: waitMaxMs }).toBe(value);
      }
      await app.goOn(10);
      expect(await keyferry(['finalize', 'forth', '--yes', ...patience])).toMatchObject({
        exitCode: 0,
        document: { online: { mode: 'normal' } },
      });
      await app.goOn(10);
      await app.stop();
      // What the watch showed, from legacy in one store to normal in the other, makes what is there now of what was there.
      const wanted = new Map([...before, ...app.records(), ['forth/mark', 'second']]);
      await expect.poll(() => seen.records, { timeout: waitMaxMs }).toEqual(wanted);
      expect([...seen.keys].filter((key) => before.has(key))).toEqual([]);
      await app.end();
      await seen.ended;
      expect(await inConsul('forth/')).toEqual(wanted);
      expect(await source.psql(`SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'keyferry%'`)).toMatch(/^\s*0\s*$/);
      expect(await ownKeys('forth')).toEqual(['done', 'epoch', 'lock']);
    },
  );

  it('goes back from migrating with all that the application wrote', { timeout: testMaxMs }, async () => {
    const { app, client, before } = await startApplication('back');
    const seen = follow(await client.watch('back/'), before);
    await app.goOn(10);
    expect(await keyferry(['apply', 'back', '--yes', ...patience])).toMatchObject({
      exitCode: 0,
      document: { outcome: 'done' },
    });
    await app.goOn(30);
    const rolledBack = await keyferry(['rollback', 'back', '--yes', ...patience]);
    expect(rolledBack).toMatchObject({ exitCode: 0, document: { online: { mode: 'legacy' } } });
    expect((rolledBack.document['drained'] as { put: number }).put).toBeGreaterThan(0);
    await expect(seen.ended).rejects.toMatchObject({ code: 'client.watch-lost' });
    const again = follow(await client.watch('back/'), new Map());
    await app.goOn(10);
    await app.stop();
    await expect.poll(() => again.keys.size, { timeout: waitMaxMs }).toBeGreaterThan(0);
    const wanted = new Map([...before, ...(await app.end())]);
    await again.ended;
    expect(await inConsul('back/')).toEqual(new Map());
    expect(await ownKeys('back')).toEqual(['epoch', 'lock']);
    const rows = JSON.parse(
      await source.psql(`SELECT json_agg(json_build_array('back/' || name, body)) FROM app.back`),
    ) as readonly [string, string][];
    expect(new Map(rows)).toEqual(wanted);
  });

  /** What a watch shows, put over what was there. */
  function follow(watch: ClientWatch, before: ReadonlyMap<string, string>) {
    const records = new Map(before);
    const keys = new Set<string>();
    const showing = async (): Promise<void> => {
      for await (const page of watch) {
        for (const change of page) {
          keys.add(change.key);
          if (change.kind === 'put') records.set(change.key, Buffer.from(change.value).toString('utf8'));
          else records.delete(change.key);
        }
      }
    };
    const ended = showing();
    ended.catch(() => undefined); // whoever waits for it is told
    return { records, keys, ended };
  }

  /** Records at rest, which no instance touches, and instances at work on others. */
  async function startApplication(name: 'forth' | 'back') {
    const { host, port, database, user, password } = source;
    const connection = { name: 'old', host, port, database, auth: { user, password } };
    const { endpoints } = target;
    const compiled = compileKeyTemplate(`${name}/{name...}`);
    if (!compiled.ok) throw new TypeError(compiled.why);
    const mapping = { key: compiled.template, value: { column: 'body' }, leaveOut: [], audit: false };
    const clients = await Promise.all(
      Array.from({ length: instances }, (_, i) => {
        const switchKey = `switches/${name}`;
        return openClient({
          name: `app-${i}`,
          switch:
            name === 'forth'
              ? openConsulSwitch({ name: 'new', endpoints, key: switchKey })
              : openPostgresSwitch({ ...connection, key: switchKey }),
          source: openPostgresOnlineSource({
            ...connection,
            tables: [{ from: { table: `app.${name}` }, ...mapping }],
            migration: name,
          }),
          target: openConsulOnlineTarget({
            name: 'new',
            endpoints,
            migration: name,
            ...(name === 'forth' && { switchKey }),
          }),
          requestLifeMs,
          waitMaxMs,
        });
      }),
    );
    const app = new Application(clients, `${name}/`);
    app.start();
    const atRest = Array.from({ length: keysAtRest }, (_, i) => [`${name}/rest/${i + 1}`, `value ${i + 1}`] as const);
    return { app, client: clients[0] as (typeof clients)[0], before: new Map<string, string>(atRest) };
  }

  async function ownKeys(migration: string): Promise<readonly string[]> {
    const prefix = `_keyferry/${migration}/`;
    return [...(await inConsul(prefix)).keys()].map((key) => key.slice(prefix.length));
  }

  async function inConsul(prefix: string): Promise<ReadonlyMap<string, string>> {
    const { status, body } = await request(`${target.endpoints[0]}/v1/kv/${prefix}?recurse`);
    const entries = (status === 404 ? [] : JSON.parse(body)) as readonly { Key: string; Value: string | null }[];
    return new Map(entries.map(({ Key, Value }) => [Key, Buffer.from(Value ?? '', 'base64').toString('utf8')]));
  }
});
