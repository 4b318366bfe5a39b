/**
 * Goal: an application that follows a switch goes from one store to the other, back, and over again, while it writes; no
 * write is lost, nothing deleted comes back, and neither a kill of the tail nor the cutover itself shows in its tally.
 * Method: the built binary on real servers, etcd v3 to v3 within one cluster and etcd v2 to v3; the application's own tally is
 * held against what a client reads from both stores.
 */
import { serverOrSkip, startEtcd, type EtcdServer } from '@keyferry/servers';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { readV3 } from './etcd-data.ts';
import { MigrationFolder, until } from './migration-folder.ts';
import { Application, textAtV3, v2Store, v3Store, type ApplicationStore } from './replicate-application.ts';

const available = await serverOrSkip('etcd-3.4');
const switchKey = '_keyferry/switch';
const replicate = { freeze: { switch: { store: 'new', key: switchKey } }, pauseMax: '90s', requestLife: '2s' };

interface Pair {
  readonly name: string;
  readonly kind: 'etcd-v2' | 'etcd-v3';
  readonly sourcePrefix: string;
  readonly source: (endpoint: string) => ApplicationStore;
}

const pairs: readonly Pair[] = [
  {
    name: 'etcd v3 to etcd v3, under two prefixes of one cluster',
    kind: 'etcd-v3',
    sourcePrefix: '/from/',
    source: (endpoint) => v3Store(endpoint, '/from/'),
  },
  {
    name: 'etcd v2 to etcd v3',
    kind: 'etcd-v2',
    sourcePrefix: '/old/',
    source: (endpoint) => v2Store(endpoint, '/old/'),
  },
];

describe.skipIf(!available.ok).each(pairs)(
  `replication from $name${available.note}`,
  ({ kind, sourcePrefix, source }) => {
    let server: EtcdServer;
    let folder: MigrationFolder;
    let app: Application;
    let endpoint: string;
    let stores: Record<'source' | 'target', ApplicationStore>;

    beforeAll(async () => {
      server = await startEtcd({ version: '3.4', enableV2: true, unsafeNoFsync: true });
      endpoint = server.endpoints[0] as string;
    });
    afterEach(async () => {
      await app?.stop().catch(() => undefined);
      await folder?.remove();
    });
    afterAll(() => server?.stop());

    it('forward, killed on its way, cut over, back without a loss, and over again to the end', async () => {
      stores = { source: source(endpoint), target: v3Store(endpoint, '/to/') };
      app = new Application(stores, () => textAtV3(endpoint, `${switchKey}/primary`));
      folder = await MigrationFolder.create({
        source: { kind, endpoints: server.endpoints },
        target: { kind: 'etcd-v3', endpoints: server.endpoints },
        prefix: sourcePrefix,
        targetPrefix: '/to/',
        settings: { strategy: 'replicate', replicate, limits: { chunkKeys: 100 } },
      });
      for (let i = 0; i < 300; i += 1) {
        await stores.source.put(`seed/${i}`, `value ${i}`);
        app.tally.set(`seed/${i}`, `value ${i}`);
      }
      app.start();

      const planned = await folder.run(['plan', 'move', '--out', 'move.kfplan']);
      expect([planned.exitCode, planned.document]).toMatchObject([
        0,
        { strategy: 'replicate', replicate: { freeze: { kind: 'key' }, feed: { kind: 'log' } } },
      ]);
      expect(await folder.run(['apply', 'move.kfplan'])).toMatchObject({
        exitCode: 0,
        document: { format: 'keyferry.replicate', outcome: 'proven', tail: 'forward', refusedTotal: 0 },
      });

      const killed = folder.start(['apply', 'move.kfplan', '--follow']);
      await killed.reaches('tail.caught-up');
      killed.kill('SIGKILL');
      await killed.ended;
      const following = folder.start(['apply', 'move.kfplan', '--follow']);
      await following.reaches('tail.generation');
      expect((await folder.run(['status', 'move'])).document).toMatchObject({
        migrations: [
          { phase: 'replicating', tails: [{ tail: 'forward', refusedTotal: 0 }], next: 'keyferry cutover move' },
        ],
      });

      const before = app.writes;
      const cut = await folder.run(['cutover', 'move', '--yes']);
      expect([cut.exitCode, cut.document]).toMatchObject([0, { format: 'keyferry.cutover', strays: [] }]);
      expect((await following.output).exitCode).toBe(6);
      await until(() => Promise.resolve(app.writes > before + 50));

      expect(await folder.run(['apply', 'move.kfplan'])).toMatchObject({
        exitCode: 0,
        document: { outcome: 'proven', tail: 'reverse' },
      });
      const back = await folder.run(['rollback', 'move', '--yes']);
      expect([back.exitCode, back.document]).toMatchObject([0, { ledBack: { strays: [] }, left: 0 }]);
      const after = app.writes;
      await until(() => Promise.resolve(app.writes > after + 20));
      await app.stop();
      expect(await stores.source.read()).toEqual(Object.fromEntries(app.tally));
      expect(await stores.target.read()).toEqual({});

      app.start();
      expect((await folder.run(['plan', 'move', '--out', 'again.kfplan'])).exitCode).toBe(0);
      expect((await folder.run(['apply', 'again.kfplan'])).exitCode).toBe(0);
      expect((await folder.run(['cutover', 'move', '--yes'])).exitCode).toBe(0);
      const over = app.writes;
      await until(() => Promise.resolve(app.writes > over + 20));
      expect(await folder.run(['finalize', 'move', '--yes'])).toMatchObject({ exitCode: 0 });
      await app.stop();
      expect(await stores.target.read()).toEqual(Object.fromEntries(app.tally));
      const own = [...(await readV3(endpoint, '_keyferry/')).keys()].filter((key) => !key.startsWith(switchKey));
      expect(new Set(own.map((key) => key.split('/').at(-1)))).toEqual(new Set(['done', 'epoch']));
    }, 180_000);
  },
);
