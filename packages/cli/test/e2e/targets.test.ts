/**
 * Goal: what goes out to a dump or back to etcd v2 is what comes in again, through kills, and what a target cannot hold
 * is named before anything is written.
 * Method: the built binary between real servers and files; trees are read over HTTP and compared with the first one.
 */
import { existsSync } from 'node:fs';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { loadV2Keys, request, serverOrSkip, startEtcd, v2KeyUrl, type EtcdServer } from '@keyferry/servers';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { putV3, readTexts } from './etcd-data.ts';
import { findingsWith, MigrationFolder, type MigrationOptions } from './migration-folder.ts';

const [old, current] = await Promise.all([serverOrSkip('etcd-3.4'), serverOrSkip('etcd-3.5')]);
const note = [old, current].find((server) => !server.ok)?.note ?? '';
const keyCount = 3000;

/** Files of a v2 tree, with the instants at which they end. */
async function readV2(endpoint: string, directory: string): Promise<Record<string, readonly [string, string | null]>> {
  const { status, body } = await request(`${v2KeyUrl(endpoint, directory)}?recursive=true&quorum=true`);
  const files: Record<string, readonly [string, string | null]> = {};
  if (status !== 200) return files;
  const walk = (node: V2Node): void => {
    if (node.dir !== true && node.key !== undefined) files[node.key] = [node.value ?? '', node.expiration ?? null];
    for (const child of node.nodes ?? []) walk(child);
  };
  walk((JSON.parse(body) as { node: V2Node }).node);
  return files;
}

interface V2Node {
  readonly key?: string;
  readonly value?: string;
  readonly dir?: boolean;
  readonly expiration?: string;
  readonly nodes?: readonly V2Node[];
}

const textsOf = (files: Awaited<ReturnType<typeof readV2>>): Record<string, string> =>
  Object.fromEntries(Object.entries(files).map(([key, [value]]) => [key, value]));

describe.skipIf(!old.ok || !current.ok)(`files and etcd v2 as targets${note}`, () => {
  let source: EtcdServer;
  let target: EtcdServer;
  let original: Awaited<ReturnType<typeof readV2>>;
  const folders: MigrationFolder[] = [];
  const endpointOf = (server: EtcdServer): string => server.endpoints[0] as string;
  const v2 = (server: EtcdServer) => ({ kind: 'etcd-v2', endpoints: server.endpoints });
  const v3 = (server: EtcdServer) => ({ kind: 'etcd-v3', endpoints: server.endpoints });
  const open = async (options: MigrationOptions): Promise<MigrationFolder> => {
    const folder = await MigrationFolder.create(options);
    folders.push(folder);
    return folder;
  };
  const planAndApply = async (folder: MigrationFolder) => {
    const plan = await folder.run(['plan', 'move', '--out', 'move.kfplan']);
    expect({ exitCode: plan.exitCode, stderr: plan.stderr }).toMatchObject({ exitCode: 0 });
    const apply = await folder.run(['apply', 'move.kfplan']);
    expect({ ...apply, document: apply.document }).toMatchObject({
      exitCode: 0,
      document: { outcome: 'done', verify: { verdict: 'agree' }, deviations: [] },
    });
    return { plan: plan.document, apply: apply.document };
  };

  beforeAll(async () => {
    [source, target] = await Promise.all([
      startEtcd({ version: '3.4', enableV2: true, unsafeNoFsync: true }),
      startEtcd({ version: '3.5', enableV2: true, unsafeNoFsync: true }),
    ]);
    await loadV2Keys(endpointOf(source), entries());
    original = await readV2(endpointOf(source), '/config');
    expect(Object.keys(original)).toHaveLength(keyCount);
  }, 120_000);
  afterEach(() => Promise.all(folders.splice(0).map((folder) => folder.remove())));
  afterAll(() => Promise.all([source?.stop(), target?.stop()]));

  it.each([
    { format: 'ndjson', name: 'NDJSON' },
    { format: 'etcd-v2-json', name: 'a dump of etcd v2' },
  ])('a live v2 tree goes into $name, and from there into a fresh v2 and a v3, as it was', async ({ format }) => {
    const out = await open({ source: v2(source), target: { kind: 'file', path: 'dump', format } });
    const { apply } = await planAndApply(out);
    expect(apply).toMatchObject({ counts: { written: keyCount, deadLetters: 0 } });
    const dump = out.file('dump');
    expect((await stat(dump)).mode & 0o777).toBe(0o600);
    expect((await readdir(out.path)).filter((name) => name.startsWith('.dump'))).toEqual(['.dump.keyferry']);

    for (const into of [v2(target), v3(target)]) {
      const targetPrefix = `/restored-${format}-${into.kind}/`;
      const back = await open({ source: { kind: 'file', path: dump, format }, target: into, targetPrefix });
      await planAndApply(back);
      const rename = (key: string): string => key.replace('/config/', targetPrefix);
      const wanted = Object.fromEntries(Object.entries(original).map(([key, file]) => [rename(key), file]));
      if (into.kind === 'etcd-v3') {
        expect(await readTexts(endpointOf(target), targetPrefix)).toEqual(textsOf(wanted));
        continue;
      }
      const restored = await readV2(endpointOf(target), targetPrefix.slice(0, -1));
      expect(textsOf(restored)).toEqual(textsOf(wanted));
      for (const [key, [, expiration]] of Object.entries(wanted)) {
        const found = restored[key]?.[1] ?? null;
        expect(found === null).toBe(expiration === null);
        if (found === null || expiration === null) continue;
        expect(Math.abs(Date.parse(found) - Date.parse(expiration))).toBeLessThan(2000);
      }
    }
  });

  it('a dump that is there already is never replaced, and blocks a plan that has something to write', async () => {
    const folder = await open({
      source: v2(source),
      target: { kind: 'file', path: 'dump.ndjson', format: 'ndjson' },
    });
    await planAndApply(folder);
    const dump = await readFile(folder.file('dump.ndjson'));
    const again = await planAndApply(folder);
    expect(again).toMatchObject({ plan: { findings: expect.any(Array) }, apply: { counts: { equal: keyCount } } });
    await writeFile(folder.file('dump.ndjson'), dump.subarray(0, dump.indexOf('\n') + 1));
    const blocked = await folder.run(['plan', 'move', '--out', 'blocked.kfplan']);
    expect(blocked).toMatchObject({
      exitCode: 4,
      document: { applyable: false, findings: findingsWith({ code: 'target.exists', count: keyCount - 1 }) },
    });
  });

  it('a dump whose apply was killed is not there, then it is whole, and rollback takes it away', async () => {
    const folder = await open({
      source: v2(source),
      target: { kind: 'file', path: 'dump.json', format: 'etcd-v2-json' },
      settings: { limits: { workers: 2, chunkKeys: 500 } },
    });
    expect((await folder.run(['plan', 'move', '--out', 'move.kfplan'])).exitCode).toBe(0);
    const killed = folder.start(['apply', 'move.kfplan']);
    await killed.reaches('chunk.done', 2);
    killed.kill('SIGKILL');
    await killed.ended;
    expect(existsSync(folder.file('dump.json'))).toBe(false);
    expect(await folder.run(['apply', 'move.kfplan'])).toMatchObject({
      exitCode: 0,
      document: { resumed: true, outcome: 'done', counts: { written: keyCount }, verify: { verdict: 'agree' } },
    });
    const nodes = JSON.parse(await readFile(folder.file('dump.json'), 'utf8')) as { node: V2Node };
    expect(nodes.node.nodes?.map(({ key }) => key)).toEqual(['/config']);
    expect(await folder.run(['rollback', 'move', '--yes'])).toMatchObject({
      exitCode: 0,
      document: { removed: keyCount, left: 0 },
    });
    expect(existsSync(folder.file('dump.json'))).toBe(false);
  });

  it('etcd v3 goes back into etcd v2, through a kill, and rollback leaves the tree as it was', async () => {
    const [targetPrefix, directory] = ['/back/', '/back'];
    const forth = await open({ source: v2(source), target: v3(source), targetPrefix: '/forth/' });
    await planAndApply(forth);
    await loadV2Keys(endpointOf(target), [{ key: '/back/theirs', value: 'kept' }]);
    const back = await open({
      source: v3(source),
      target: v2(target),
      prefix: '/forth/',
      targetPrefix,
      settings: { limits: { workers: 2, chunkKeys: 500 } },
    });
    const plan = await back.run(['plan', 'move', '--out', 'move.kfplan']);
    expect(plan).toMatchObject({
      exitCode: 0,
      document: { applyable: true, findings: findingsWith({ code: 'target.not-fenced', level: 'warning' }) },
    });
    const killed = back.start(['apply', 'move.kfplan']);
    await killed.reaches('chunk.done', 2);
    killed.kill('SIGKILL');
    await killed.ended;
    expect(await back.run(['apply', 'move.kfplan'])).toMatchObject({
      exitCode: 0,
      document: {
        resumed: true,
        outcome: 'done',
        counts: { written: keyCount, equal: 0, kept: 0, deadLetters: 0 },
        verify: { verdict: 'agree', targetOnly: 1 },
      },
    });
    const wanted = Object.fromEntries(
      Object.entries(original).map(([key, [value]]) => [key.replace('/config/', targetPrefix), value]),
    );
    const { '/back/theirs': theirs, ...restored } = textsOf(await readV2(endpointOf(target), directory));
    expect(theirs).toBe('kept');
    expect(restored).toEqual(wanted);
    expect(await back.run(['rollback', 'move', '--yes'])).toMatchObject({
      exitCode: 0,
      document: { removed: keyCount, left: 0 },
    });
    const { body } = await request(`${v2KeyUrl(endpointOf(target), directory)}?recursive=true`);
    const { node } = JSON.parse(body) as { node: V2Node };
    expect(node.nodes?.map(({ key }) => key)).toEqual(['/back/theirs']);
  });

  it('what a v2 tree cannot hold is named in the plan, for a server and for a dump', async () => {
    const names = ['a', 'a/b', 'b//c', 'd/', 'ok', '\u00fc', '_hidden/x'];
    for (const name of names) await putV3(endpointOf(target), `/odd/${name}`, name);
    await putV3(endpointOf(target), '/odd/bytes', Buffer.of(0xff));
    await putV3(endpointOf(target), Buffer.concat([Buffer.from('/odd/'), Buffer.of(0xfe)]), 'v');
    for (const { into, unfit } of [
      { into: v2(source), unfit: 5 },
      { into: { kind: 'file', path: 'odd.json', format: 'etcd-v2-json' }, unfit: 4 },
    ]) {
      const folder = await open({ source: v3(target), target: into, prefix: '/odd/' });
      const plan = await folder.run(['plan', 'move', '--out', 'move.kfplan']);
      expect(plan).toMatchObject({
        exitCode: 4,
        document: {
          applyable: false,
          totals: { actions: { blocked: { keys: unfit + 1 } } },
          findings: findingsWith({ code: 'record.unfit', count: unfit }),
        },
      });
      expect(plan.document).toMatchObject({
        findings: findingsWith({ code: 'key.below-value', count: 1, keys: [{ text: '/odd/a/b' }] }),
      });
      expect(await folder.run(['apply', 'move.kfplan'])).toMatchObject({ exitCode: 4 });
    }
    expect(await readV2(endpointOf(source), '/odd')).toEqual({});
  });
});

function* entries() {
  yield { key: '/config/ünïcode/a-b', value: 'grüße' };
  yield { key: '/config/ünïcode/a/b', value: '' };
  yield { key: '/config/text', value: 'lines\n"quoted" & 100% + more; a=b \u2028 \u{1f600}' };
  for (let i = 0; i < 50; i += 1) yield { key: `/config/sessions/${i}`, value: 'x', ttlSeconds: 7200 + i };
  for (let i = 0; i < keyCount - 53; i += 1) {
    yield { key: `/config/routes/${i % 13}/${String(i).padStart(6, '0')}`, value: `value ${i}` };
  }
}
