/**
 * Goal: an overwrite or a delete happens to exactly the version that was reviewed, whatever others do and whatever moment
 * the run is killed at; and going back restores what was there bit for bit.
 * Method: the built binary from etcd v2 to etcd v3 beside an application that writes; runs held with SIGSTOP, and killed
 * behind log lines that a seed chooses.
 */
import { loadV2Keys, serverOrSkip, startEtcd, type EtcdServer } from '@keyferry/servers';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { deleteV3, loadV3, putV3, readTexts, readV3 } from './etcd-data.ts';
import { findingsWith, MigrationFolder, until } from './migration-folder.ts';
import { randomOf } from './seeded-random.ts';

const [old, current] = await Promise.all([serverOrSkip('etcd-3.4'), serverOrSkip('etcd-3.5')]);
const note = [old, current].find((server) => !server.ok)?.note ?? '';
const allowed = { guards: { deleteShareMax: 1, deletesMax: 100_000 } };

describe.skipIf(!old.ok || !current.ok)(`overwrites and deletes${note}`, () => {
  let servers: { readonly source: EtcdServer; readonly target: EtcdServer };
  let source: string;
  let target: string;
  let folder: MigrationFolder;

  const keyAt = (prefix: string, i: number): string => `${prefix}${String(i).padStart(5, '0')}`;
  /** The source has the keys 0 to n; of the target's, every third differs, every third is equal, and n more are its own. */
  const open = async (prefix: string, count: number, settings: Readonly<Record<string, unknown>> = {}) => {
    const indexes = Array.from({ length: count }, (_, i) => i);
    await loadV2Keys(
      source,
      indexes.map((i) => ({ key: keyAt(prefix, i), value: `value ${i}` })),
    );
    await loadV3(target, [
      ...indexes.filter((i) => i % 3 === 1).map((i) => [keyAt(prefix, i), `before ${i}`] as const),
      ...indexes.filter((i) => i % 3 === 2).map((i) => [keyAt(prefix, i), `value ${i}`] as const),
      ...indexes.map((i) => [`${keyAt(prefix, i)}/own`, `own ${i}`] as const),
    ]);
    folder = await MigrationFolder.create({
      source: { kind: 'etcd-v2', endpoints: [source] },
      target: { kind: 'etcd-v3', endpoints: [target], reservedPrefix: `own${prefix}` },
      prefix,
      settings: {
        limits: { chunkKeys: 50, workers: 1 },
        onConflict: 'overwrite',
        prune: true,
        ...allowed,
        ...settings,
      },
    });
  };
  const sourceTexts = (prefix: string, count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [keyAt(prefix, i), `value ${i}`]));
  const plan = () => folder.run(['plan', 'move', '--out', 'move.kfplan']);
  const accepted = ['--accept', 'prune.unproven'];
  const apply = () => folder.run(['apply', 'move.kfplan', ...accepted]);

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

  it('make the target what the source is, and go back to what it was', async () => {
    const prefix = '/there-and-back/';
    await open(prefix, 30);
    const before = await readTexts(target, prefix);
    expect(await plan()).toMatchObject({
      exitCode: 0,
      document: {
        totals: {
          actions: { create: { keys: 10 }, overwrite: { keys: 10 }, equal: { keys: 10 }, delete: { keys: 30 } },
          scanned: 30,
        },
      },
    });
    expect(await apply()).toMatchObject({
      exitCode: 0,
      document: {
        outcome: 'done',
        counts: { written: 10, overwritten: 10, equal: 10, deleted: 30, deletes: 30, scanned: 30 },
        verify: { verdict: 'agree', targetOnly: 0 },
      },
    });
    expect(await readTexts(target, prefix)).toEqual(sourceTexts(prefix, 30));
    expect(await folder.run(['verify', 'move'])).toMatchObject({ exitCode: 0 });
    expect(await folder.run(['rollback', 'move', '--yes'])).toMatchObject({
      exitCode: 0,
      document: { removed: 10, restored: 40, notRestored: 0, left: 0, unrestorable: 0 },
    });
    expect(await readTexts(target, prefix)).toEqual(before);
    expect([...(await readV3(target, `own${prefix}`)).keys()]).toEqual([`own${prefix}move/epoch`]);
  });

  it.each([
    ['an overwrite', (prefix: string) => putV3(target, keyAt(prefix, 1), 'theirs'), '00001'],
    ['the same value over an overwrite', (prefix: string) => putV3(target, keyAt(prefix, 1), 'before 1'), '00001'],
    ['a delete', (prefix: string) => putV3(target, `${keyAt(prefix, 1)}/own`, 'theirs'), '00001/own'],
    ['the end of a delete', (prefix: string) => deleteV3(target, `${keyAt(prefix, 1)}/own`), '00001/own'],
  ])('are refused when %s changed since the plan, with the key named', async (name, write, key) => {
    const prefix = `/stale/${name.replaceAll(' ', '-')}/`;
    await open(prefix, 20);
    expect((await plan()).exitCode).toBe(0);
    await write(prefix);
    const before = await readTexts(target, prefix);
    expect(await apply()).toMatchObject({
      exitCode: 3,
      document: { error: { code: 'plan.stale', details: { keysTotal: 1, keys: [{ key: { text: prefix + key } }] } } },
    });
    expect(await readTexts(target, prefix)).toEqual(before);
  });

  it('leave what changed while they ran, name it, and end in exit code 7', async () => {
    const prefix = '/during/';
    await open(prefix, 1500);
    expect((await plan()).exitCode).toBe(0);
    const run = folder.start(['apply', 'move.kfplan', ...accepted]);
    await run.reaches('chunk.done', 2);
    run.kill('SIGSTOP');
    const [overwrite, deleted] = [keyAt(prefix, 1498), `${keyAt(prefix, 1498)}/own`];
    await putV3(target, overwrite, 'newer');
    await putV3(target, deleted, 'newer');
    run.kill('SIGCONT');
    expect(await run.output).toMatchObject({
      exitCode: 7,
      document: {
        outcome: 'deviated',
        counts: { overwritten: 499, changed: 1, deleted: 1499, deletesChanged: 1, deletes: 1500 },
        metChanges: [
          { key: { text: overwrite }, action: 'overwrite' },
          { key: { text: deleted }, action: 'delete' },
        ],
      },
    });
    const texts = await readTexts(target, prefix);
    expect([texts[overwrite], texts[deleted]]).toEqual(['newer', 'newer']);
    expect((await folder.run(['rollback', 'move', '--yes'])).exitCode).toBe(0);
    const after = await readTexts(target, prefix);
    expect([after[overwrite], after[deleted], after[keyAt(prefix, 1)]]).toEqual(['newer', 'newer', 'before 1']);
  });

  it('that were killed again and again come to their end, and go back bit for bit', async () => {
    const prefix = '/killed/';
    await open(prefix, 3000, { limits: { chunkKeys: 200, workers: 2 } });
    const any = Buffer.from(Array.from({ length: 256 }, (_, i) => 255 - i));
    await putV3(target, keyAt(prefix, 1), any);
    const before = [...(await readV3(target, prefix))].map(([key, { value }]) => [key, value.toString('base64')]);
    expect((await plan()).exitCode).toBe(0);
    const random = randomOf(20_260_101);
    const killUntilItEnds = async (args: readonly string[], linesMax: number) => {
      for (let kills = 0; ; kills += 1) {
        const run = folder.start(args);
        const lines = 1 + Math.floor(random() * linesMax);
        let ended = false;
        void run.ended.then(() => (ended = true));
        await until(async () => ended || (await run.log()).length >= lines);
        run.kill('SIGKILL');
        if ((await run.ended) !== null) return { kills, last: await run.output };
        expect(kills).toBeLessThan(200);
      }
    };
    const { kills, last } = await killUntilItEnds(['apply', 'move.kfplan', ...accepted], 16);
    expect(kills).toBeGreaterThan(1);
    expect(last).toMatchObject({
      exitCode: 0,
      document: {
        outcome: 'done',
        counts: { written: 1000, overwritten: 1000, equal: 1000, changed: 0, deletes: 3000, deletesChanged: 0 },
        deviations: [],
      },
    });
    expect(await readTexts(target, prefix)).toEqual(sourceTexts(prefix, 3000));
    const back = await killUntilItEnds(['rollback', 'move', '--yes'], 4);
    // A kill can come between the last step of a rollback and the end of its process: then there is nothing left to do.
    const { changed = 0, notRestored = 0 } = back.last.document as { changed?: number; notRestored?: number };
    expect({ changed, notRestored }).toEqual({ changed: 0, notRestored: 0 });
    expect((await folder.run(['status', 'move'])).document).toMatchObject({ migrations: [{ phase: 'rolled-back' }] });
    const after = [...(await readV3(target, prefix))].map(([key, { value }]) => [key, value.toString('base64')]);
    expect(after).toEqual(before);
    expect([...(await readV3(target, `own${prefix}`)).keys()]).toEqual([`own${prefix}move/epoch`]);
  });

  it('past the guards must be accepted by name', async () => {
    const prefix = '/guarded/';
    await open(prefix, 20, { guards: { deleteShareMax: 0.1, deletesMax: 10 } });
    const before = await readTexts(target, prefix);
    expect(await plan()).toMatchObject({
      exitCode: 0,
      document: { findings: findingsWith({ code: 'guard.deletes', count: 20, accept: true }) },
    });
    expect(await apply()).toMatchObject({
      exitCode: 4,
      document: { error: { code: 'plan.unaccepted', details: { findings: ['guard.deletes'] } } },
    });
    expect(await readTexts(target, prefix)).toEqual(before);
    const all = await folder.run(['apply', 'move.kfplan', ...accepted, '--accept', 'guard.deletes']);
    expect(all).toMatchObject({ exitCode: 0, document: { counts: { deleted: 20 } } });
  });

  it('without before-images say what rollback cannot bring back, in the plan, in status and when it does', async () => {
    const prefix = '/unkept/';
    await open(prefix, 9, { keepBefore: false });
    expect(await plan()).toMatchObject({
      document: { keepBefore: false, findings: findingsWith({ code: 'backup.none', count: 12 }) },
    });
    expect(await apply()).toMatchObject({ exitCode: 4 });
    expect((await folder.run(['apply', 'move.kfplan', ...accepted, '--accept', 'backup.none'])).exitCode).toBe(0);
    expect(await folder.run(['status', 'move'])).toMatchObject({ document: { migrations: [{ unrestorable: 12 }] } });
    expect(await folder.run(['rollback', 'move', '--yes'])).toMatchObject({
      exitCode: 0,
      document: { removed: 3, restored: 0, unrestorable: 12, left: 12 },
    });
  });
});
