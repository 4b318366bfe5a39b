/**
 * Goal: an engineer moves an application under load from etcd v2 to etcd v3 with the built program: through a kill -9 in the
 * middle of the backfill to the end, and, another time, from settled back to where it came from. Nothing is lost and
 * nothing comes back.
 * Method: etcd 3.4 serving v2 and etcd 3.5; instances of the real client work at full rate throughout, and what they did is
 * the oracle, read with etcd's own clients.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEtcdV2OnlineSource } from '@keyferry/adapters/etcd-v2';
import { openEtcdV3OnlineTarget, openEtcdV3Switch } from '@keyferry/adapters/etcd-v3';
import { openClient } from '@keyferry/client';
import { loadV2Keys, serverOrSkip, startEtcd, type EtcdServer } from '@keyferry/servers';
import { Etcd3 } from 'etcd3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Application } from './application.ts';
import { Keyferry } from './keyferry.ts';

const [old, current] = await Promise.all([serverOrSkip('etcd-3.4'), serverOrSkip('etcd-3.5')]);
const note = [old, current].find((server) => !server.ok)?.note ?? '';
const instances = 3;
const keysAtRest = 1200;
const waitMaxMs = 100_000;
const testMaxMs = 400_000;
const requestLifeMs = 10_000;

describe.skipIf(!old.ok || !current.ok)(`dual-read from etcd v2 to etcd v3${note}`, () => {
  let source: EtcdServer;
  let target: EtcdServer;
  let folder: string;
  let etcd: Etcd3;
  let program: Keyferry;
  const keyferry = (args: readonly string[]) => program.run(args);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'keyferry-online-'));
    program = new Keyferry(folder);
    [source, target] = await Promise.all([
      startEtcd({ version: '3.4', enableV2: true, unsafeNoFsync: true }),
      startEtcd({ version: '3.5', unsafeNoFsync: true }),
    ]);
    etcd = new Etcd3({ hosts: [...target.endpoints] });
    const migration = (name: string, limits: object = {}) => ({
      source: { store: 'old', prefix: `/${name}/` },
      target: { store: 'new', prefix: `/${name}/` },
      strategy: 'dual-read',
      switch: { store: 'new', key: `_keyferry/switch-${name}` },
      instances: { min: instances, barrierTimeout: '60s', requestLife: `${requestLifeMs}ms` },
      limits: { workers: 2, chunkKeys: 100, ...limits },
    });
    const config = {
      version: 1,
      stores: {
        old: { kind: 'etcd-v2', endpoints: source.endpoints },
        new: { kind: 'etcd-v3', endpoints: target.endpoints },
      },
      // Slow enough for a kill in the middle.
      migrations: { forth: migration('forth', { rate: '250/s' }), back: migration('back') },
    };
    await writeFile(join(folder, 'keyferry.yaml'), JSON.stringify(config));
  });

  afterAll(async () => {
    etcd.close();
    await Promise.all([source.stop(), target.stop()]);
    await rm(folder, { recursive: true, force: true });
  });

  it(
    'comes to normal through a kill in the middle, with all that the application wrote',
    { timeout: testMaxMs },
    async () => {
      const { app, before } = await startApplication('forth');
      await app.goOn(20);
      const planned = await keyferry(['plan', 'forth', '--out', 'forth.kfplan']);
      expect(planned).toMatchObject({ exitCode: 0, document: { applyable: true, strategy: 'dual-read' } });
      expect(planned.document).toMatchObject({ online: { instancesMin: instances, writePauseMaxMs: 60_000 } });

      await program.killBehind(2, ['apply', 'forth.kfplan'], waitMaxMs);
      const between = await keyferry(['status', 'forth']);
      expect(between.document).toMatchObject({
        migrations: [{ phase: 'applying', online: { mode: 'migrating' }, next: 'keyferry apply forth.kfplan' }],
      });
      await app.goOn(20);

      expect(await keyferry(['apply', 'forth.kfplan'])).toMatchObject({
        exitCode: 0,
        document: { outcome: 'done', resumed: true, online: { mode: 'migrating' }, next: 'keyferry cutover forth' },
      });
      await app.goOn(20);
      expect(await keyferry(['verify', 'forth'])).toMatchObject({ exitCode: 0, document: { verdict: 'agree' } });
      const cutOver = await keyferry(['cutover', 'forth', '--yes']);
      expect(cutOver).toMatchObject({ exitCode: 0, document: { format: 'keyferry.cutover' } });
      expect(cutOver.document).toMatchObject({
        online: { mode: 'settled', writesHeldMs: null },
        verify: { verdict: 'agree' },
      });
      const settled = await keyferry(['status', 'forth']);
      expect(settled.document).toMatchObject({
        migrations: [{ next: 'keyferry finalize forth', online: { epoch: 3 } }],
      });
      const [status] = settled.document['migrations'] as readonly { online: { instances: readonly unknown[] } }[];
      expect(status?.online.instances).toHaveLength(instances);
      await app.goOn(20);
      expect(await keyferry(['finalize', 'forth', '--yes'])).toMatchObject({
        exitCode: 0,
        document: { online: { mode: 'normal' } },
      });
      await app.goOn(20);

      const wanted = new Map([...before, ...(await app.end())]);
      expect(new Map(Object.entries(await etcd.getAll().prefix('/forth/').strings()))).toEqual(wanted);
      const left = await etcd.getAll().prefix('_keyferry/forth/').keys();
      expect(left.toSorted()).toEqual(['_keyferry/forth/done', '_keyferry/forth/epoch']);
    },
  );

  it(
    'goes back from settled with all that the application wrote, and can go forth again',
    { timeout: testMaxMs },
    async () => {
      const { app, before } = await startApplication('back');
      await app.goOn(20);
      expect(await keyferry(['apply', 'back', '--yes'])).toMatchObject({ exitCode: 0, document: { outcome: 'done' } });
      await app.goOn(40);
      expect(await keyferry(['cutover', 'back', '--yes'])).toMatchObject({ exitCode: 0 });
      await app.goOn(40);
      const rolledBack = await keyferry(['rollback', 'back', '--yes']);
      expect(rolledBack).toMatchObject({ exitCode: 0, document: { online: { mode: 'legacy' } } });
      expect((rolledBack.document['drained'] as { put: number }).put).toBeGreaterThan(0);
      await app.goOn(20);
      expect(await etcd.getAll().prefix('/back/').keys()).toEqual([]);
      expect(await etcd.getAll().prefix('_keyferry/back/').keys()).toEqual(['_keyferry/back/epoch']);
      expect(await keyferry(['apply', 'back', '--yes'])).toMatchObject({ exitCode: 0, document: { outcome: 'done' } });
      await app.goOn(20);
      expect(await keyferry(['rollback', 'back', '--yes'])).toMatchObject({ exitCode: 0 });

      const wanted = new Map([...before, ...(await app.end())]);
      expect(await v2Records('back')).toEqual(wanted);
    },
  );

  /** Records at rest, which no instance touches, and instances at work on others. */
  async function startApplication(name: string) {
    const prefix = `/${name}/`;
    const atRest = Array.from({ length: keysAtRest }, (_, i) => {
      return { key: `${prefix}rest/${String(i).padStart(5, '0')}`, value: `value ${i}` };
    });
    await loadV2Keys(source.endpoints[0] as string, atRest);
    const switchKey = `_keyferry/switch-${name}`;
    const clients = await Promise.all(
      Array.from({ length: instances }, (_, i) => {
        const place = openEtcdV3Switch({ name: 'new', endpoints: target.endpoints, key: switchKey });
        return openClient({
          name: `app-${i}`,
          switch: place,
          source: openEtcdV2OnlineSource({ name: 'old', endpoints: source.endpoints }),
          target: openEtcdV3OnlineTarget({ name: 'new', endpoints: target.endpoints, migration: name, switchKey }),
          requestLifeMs,
          waitMaxMs: waitMaxMs,
        });
      }),
    );
    const app = new Application(clients, prefix);
    app.start();
    return { app, before: new Map(atRest.map(({ key, value }) => [key, value])) };
  }

  async function v2Records(name: string): Promise<ReadonlyMap<string, string>> {
    interface Node {
      readonly key: string;
      readonly value?: string;
      readonly nodes?: readonly Node[];
    }
    const answer = await fetch(`${source.endpoints[0]}/v2/keys/${name}?recursive=true&quorum=true`);
    const found = new Map<string, string>();
    const walk = ({ key, value, nodes }: Node): void => {
      if (value !== undefined) found.set(key, value);
      for (const node of nodes ?? []) walk(node);
    };
    walk(((await answer.json()) as { readonly node: Node }).node);
    return found;
  }
});
