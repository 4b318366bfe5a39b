/**
 * Goal: a write of somebody else, on either side and at any moment, is seen: before the first write as a stale plan,
 * later as a deviation; and the newer value always stays.
 * Method: the built binary from etcd v2 to etcd v3 beside an application that writes; a run is held with SIGSTOP while
 * its keys are changed.
 */
import { loadV2Keys, serverOrSkip, startEtcd, type EtcdServer } from '@keyferry/servers';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { deleteV3, putV2, putV3, readTexts } from './etcd-data.ts';
import { findingsWith, MigrationFolder } from './migration-folder.ts';

const [old, current] = await Promise.all([serverOrSkip('etcd-3.4'), serverOrSkip('etcd-3.5')]);
const note = [old, current].find((server) => !server.ok)?.note ?? '';

describe.skipIf(!old.ok || !current.ok)(`writes of others${note}`, () => {
  let servers: { readonly source: EtcdServer; readonly target: EtcdServer };
  let source: string;
  let target: string;
  let folder: MigrationFolder;

  const open = async (prefix: string, count: number, settings: Readonly<Record<string, unknown>> = {}) => {
    await loadV2Keys(
      source,
      Array.from({ length: count }, (_, i) => ({ key: keyAt(prefix, i), value: `value ${i}` })),
    );
    folder = await MigrationFolder.create({
      source: { kind: 'etcd-v2', endpoints: [source] },
      target: { kind: 'etcd-v3', endpoints: [target] },
      prefix,
      settings: { limits: { chunkKeys: 50, workers: 1 }, ...settings },
    });
  };
  const keyAt = (prefix: string, i: number): string => `${prefix}${String(i).padStart(5, '0')}`;
  const plan = () => folder.run(['plan', 'move', '--out', 'move.kfplan']);
  const apply = () => folder.run(['apply', 'move.kfplan']);

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

  describe('that the target holds already', () => {
    it('block the plan under onConflict: fail, with the key named', async () => {
      await open('/fail/', 20, { onConflict: 'fail' });
      await putV3(target, keyAt('/fail/', 3), 'theirs');
      await putV3(target, keyAt('/fail/', 4), 'value 4');
      await putV3(target, '/fail/beside', 'no key of the source');
      expect(await plan()).toMatchObject({
        exitCode: 4,
        document: {
          applyable: false,
          totals: {
            actions: { create: { keys: 18 }, equal: { keys: 1 }, conflict: { keys: 1 } },
            targetOnly: 1,
          },
          findings: findingsWith({ code: 'conflict.found', level: 'blocking', keys: [{ text: '/fail/00003' }] }),
        },
      });
      expect(await apply()).toMatchObject({ exitCode: 4, document: { error: { code: 'plan.not-applyable' } } });
      expect(Object.keys(await readTexts(target, '/fail/'))).toHaveLength(3);
    });

    it('are kept under onConflict: keep-target, also when going back', async () => {
      await open('/keep/', 20, { onConflict: 'keep-target' });
      await putV3(target, keyAt('/keep/', 3), 'theirs');
      await putV3(target, keyAt('/keep/', 4), 'value 4');
      expect(await plan()).toMatchObject({
        exitCode: 0,
        document: {
          findings: findingsWith({ code: 'conflict.kept', level: 'warning', keys: [{ text: '/keep/00003' }] }),
        },
      });
      expect(await apply()).toMatchObject({
        exitCode: 0,
        document: {
          outcome: 'done',
          counts: { written: 18, equal: 1, kept: 1 },
          verify: { verdict: 'agree', kept: 1 },
        },
      });
      const texts = await readTexts(target, '/keep/');
      expect([Object.keys(texts).length, texts['/keep/00003']]).toEqual([20, 'theirs']);
      expect((await folder.run(['rollback', 'move', '--yes'])).exitCode).toBe(0);
      expect(await readTexts(target, '/keep/')).toEqual({ '/keep/00003': 'theirs', '/keep/00004': 'value 4' });
    });
  });

  describe('between plan and apply', () => {
    it.each([
      ['a new key in the source', 30, async (key: string) => putV2(source, key, { value: 'new' })],
      ['a change in the source', 7, async (key: string) => putV2(source, key, { value: 'changed' })],
      ['the same value again with a TTL', 7, async (key: string) => putV2(source, key, { value: 'value 7', ttl: 900 })],
      ['a planned key in the target', 7, async (key: string) => putV3(target, key, 'theirs')],
      ['a change of a key that was kept', 1, async (key: string) => putV3(target, key, 'changed')],
      ['a change of a key that was equal', 2, async (key: string) => putV3(target, key, 'changed')],
      ['the end of a key that was kept', 1, async (key: string) => deleteV3(target, key)],
    ])('%s makes the plan stale, and the key is named', async (name, index, write) => {
      const prefix = `/stale/${name.replaceAll(' ', '-')}/`;
      await open(prefix, 20, { onConflict: 'keep-target' });
      await putV3(target, keyAt(prefix, 1), 'theirs');
      await putV3(target, keyAt(prefix, 2), 'value 2');
      expect((await plan()).exitCode).toBe(0);
      const key = keyAt(prefix, index);
      await write(key);
      const before = await readTexts(target, prefix);
      expect(await apply()).toMatchObject({
        exitCode: 3,
        document: { error: { code: 'plan.stale', details: { keysTotal: 1, keys: [{ key: { text: key } }] } } },
      });
      expect(await readTexts(target, prefix)).toEqual(before);
    });

    it('elsewhere in both stores, and a key in the target without one in the source, are no staleness', async () => {
      await open('/beside/', 20);
      expect((await plan()).exitCode).toBe(0);
      await putV2(source, '/else/where', { value: 'x' });
      await putV3(target, '/else/where', 'y');
      await putV3(target, '/beside/only-here', 'z');
      expect(await apply()).toMatchObject({
        exitCode: 0,
        document: { outcome: 'done', counts: { written: 20 }, verify: { targetOnly: 1 } },
      });
    });
  });

  /** A run held in the middle: some chunks are done, the last ones are not. */
  const holdInTheMiddle = async (prefix: string) => {
    await open(prefix, 2000);
    expect((await plan()).exitCode).toBe(0);
    const run = folder.start(['apply', 'move.kfplan']);
    await run.reaches('chunk.done', 2);
    run.kill('SIGSTOP');
    const copied = Object.keys(await readTexts(target, prefix)).length;
    expect(copied).toBeGreaterThan(0);
    expect(copied).toBeLessThan(2000);
    return run;
  };

  describe('to the target while it is filled', () => {
    it('stay: a key that was not reached yet, one that was copied, and one that was deleted', async () => {
      const prefix = '/during/';
      const run = await holdInTheMiddle(prefix);
      const [first, second, last] = [keyAt(prefix, 0), keyAt(prefix, 1), keyAt(prefix, 1999)];
      await putV3(target, last, 'newer');
      await putV3(target, first, 'newer');
      await deleteV3(target, second);
      run.kill('SIGCONT');
      const { exitCode, document } = await run.output;
      expect({ exitCode, document }).toMatchObject({
        exitCode: 7,
        document: {
          outcome: 'deviated',
          counts: { written: 1999, kept: 1 },
          verify: {
            verdict: 'differ',
            differences: [
              { key: { text: first }, what: 'value differs' },
              { key: { text: second }, what: 'missing in the target' },
              { key: { text: last }, what: 'value differs' },
            ],
          },
        },
      });
      const texts = await readTexts(target, prefix);
      expect([texts[first], texts[second], texts[last]]).toEqual(['newer', undefined, 'newer']);
      expect(await folder.run(['verify', 'move'])).toMatchObject({ exitCode: 7 });
      // Going back takes what nobody changed.
      expect(await folder.run(['rollback', 'move', '--yes'])).toMatchObject({
        exitCode: 0,
        document: { removed: 1997, left: 2 },
      });
      expect(await readTexts(target, prefix)).toEqual({ [first]: 'newer', [last]: 'newer' });
    });

    it('of the very value that is to be written count as equal, and are not taken for their own when going back', async () => {
      const prefix = '/same/';
      const run = await holdInTheMiddle(prefix);
      await putV3(target, keyAt(prefix, 1999), 'value 1999');
      run.kill('SIGCONT');
      expect(await run.output).toMatchObject({ document: { counts: { written: 1999, equal: 1 } } });
      expect((await folder.run(['rollback', 'move', '--yes'])).exitCode).toBe(0);
      expect(await readTexts(target, prefix)).toEqual({ [keyAt(prefix, 1999)]: 'value 1999' });
    });
  });

  describe('to the source by someone who was not stopped', () => {
    it('while it is copied end in a deviation', async () => {
      const prefix = '/source/';
      const run = await holdInTheMiddle(prefix);
      await putV2(source, keyAt(prefix, 1998), { value: 'newer in the source' });
      run.kill('SIGCONT');
      expect(await run.output).toMatchObject({
        exitCode: 7,
        document: {
          outcome: 'deviated',
          verify: { verdict: 'differ', differences: [{ key: { text: keyAt(prefix, 1998) } }] },
        },
      });
    });

    it('without an end are never passed over in silence', async () => {
      const prefix = '/busy/';
      await open(prefix, 3000);
      const stop = new AbortController();
      const writer = (async () => {
        for (let i = 0; !stop.signal.aborted; i += 1)
          await putV2(source, keyAt(prefix, i % 3000), { value: `again ${i}` });
      })();
      try {
        for (let round = 0; round < 3; round += 1) {
          expect((await plan()).exitCode).toBe(0);
          expect(await apply()).toMatchObject({ exitCode: 3, document: { error: { code: 'plan.stale' } } });
        }
        expect(await readTexts(target, prefix)).toEqual({});
        stop.abort();
        await writer;
        // It starts again once the plan was found to hold.
        expect((await plan()).exitCode).toBe(0);
        const run = folder.start(['apply', 'move.kfplan']);
        await run.reaches('apply.started');
        await Promise.all(
          Array.from({ length: 100 }, (_, i) => putV2(source, keyAt(prefix, 30 * i), { value: `late ${i}` })),
        );
        expect(await run.output).toMatchObject({ exitCode: 7, document: { outcome: 'deviated' } });
      } finally {
        stop.abort();
        await writer;
      }
    });
  });
});
