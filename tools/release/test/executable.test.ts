/**
 * Goal: the single executable does the whole job on a host that has nothing: no Node, no package, no checkout.
 * Method: built as `npm run build:executable` builds it, copied away, and run with an empty PATH; embedded stores, a
 * real etcd (its protocol is put in by the bundler), and what a command line finds by itself.
 */
import { copyFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { etcdctl, serverOrSkip, startEtcd } from '@keyferry/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildExecutable } from '../src/executable.ts';
import { emptyFolder, program, root, runExample, type Program } from './program.ts';

const etcd = await serverOrSkip('etcd-3.5');

let built: string;
let folder: string;
let keyferry: Program;
beforeAll(async () => {
  [built, folder] = [await emptyFolder(), await emptyFolder()];
  const { file } = await buildExecutable(root, built);
  const copy = join(folder, 'keyferry');
  await copyFile(file, copy);
  await rm(built, { recursive: true });
  keyferry = program([copy]);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the executable', () => {
  it('says its version and help', async () => {
    const version = await keyferry(['--version'], folder);
    expect(version).toMatchObject({ code: 0, stderr: '', stdout: expect.stringMatching(/^keyferry\/\d/) as string });
    const help = await keyferry(['--help'], folder);
    expect(help).toMatchObject({ code: 0, stderr: '', stdout: expect.stringContaining('locks') as string });
    expect((await keyferry(['locks'], folder)).stdout).toContain('locks break');
    expect((await keyferry(['help', 'plan'], folder)).stdout).toContain('--out');
  });

  it('runs example 01: plan, apply, verify', async () => {
    const [plan, apply, verify] = await runExample(keyferry, folder);
    expect(plan).toMatchObject({ code: 0, stdout: expect.stringContaining('Plan: 396 to create') as string });
    expect(apply).toMatchObject({ code: 0, stdout: expect.stringContaining('both sides agree') as string });
    expect(verify).toMatchObject({ code: 0, stdout: expect.stringContaining('both sides agree') as string });
  });

  it('suggests, fails and explains as the installed one does', async () => {
    const wrong = await keyferry(['plann'], folder);
    expect([wrong.code, wrong.stderr]).toEqual([64, expect.stringContaining('did you mean:   keyferry plan')]);
    const flag = await keyferry(['plan', 'x', '--ot', 'f'], folder);
    expect([flag.code, flag.stderr]).toEqual([64, expect.stringContaining('did you mean --out?')]);
    expect((await keyferry(['explain', 'plan.stale'], folder)).stdout).toContain('exit    3');
    expect(JSON.parse((await keyferry(['schema', 'events'], folder)).stdout)).toMatchObject({
      title: 'keyferry.events 1',
    });
  });

  it.skipIf(!etcd.ok)(`writes to a real etcd v3${etcd.ok ? '' : etcd.note}`, async () => {
    const server = await startEtcd({ version: '3.5', unsafeNoFsync: true });
    try {
      const rows = ['a', 'b', 'c'].map((name) => JSON.stringify({ key: `/config/${name}`, value: name }));
      await writeFile(join(folder, 'rows.ndjson'), `${rows.join('\n')}\n`);
      const config = {
        version: 1,
        stores: {
          old: { kind: 'file', path: 'rows.ndjson', format: 'ndjson' },
          new: { kind: 'etcd-v3', endpoints: server.endpoints },
        },
        migrations: {
          move: {
            source: { store: 'old', prefix: '/config/' },
            target: { store: 'new', prefix: '/config/' },
            strategy: 'offline',
          },
        },
      };
      await writeFile(join(folder, 'etcd.yaml'), JSON.stringify(config));
      const applied = await keyferry(['apply', 'move', '--yes', '-c', 'etcd.yaml'], folder);
      expect([applied.code, applied.stdout]).toEqual([0, expect.stringContaining('both sides agree')]);
      expect(await etcdctl(server, ['get', '/config/b', '--print-value-only'])).toBe('b\n');
    } finally {
      await server.stop();
    }
  });
});

describe('any executable that is built this way', () => {
  it("loads a user's module from the disk, also TypeScript, with what that imports", async () => {
    const place = await emptyFolder();
    try {
      const entry = join(place, 'entry.ts');
      await writeFile(
        entry,
        [
          "import { pathToFileURL } from 'node:url';",
          'void (async () => {',
          "  const { default: rule } = await import(pathToFileURL(process.argv[2] ?? '').href);",
          "  process.stdout.write(rule({ key: 'a' }));",
          '})();',
        ].join('\n'),
      );
      await writeFile(join(place, 'prefix.ts'), "export const prefix: string = '/routes/';\n");
      await writeFile(
        join(place, 'rule.ts'),
        [
          "import { posix } from 'node:path';",
          "import { prefix } from './prefix.ts';",
          'interface Moving { readonly key: string }',
          'export default ({ key }: Moving): string => posix.join(prefix, key);',
        ].join('\n'),
      );
      const { file } = await buildExecutable(root, join(place, 'out'), entry);
      expect(await program([file])([join(place, 'rule.ts')], place)).toEqual({
        code: 0,
        stdout: '/routes/a',
        stderr: '',
      });
    } finally {
      await rm(place, { recursive: true, force: true });
    }
  });
});
