/**
 * Goal: the main job on real servers, as an engineer does it: etcd v2 to etcd v3, plan → apply → verify, 100,000 keys,
 * through a kill in the middle, with a stale plan and a second apply refused, and back again.
 * Method: the built binary against an etcd 3.4 that serves v2 and an etcd 3.5; each step sees what the one before left.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { etcdctl, loadV2Keys, serverOrSkip, startEtcd, type EtcdServer } from '@keyferry/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keyferry, startKeyferry, waitForEvent } from './run-keyferry.ts';

const [old, current] = await Promise.all([serverOrSkip('etcd-3.4'), serverOrSkip('etcd-3.5')]);
const note = [old, current].find((server) => !server.ok)?.note ?? '';
const keyCount = 100_000;
const sessions = 200;

describe.skipIf(!old.ok || !current.ok)(`etcd v2 to etcd v3 with ${keyCount} keys${note}`, () => {
  let folder: string;
  let source: EtcdServer;
  let target: EtcdServer;

  const run = async (...args: string[]) => keyferry([...args, '--json'], folder);
  const countInTarget = async (prefix: string): Promise<number> => {
    const answer = await etcdctl(target, ['get', prefix, '--prefix', '--count-only', '-w', 'fields']);
    return Number(/"Count" : (\d+)/.exec(answer)?.[1] ?? NaN);
  };
  const putV2 = (key: string, value: string) => loadV2Keys(source.endpoints[0] as string, [{ key, value }]);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'keyferry-e2e-'));
    [source, target] = await Promise.all([
      startEtcd({ version: '3.4', enableV2: true }),
      startEtcd({ version: '3.5', unsafeNoFsync: true }),
    ]);
    await writeFile(
      join(folder, 'keyferry.yaml'),
      JSON.stringify({
        version: 1,
        stores: {
          old: { kind: 'etcd-v2', endpoints: source.endpoints },
          new: { kind: 'etcd-v3', endpoints: target.endpoints },
        },
        migrations: {
          move: {
            source: { store: 'old', prefix: '/config/' },
            target: { store: 'new', prefix: '/config/' },
            strategy: 'offline',
            rules: [{ ttl: { toLease: { bucket: '5m' } } }],
            onConflict: 'keep-target',
            limits: { workers: 2, chunkKeys: 5000 },
          },
        },
      }),
    );
    await loadV2Keys(source.endpoints[0] as string, entries());
    await etcdctl(target, ['put', '/config/routes/000007', 'kept: written by an application']);
    await etcdctl(target, ['put', '/elsewhere', 'not touched']);
  }, 300_000);

  afterAll(async () => {
    await Promise.all([source?.stop(), target?.stop()]);
    await rm(folder, { recursive: true, force: true });
  });

  it('plans without writing: every key is under one count', async () => {
    const { exitCode, document } = await run('plan', 'move', '--out', 'move.kfplan');
    expect(exitCode).toBe(0);
    expect(document).toMatchObject({
      format: 'keyferry.plan',
      applyable: true,
      totals: {
        actions: { create: { keys: keyCount - 1 }, equal: { keys: 0 }, conflict: { keys: 1 }, blocked: { keys: 0 } },
        expiring: sessions,
      },
    });
    expect(await countInTarget('/config/')).toBe(1);
  });

  it('refuses the plan once a planned key moved, and names the key', async () => {
    await putV2('/config/routes/000042', 'moved');
    const { exitCode, document } = await run('apply', 'move.kfplan');
    expect(exitCode).toBe(3);
    expect(document).toMatchObject({
      format: 'keyferry.error',
      error: { code: 'plan.stale', details: { keys: [{ key: { text: '/config/routes/000042' } }] } },
    });
    expect(await countInTarget('/config/')).toBe(1);
    expect((await run('plan', 'move', '--out', 'move.kfplan')).exitCode).toBe(0);
  });

  it('goes on after kill -9 in the middle, and the counts still add up', async () => {
    const events = join(folder, 'killed.events');
    const killed = startKeyferry(['apply', 'move.kfplan', '--events', events], folder);
    await waitForEvent(events, 'backfill.progress', (data) => data.counts.written > 0);
    killed.kill('SIGKILL');
    await killed.ended;
    const left = await countInTarget('/config/');
    expect(left).toBeGreaterThan(1);
    expect(left).toBeLessThan(keyCount);

    const { exitCode, document } = await run('apply', 'move.kfplan');
    expect(document).toMatchObject({
      format: 'keyferry.apply',
      resumed: true,
      outcome: 'done',
      counts: { written: keyCount - 1, equal: 0, kept: 1, tombstoned: 0, deadLetters: 0 },
      verify: { verdict: 'agree', kept: 1 },
    });
    expect(exitCode).toBe(0);
    expect(await countInTarget('/config/')).toBe(keyCount);
  });

  it('keeps values byte for byte, TTLs as leases, and what was there before', async () => {
    expect(await etcdctl(target, ['get', '/config/routes/000042', '--print-value-only'])).toBe('moved\n');
    expect(await etcdctl(target, ['get', '/config/ünïcode/a-b', '--print-value-only'])).toBe('grüße\n');
    expect(await etcdctl(target, ['get', '/config/routes/000007', '--print-value-only'])).toContain('kept');
    const leases = (await etcdctl(target, ['lease', 'list'])).trim().split('\n').slice(1);
    expect(leases.length).toBeGreaterThan(0);
    expect(leases.length).toBeLessThanOrEqual(14); // an hour of expiries in buckets of five minutes
    const lease = await etcdctl(target, ['lease', 'timetolive', leases[0] as string, '--keys']);
    expect(lease).toContain('/config/sessions/');
  });

  it('verifies again, and names a key that was changed behind its back', async () => {
    expect(await run('verify', 'move')).toMatchObject({ exitCode: 0, document: { verdict: 'agree' } });
    await etcdctl(target, ['put', '/config/routes/000099', 'changed']);
    const { exitCode, document } = await run('verify', 'move');
    expect(exitCode).toBe(7);
    expect(JSON.stringify(document)).toContain('/config/routes/000099');
  });

  it('goes back: removes what it created and nobody changed, and nothing else', async () => {
    const { exitCode, document } = await run('rollback', 'move', '--yes');
    expect(exitCode).toBe(0);
    expect(document).toMatchObject({ format: 'keyferry.rollback', removed: keyCount - 2, left: 1 });
    expect(await countInTarget('/config/')).toBe(2);
    expect(await countInTarget('/elsewhere')).toBe(1);
    expect(await countInTarget('_keyferry/')).toBe(1); // the epoch, so that no attempt is ever numbered alike
  });

  it('refuses a second apply while one works, and names who holds the lock', async () => {
    await etcdctl(target, ['del', '/config/routes/000099']);
    expect((await run('plan', 'move', '--out', 'again.kfplan')).exitCode).toBe(0);
    const events = join(folder, 'first.events');
    const first = startKeyferry(['apply', 'again.kfplan', '--events', events], folder);
    await waitForEvent(events, 'backfill.progress', (data) => data.counts.written > 0);
    first.kill('SIGSTOP');
    const { exitCode, document } = await run('apply', 'again.kfplan');
    first.kill('SIGCONT');
    expect(exitCode).toBe(5);
    expect(document).toMatchObject({
      error: { code: 'lease.held', details: { holder: expect.stringContaining('pid') } },
    });
    expect(await first.ended).toBe(0);
    expect(await readFile(events, 'utf8')).toContain('"type":"end"');
  });

  it('stops at a checkpoint on SIGINT and goes on later', async () => {
    expect((await run('rollback', 'move', '--yes')).exitCode).toBe(0);
    const events = join(folder, 'interrupted.events');
    expect((await run('plan', 'move', '--out', 'third.kfplan')).exitCode).toBe(0);
    const interrupted = startKeyferry(['apply', 'third.kfplan', '--events', events], folder);
    await waitForEvent(events, 'backfill.progress', (data) => data.counts.written > 0);
    interrupted.kill('SIGINT');
    expect(await interrupted.ended).toBe(130);
    const { exitCode, document } = await run('apply', 'third.kfplan');
    expect({ exitCode, document }).toMatchObject({
      exitCode: 0,
      document: { resumed: true, counts: { written: keyCount - 1, kept: 1 } },
    });
  });
});

function* entries() {
  yield { key: '/config/ünïcode/a-b', value: 'grüße' };
  yield { key: '/config/ünïcode/a/b', value: '' };
  for (let i = 0; i < sessions; i += 1) {
    yield { key: `/config/sessions/${i}`, value: 'x', ttlSeconds: 3600 + i };
  }
  const value = 'v'.repeat(100);
  for (let i = 0; i < keyCount - sessions - 2; i += 1) {
    yield { key: `/config/routes/${String(i).padStart(6, '0')}`, value };
  }
}
