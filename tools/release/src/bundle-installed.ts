/**
 * The command line as npm installs it, in few files: `bundle/` beside `dist` in the package of the current folder, as the last step
 * of a build. What a command loads when it is needed (a store's client, a view) is a file of its own here too.
 *
 * Libraries go in: whatever of them lay beside would have to be found and read file by file at each start, which is what this
 * is to spare. Names stay, so that a stack trace reads as it does in `dist`.
 */
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import { joinChunks } from './join-chunks.ts';
import { lazyLibraries } from './lazy-libraries.ts';
import { licences, packagesIn } from './licences.ts';
import { plainBuiltins } from './plain-builtins.ts';

const cli = process.cwd();
const root = join(cli, '../..');
const outdir = join(cli, 'bundle');

const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: { keyferry: 'packages/cli/src/bundled.ts' },
  outdir,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  splitting: true,
  platform: 'node',
  format: 'esm',
  target: 'node24',
  conditions: ['keyferry-source'],
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
  // The first two are looked for only in a checkout that runs TypeScript by itself; the last one runs as it lies (bundled.ts).
  external: ['ts-node', 'typescript', '@keyferry/lambda'],
  // Of libraries that are CommonJS.
  banner: {
    js: `import{createRequire as requireFor}from'node:module';const require=requireFor(import.meta.url),{dirname:__dirname,filename:__filename}=import.meta;`,
  },
  plugins: [plainBuiltins, lazyLibraries],
});
const made = await joinChunks(outdir, metafile, 'cli/src/bundled.ts', [
  { name: 'base', of: ['cli/src/main.ts', 'cli/src/run-embedded.ts'] },
  {
    name: 'work',
    of: [
      'cli/src/commands/apply.ts',
      'cli/src/commands/plan.ts',
      'cli/src/commands/status.ts',
      'cli/src/commands/verify.ts',
      'adapters/src/index.ts',
      'adapters/src/state/index.ts',
      'adapters/src/spool/record-spool.ts',
      'engine/src/index.ts',
    ],
  },
]);
// Of an earlier build, whose files have other names: only now, so that there is a command line at any moment.
for (const file of await readdir(outdir)) if (!made.has(file)) await rm(join(outdir, file));
await writeFile(join(outdir, 'THIRD-PARTY-LICENSES.txt'), await licences(root, packagesIn(metafile)));
