/**
 * Goal: applications that read no switch are led over by a program or by a person, there and back, and lose no write.
 * Method: the built binary on etcd; a program of the user's that an application obeys; and a person at a terminal, who is
 * asked, stops the writers and says so, or says so beforehand (`--confirm`).
 */
import { spawn, spawnSync } from 'node:child_process';
import { chmod, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { serverOrSkip, startEtcd, type EtcdServer } from '@keyferry/servers';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { MigrationFolder, until } from './migration-folder.ts';
import { Application, v3Store } from './replicate-application.ts';

const available = await serverOrSkip('etcd-3.5');
/** A terminal for a program, of every Linux distribution. */
const hasTerminal = spawnSync('script', ['--version']).status === 0;
const bin = join(import.meta.dirname, '../../bin/keyferry.js');
const terms = { pauseMax: '90s', requestLife: '1s' };

/** Where applications are led, as they read it; a rename is whole or not there. */
const program = `#!/bin/sh
case "$1" in hold) writes=held ;; *) writes=open ;; esac
printf '{"primary":"%s","writes":"%s","epoch":%s}' "$2" "$writes" "$3" > led.new && mv led.new led
`;

describe.skipIf(!available.ok)(`applications that are led${available.note}`, () => {
  let server: EtcdServer;
  let endpoint: string;
  let folder: MigrationFolder;
  let app: Application;

  beforeAll(async () => {
    server = await startEtcd({ version: '3.5', unsafeNoFsync: true });
    endpoint = server.endpoints[0] as string;
  });
  afterEach(async () => {
    await app?.stop().catch(() => undefined);
    await folder?.remove();
  });
  afterAll(() => server?.stop());

  /** Proven equal, and an application at work that does as `led` says. */
  async function replicated(name: string, freeze: unknown, led: () => Promise<string | null>) {
    const [source, target] = [`/${name}/from/`, `/${name}/to/`];
    folder = await MigrationFolder.create({
      source: { kind: 'etcd-v3', endpoints: server.endpoints },
      target: { kind: 'etcd-v3', endpoints: server.endpoints },
      prefix: source,
      targetPrefix: target,
      settings: { strategy: 'replicate', replicate: { freeze, ...terms } },
    });
    await folder.write('switch.sh', program);
    await chmod(folder.file('switch.sh'), 0o755);
    const stores = { source: v3Store(endpoint, source), target: v3Store(endpoint, target) };
    app = new Application(stores, led);
    app.start();
    expect((await folder.run(['plan', 'move', '--out', 'move.kfplan'])).exitCode).toBe(0);
    expect((await folder.run(['apply', 'move.kfplan'])).exitCode).toBe(0);
    return stores;
  }

  async function goesOn(): Promise<void> {
    const before = app.writes;
    await until(() => Promise.resolve(app.writes > before + 20));
  }

  it('by a program, there and back', async () => {
    const led = () => readFile(folder.file('led'), 'utf8').catch(() => null);
    const stores = await replicated('program', { command: ['./switch.sh'] }, led);
    const cut = await folder.run(['cutover', 'move', '--yes']);
    expect([cut.exitCode, cut.document]).toMatchObject([0, { strays: [] }]);
    expect(JSON.parse((await led()) ?? '')).toEqual({ primary: 'target', writes: 'open', epoch: 2 });
    await goesOn();
    const back = await folder.run(['rollback', 'move', '--yes']);
    expect([back.exitCode, back.document]).toMatchObject([0, { ledBack: { strays: [] }, left: 0 }]);
    expect(JSON.parse((await led()) ?? '')).toEqual({ primary: 'source', writes: 'open', epoch: 4 });
    await goesOn();
    await app.stop();
    expect(await stores.source.read()).toEqual(Object.fromEntries(app.tally));
    expect(await stores.target.read()).toEqual({});
  }, 120_000);

  it.skipIf(!hasTerminal)(
    'by a person, who is asked, or has said so beforehand',
    async () => {
      let primary = 'source';
      const stores = await replicated('person', 'person', () => Promise.resolve(JSON.stringify({ primary })));
      const unasked = await folder.run(['cutover', 'move', '--yes']);
      expect([unasked.exitCode, unasked.document]).toMatchObject([4, { error: { code: 'cutover.unconfirmed' } }]);
      await goesOn();

      const asked = await atTerminal(['cutover', 'move', '--yes'], 'then type   stopped:', async () => {
        await app.stop();
        return 'stopped';
      });
      expect(asked).toMatchObject({ exitCode: 0 });
      expect(asked.shown).toContain('lead reads and writes to the target, and let them begin');
      primary = 'target';
      app.start();
      await goesOn();
      expect((await folder.run(['status', 'move'])).document).toMatchObject({ migrations: [{ phase: 'cut-over' }] });

      await app.stop();
      const back = await folder.run(['rollback', 'move', '--yes', '--confirm']);
      expect([back.exitCode, back.document]).toMatchObject([0, { ledBack: { strays: [] }, left: 0 }]);
      expect(await stores.source.read()).toEqual(Object.fromEntries(app.tally));
      expect(await stores.target.read()).toEqual({});
    },
    120_000,
  );

  /** Runs it in a terminal, and types what `answer` says once the question is there. */
  function atTerminal(args: readonly string[], question: string, answer: () => Promise<string>) {
    return new Promise<{ exitCode: number | null; shown: string }>((resolve, reject) => {
      const command = [process.execPath, bin, ...args].join(' ');
      const { CI: _ci, INIT_CWD: _folder, ...env } = process.env;
      const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
        cwd: folder.path,
        env: { ...env, NO_COLOR: '1', TERM: 'xterm' },
      });
      let shown = '';
      let isAnswered = false;
      child.stdout.on('data', (chunk: Buffer) => {
        shown += chunk.toString();
        if (isAnswered || !shown.includes(question)) return;
        isAnswered = true;
        answer().then((text) => child.stdin.write(`${text}\n`), reject);
      });
      child.on('error', reject);
      child.on('close', (exitCode) => resolve({ exitCode, shown }));
    });
  }
});
