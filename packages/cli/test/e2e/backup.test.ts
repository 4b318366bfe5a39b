/**
 * Goal: a backup that the configuration demands is made and found whole before the first write, once for an attempt, and
 * can be restored by etcd's own tools; where none can be made, nothing is written.
 * Method: a data directory as the source and an etcd 3.5 that holds something as the target; what was saved is started again.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { serverOrSkip, startEtcd, type EtcdServer } from '@keyferry/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { putV3, readV3 } from './etcd-data.ts';
import { MigrationFolder } from './migration-folder.ts';

const run = promisify(execFile);
const available = await serverOrSkip('etcd-3.5');
const input = join(import.meta.dirname, '../../../../examples/06-etcd-v2-datadir-to-sqlite/input/data');

interface Backup {
  readonly side: string;
  readonly what: string;
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

describe.skipIf(!available.ok)(`a backup before the first write${available.note}`, () => {
  let folder: MigrationFolder;
  let server: EtcdServer;
  let backups: readonly Backup[] = [];
  const endpoint = (): string => server.endpoints[0] ?? '';
  const configure = (backup: object, more: object = {}): Promise<void> =>
    folder.configure({
      source: { kind: 'etcd-v2-datadir', dataDir: 'member' },
      target: { kind: 'etcd-v3', endpoints: server.endpoints },
      settings: { backup, limits: { chunkKeys: 10, workers: 1 }, ...more },
    });

  beforeAll(async () => {
    server = await startEtcd({ version: '3.5', unsafeNoFsync: true });
    folder = await MigrationFolder.create({
      source: { kind: 'etcd-v2-datadir', dataDir: 'member' },
      target: { kind: 'etcd-v3', endpoints: server.endpoints },
    });
    await cp(input, folder.file('member'), { recursive: true });
    await putV3(endpoint(), '/config/texts/kept', 'was there before');
    await putV3(endpoint(), '/other', 'x'.repeat(200_000));
  }, 120_000);
  afterAll(async () => {
    await server?.stop();
    await folder?.remove();
  });

  it('that cannot be made ends apply before anything is written', async () => {
    await folder.write('taken', 'a file, where a directory is wanted');
    await configure({ into: 'taken', target: true });
    expect((await folder.run(['plan', 'move', '--out', 'refused.kfplan'])).exitCode).toBe(0);
    const { exitCode, document } = await folder.run(['apply', 'refused.kfplan']);
    expect([exitCode, document]).toMatchObject([1, { error: { code: 'backup.failed' } }]);
    expect([...(await readV3(endpoint(), '_keyferry/')).keys()]).toEqual([]);
    expect((await readV3(endpoint(), '/config/')).size).toBe(1);
  });

  it('is in the plan, is made before the first chunk, and is not made again by a resume', async () => {
    await configure({ into: 'backups', source: true, target: true });
    const planned = await folder.run(['plan', 'move', '--out', 'p.kfplan']);
    expect(planned.document).toMatchObject({
      backups: [
        { side: 'source', what: 'copy', into: 'backups' },
        { side: 'target', what: 'snapshot', into: 'backups' },
      ],
    });
    const stopped = await folder.run(['apply', 'p.kfplan', '--chunks-max', '1']);
    expect(stopped.exitCode).toBe(6);
    const made = (await readdir(folder.file('backups'))).toSorted();
    expect(made).toEqual([
      expect.stringMatching(/^move-run_\w+-source$/),
      expect.stringMatching(/^move-run_\w+-target\.db$/),
    ]);
    const applied = await folder.run(['apply', 'p.kfplan']);
    expect([applied.exitCode, applied.document]).toMatchObject([0, { outcome: 'done', resumed: true }]);
    ({ backups } = applied.document as { backups: readonly Backup[] });
    expect((await readdir(folder.file('backups'))).toSorted()).toEqual(made);
    expect(backups.map(({ side, what }) => [side, what])).toEqual([
      ['source', 'copy'],
      ['target', 'snapshot'],
    ]);
  });

  it('holds the target as it was, and etcdutl restores it', async () => {
    const [, snapshot] = backups;
    const file = folder.file(snapshot?.path ?? '');
    const bytes = await readFile(file);
    expect([bytes.length, createHash('sha256').update(bytes).digest('hex')]).toEqual([
      snapshot?.bytes,
      snapshot?.sha256,
    ]);
    const dataDir = folder.file('restored');
    await run(join(server.programDirectory, 'etcdutl'), ['snapshot', 'restore', file, '--data-dir', dataDir]);
    const restored = await startEtcd({ version: '3.5', unsafeNoFsync: true, dataDir });
    try {
      const there = await readV3(restored.endpoints[0] ?? '', '/');
      expect([...there.keys()].toSorted()).toEqual(['/config/texts/kept', '/other']);
      expect((await readV3(restored.endpoints[0] ?? '', '_keyferry/')).size).toBe(0);
    } finally {
      await restored.stop();
    }
  });

  it('holds the source as it was, and can be read in its place', async () => {
    const [copy] = backups;
    await run('sha256sum', ['-c', '--quiet', 'SHA256SUMS'], { cwd: folder.file(copy?.path ?? '') });
    const { exitCode, document } = await folder.run(['inspect', 'member', '--member', copy?.path ?? '']);
    expect([exitCode, document]).toMatchObject([0, { verdict: 'converged' }]);
  });

  it('is named by the report, in each of its forms', async () => {
    const { exitCode, document } = await folder.run(['report', 'move', '--html', 'report.html']);
    expect([exitCode, document]).toMatchObject([0, { backups }]);
    const page = await readFile(folder.file('report.html'), 'utf8');
    for (const { path, sha256 } of backups) expect([page.includes(path), page.includes(sha256)]).toEqual([true, true]);
  });

  it('is named by the way back', async () => {
    const { exitCode, document } = await folder.run(['rollback', 'move', '--yes']);
    expect([exitCode, document]).toMatchObject([0, { backups, written: 44 }]);
    expect([...(await readV3(endpoint(), '/')).keys()].toSorted()).toEqual(['/config/texts/kept', '/other']);
  });

  it('is for stores that can be backed up from here', async () => {
    await folder.configure({
      source: { kind: 'etcd-v2-datadir', dataDir: 'member' },
      target: { kind: 'sqlite', file: 'x.db' },
      settings: { backup: { into: 'backups', target: true } },
    });
    expect((await folder.run(['validate'])).document).toMatchObject({ error: { code: 'config.invalid' } });
  });
});
