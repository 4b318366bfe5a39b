/**
 * Goal: v2 keys come out of a data directory into etcd v3 and SQLite as they would from a live server, with the built
 * binary: planned, applied, proved, and refused where the directory is not one to rely on.
 * Method: a server's directory after it has stopped, and plans from the live server and from its files side by side.
 */
import { cp, open } from 'node:fs/promises';
import { join } from 'node:path';
import {
  enableV2Auth,
  loadV2Keys,
  request,
  serverOrSkip,
  startEtcd,
  v2KeyUrl,
  type EtcdServer,
} from '@keyferry/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readV3 } from './etcd-data.ts';
import { findingsWith, MigrationFolder } from './migration-folder.ts';

const [old, current] = await Promise.all([serverOrSkip('etcd-3.4'), serverOrSkip('etcd-3.5')]);
const note = [old, current].find((server) => !server.ok)?.note ?? '';
const keyCount = 2000;

describe.skipIf(!old.ok || !current.ok)(`a data directory${note}`, () => {
  let source: EtcdServer;
  let target: EtcdServer;
  let folder: MigrationFolder;
  let dataDir = '';

  const put = async (key: string, fields: Readonly<Record<string, string>>): Promise<void> => {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const body = new URLSearchParams(fields).toString();
    const { status } = await request(v2KeyUrl(source.endpoints[0] ?? '', key), { method: 'PUT', headers, body });
    expect(status).toBeLessThan(300);
  };
  const fromFiles = (more: object = {}) => ({ kind: 'etcd-v2-datadir', dataDir, ...more });
  const toSqlite = { kind: 'sqlite', file: 'target.db' };
  const totalsOf = (document: unknown) => (document as { totals: { actions: object; notCarried: object } }).totals;

  beforeAll(async () => {
    folder = await MigrationFolder.create({ source: { kind: 'file', path: 'x', format: 'ndjson' }, target: toSqlite });
    dataDir = folder.file('member');
    const extraArgs = ['--snapshot-count=700'];
    [source, target] = await Promise.all([
      startEtcd({ version: '3.4', enableV2: true, dataDir, extraArgs }),
      startEtcd({ version: '3.5', unsafeNoFsync: true }),
    ]);
    const entries = Array.from({ length: keyCount }, (_, i) => ({
      key: `/config/d${i % 17}/k${i}`,
      value: `value ${i}`,
    }));
    await loadV2Keys(source.endpoints[0] ?? '', entries);
    await put('/config/grüße/日本 😀', { value: 'é & <b>' });
    await put('/config/session', { value: 's', ttl: '86400' });
    await put('/config/empty', { dir: 'true' });
    await put('/config/_hidden', { value: 'h' });
  }, 120_000);
  afterAll(async () => {
    await Promise.all([source?.stop(), target?.stop()]);
    await folder?.remove();
  });

  it('is not planned from while its server runs, and the server is not disturbed', async () => {
    await folder.configure({ source: fromFiles(), target: toSqlite });
    const { exitCode, document } = await folder.run(['plan', 'move']);
    expect([exitCode, document]).toMatchObject([1, { error: { code: 'datadir.in-use' } }]);
    await put('/config/after', { value: 'still there' });
    const inspected = await folder.run(['inspect', dataDir]);
    expect([inspected.exitCode, inspected.document]).toMatchObject([
      1,
      { server: { kind: 'running' }, problem: { code: 'datadir.in-use' } },
    ]);
  });

  it('gives the plan that the live server gave, and the hidden key besides, counted', async () => {
    await folder.configure({ source: { kind: 'etcd-v2', endpoints: source.endpoints }, target: toSqlite });
    const live = await folder.run(['plan', 'move']);
    await enableV2Auth(source, { prefix: '/config/' });
    await source.members[0]?.stop();
    await folder.configure({ source: fromFiles(), target: toSqlite });
    const read = await folder.run(['plan', 'move', '--out', 'files.kfplan']);
    expect([live.exitCode, read.exitCode]).toEqual([0, 0]);
    expect(totalsOf(read.document).actions).toEqual(totalsOf(live.document).actions);
    expect(totalsOf(read.document).notCarried).toEqual({ ...totalsOf(live.document).notCarried, 'key.hidden': 1 });
    expect(totalsOf(read.document).actions).toMatchObject({ create: { keys: keyCount + 3 } });
  });

  it('into SQLite: applied, and verified', async () => {
    const applied = await folder.run(['apply', 'files.kfplan']);
    expect([applied.exitCode, applied.document]).toMatchObject([0, { outcome: 'done', verify: { verdict: 'agree' } }]);
    expect((await folder.run(['verify', 'move'])).exitCode).toBe(0);
  });

  it('into etcd v3: every key with its value, a lease for the one that expires', async () => {
    const v3 = { kind: 'etcd-v3', endpoints: target.endpoints };
    // A state of its own: the migration of the same name is done there.
    const config = v3Config(fromFiles({ hidden: 'carry' }), v3, { sqlite: '.keyferry/v3.db' });
    await folder.write('keyferry.yaml', JSON.stringify(config));
    const planned = await folder.run(['plan', 'move', '--out', 'v3.kfplan']);
    expect(planned.exitCode).toBe(0);
    const applied = await folder.run(['apply', 'v3.kfplan']);
    expect([applied.exitCode, applied.document]).toMatchObject([0, { outcome: 'done' }]);
    const there = await readV3(target.endpoints[0] ?? '', '/config/');
    expect(there.size).toBe(keyCount + 4);
    const valueOf = (key: string) => there.get(Buffer.from(key).toString('latin1'))?.value.toString('utf8');
    expect([valueOf('/config/grüße/日本 😀'), valueOf('/config/_hidden'), valueOf('/config/d3/k3')]).toEqual([
      'é & <b>',
      'h',
      'value 3',
    ]);
    expect(there.get('/config/session')?.lease).not.toBe('0');
    expect(there.get('/config/after')?.lease).toBe('0');
  });

  it('that is damaged is refused with the place, and cut short only when that is asked for and accepted', async () => {
    const copy = folder.file('damaged');
    await cp(dataDir, copy, { recursive: true });
    const { snapshots } = (await folder.run(['inspect', copy])).document as {
      snapshots: readonly { file: string; state: string }[];
    };
    const used = snapshots.find(({ state }) => state === 'begun-with')?.file ?? '';
    expect(used).toContain('.snap');
    await damage(join(copy, 'member', 'wal', '0000000000000000-0000000000000000.wal'), '/1/config/after');
    const settings = { settings: { onConflict: 'keep-target' } };
    await folder.configure({
      source: { kind: 'etcd-v2-datadir', dataDir: copy },
      target: { kind: 'sqlite', file: 'other.db' },
      ...settings,
    });
    const refused = await folder.run(['plan', 'move']);
    expect([refused.exitCode, refused.document]).toMatchObject([
      1,
      {
        error: {
          code: 'datadir.damaged',
          details: { file: expect.stringContaining('.wal') as string, offset: expect.any(Number) as number },
        },
      },
    ]);
    const lastGood = { kind: 'etcd-v2-datadir', dataDir: copy, upTo: 'last-good' };
    await folder.configure({ source: lastGood, target: { kind: 'sqlite', file: 'other.db' }, ...settings });
    const planned = await folder.run(['plan', 'move', '--out', 'cut.kfplan']);
    expect(planned.document).toMatchObject({ findings: findingsWith({ code: 'source.cut-short', accept: true }) });
    const apply = await folder.run(['apply', 'cut.kfplan']);
    expect([apply.exitCode, apply.document]).toMatchObject([4, { error: { code: 'plan.unaccepted' } }]);
  });

  it('that is none is said to be none', async () => {
    const { exitCode, document } = await folder.run(['inspect', folder.path]);
    expect([exitCode, document]).toMatchObject([1, { error: { code: 'datadir.not-found' } }]);
  });
});

function v3Config(source: object, target: object, state: object): object {
  const sides = { source: { store: 'old', prefix: '/config/' }, target: { store: 'new', prefix: '/config/' } };
  return {
    version: 1,
    state,
    stores: { old: source, new: target },
    migrations: { move: { ...sides, strategy: 'offline' } },
  };
}

/** Changes one byte of the last place in a file that holds this text. */
async function damage(file: string, text: string): Promise<void> {
  const handle = await open(file, 'r+');
  try {
    const at = (await handle.readFile()).lastIndexOf(text);
    expect(at).toBeGreaterThan(0);
    await handle.write(Buffer.from('X'), 0, 1, at + 3);
  } finally {
    await handle.close();
  }
}
