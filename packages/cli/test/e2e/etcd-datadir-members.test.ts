/**
 * Goal: of several members' directories the program says which one to read, and a plan from one that is not insists on it.
 * Method: a cluster of three etcd 3.4 of which one is killed in the midst of writes; `inspect --member`, and plans with
 * `members:` in the configuration.
 */
import { cp, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { loadV2Keys, serverOrSkip, startEtcd, type EtcdServer } from '@keyferry/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findingsWith, MigrationFolder, until } from './migration-folder.ts';

const available = await serverOrSkip('etcd-3.4');

interface Member {
  readonly member: string;
  readonly raftIndex: string;
  readonly v2Index: number;
  readonly digest: string;
  readonly digestWhereAllAre: string;
}
interface Members {
  readonly verdict: string;
  readonly use: string | null;
  readonly isMajority: boolean;
  readonly membersKnown: number;
  readonly membersSeen: number;
  readonly members: readonly Member[];
}

describe.skipIf(!available.ok)(`the data directories of a cluster${available.note}`, () => {
  let server: EtcdServer;
  let folder: MigrationFolder;
  let [first, second, late] = ['', '', ''];
  let live: readonly Awaited<ReturnType<typeof compare>>[] = [];
  let liveTwice: unknown;
  const target = { kind: 'sqlite', file: 'target.db' };

  const compare = async (...dirs: readonly string[]) => {
    const [one = '', ...others] = dirs;
    const { exitCode, document } = await folder.run(['inspect', one, ...others.flatMap((dir) => ['--member', dir])]);
    return { exitCode, document: document as Members };
  };

  /** Two at work, then one of them beside the directory of the one that was killed. */
  const compareWhileAtWork = async (one: string, other: string, killed: string) => {
    let together = await compare(one, other);
    // What one has heard of, the other may hear of in a moment.
    await until(async () => {
      together = await compare(one, other);
      return together.document.verdict === 'converged';
    });
    return [together, await compare(one, killed)];
  };

  beforeAll(async () => {
    folder = await MigrationFolder.create({ source: { kind: 'file', path: 'x', format: 'ndjson' }, target });
    server = await startEtcd({ version: '3.4', enableV2: true, members: 3, dataDir: folder.file('cluster') });
    const [a, b, c] = server.members;
    const entries = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, i) => ({ key: `/config/k${from + i}`, value: `value ${from + i}` }));
    await loadV2Keys(a?.endpoint ?? '', entries(0, 60));
    await c?.kill('SIGKILL');
    // It may have been the leader: the others elect one first.
    const written = (): Promise<boolean> =>
      loadV2Keys(a?.endpoint ?? '', entries(60, 90)).then(
        () => true,
        () => false,
      );
    await until(written);
    const [url = ''] = server.endpoints;
    liveTwice = await compare(url, url.replace('127.0.0.1', 'localhost'));
    live = await compareWhileAtWork(a?.endpoint ?? '', b?.endpoint ?? '', c?.dataDir ?? '');
    await Promise.all([a?.stop(), b?.stop()]);
    [first, second, late] = [a?.dataDir ?? '', b?.dataDir ?? '', c?.dataDir ?? ''];
  }, 120_000);
  afterAll(async () => {
    await server?.stop();
    await folder?.remove();
  });

  it('agree, but for the one that was killed before, and the furthest is named', async () => {
    const { exitCode, document } = await compare(late, first, second);
    expect([exitCode, document]).toMatchObject([7, { verdict: 'apart', isMajority: true, membersKnown: 3 }]);
    const indexes = document.members.map(({ raftIndex }) => BigInt(raftIndex));
    const highest = indexes.reduce((a, b) => (a > b ? a : b));
    expect([first, second]).toContain(document.use);
    expect(indexes[document.members.findIndex(({ member }) => member === document.use)]).toBe(highest);
    // The one that is behind holds what the others held there: it is behind, and no other store.
    expect(new Set(document.members.map(({ digestWhereAllAre }) => digestWhereAllAre)).size).toBe(1);
  });

  it('are compared with members at work, which are asked by themselves', () => {
    const [together, withKilled] = live;
    expect([together?.exitCode, together?.document]).toMatchObject([0, { verdict: 'converged', membersKnown: 3 }]);
    expect(new Set(together?.document.members.map(({ digest }) => digest)).size).toBe(1);
    expect(withKilled).toMatchObject({ exitCode: 7, document: { verdict: 'apart' } });
    expect(withKilled?.document.use).toMatch(/^http:/);
  });

  it('agree when they were stopped together', async () => {
    const { document: both } = await compare(first, second);
    const furthest = both.use ?? '';
    const { exitCode, document } = await compare(furthest, furthest === first ? second : first);
    expect([exitCode, document.verdict, document.use]).toEqual([0, 'converged', furthest]);
  });

  it('are compared by a plan, which is not made from one that lags', async () => {
    const source = { kind: 'etcd-v2-datadir', dataDir: late, members: [{ dataDir: first }, { dataDir: second }] };
    await folder.configure({ source, target });
    const refused = await folder.run(['plan', 'move']);
    expect([refused.exitCode, refused.document]).toMatchObject([
      4,
      { applyable: false, findings: findingsWith({ code: 'members.apart', level: 'blocking', count: 3 }) },
    ]);
    const { document } = await compare(first, second);
    const furthest = document.use ?? '';
    const other = furthest === first ? second : first;
    await folder.configure({
      source: { kind: 'etcd-v2-datadir', dataDir: furthest, members: [{ dataDir: other }] },
      target,
    });
    const planned = await folder.run(['plan', 'move', '--out', 'p.kfplan']);
    expect([planned.exitCode, planned.document]).toMatchObject([
      0,
      {
        source: { membersAgreeAt: expect.stringMatching(/^\d+$/) as string, membersCompared: 2 },
        totals: { actions: { create: { keys: 90 } } },
      },
    ]);
    expect(await folder.run(['apply', 'p.kfplan'])).toMatchObject({ exitCode: 0, document: { outcome: 'done' } });
    // Nothing in the files of one member tells that it lags.
    await folder.configure({
      source: { kind: 'etcd-v2-datadir', dataDir: late },
      target: { kind: 'sqlite', file: 'o.db' },
    });
    expect((await folder.run(['plan', 'move'])).document).toMatchObject({
      source: { description: { version: expect.stringContaining('not compared with the other 2 members') as string } },
    });
  });

  it('that are no directories are told', async () => {
    expect((await compare(first, folder.path)).document).toMatchObject({ error: { code: 'datadir.not-found' } });
  });

  it('that are one named twice are refused, whatever paths or URLs lead to it; two copies of it count as one', async () => {
    const [link, copy] = [folder.file('link'), folder.file('copy')];
    await symlink(first, link);
    const twice = { exitCode: 1, document: { error: { code: 'datadir.member-twice' } } };
    for (const again of [first, `${first}/`, join(first, 'member'), link]) {
      expect(await compare(first, second, again)).toMatchObject(twice);
    }
    expect(liveTwice).toMatchObject(twice);
    const source = { kind: 'etcd-v2-datadir', dataDir: first, members: [{ dataDir: second }, { dataDir: link }] };
    await folder.configure({ source, target });
    expect(await folder.run(['plan', 'move'])).toMatchObject(twice);

    await cp(first, copy, { recursive: true });
    const { document } = await compare(first, copy);
    expect(document).toMatchObject({ verdict: 'converged', isMajority: false, membersSeen: 1, membersKnown: 3 });
    await folder.configure({ source: { ...source, members: [{ dataDir: copy }] }, target });
    expect(await folder.run(['plan', 'move'])).toMatchObject(twice);
  });
});
