/**
 * Goal: a run that slept through the loss of its lock ends with 5 and changes nothing any more, wherever the run that took
 * over is by then.
 * Method: SIGSTOP in the middle of the work, `locks break`, another run, SIGCONT.
 */
import { loadV2Keys, serverOrSkip, startEtcd, type EtcdServer } from '@keyferry/servers';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { readTexts, readV3 } from './etcd-data.ts';
import { MigrationFolder, type LoggedRun } from './migration-folder.ts';

const [old, current] = await Promise.all([serverOrSkip('etcd-3.4'), serverOrSkip('etcd-3.5')]);
const note = [old, current].find((server) => !server.ok)?.note ?? '';
const keyCount = 10_000;
const chunkKeys = 500;
const entries = Array.from({ length: keyCount }, (_, i) => ({ key: `/config/${i % 100}/${i}`, value: `value ${i}` }));
const expected = Object.fromEntries(entries.map(({ key, value }) => [key, value]));

describe.skipIf(!old.ok || !current.ok)(`runs that slept${note}`, () => {
  let servers: { readonly source: EtcdServer; readonly target: EtcdServer };
  let target: string;
  let folder: MigrationFolder;

  /** Each test under a target prefix of its own; the source is the same. */
  const planTo = async (targetPrefix: string, prefix = '/config/') => {
    folder = await MigrationFolder.create({
      source: { kind: 'etcd-v2', endpoints: servers.source.endpoints },
      target: { kind: 'etcd-v3', endpoints: servers.target.endpoints, reservedPrefix: `own${targetPrefix}` },
      prefix,
      targetPrefix,
      settings: { limits: { chunkKeys, workers: 2 } },
    });
    expect((await folder.run(['plan', 'move', '--out', 'move.kfplan'])).exitCode).toBe(0);
  };
  const under = (prefix: string) =>
    Object.fromEntries(Object.entries(expected).map(([key, value]) => [key.replace('/config/', prefix), value]));

  beforeAll(async () => {
    const [source, v3] = await Promise.all([
      startEtcd({ version: '3.4', enableV2: true }),
      startEtcd({ version: '3.5', unsafeNoFsync: true }),
    ]);
    servers = { source, target: v3 };
    target = v3.endpoints[0] as string;
    await loadV2Keys(source.endpoints[0] as string, entries);
  });
  afterEach(() => folder.remove());
  afterAll(() => Promise.all([servers?.source.stop(), servers?.target.stop()]));

  /** Puts a run to sleep in the middle of its work and takes its lock away. */
  const sleepWithoutLock = async (): Promise<LoggedRun> => {
    const run = folder.start(['apply', 'move.kfplan']);
    for (let claims = 5; ; claims += 2) {
      await run.reaches('chunk.claimed', claims);
      run.kill('SIGSTOP');
      expect((await folder.run(['apply', 'move.kfplan'])).exitCode).toBe(5);
      const { document } = await folder.run(['locks', 'list']);
      const [lock] = (document as { locks: { lock: string }[] }).locks;
      const broken = await folder.run(['locks', 'break', lock?.lock ?? '', '--reason', 'it sleeps']);
      if (broken.exitCode === 0) return run;
      // It was stopped within a write of the state file, which nobody else can write then: let it go on a little.
      expect(broken.document).toMatchObject({ error: { code: 'state.busy' } });
      run.kill('SIGCONT');
    }
  };

  it('stop with 5 once their lock was broken, and leave their chunks to the run that has it now', async () => {
    await planTo('/broken/');
    const sleeper = await sleepWithoutLock();
    const next = folder.start(['apply', 'move.kfplan']);
    await next.reaches('chunk.claimed');
    sleeper.kill('SIGCONT');
    expect(await sleeper.output).toMatchObject({ exitCode: 5, document: { error: { code: 'lease.lost' } } });
    expect(await next.output).toMatchObject({
      exitCode: 0,
      document: { outcome: 'done', resumed: true, counts: { written: keyCount }, verify: { verdict: 'agree' } },
    });
    expect(await readTexts(target, '/broken/')).toEqual(under('/broken/'));
  });

  it('write nothing when they wake up after another run has taken over all chunks and finished', async () => {
    await planTo('/slept/');
    const sleeper = await sleepWithoutLock();
    // Its chunks are free once their leases have ended.
    const next = await folder.run(['apply', 'move.kfplan']);
    expect(next).toMatchObject({ exitCode: 0, document: { outcome: 'done', counts: { written: keyCount } } });
    const [records, own] = [await readV3(target, '/slept/'), await readV3(target, 'own/slept/')];
    sleeper.kill('SIGCONT');
    expect(await sleeper.output).toMatchObject({ exitCode: 5, document: { error: { code: 'lease.lost' } } });
    expect(await readV3(target, '/slept/')).toEqual(records);
    expect(await readV3(target, 'own/slept/')).toEqual(own);
    expect(await folder.run(['verify', 'move'])).toMatchObject({ exitCode: 0, document: { verdict: 'agree' } });
  });
});
