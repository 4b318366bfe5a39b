/**
 * Goal: whatever moment a run is killed at, the next one goes on, nothing is lost or written twice, and the counts add up
 * to the plan's; and the way back is as safe.
 * Method: SIGKILL behind a log line that a seed chooses, again and again, until a run comes to its end. The lines that a
 * run writes are its own moments, so no time is guessed.
 */
import { loadV2Keys, serverOrSkip, startEtcd, type EtcdServer } from '@keyferry/servers';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { readTexts, readV3 } from './etcd-data.ts';
import { MigrationFolder, until, type LoggedRun } from './migration-folder.ts';
import { randomOf } from './seeded-random.ts';

const [old, current] = await Promise.all([serverOrSkip('etcd-3.4'), serverOrSkip('etcd-3.5')]);
const note = [old, current].find((server) => !server.ok)?.note ?? '';
const keyCount = 20_000;
const chunkKeys = 500;
const entries = Array.from({ length: keyCount }, (_, i) => ({ key: `/config/${i % 100}/${i}`, value: `value ${i}` }));
const expected = Object.fromEntries(entries.map(({ key, value }) => [key, value]));

describe.skipIf(!old.ok || !current.ok)(`runs that are killed${note}`, () => {
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

  /** @returns whether the kill came in time */
  const killAfter = async (run: LoggedRun, lines: number): Promise<boolean> => {
    let ended = false;
    void run.ended.then(() => (ended = true));
    await until(async () => ended || (await run.log()).length >= lines);
    run.kill('SIGKILL');
    return (await run.ended) === null;
  };

  /** Kills runs of a command, each within its first so many log lines, until one comes to its end. */
  const killUntilItEnds = async (args: readonly string[], linesMax: number, seed: number) => {
    const random = randomOf(seed);
    for (let kills = 0; ; kills += 1) {
      const run = folder.start(args);
      const lines = 1 + Math.floor(random() * linesMax);
      if (!(await killAfter(run, lines))) return { kills, last: await run.output };
      // A run that is killed before its first chunk brings nothing forward; a seed of such alone would never end.
      expect(kills, `seed ${seed}`).toBeLessThan(200);
    }
  };

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

  it(
    'come to their end after any number of kill -9, with the counts of the plan, and go back the same way',
    { timeout: 400_000 },
    async () => {
      const seed = 20_240_917;
      await planTo('/killed/');
      const { kills, last } = await killUntilItEnds(['apply', 'move.kfplan'], 16, seed);
      expect(kills, `seed ${seed}`).toBeGreaterThan(3);
      expect(last, `seed ${seed}`).toMatchObject({
        exitCode: 0,
        document: {
          outcome: 'done',
          resumed: true,
          counts: { written: keyCount, equal: 0, kept: 0, tombstoned: 0, deadLetters: 0, notCarried: 100 },
          verify: { verdict: 'agree', targetOnly: 0 },
          deviations: [],
        },
      });
      expect(await readTexts(target, '/killed/')).toEqual(under('/killed/'));
      expect((await folder.run(['verify', 'move'])).exitCode).toBe(0);
      // Written once each: a repeat would have raised the version.
      const versions = new Set([...(await readV3(target, '/killed/')).values()].map(({ version }) => version));
      expect([...versions]).toEqual(['1']);

      const back = await killUntilItEnds(['rollback', 'move', '--yes'], 3, seed + 1);
      // A kill can come between the last step of a rollback and the end of its process: then there is nothing left to do.
      const { phase } = ((await folder.run(['status', 'move'])).document as { migrations: { phase: string }[] })
        .migrations[0] ?? { phase: 'none' };
      expect(phase).toBe('rolled-back');
      // A kill right behind a removal loses its count; then what was left is not known, and is not claimed to be.
      const { changed = 0, left = null } = back.last.document as { changed?: number; left?: number | null };
      expect([changed, left === null || left === 0]).toEqual([0, true]);
      expect((await readV3(target, '/killed/')).size).toBe(0);
      expect([...(await readV3(target, 'own/killed/')).keys()]).toEqual(['own/killed/move/epoch']);
    },
  );
});
