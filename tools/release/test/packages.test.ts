/**
 * Goal: what `npm publish` would upload works for whoever installs it, and holds what it says and nothing else.
 * Method: all packages packed, looked into, installed together into an empty folder, and example 01 run from there.
 * Libraries come from npm's cache where it has them.
 */
import { execFile } from 'node:child_process';
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packAll, shipped } from '../src/pack.ts';
import { emptyFolder, program, root, runExample, type Program } from './program.ts';

const run = promisify(execFile);

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly bin?: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
  readonly dependencies: Readonly<Record<string, string>>;
}

let folder: string;
let tarballs: readonly string[];
beforeAll(async () => {
  folder = await emptyFolder();
  tarballs = await packAll(root, join(folder, 'tarballs'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe.each(shipped.map((name, at) => ({ name, at })))('the package of $name', ({ at }) => {
  let files: readonly string[];
  let manifest: Manifest;
  let own: string;
  beforeAll(async () => {
    own = join(folder, `package-${at}`);
    await mkdir(own);
    await run('tar', ['xzf', tarballs[at] ?? '', '-C', own, '--strip-components=1']);
    const entries = await readdir(own, { recursive: true, withFileTypes: true });
    files = entries
      .filter((each) => each.isFile())
      .map((each) => join(each.parentPath, each.name).slice(own.length + 1));
    manifest = JSON.parse(await readFile(join(own, 'package.json'), 'utf8')) as Manifest;
  });

  it('holds every file that it exports, with types, and every program', () => {
    const wanted = Object.values(manifest.exports).flatMap((each) =>
      typeof each === 'string' ? [each] : Object.values(each),
    );
    wanted.push(...Object.values(manifest.bin ?? {}));
    expect(wanted.map(normalize).filter((file) => !files.includes(file))).toEqual([]);
    for (const [subpath, each] of Object.entries(manifest.exports)) {
      if (typeof each !== 'string')
        expect(Object.keys(each), `export ${subpath}`).toEqual(['keyferry-source', 'types', 'default']);
    }
  });

  it('holds a licence, a README and no test, no cache and no leftover of an older build', () => {
    expect(files).toEqual(expect.arrayContaining(['LICENSE', 'README.md', 'package.json']));
    expect(files.filter((file) => /\.test(-d)?\.|tsbuildinfo|node_modules|\.log$/.test(file))).toEqual([]);
    const built = files.flatMap((file) => /^dist\/(.*)\.js$/.exec(file)?.[1] ?? []);
    expect(built.filter((each) => !files.includes(`${each}.ts`))).toEqual([]);
  });

  it('has a source for every source map', async () => {
    const maps = files.filter((file) => file.endsWith('.js.map'));
    expect(maps.length).toBeGreaterThan(0);
    for (const file of maps) {
      const { sources } = JSON.parse(await readFile(join(own, file), 'utf8')) as {
        readonly sources: readonly string[];
      };
      expect(
        sources.map((source) => normalize(join(dirname(file), source))).filter((source) => !files.includes(source)),
      ).toEqual([]);
    }
  });

  it('asks for exact versions, and of our own packages for this one', () => {
    for (const [name, wanted] of Object.entries(manifest.dependencies)) {
      expect(wanted, `version of ${name}`).toMatch(/^\d+\.\d+\.\d+(-[\w.]+)?$/);
      if (name.startsWith('@keyferry/')) expect(wanted, `version of ${name}`).toBe(manifest.version);
    }
  });
});

describe('all of them, installed together into an empty folder', () => {
  let keyferry: Program;
  beforeAll(async () => {
    const own = join(folder, 'installed');
    await mkdir(own);
    await writeFile(join(own, 'package.json'), JSON.stringify({ name: 'somewhere', private: true }));
    const { npm_config_local_prefix: _prefix, INIT_CWD: _folder, ...env } = process.env;
    await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', ...tarballs], {
      cwd: own,
      env,
    });
    keyferry = program([process.execPath, join(own, 'node_modules/.bin/keyferry')]);
  });

  it('say their version and help, by the manifest that was packed', async () => {
    const version = await keyferry(['--version'], folder);
    expect([version.code, version.stdout]).toEqual([0, expect.stringMatching(/^keyferry\/\d+\.\d+\.\d+ /)]);
    const help = await keyferry(['--help'], folder);
    expect([help.code, help.stdout, help.stderr]).toEqual([0, expect.stringContaining('apply'), '']);
    const manifest = JSON.parse(
      await readFile(join(folder, 'installed/node_modules/keyferry/oclif.manifest.json'), 'utf8'),
    ) as { readonly commands: object };
    expect(Object.keys(manifest.commands)).toContain('locks:break');
  });

  it('run example 01: plan, apply, verify', async () => {
    const place = await emptyFolder();
    try {
      const [plan, apply, verify] = await runExample(keyferry, place);
      expect(plan).toMatchObject({ code: 0, stdout: expect.stringContaining('Plan: 396 to create') as string });
      expect(apply).toMatchObject({ code: 0, stdout: expect.stringContaining('both sides agree') as string });
      expect(verify).toMatchObject({ code: 0, stdout: expect.stringContaining('both sides agree') as string });
    } finally {
      await rm(place, { recursive: true, force: true });
    }
  });

  it('run every command of their own from the bundle alone: nothing else is looked for at a start', async () => {
    const place = await emptyFolder();
    try {
      const bare = join(place, 'keyferry');
      for (const each of ['bin', 'bundle', 'package.json', 'oclif.manifest.json']) {
        await cp(join(folder, 'installed/node_modules/keyferry', each), join(bare, each), { recursive: true });
      }
      const alone = program([process.execPath, join(bare, 'bin/keyferry.js')]);
      const [plan, apply, verify] = await runExample(alone, place);
      expect([plan?.code, apply?.code, verify?.code]).toEqual([0, 0, 0]);
      // Named like this they are loaded, and then miss what they are about.
      const { commands } = JSON.parse(await readFile(join(bare, 'oclif.manifest.json'), 'utf8')) as {
        readonly commands: object;
      };
      for (const id of Object.keys(commands).filter((each) => !each.startsWith('lambda:'))) {
        const { code, stderr } = await alone([...id.split(':'), '--no-such-flag'], place);
        expect([id, code, stderr]).toEqual([id, 64, expect.stringContaining('--no-such-flag')]);
      }
      expect(await readFile(join(bare, 'bundle/THIRD-PARTY-LICENSES.txt'), 'utf8')).toContain('@oclif/core');
    } finally {
      await rm(place, { recursive: true, force: true });
    }
  });

  it('give their types to whoever compiles against them', async () => {
    const own = join(folder, 'installed');
    const source = [
      "import { codes, type PlanDocument } from '@keyferry/core';",
      "import { loadConfig } from '@keyferry/adapters';",
      "import { openEtcdV3Store } from '@keyferry/adapters/etcd-v3';",
      "import { makePlan } from '@keyferry/engine';",
      "export const summary: string = codes['plan.stale'].summary;",
      'export const plan = (...all: Parameters<typeof makePlan>): Promise<PlanDocument> => makePlan(...all);',
      '// @ts-expect-error a configuration is no text: with types that do not resolve this line would pass',
      "export const config: Promise<string> = loadConfig('keyferry.yaml');",
      '// @ts-expect-error no store without endpoints',
      "openEtcdV3Store({ name: 'new', nowMs: Date.now });",
    ];
    await writeFile(join(own, 'consumer.mts'), source.join('\n'));
    const types = ['--types', 'node', '--typeRoots', join(root, 'node_modules/@types')];
    const options = ['--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', '--target', 'es2024', ...types];
    const compiler = join(root, 'node_modules/typescript/lib/tsc.js');
    const compiled = await run(process.execPath, [compiler, ...options, 'consumer.mts'], { cwd: own }).catch(
      (failed: { readonly stdout: string }) => failed,
    );
    expect(compiled.stdout).toBe('');
  });

  it('print the schemas that they ship', async () => {
    const { code, stdout } = await keyferry(['schema', 'plan'], folder);
    expect([code, JSON.parse(stdout)]).toEqual([0, expect.objectContaining({ title: 'keyferry.plan 1' })]);
  });

  it('suggest a command for one that is not there', async () => {
    const { code, stderr } = await keyferry(['plann'], folder);
    expect([code, stderr]).toEqual([64, expect.stringContaining('did you mean:   keyferry plan')]);
  });

  it('complete commands and flags in bash', async () => {
    const home = await emptyFolder();
    try {
      expect(await keyferry(['autocomplete', 'bash'], home)).toMatchObject({ code: 0 });
      await writeFile(join(home, 'setup.sh'), (await keyferry(['autocomplete', 'script', 'bash'], home)).stdout);
      const completed = async (...words: string[]): Promise<string> => {
        const script =
          'source setup.sh; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _keyferry_autocomplete; echo "${COMPREPLY[@]}"';
        const { stdout } = await run('bash', ['-c', script, 'bash', 'keyferry', ...words], { cwd: home, env: {} });
        return stdout.trim();
      };
      expect(await completed('pl')).toBe('plan');
      expect(await completed('plan', '--det')).toBe('--detailed-exitcode');
    } finally {
      await rm(home, { recursive: true, force: true });
    }
  });
});
