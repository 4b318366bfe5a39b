/**
 * Goal: an application that follows etcd's own guide, without keyferry's client, is led from etcd v2 to etcd v3 by a key that
 * turns `true`: nothing that it writes is lost, and it is told beforehand what it has to see to itself (SPEC R113).
 * Method: the built binary on a real server, beside an application that reads etcd v3 first and then etcd v2, and writes
 * etcd v3, until the key is true. Its own tally is what etcd v3 is held against.
 */
import assert from 'node:assert/strict';
import { serverOrSkip, startEtcd, type EtcdServer } from '@keyferry/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MigrationFolder, until } from './migration-folder.ts';
import { textAtV3, v2Store, v3Store, type ApplicationStore } from './replicate-application.ts';

const key = '/app-switch';
const keysEach = 24;

class GuideApplication {
  readonly tally = new Map<string, string>();
  rounds = 0;
  /** Whether it looks into etcd v2 no more. */
  hasSwitched = false;
  private isOver = false;
  private readonly old: ApplicationStore;
  private readonly new: ApplicationStore;
  private readonly isTrue: () => Promise<boolean>;

  constructor(old: ApplicationStore, target: ApplicationStore, isTrue: () => Promise<boolean>) {
    this.old = old;
    this.new = target;
    this.isTrue = isTrue;
  }

  async work(): Promise<void> {
    for (; !this.isOver; this.rounds += 1) {
      this.hasSwitched = await this.isTrue();
      const name = `k${this.rounds % keysEach}`;
      // As many are left as they were, for them to be copied.
      if (this.rounds % keysEach < keysEach / 2) {
        await this.new.put(name, `round ${this.rounds}`);
        this.tally.set(name, `round ${this.rounds}`);
      }
      const found = (await this.new.read())[name] ?? (this.hasSwitched ? undefined : (await this.old.read())[name]);
      assert.equal(found, this.tally.get(name), `${name}, ${this.hasSwitched ? 'behind' : 'before'} the switch`);
    }
  }

  end(): void {
    this.isOver = true;
  }

  async moreRounds(count = keysEach): Promise<void> {
    const goal = this.rounds + count;
    await until(async () => this.rounds >= goal);
  }
}

const available = await serverOrSkip('etcd-3.4');
describe.skipIf(!available.ok)(`an application that follows the guide of etcd${available.note}`, () => {
  let server: EtcdServer;
  let folder: MigrationFolder;
  beforeAll(async () => {
    server = await startEtcd({ version: '3.4', enableV2: true, unsafeNoFsync: true });
  });
  afterAll(async () => {
    await folder?.remove();
    await server?.stop();
  });

  it('is led over by a key that turns true, and back to nowhere', async () => {
    const endpoint = server.endpoints[0] as string;
    const [old, target] = [v2Store(endpoint, '/app/'), v3Store(endpoint, '/app/')];
    const isTrue = async (): Promise<boolean> => (await textAtV3(endpoint, key)) === 'true';
    const app = new GuideApplication(old, target, isTrue);
    for (let i = 0; i < keysEach; i += 1) {
      await old.put(`k${i}`, `old ${i}`);
      app.tally.set(`k${i}`, `old ${i}`);
    }
    folder = await MigrationFolder.create({
      source: { kind: 'etcd-v2', endpoints: server.endpoints },
      target: { kind: 'etcd-v3', endpoints: server.endpoints },
      prefix: '/app/',
      settings: {
        strategy: 'dual-read',
        switch: { store: 'new', key, form: 'guide' },
        instances: { min: 1, barrierTimeout: '60s', requestLife: '1s' },
        onConflict: 'keep-target',
      },
    });
    const working = app.work();
    await Promise.race([working, app.moreRounds(10)]);

    const planned = await folder.run(['plan', 'move', '--out', 'move.kfplan']);
    expect([planned.exitCode, planned.document]).toMatchObject([
      0,
      {
        online: { followedBy: 'time', writePauseMaxMs: 0 },
        findings: expect.arrayContaining([expect.objectContaining({ code: 'online.by-time', accept: true })]) as object,
      },
    ]);
    const refused = await folder.run(['apply', 'move.kfplan']);
    expect([refused.exitCode, refused.stdout + refused.stderr]).toEqual([4, expect.stringContaining('online.by-time')]);
    const applied = await folder.run(['apply', 'move.kfplan', '--accept', 'online.by-time']);
    expect([applied.exitCode, applied.document]).toMatchObject([0, { outcome: 'done', online: { mode: 'migrating' } }]);
    expect(await isTrue()).toBe(false);
    await Promise.race([working, app.moreRounds()]);
    expect((await folder.run(['status', 'move'])).document).toMatchObject({
      migrations: [
        {
          online: { mode: 'migrating', followedBy: 'time', instances: [] },
          next: 'keyferry cutover move',
          wayBack: null,
        },
      ],
    });
    const back = await folder.run(['rollback', 'move', '--yes']);
    expect([back.exitCode, back.stdout + back.stderr]).toEqual([1, expect.stringContaining('switch.no-way-back')]);

    expect(await folder.run(['cutover', 'move', '--yes'])).toMatchObject({ exitCode: 0 });
    expect(await isTrue()).toBe(true);
    await Promise.race([working, until(async () => app.hasSwitched)]);
    await Promise.race([working, app.moreRounds()]);
    expect(await folder.run(['finalize', 'move', '--yes'])).toMatchObject({ exitCode: 0 });
    await Promise.race([working, app.moreRounds(10)]);
    app.end();
    await working;
    expect(await target.read()).toEqual(Object.fromEntries(app.tally));
    expect(await isTrue()).toBe(true);
  }, 300_000);
});
