/**
 * Goal: where `etcdctl migrate` loses data, dies or says "finished" of what is wrong, a migration with the built binary is right.
 * Method: etcdctl 3.4 and keyferry on the same directory of a real server, etcdctl on a copy wherever it would change it; then
 * what servers answer that are started on what each of them made. (What shows without the whole binary: in the adapters'
 * etcd-v2-datadir-etcdctl.test.ts and programs-etcdctl.test.ts.)
 */
import { createHash } from 'node:crypto';
import { chmod, cp, readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import {
  freePorts,
  loadV2Keys,
  request,
  runEtcdctl,
  serverOrSkip,
  startEtcd,
  v2KeyUrl,
  type EtcdctlResult,
} from '@keyferry/servers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { callV3, leaseSecondsLeft, loadV3, putV2, readTexts, readV3 } from './etcd-data.ts';
import { findingsWith, MigrationFolder, until } from './migration-folder.ts';

const [old, current] = await Promise.all([serverOrSkip('etcd-3.4'), serverOrSkip('etcd-3.5')]);
const note = [old, current].find((server) => !server.ok)?.note ?? '';

describe.skipIf(!old.ok || !current.ok)(`beside etcdctl migrate of 3.4${note}`, () => {
  let folder: MigrationFolder;
  let dataDir = '';
  const migrated = (): string => folder.file('migrated');

  beforeEach(async () => {
    const [source, target] = [
      { kind: 'etcd-v2-datadir', dataDir: 'member' },
      { kind: 'sqlite', file: 'target.db' },
    ];
    folder = await MigrationFolder.create({ source, target });
    dataDir = folder.file('member');
  });
  afterEach(() => folder.remove());

  const etcdctl = (args: readonly string[]): Promise<EtcdctlResult> =>
    runEtcdctl(
      { programDirectory: old.ok ? old.programDirectory : '', endpoints: ['http://127.0.0.1:1'], clientTls: undefined },
      args,
    );

  /** On a copy of the directory. */
  const migrateCopy = async (...flags: readonly string[]): Promise<EtcdctlResult> => {
    await cp(dataDir, migrated(), { recursive: true });
    return await etcdctl(['migrate', `--data-dir=${migrated()}`, ...flags]);
  };

  /** A server on the directory that is used, then ended as `end` says. */
  const used = async (
    version: '3.4' | '3.5',
    use: (endpoint: string) => Promise<void>,
    { end = 'stop', extraArgs = [] }: { readonly end?: 'stop' | 'kill'; readonly extraArgs?: readonly string[] } = {},
  ): Promise<void> => {
    const server = await startEtcd({ version, enableV2: true, dataDir, extraArgs });
    try {
      await use(server.endpoints[0] ?? '');
      if (end === 'kill') await server.members[0]?.kill('SIGKILL');
      else await server.members[0]?.stop();
    } finally {
      await server.stop();
    }
  };

  const answersOf = async <T>(directory: string, ask: (endpoint: string) => Promise<T>): Promise<T> => {
    await using server = await startEtcd({ version: '3.4', enableV2: true, dataDir: directory });
    return await ask(server.endpoints[0] ?? '');
  };

  /** Planned, applied, verified. */
  const migrate = async (source: object, target: object, settings: object = {}): Promise<void> => {
    await folder.configure({ source: { ...source }, target: { ...target }, settings: { ...settings } });
    const planned = await folder.run(['plan', 'move', '--out', 'move.kfplan']);
    expect([planned.exitCode, planned.document]).toMatchObject([0, { applyable: true }]);
    const applied = await folder.run(['apply', 'move.kfplan']);
    expect([applied.exitCode, applied.document]).toMatchObject([0, { outcome: 'done', verify: { verdict: 'agree' } }]);
  };

  it('writes to v3 that a killed server had acknowledged are lost by etcdctl; keyferry leaves the directory as it is', async () => {
    const acknowledged = Array.from({ length: 200 }, (_, i) => [`/v3/k${i}`, `value ${i}`] as const);
    // The v3 store is written to the disk every 100 ms, or every 10,000 writes; seldom here, so that it is sure which part is not there.
    const extraArgs = ['--backend-batch-interval=1h', '--backend-batch-limit=1000000'];
    await used(
      '3.4',
      async (endpoint) => {
        await putV2(endpoint, '/config/a', { value: 'of v2' });
        await loadV3(endpoint, acknowledged);
        expect((await readV3(endpoint, '/v3/')).size).toBe(200);
      },
      { end: 'kill', extraArgs },
    );
    expect((await migrateCopy()).exitCode).toBe(0);
    expect(await answersOf(migrated(), (endpoint) => readTexts(endpoint, '/'))).toEqual({ '/config/a': 'of v2' });

    const before = await digestsOf(dataDir);
    await cp(dataDir, folder.file('copy'), { recursive: true });
    await folder.configure({
      source: { kind: 'etcd-v2-datadir', dataDir },
      target: { kind: 'sqlite', file: 'target.db' },
    });
    expect((await folder.run(['inspect', dataDir])).exitCode).toBe(0);
    expect((await folder.run(['plan', 'move'])).exitCode).toBe(0);
    expect(await digestsOf(dataDir)).toEqual(before);
    const there = await answersOf(dataDir, async (endpoint) => {
      await migrate({ kind: 'etcd-v2-datadir', dataDir: 'copy' }, { kind: 'etcd-v3', endpoints: [endpoint] });
      return await readTexts(endpoint, '/');
    });
    expect(there).toEqual({ '/config/a': 'of v2', ...Object.fromEntries(acknowledged) });
  });

  it('what changes while etcdctl waits for a server is written as it was before; keyferry refuses, and reads what is there', async () => {
    let waiting: Promise<EtcdctlResult> | undefined;
    await used('3.4', async (endpoint) => {
      await loadV2Keys(
        endpoint,
        ['changed', 'deleted', 'same'].map((name) => ({ key: `/config/${name}`, value: 'early' })),
      );
      expect(await folder.run(['plan', 'move'])).toMatchObject({
        exitCode: 1,
        document: { error: { code: 'datadir.in-use' } },
      });
      waiting = etcdctl(['migrate', `--data-dir=${dataDir}`]);
      // It has read the tree, and tries to get the lock of the store.
      await until(() => isOpenedBy('etcdctl', join(dataDir, 'member/snap/db')));
      await putV2(endpoint, '/config/changed', { value: 'late' });
      await putV2(endpoint, '/config/added', { value: 'late' });
      expect((await request(v2KeyUrl(endpoint, '/config/deleted'), { method: 'DELETE' })).status).toBe(200);
    });
    expect(await waiting).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining('finished transforming keys') as string,
    });
    const stale = await answersOf(dataDir, (endpoint) => readTexts(endpoint, '/'));
    expect(stale).toEqual({ '/config/changed': 'early', '/config/deleted': 'early', '/config/same': 'early' });

    await using target = await startEtcd({ version: '3.5' });
    await migrate({ kind: 'etcd-v2-datadir', dataDir }, { kind: 'etcd-v3', endpoints: target.endpoints });
    expect(await readTexts(target.endpoints[0] ?? '', '/')).toEqual({
      '/config/added': 'late',
      '/config/changed': 'late',
      '/config/same': 'early',
    });
  });

  it('a lease that a transformer names is none after etcdctl; keyferry refuses the program, and makes leases of its own', async () => {
    await used('3.4', (endpoint) => putV2(endpoint, '/config/session', { value: 's', ttl: 3600 }));
    await folder.write('transformer', leasingTransformer);
    await chmod(folder.file('transformer'), 0o755);
    expect(await migrateCopy(`--transformer=${folder.file('transformer')}`)).toMatchObject({ exitCode: 0 });
    const dangling = await answersOf(migrated(), async (endpoint) => {
      const lease = (await readV3(endpoint, '/')).get('/config/session')?.lease ?? '';
      return { lease, left: await leaseSecondsLeft(endpoint, lease), ...(await leasesOf(endpoint)) };
    });
    // The key shows it, the server does not know it, and so nothing ever ends it.
    expect(dangling).toEqual({ lease: '7', left: -1, leases: [] });

    await using target = await startEtcd({ version: '3.5' });
    const [endpoint = ''] = target.endpoints;
    const sides = {
      source: { kind: 'etcd-v2-datadir', dataDir },
      target: { kind: 'etcd-v3', endpoints: target.endpoints },
    };
    const program = { run: ['./transformer'], protocol: 'etcdctl-migrate' };
    await folder.configure({ ...sides, settings: { rules: [{ program }] } });
    const planned = await folder.run(['plan', 'move']);
    const leased = expect.objectContaining({ detail: expect.stringContaining('lease 7') as string }) as object;
    expect([planned.exitCode, planned.document]).toMatchObject([
      4,
      { applyable: false, findings: findingsWith({ code: 'rule.failed', level: 'blocking', cases: [leased] }) },
    ]);
    expect((await readV3(endpoint, '/')).size).toBe(0);

    await migrate(sides.source, sides.target, { rules: [{ ttl: { toLease: { bucket: '1m' } } }] });
    const lease = (await readV3(endpoint, '/')).get('/config/session')?.lease ?? '0';
    const left = await leaseSecondsLeft(endpoint, lease);
    expect(left).toBeGreaterThan(3000);
    expect(left).toBeLessThanOrEqual(3660);
  });

  it('a member added after etcdctl stays empty for ever, where there was no snapshot; after keyferry it has everything', async () => {
    const wanted = { '/config/a': '1', '/config/b': '2' };
    // Members find each other by the addresses that are in the directories.
    const [port = 0] = await freePorts(1);
    const peer = `http://127.0.0.1:${port}`;
    const names = [`--initial-cluster=m1=${peer}`, `--initial-advertise-peer-urls=${peer}`];
    const load = async (endpoint: string): Promise<void> => {
      for (const [key, value] of Object.entries(wanted)) await putV2(endpoint, key, { value });
    };
    await used('3.4', load, { extraArgs: [...names, `--listen-peer-urls=${peer}`] });
    expect((await migrateCopy()).exitCode).toBe(0);
    expect(await readdir(join(migrated(), 'member/snap'))).toEqual(['db']);
    expect(await withAddedMember(migrated(), peer, folder.file('second'))).toEqual([wanted, {}]);

    await migrate({ kind: 'etcd-v2-datadir', dataDir }, { kind: 'etcd-v3-snapshot', path: 'v3.snapshot' });
    const restored = folder.file('restored');
    const flags = ['--name=m1', ...names, `--data-dir=${restored}`];
    expect(await etcdctl(['snapshot', 'restore', folder.file('v3.snapshot'), ...flags])).toMatchObject({ exitCode: 0 });
    expect(await withAddedMember(restored, peer, folder.file('third'))).toEqual([wanted, wanted]);
  });

  it('a directory that 3.5 was at work on is refused by etcdctl, and read by keyferry', async () => {
    const wanted = { '/config/a': '1', '/config/ü': '2' };
    await used('3.5', async (endpoint) => {
      for (const [key, value] of Object.entries(wanted)) await putV2(endpoint, key, { value });
    });
    const { exitCode, stdout, stderr } = await migrateCopy();
    expect([exitCode, stdout + stderr]).toEqual([1, expect.stringContaining('invalid downgrade')]);

    await using target = await startEtcd({ version: '3.5' });
    await migrate({ kind: 'etcd-v2-datadir', dataDir }, { kind: 'etcd-v3', endpoints: target.endpoints });
    expect(await readTexts(target.endpoints[0] ?? '', '/')).toEqual(wanted);
  });
});

/** What the member of a directory has, and what a second one has that is added to it; each asked for what it has itself. */
async function withAddedMember(
  dataDir: string,
  peer: string,
  secondDir: string,
): Promise<readonly Readonly<Record<string, string>>[]> {
  const version = '3.4';
  const listen = `--listen-peer-urls=${peer}`;
  await using first = await startEtcd({ version, enableV2: true, dataDir, extraArgs: [listen] });
  const [endpoint = ''] = first.endpoints;
  const [port = 0] = await freePorts(1);
  const secondPeer = `http://127.0.0.1:${port}`;
  // Refused in the first seconds, until the server has seen that it is well.
  await until(async () => {
    const body = JSON.stringify({ peerURLs: [secondPeer] });
    return (await request(`${endpoint}/v3/cluster/member/add`, { method: 'POST', body })).status === 200;
  });
  const extraArgs = [
    '--name=m2',
    `--listen-peer-urls=${secondPeer}`,
    `--initial-advertise-peer-urls=${secondPeer}`,
    `--initial-cluster=m1=${peer},m2=${secondPeer}`,
    '--initial-cluster-state=existing',
  ];
  // Healthy, it has all that the first one had for it.
  await using second = await startEtcd({ version, enableV2: true, dataDir: secondDir, extraArgs });
  return await Promise.all([ownTexts(endpoint), ownTexts(second.endpoints[0] ?? '')]);
}

/** What a member has itself, whatever the others have. */
async function ownTexts(endpoint: string): Promise<Readonly<Record<string, string>>> {
  const range = { key: 'Lw==', range_end: 'MA==', serializable: true };
  const { kvs = [] } = await callV3<{ kvs?: readonly { key: string; value: string }[] }>(endpoint, 'kv/range', range);
  const text = (base64: string): string => Buffer.from(base64, 'base64').toString('utf8');
  return Object.fromEntries(kvs.map(({ key, value }) => [text(key), text(value)]));
}

async function leasesOf(endpoint: string): Promise<{ readonly leases: readonly object[] }> {
  const { leases = [] } = await callV3<{ leases?: readonly object[] }>(endpoint, 'lease/leases', {});
  return { leases };
}

/** Of each file of a directory, by its path in it. */
async function digestsOf(directory: string): Promise<Readonly<Record<string, string>>> {
  const found = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = found.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  const digests = files.map(async (file) => [
    file,
    createHash('sha256')
      .update(await readFile(file))
      .digest('hex'),
  ]);
  return Object.fromEntries((await Promise.all(digests)) as [string, string][]);
}

/** Whether a process of this program has the file open. */
async function isOpenedBy(program: string, file: string): Promise<boolean> {
  for (const process of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const command = await readFile(`/proc/${process}/cmdline`, 'utf8').catch(() => '');
    if (!(command.split('\0')[0] ?? '').endsWith(`/${program}`)) continue;
    for (const descriptor of await readdir(`/proc/${process}/fd`).catch(() => [])) {
      if ((await readlink(`/proc/${process}/fd/${descriptor}`).catch(() => '')) === file) return true;
    }
  }
  return false;
}

/** Every key as it is, on lease 7. */
const leasingTransformer = `#!${process.execPath}
const fs = require('node:fs');
const text = fs.readFileSync(0, 'utf8');
const varint = (n) => { const out = []; for (; n >= 128; n = Math.floor(n / 128)) out.push((n % 128) | 128); return [...out, n]; };
const bytes = (tag, content) => { const all = Buffer.from(content); return [tag, ...varint(all.length), ...all]; };
for (const part of text.split(/(?<=\\})(?=\\{)/)) {
  const { key, value, dir, modifiedIndex: index } = JSON.parse(part);
  if (dir) continue;
  const numbers = [0x10, ...varint(index), 0x18, ...varint(index), 0x20, 1];
  const record = Buffer.from([...bytes(0x0a, key), ...numbers, ...bytes(0x2a, value), 0x30, 7]);
  const length = Buffer.alloc(8);
  length.writeBigInt64LE(BigInt(record.length));
  fs.writeSync(1, Buffer.concat([length, record]));
}
`;
