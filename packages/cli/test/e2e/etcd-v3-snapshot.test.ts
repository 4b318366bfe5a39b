/**
 * Goal: with the built binary, v2 keys become a snapshot file, from a data directory without any etcd and from a live server,
 * and stock etcd makes a server of it that serves exactly the planned records, leases included.
 * Method: one etcd 3.4 with keys of every kind; plan, apply, verify; then `snapshot status` and `restore` of etcd's own
 * programs, and what the restored server answers through its gateway.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { loadV2Keys, serverOrSkip, startEtcd, type EtcdServer } from '@keyferry/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { latin1, leaseSecondsLeft, putV2, readV3 } from './etcd-data.ts';
import { MigrationFolder } from './migration-folder.ts';

const run = promisify(execFile);
const [old, current] = await Promise.all([serverOrSkip('etcd-3.4'), serverOrSkip('etcd-3.5')]);
const note = [old, current].find((server) => !server.ok)?.note ?? '';
const keyCount = 1500;
const largeBytes = 1024 * 1024;

describe.skipIf(!old.ok || !current.ok)(`a snapshot of etcd v3 as a target${note}`, () => {
  let source: EtcdServer;
  let folder: MigrationFolder;
  let dataDir = '';
  const expected = new Map<string, string>();

  beforeAll(async () => {
    const target = { kind: 'etcd-v3-snapshot', path: 'live.snapshot' };
    folder = await MigrationFolder.create({ source: { kind: 'etcd-v2', endpoints: ['http://127.0.0.1:1'] }, target });
    dataDir = folder.file('member');
    source = await startEtcd({ version: '3.4', enableV2: true, dataDir });
    const [endpoint = ''] = source.endpoints;
    for (let i = 0; i < keyCount; i += 1) expected.set(`/config/d${i % 17}/k${i}`, `value ${i}`);
    expected.set('/config/grüße/日本 😀', 'é & <b>');
    expected.set('/config/empty', '');
    expected.set('/config/large', 'x'.repeat(largeBytes));
    await loadV2Keys(
      endpoint,
      [...expected].map(([key, value]) => ({ key, value })),
    );
    await putV2(endpoint, '/config/session', { value: 's', ttl: 86_400 });
    expected.set('/config/session', 's');
  }, 120_000);
  afterAll(async () => {
    await source?.stop();
    await folder?.remove();
  });

  const migrate = async (from: object, path: string, more: object = {}): Promise<void> => {
    await folder.configure({
      source: { ...from },
      target: { kind: 'etcd-v3-snapshot', path, ...more },
      state: { sqlite: `.keyferry/${path}.db` },
    });
    const planned = await folder.run(['plan', 'move', '--out', `${path}.kfplan`]);
    expect([planned.exitCode, planned.document]).toMatchObject([
      0,
      { totals: { actions: { create: { keys: expected.size } } } },
    ]);
    expect(existsSync(folder.file(path))).toBe(false);
    const applied = await folder.run(['apply', `${path}.kfplan`]);
    expect([applied.exitCode, applied.document]).toMatchObject([0, { outcome: 'done', verify: { verdict: 'agree' } }]);
  };

  /** What a server of this release serves that was made of the file by its own programs, digest checked. */
  const serve = async (version: '3.4' | '3.5', path: string) => {
    const etcd = version === '3.4' ? old : current;
    if (!etcd.ok) throw new TypeError('skipped');
    const program = join(etcd.programDirectory, version === '3.5' ? 'etcdutl' : 'etcdctl');
    const env = { ...process.env, ETCDCTL_API: '3' };
    await run(program, ['snapshot', 'status', folder.file(path)], { env });
    const restored = folder.file(`${path}-${version}`);
    await run(program, ['snapshot', 'restore', folder.file(path), '--data-dir', restored], { env });
    await using server = await startEtcd({ version, dataDir: restored });
    const [endpoint = ''] = server.endpoints;
    const records = await readV3(endpoint, '/');
    const lease = records.get('/config/session')?.lease ?? '0';
    return { records, sessionSeconds: await leaseSecondsLeft(endpoint, lease) };
  };

  const expectServed = (
    { records, sessionSeconds }: Awaited<ReturnType<typeof serve>>,
    firstRevision: number,
  ): void => {
    const names = [...expected.keys()].map(latin1).toSorted();
    expect([...records.keys()].toSorted()).toEqual(names);
    for (const [i, name] of names.entries()) {
      expect(records.get(name)).toMatchObject({ version: '1', modRevision: String(firstRevision + i) });
    }
    for (const [key, value] of expected) expect(records.get(latin1(key))?.value.toString('utf8') === value).toBe(true);
    const leased = [...records].filter(([, { lease }]) => lease !== '0').map(([key]) => key);
    expect(leased).toEqual(['/config/session']);
    expect(sessionSeconds).toBeGreaterThan(80_000);
    expect(sessionSeconds).toBeLessThanOrEqual(86_400 + 60);
  };

  it('takes the keys of a live etcd v2, and an etcd 3.4 is restored from it', async () => {
    await migrate({ kind: 'etcd-v2', endpoints: source.endpoints }, 'live.snapshot');
    expectServed(await serve('3.4', 'live.snapshot'), 2);
  }, 60_000);

  it('takes those of a data directory, with revisions above its index, and an etcd 3.5 is restored from it', async () => {
    await source.members[0]?.stop();
    await migrate({ kind: 'etcd-v2-datadir', dataDir }, 'files.snapshot', { firstRevision: 100_000 });
    expectServed(await serve('3.5', 'files.snapshot'), 100_000);
  }, 60_000);

  it('is not written over, and is read as a source', async () => {
    await folder.configure({
      source: { kind: 'etcd-v3-snapshot', path: 'files.snapshot' },
      target: { kind: 'etcd-v3-snapshot', path: 'live.snapshot' },
    });
    const same = await folder.run(['plan', 'move']);
    expect(same.document).toMatchObject({ totals: { actions: { equal: { keys: expected.size } } } });
    await folder.configure({
      source: { kind: 'etcd-v3-snapshot', path: 'files.snapshot' },
      target: { kind: 'etcd-v3-snapshot', path: 'live.snapshot' },
      prefix: '/config/d1/',
      targetPrefix: '/other/',
    });
    const blocked = await folder.run(['plan', 'move']);
    expect(blocked.document).toMatchObject({ applyable: false });
    expect(JSON.stringify(blocked.document)).toContain('target.exists');
  });

  it('is refused once it is damaged, with the place, as etcd refuses it', async () => {
    const content = await readFile(folder.file('files.snapshot'));
    content[50_000] = (content[50_000] ?? 0) ^ 1;
    await writeFile(folder.file('spoiled.snapshot'), content);
    await folder.configure({
      source: { kind: 'etcd-v3-snapshot', path: 'spoiled.snapshot' },
      target: { kind: 'sqlite', file: 'x.db' },
    });
    const { exitCode, document } = await folder.run(['plan', 'move']);
    expect([exitCode, document]).toMatchObject([1, { error: { code: 'snapshot.damaged' } }]);
  });
});
