/**
 * Goal: through the command line, into Consul and out of it, nothing is lost, written twice or left behind, whatever kills
 * a run, and the way back restores values and flags exactly.
 * Method: the built binary between real servers; stores are read over their own HTTP APIs.
 */
import {
  consulVersions,
  loadV2Keys,
  serverOrSkip,
  startConsul,
  startEtcd,
  type ConsulServer,
  type EtcdServer,
} from '@keyferry/servers';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { callConsul, loadConsul, readConsul, readConsulTexts } from './consul-data.ts';
import { readTexts } from './etcd-data.ts';
import { findingsWith, MigrationFolder, until, type MigrationOptions } from './migration-folder.ts';
import { randomOf } from './seeded-random.ts';

const keyCount = 3000;
const entries = Array.from({ length: keyCount }, (_, i) => ({ key: `/config/${i % 50}/${i}`, value: `value ${i}` }));

for (const version of consulVersions) {
  const [consul, etcd] = await Promise.all([serverOrSkip(`consul-${version}`), serverOrSkip('etcd-3.5')]);
  const note = [consul, etcd].find((server) => !server.ok)?.note ?? '';
  describe.skipIf(!consul.ok || !etcd.ok)(`Consul ${version}${note}`, () => {
    let server: ConsulServer;
    let other: EtcdServer;
    const folders: MigrationFolder[] = [];
    const inConsul = (more: object = {}) => ({ kind: 'consul', endpoints: server.endpoints, ...more });
    const open = async (options: MigrationOptions): Promise<MigrationFolder> => {
      const folder = await MigrationFolder.create(options);
      folders.push(folder);
      return folder;
    };
    const plan = async (folder: MigrationFolder, exitCode = 0) => {
      const planned = await folder.run(['plan', 'move', '--out', 'move.kfplan']);
      expect({ stderr: planned.stderr, exitCode: planned.exitCode }).toMatchObject({ exitCode });
      return planned.document;
    };
    const into = (prefix: string): Record<string, string> =>
      Object.fromEntries(entries.map(({ key, value }) => [key.replace('/config/', prefix), value]));

    beforeAll(async () => {
      [server, other] = await Promise.all([
        startConsul({ version }),
        startEtcd({ version: '3.5', enableV2: true, unsafeNoFsync: true }),
      ]);
      await loadV2Keys(other.endpoints[0] ?? '', entries);
    });
    afterEach(() => Promise.all(folders.splice(0).map((folder) => folder.remove())));
    afterAll(() => Promise.all([server?.stop(), other?.stop()]));

    it('gets all of an etcd v2 once, through any number of kill -9, and is as it was after a rollback', async () => {
      const seed = 20_261_127;
      const random = randomOf(seed);
      const folder = await open({
        source: { kind: 'etcd-v2', endpoints: other.endpoints },
        target: inConsul(),
        targetPrefix: 'killed/',
        settings: { limits: { chunkKeys: 100, workers: 2 } },
      });
      await plan(folder);
      for (let kills = 0; ; kills += 1) {
        const run = folder.start(['apply', 'move.kfplan']);
        let ended = false;
        void run.ended.then(() => (ended = true));
        const lines = 6 + Math.floor(random() * 30);
        await until(async () => ended || (await run.log()).length >= lines);
        run.kill('SIGKILL');
        if ((await run.ended) === null) {
          expect(kills, `seed ${seed}`).toBeLessThan(100);
          continue;
        }
        expect(kills, `seed ${seed}`).toBeGreaterThan(1);
        expect(await run.output, `seed ${seed}`).toMatchObject({
          exitCode: 0,
          document: { outcome: 'done', counts: { written: keyCount, equal: 0, kept: 0 }, verify: { verdict: 'agree' } },
        });
        break;
      }
      const records = await readConsul(server, 'killed/');
      expect(await readConsulTexts(server, 'killed/')).toEqual(into('killed/'));
      // Written once each: a repeat would have moved the second index.
      expect([...records.values()].filter(({ createIndex, modifyIndex }) => createIndex !== modifyIndex)).toEqual([]);
      expect((await folder.run(['verify', 'move'])).exitCode).toBe(0);
      const back = await folder.run(['rollback', 'move', '--yes']);
      expect({ exitCode: back.exitCode, document: back.document }).toMatchObject({ exitCode: 0 });
      expect([...(await readConsul(server, 'killed/')).keys()]).toEqual([]);
      const own = [...(await readConsul(server, '_keyferry/move/')).keys()];
      expect(own).toEqual(['_keyferry/move/epoch', '_keyferry/move/lock']);
    });

    it('has what differs overwritten and what is over deleted, and gets all of it back, flags and all', async () => {
      const there = [
        { key: 'over/0/0', value: 'theirs', flags: 42 },
        { key: 'over/1/1', value: 'value 1' },
        { key: 'over/old/a', value: 'to go', flags: 7 },
      ];
      await loadConsul(server, there);
      const before = await readConsulTexts(server, 'over/');
      const folder = await open({
        source: { kind: 'etcd-v2', endpoints: other.endpoints },
        target: inConsul({ reservedPrefix: 'own/over/' }),
        targetPrefix: 'over/',
        settings: { onConflict: 'overwrite', prune: true },
      });
      const planned = await plan(folder);
      expect(planned).toMatchObject({
        totals: { actions: { create: { keys: keyCount - 2 }, overwrite: { keys: 1 }, delete: { keys: 1 } } },
      });
      const accept = ['--accept', 'guard.deletes', '--accept', 'prune.unproven'];
      const applied = await folder.run(['apply', 'move.kfplan', ...accept]);
      expect(applied).toMatchObject({
        exitCode: 0,
        document: { outcome: 'done', counts: { written: keyCount - 2, overwritten: 1, deleted: 1, equal: 1 } },
      });
      expect(await readConsulTexts(server, 'over/')).toEqual(into('over/'));
      expect((await folder.run(['rollback', 'move', '--yes'])).exitCode).toBe(0);
      expect(await readConsulTexts(server, 'over/')).toEqual(before);

      await plan(folder);
      expect((await folder.run(['apply', 'move.kfplan', ...accept])).exitCode).toBe(0);
      expect((await folder.run(['finalize', 'move', '--yes'])).exitCode).toBe(0);
      const own = await readConsul(server, 'own/over/');
      expect([...own.keys()]).toEqual(['own/over/move/done', 'own/over/move/epoch', 'own/over/move/lock']);
      expect(JSON.parse(own.get('own/over/move/done')?.value ?? '')).toMatchObject({ format: 'keyferry.done' });
      expect((await folder.run(['rollback', 'move', '--yes'])).exitCode).not.toBe(0);
    });

    it('goes to etcd v3 as it is, without what it keeps beside values, which must be accepted', async () => {
      await loadConsul(server, [
        { key: 'app/a', value: '1' },
        { key: 'app/a/b', value: 'ä\u0000' },
        { key: 'app/flagged', value: 'v', flags: 9 },
      ]);
      const session = (await callConsul(server, 'PUT', 'session/create', '{"TTL":"3600s"}')) as { ID: string };
      await callConsul(server, 'PUT', `kv/app/lock?acquire=${session.ID}`, 'holder');
      const options = { source: inConsul(), target: { kind: 'etcd-v3', endpoints: other.endpoints }, prefix: 'app/' };
      const folder = await open(options);
      expect(await plan(folder)).toMatchObject({
        totals: { actions: { create: { keys: 2 } }, notCarried: { 'flags.set': 1, 'lock.held': 1 } },
        findings: findingsWith({ code: 'source.left-out', count: 1, accept: true }),
      });
      expect((await folder.run(['apply', 'move.kfplan'])).exitCode).not.toBe(0);
      const applied = await folder.run(['apply', 'move.kfplan', '--accept', 'source.left-out']);
      expect(applied).toMatchObject({ exitCode: 0, document: { counts: { written: 2, notCarried: 2 } } });
      expect(await readTexts(other.endpoints[0] ?? '', 'app/')).toEqual({ 'app/a': '1', 'app/a/b': 'ä\u0000' });
      expect((await folder.run(['finalize', 'move', '--yes'])).exitCode).toBe(0);
    });

    it('is asked what it can hold before anything is written', async () => {
      const folder = await open({
        source: { kind: 'file', path: 'source.ndjson', format: 'ndjson' },
        target: inConsul({ reservedPrefix: 'own/unfit/' }),
        prefix: '',
        targetPrefix: '',
      });
      const records = [
        { key: '/leading', value: 'v' },
        { key: 'a//b', value: 'v' },
        { key: 'a/../b', value: 'v' },
        { key: { base64: Buffer.from([0x61, 0xff]).toString('base64') }, value: 'v' },
        { key: 'large', value: 'x'.repeat(400_000) },
        { key: 'own/unfit/x', value: 'v' },
      ];
      await folder.write('source.ndjson', records.map((record) => `${JSON.stringify(record)}\n`).join(''));
      const planned = await plan(folder, 4);
      for (const wanted of [
        { code: 'record.unfit', count: 4 },
        { code: 'value.too-large', count: 1 },
        { code: 'key.reserved', count: 1 },
      ]) {
        expect(planned).toMatchObject({ applyable: false, findings: findingsWith(wanted) });
      }
      expect((await readConsul(server, 'own/unfit/')).size).toBe(0);
    });

    describe('told on many hosts at once, none of which knows of the others', () => {
      const optionsOf = (name: string, limits: object = {}): MigrationOptions => ({
        source: { kind: 'etcd-v2', endpoints: other.endpoints },
        target: inConsul({ reservedPrefix: `own/${name}/` }),
        targetPrefix: `${name}/`,
        settings: { limits: { chunkKeys: 100, ...limits } },
      });
      const hosts = (count: number, name: string, limits: object = {}) =>
        Promise.all(Array.from({ length: count }, () => open(optionsOf(name, limits))));

      it('is migrated by exactly one, and the others wait and answer that it is done', async () => {
        const fleet = await hosts(3, 'fleet');
        const command = ['apply', 'move', '--finalize', '--yes', '--lock-timeout', '5m'];
        const ended = await Promise.all(fleet.map((folder) => folder.run(command)));
        expect(ended.map(({ exitCode, stderr }) => ({ exitCode, stderr: exitCode === 0 ? '' : stderr }))).toEqual(
          ended.map(() => ({ exitCode: 0, stderr: '' })),
        );
        const formats = ended.map(({ document }) => (document as { format: string }).format);
        expect(formats.toSorted()).toEqual(['keyferry.already-done', 'keyferry.already-done', 'keyferry.finalize']);
        const markers = ended.map(({ document }) => (document as { marker: { by: string } }).marker);
        for (const marker of markers) expect(marker).toEqual(markers[0]);
        expect(await readConsulTexts(server, 'fleet/')).toEqual(into('fleet/'));
        const done = (await readConsul(server, 'own/fleet/')).get('own/fleet/move/done');
        expect(JSON.parse(done?.value ?? '')).toMatchObject({ migration: 'move', by: markers[0]?.by });
        // A host that is told much later answers at once; and the log of each says it in a line.
        const [late] = await hosts(1, 'fleet');
        const answered = late?.start(['apply', 'move', '--finalize', '--yes']);
        expect(await answered?.output).toMatchObject({ exitCode: 0, document: { outcome: 'already-done' } });
        const lines = (await answered?.log())?.map(({ message }) => message) ?? [];
        expect(lines.filter((line) => line.startsWith(`already done by ${markers[0]?.by ?? ''}`))).toHaveLength(1);
      });

      it('stays where it is once the one that had its turn did not finish', async () => {
        const [first, second, third] = (await hosts(3, 'failed', { rate: '1/s' })) as [
          MigrationFolder,
          MigrationFolder,
          MigrationFolder,
        ];
        const command = ['apply', 'move', '--finalize', '--yes'];
        const running = first.start(command);
        await running.reaches('chunk.claimed');
        expect(await third.run(command)).toMatchObject({
          exitCode: 5,
          document: { error: { code: 'lease.elsewhere' } },
        });
        const waiting = second.start([...command, '--lock-timeout', '5m']);
        await waiting.reaches('turn.waiting');
        running.kill('SIGINT');
        expect((await running.output).exitCode).toBe(130);
        const unfinished = { exitCode: 1, document: { error: { code: 'lease.unfinished' } } };
        expect(await waiting.output).toMatchObject(unfinished);
        // Nor does one that comes later try its luck.
        expect(await third.run(command)).toMatchObject(unfinished);
        expect([...(await readConsul(server, 'own/failed/move/done')).keys()]).toEqual([]);
        // The one that began it goes on, and brings it to its end.
        await first.configure(optionsOf('failed'));
        expect(await first.run(command)).toMatchObject({ exitCode: 0, document: { format: 'keyferry.finalize' } });
        expect(await readConsulTexts(server, 'failed/')).toEqual(into('failed/'));
        expect(await third.run(command)).toMatchObject({ exitCode: 0, document: { outcome: 'already-done' } });
      });
    });
  });
}
