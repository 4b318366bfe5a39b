/**
 * Goal: time left is kept within the stated tolerance, with few leases, and a key whose time runs out at an awkward
 * moment is neither a failure nor brought back to life.
 * Method: the built binary from etcd v2 to etcd v3; remaining times are read from both servers by their own interfaces.
 */
import { serverOrSkip, startEtcd, type EtcdServer } from '@keyferry/servers';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { getV2, leaseSecondsLeft, putV2, readTexts, readV3 } from './etcd-data.ts';
import { findingsWith, MigrationFolder, until } from './migration-folder.ts';

const [old, current] = await Promise.all([serverOrSkip('etcd-3.4'), serverOrSkip('etcd-3.5')]);
const note = [old, current].find((server) => !server.ok)?.note ?? '';

describe.skipIf(!old.ok || !current.ok)(`keys that expire${note}`, () => {
  let servers: { readonly source: EtcdServer; readonly target: EtcdServer };
  let source: string;
  let target: string;
  let folder: MigrationFolder;

  const open = async (prefix: string, bucket: string): Promise<void> => {
    folder = await MigrationFolder.create({
      source: { kind: 'etcd-v2', endpoints: [source] },
      target: { kind: 'etcd-v3', endpoints: [target] },
      prefix,
      settings: { rules: [{ ttl: { toLease: { bucket } } }] },
    });
  };
  const plan = async () => {
    const made = await folder.run(['plan', 'move', '--out', 'move.kfplan']);
    expect(made.exitCode).toBe(0);
    return made.document as { readonly leaseBucketMs: number };
  };

  beforeAll(async () => {
    const [v2, v3] = await Promise.all([
      startEtcd({ version: '3.4', enableV2: true }),
      startEtcd({ version: '3.5', unsafeNoFsync: true }),
    ]);
    servers = { source: v2, target: v3 };
    [source, target] = [v2.endpoints[0] as string, v3.endpoints[0] as string];
  });
  afterEach(() => folder.remove());
  afterAll(() => Promise.all([servers?.source.stop(), servers?.target.stop()]));

  it('keep their time within the tolerance of the plan, and share leases', async () => {
    const [bucketSeconds, keys] = [60, 300];
    for (let i = 0; i < keys; i += 1) await putV2(source, `/kept/${i}`, { value: 'x', ttl: 600 + i });
    // A directory's time is the time of all below it.
    await putV2(source, '/kept/dir', { dir: true, ttl: 700 });
    await putV2(source, '/kept/dir/inherits', { value: 'x' });
    await putV2(source, '/kept/dir/shorter', { value: 'x', ttl: 650 });
    await putV2(source, '/kept/permanent', { value: 'x' });
    await open('/kept/', `${bucketSeconds}s`);
    const { leaseBucketMs } = await plan();
    expect(leaseBucketMs).toBe(bucketSeconds * 1000 + 2000);
    expect(await folder.run(['apply', 'move.kfplan'])).toMatchObject({ exitCode: 0, document: { outcome: 'done' } });

    const arrived = await readV3(target, '/kept/');
    expect(arrived.size).toBe(keys + 3);
    expect(arrived.get('/kept/permanent')?.lease).toBe('0');
    arrived.delete('/kept/permanent');
    const leases = new Map<string, number>();
    for (const { lease } of arrived.values()) {
      if (!leases.has(lease)) leases.set(lease, Date.now() + (await leaseSecondsLeft(target, lease)) * 1000);
    }
    expect(leases.size).toBeLessThanOrEqual(Math.ceil(keys / bucketSeconds) + 1);
    const inherited = await getV2(source, '/kept/dir');
    const late = new Map<string, number>();
    for (const [key, { lease }] of arrived) {
      const { expiration = inherited?.expiration ?? '' } = (await getV2(source, key)) ?? {};
      late.set(key, (leases.get(lease) ?? NaN) - Date.parse(expiration));
    }
    // The server rounds what is left down to whole seconds.
    expect([...late].filter(([, ms]) => !(ms > -1000 && ms <= leaseBucketMs))).toEqual([]);
  });

  it('and are gone before apply are no reason to plan again', async () => {
    await putV2(source, '/gone/early', { value: 'x', ttl: 2 });
    await putV2(source, '/gone/later', { value: 'x', ttl: 3600 });
    await putV2(source, '/gone/stays', { value: 'x' });
    await open('/gone/', '1m');
    expect(await plan()).toMatchObject({
      totals: { expiring: 2 },
      findings: findingsWith({ code: 'ttl.short', level: 'warning', count: 1 }),
    });
    await until(async () => (await getV2(source, '/gone/early')) === null);
    expect(await folder.run(['apply', 'move.kfplan'])).toMatchObject({
      exitCode: 0,
      document: { outcome: 'done', counts: { written: 2, deadLetters: 0 }, verify: { verdict: 'agree' } },
    });
    expect(await readTexts(target, '/gone/')).toEqual({ '/gone/later': 'x', '/gone/stays': 'x' });
  });

  it('and were renewed after the plan make it stale', async () => {
    await putV2(source, '/renewed/a', { value: 'x', ttl: 1000 });
    await open('/renewed/', '1m');
    await plan();
    await putV2(source, '/renewed/a', { value: 'x', ttl: 2000 });
    await putV2(source, '/renewed/b', { value: 'x', ttl: 2000 });
    expect(await folder.run(['apply', 'move.kfplan'])).toMatchObject({
      exitCode: 3,
      document: { error: { code: 'plan.stale' } },
    });
    expect(await readTexts(target, '/renewed/')).toEqual({});
  });

  it('in two seconds arrive for that time or not at all, and do not stay', async () => {
    await putV2(source, '/soon/stays', { value: 'x' });
    await open('/soon/', '1s');
    for (let i = 0; i < 50; i += 1) await putV2(source, `/soon/${i}`, { value: 'x', ttl: 2 });
    await plan();
    const apply = await folder.run(['apply', 'move.kfplan']);
    expect(apply).toMatchObject({ exitCode: 0, document: { outcome: 'done', deviations: [] } });
    await until(async () => (await readV3(target, '/soon/')).size === 1);
    expect(await readTexts(target, '/soon/')).toEqual({ '/soon/stays': 'x' });
  });

  it('while a run is stopped are not brought back by the next one', async () => {
    await putV2(source, '/paused/0', { value: 'x' });
    for (let i = 1; i < 1000; i += 1) await putV2(source, `/paused/${i}`, { value: 'x', ttl: i % 2 === 0 ? 4 : 3600 });
    await folder?.remove();
    folder = await MigrationFolder.create({
      source: { kind: 'etcd-v2', endpoints: [source] },
      target: { kind: 'etcd-v3', endpoints: [target] },
      prefix: '/paused/',
      settings: { rules: [{ ttl: { toLease: { bucket: '1s' } } }], limits: { chunkKeys: 20, workers: 1 } },
    });
    await plan();
    const killed = folder.start(['apply', 'move.kfplan']);
    await killed.reaches('chunk.done', 3);
    killed.kill('SIGKILL');
    await killed.ended;
    await until(async () => (await getV2(source, '/paused/998')) === null);
    const apply = await folder.run(['apply', 'move.kfplan']);
    expect(apply).toMatchObject({ exitCode: 0, document: { resumed: true, outcome: 'done', deviations: [] } });
    await until(async () => (await readV3(target, '/paused/')).size === 501);
    expect((await folder.run(['verify', 'move'])).exitCode).toBe(0);
  });
});
