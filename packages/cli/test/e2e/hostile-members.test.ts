/**
 * Goal: members of the source that do not agree are never copied from: which one answers would decide what arrives.
 * Method: three real members, of which one is cut off from the others and falls behind, or sleeps, or all of which are
 * written to while keyferry works.
 */
import { loadV2Keys, serverOrSkip, startEtcd, type EtcdServer } from '@keyferry/servers';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { putV2, readV3 } from './etcd-data.ts';
import { findingsWith, MigrationFolder, until } from './migration-folder.ts';
import { preparePeerCuts, type PeerCuts } from './peer-cuts.ts';

const [old, current] = await Promise.all([serverOrSkip('etcd-3.4'), serverOrSkip('etcd-3.5')]);
const note = [old, current].find((server) => !server.ok)?.note ?? '';

describe.skipIf(!old.ok || !current.ok)(`members of the source${note}`, () => {
  let source: EtcdServer;
  let target: EtcdServer;
  let cuts: PeerCuts;
  let folder: MigrationFolder;

  const plan = () => folder.run(['plan', 'move', '--out', 'move.kfplan']);
  const apply = () => folder.run(['apply', 'move.kfplan']);
  const countInTarget = async () => (await readV3(target.endpoints[0] as string, '/config/')).size;
  /** Writes through the first member until its part of the cluster takes it. */
  const write = async (key: string, value = 'written'): Promise<void> => {
    await until(() =>
      putV2(source.endpoints[0] as string, key, { value }).then(
        () => true,
        () => false,
      ),
    );
  };
  const apart = {
    code: 'members.apart',
    level: 'blocking',
    count: 3,
    detail: expect.stringMatching(/(m\d at \d+(, )?){3}$/) as string,
  };

  beforeAll(async () => {
    [source, target] = await Promise.all([
      startEtcd({ version: '3.4', enableV2: true, members: 3 }),
      startEtcd({ version: '3.5', unsafeNoFsync: true }),
    ]);
    cuts = await preparePeerCuts(source);
    const entries = Array.from({ length: 1000 }, (_, i) => ({ key: `/config/${i}`, value: `value ${i}` }));
    await loadV2Keys(source.endpoints[0] as string, entries);
    folder = await MigrationFolder.create({
      source: { kind: 'etcd-v2', endpoints: source.endpoints, requestTimeout: '500ms' },
      target: { kind: 'etcd-v3', endpoints: target.endpoints },
    });
  });
  afterEach(async () => {
    cuts.heal();
    await Promise.all(source.members.map((member) => member.kill('SIGCONT')));
    await source.waitHealthy();
  });
  afterAll(async () => {
    await folder?.remove();
    await cuts?.close();
    await Promise.all([source?.stop(), target?.stop()]);
  });

  it('of which one fell behind block the plan, and a plan from before', async () => {
    expect(await plan()).toMatchObject({ exitCode: 0, document: { applyable: true } });
    cuts.cut('m3');
    for (let i = 0; i < 20; i += 1) await write(`/elsewhere/${i}`);
    expect(await apply()).toMatchObject({
      exitCode: 4,
      document: { error: { code: 'plan.not-applyable', details: { findings: ['members.apart'] } } },
    });
    expect(await plan()).toMatchObject({ exitCode: 4, document: { applyable: false, findings: findingsWith(apart) } });
    expect(await countInTarget()).toBe(0);
  });

  it('of which one sleeps are an error, in bounded time', async () => {
    await source.members[2]?.kill('SIGSTOP');
    expect(await plan()).toMatchObject({
      exitCode: 1,
      document: { error: { retry: 'backoff', details: { store: 'old' } } },
    });
  });

  it('that are written to meanwhile never end in silence', async () => {
    const stop = new AbortController();
    const writer = (async () => {
      for (let i = 0; !stop.signal.aborted; i += 1) await write(`/config/${i % 1000}`, `again ${i}`);
    })();
    try {
      for (let round = 0; round < 3; round += 1) {
        const planned = await plan();
        expect([0, 4]).toContain(planned.exitCode);
        if (planned.exitCode === 4) expect(planned.document).toMatchObject({ findings: findingsWith(apart) });
        expect([3, 4]).toContain((await apply()).exitCode);
      }
      expect(await countInTarget()).toBe(0);
    } finally {
      stop.abort();
      await writer;
    }
  });

  it('that agree again can be copied', async () => {
    expect(await plan()).toMatchObject({
      exitCode: 0,
      document: { source: { membersAgreeAt: expect.stringMatching(/^\d+$/) as string } },
    });
    expect(await apply()).toMatchObject({ exitCode: 0, document: { outcome: 'done', counts: { written: 1000 } } });
  });
});
