/**
 * Goal: a server that ends, sleeps or fills up in the middle of a run costs time and nothing else: the run waits for it,
 * or ends with a code that says what is wrong, and the next one goes on.
 * Method: members of real servers are killed, restarted, frozen and starved at a log line of the run, and brought back
 * at another. Each test has servers of its own, so that all of them wait at the same time.
 */
import { etcdctl, loadV2Keys, serverOrSkip, startEtcd, type EtcdOptions, type EtcdServer } from '@keyferry/servers';
import { afterAll, describe, it } from 'vitest';
import { callV3, putV3, readTexts } from './etcd-data.ts';
import { MigrationFolder } from './migration-folder.ts';

const [old, current] = await Promise.all([serverOrSkip('etcd-3.4'), serverOrSkip('etcd-3.5')]);
const note = [old, current].find((server) => !server.ok)?.note ?? '';
const keyCount = 5000;

interface Scene {
  readonly source: EtcdServer;
  readonly target: EtcdServer;
  readonly folder: MigrationFolder;
}

describe.skipIf(!old.ok || !current.ok).concurrent(`servers that fail in the middle${note}`, () => {
  const scenes: Scene[] = [];

  /** Servers, keys, a folder and a plan. */
  const planned = async (target: Partial<EtcdOptions> = {}, valueBytes = 20): Promise<Scene> => {
    const [from, to] = await Promise.all([
      startEtcd({ version: '3.4', enableV2: true }),
      startEtcd({ version: '3.5', unsafeNoFsync: true, ...target }),
    ]);
    const folder = await MigrationFolder.create({
      source: { kind: 'etcd-v2', endpoints: from.endpoints, requestTimeout: '1s' },
      target: { kind: 'etcd-v3', endpoints: to.endpoints, requestTimeout: '1s' },
      settings: { limits: { chunkKeys: 250, workers: 2 } },
    });
    const scene = { source: from, target: to, folder };
    scenes.push(scene);
    await loadV2Keys(from.endpoints[0] as string, entriesOf(valueBytes));
    return scene;
  };
  const plan = ({ folder }: Scene) => folder.run(['plan', 'move', '--out', 'move.kfplan']);

  afterAll(async () => {
    await Promise.all(
      scenes.map(async ({ source, target, folder }) => {
        await folder.remove();
        await Promise.all([source.stop(), target.stop()]);
      }),
    );
  });

  const done = (more: object = {}) => ({
    exitCode: 0,
    document: {
      outcome: 'done',
      counts: { written: keyCount, equal: 0, kept: 0, deadLetters: 0 },
      verify: { verdict: 'agree' },
      deviations: [],
      ...more,
    },
  });

  it('the target is killed and comes back', async ({ expect }) => {
    const scene = await planned();
    expect((await plan(scene)).exitCode).toBe(0);
    const run = scene.folder.start(['apply', 'move.kfplan']);
    await run.reaches('chunk.done', 2);
    const [member] = scene.target.members;
    await member?.kill('SIGKILL');
    await run.reaches('store.retrying', 3);
    await member?.restart();
    expect(await run.output).toMatchObject(done({ resumed: false }));
    expect(await readTexts(scene.target.endpoints[0] as string, '/config/')).toEqual(textsOf(20));
  });

  it('the target sleeps for longer than a request may take', async ({ expect }) => {
    const scene = await planned();
    expect((await plan(scene)).exitCode).toBe(0);
    const run = scene.folder.start(['apply', 'move.kfplan']);
    await run.reaches('chunk.done', 2);
    const [member] = scene.target.members;
    await member?.kill('SIGSTOP');
    await run.reaches('store.retrying', 2);
    await member?.kill('SIGCONT');
    expect(await run.output).toMatchObject(done({ resumed: false }));
    expect(await readTexts(scene.target.endpoints[0] as string, '/config/')).toEqual(textsOf(20));
  });

  it('the source is restarted between plan and apply, killed while it is copied, and comes back', async ({
    expect,
  }) => {
    const scene = await planned();
    const [member] = scene.source.members;
    expect((await plan(scene)).exitCode).toBe(0);
    await member?.restart();
    const run = scene.folder.start(['apply', 'move.kfplan']);
    await run.reaches('apply.started');
    await member?.kill('SIGKILL');
    await run.reaches('store.retrying', 2);
    await member?.restart();
    expect(await run.output).toMatchObject(done({ resumed: false }));
  });

  it('the target stays away: the run ends with 1 and the endpoint, and the next one goes on', async ({ expect }) => {
    const scene = await planned();
    expect((await plan(scene)).exitCode).toBe(0);
    const run = scene.folder.start(['apply', 'move.kfplan']);
    await run.reaches('chunk.done', 2);
    const [member] = scene.target.members;
    await member?.kill('SIGKILL');
    const { exitCode, document } = await run.output;
    expect({ exitCode, document }).toMatchObject({
      exitCode: 1,
      document: { error: { code: 'store.unreachable', retry: 'backoff', details: { store: 'new' } } },
    });
    expect(JSON.stringify(document)).toContain(new URL(scene.target.endpoints[0] as string).port);
    await member?.restart();
    expect(await scene.folder.run(['apply', 'move.kfplan'])).toMatchObject(done({ resumed: true }));
  });

  it('the target runs out of space: 1 with store.out-of-space, nothing is lost, and it goes on once there is space', async ({
    expect,
  }) => {
    const quotaBytes = 24 * 1024 * 1024;
    const scene = await planned({ extraArgs: [`--quota-backend-bytes=${quotaBytes}`] }, 1000);
    const { target, folder } = scene;
    const [endpoint] = target.endpoints as readonly [string];
    // History of one key, up to 3 MB below the limit: space that compaction and defragmentation give back. Pages that the
    // puts themselves left free would take in part of the copy, so they are given back until none is left to count on.
    const usedBytes = async () => Number((await callV3<{ dbSize: string }>(endpoint, 'maintenance/status', {})).dbSize);
    const nearlyFull = async () => (await usedBytes()) >= quotaBytes - 3_000_000;
    while (!(await nearlyFull())) {
      while (!(await nearlyFull())) await putV3(endpoint, '/history', Buffer.alloc(100_000));
      await etcdctl(target, ['defrag']);
    }
    expect((await plan(scene)).exitCode).toBe(0);
    const stopped = await folder.run(['apply', 'move.kfplan']);
    expect(stopped).toMatchObject({
      exitCode: 1,
      document: { error: { code: 'store.out-of-space', retry: 'never', details: { store: 'new' } } },
    });
    const before = await readTexts(endpoint, '/config/');
    expect(Object.keys(before).length).toBeGreaterThan(0);
    expect(Object.keys(before).length).toBeLessThan(keyCount);
    expect(textsOf(1000)).toMatchObject(before);
    // Again while it is full: the same answer, and no harm.
    expect(await folder.run(['apply', 'move.kfplan'])).toMatchObject({
      exitCode: 1,
      document: { error: { code: 'store.out-of-space' } },
    });

    const { revision } = (JSON.parse(await etcdctl(target, ['get', 'x', '-w', 'json'])) as HeaderAnswer).header;
    await etcdctl(target, ['compact', String(revision)]);
    await etcdctl(target, ['defrag']);
    await etcdctl(target, ['alarm', 'disarm']);
    expect(await folder.run(['apply', 'move.kfplan'])).toMatchObject(done({ resumed: true }));
    expect(await readTexts(endpoint, '/config/')).toEqual(textsOf(1000));
  });

  it('one of three members of the target is gone, then the leader too, and comes back', async ({ expect }) => {
    const scene = await planned({ members: 3 });
    const [first, second, third] = scene.target.members;
    await third?.kill('SIGKILL');
    expect(await plan(scene)).toMatchObject({ exitCode: 0, document: { applyable: true } });
    const run = scene.folder.start(['apply', 'move.kfplan']);
    await run.reaches('chunk.done', 2);
    await first?.kill('SIGKILL');
    await run.reaches('store.retrying', 2);
    await third?.restart({ waitHealthy: false });
    expect(await run.output).toMatchObject(done());
    expect(await readTexts(second?.endpoint ?? '', '/config/')).toEqual(textsOf(20));
  });
});

interface HeaderAnswer {
  readonly header: { readonly revision: number };
}

function entriesOf(valueBytes: number) {
  return Array.from({ length: keyCount }, (_, i) => ({
    key: `/config/${String(i).padStart(6, '0')}`,
    value: `${i} `.padEnd(valueBytes, 'v'),
  }));
}

function textsOf(valueBytes: number): Record<string, string> {
  return Object.fromEntries(entriesOf(valueBytes).map(({ key, value }) => [key, value]));
}
