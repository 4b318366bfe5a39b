/**
 * The command line as one CommonJS file, for the single executable: all packages, all libraries, nothing read beside it.
 *
 * What is read from a folder at run time is put in here: the version. `import()` becomes `require()`: inside an executable, Node imports nothing but its own
 * modules, while a `require` made for the disk still loads a user's file, also an ES module and also TypeScript.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { lazyLibraries } from './lazy-libraries.ts';
import { packagesIn } from './licences.ts';

interface Manifest {
  readonly version: string;
}

/** @returns folders of the packages that are in the bundle, whose licences go with it */
export async function bundle(root: string, entry: string, outfile: string): Promise<readonly string[]> {
  const cli = join(root, 'packages/cli');
  const manifest = JSON.parse(await readFile(join(cli, 'package.json'), 'utf8')) as Manifest;
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node24',
    conditions: ['keyferry-source'],
    minify: true,
    keepNames: true,
    legalComments: 'none',
    metafile: true,
    logLevel: 'warning',
    supported: { 'dynamic-import': false },
    // The first two are looked for only in a checkout that runs TypeScript by itself; bundles of functions are made by what npm
    // installs, as esbuild is a program of its own.
    external: ['ts-node', 'typescript', 'esbuild'],
    define: { embeddedManifest: JSON.stringify(manifest), 'import.meta.url': 'moduleUrl' },
    banner: { js: diskRequire },
    plugins: [versionFrom(manifest), lazyLibraries],
  });
  return packagesIn(metafile);
}

/** Takes the place of the executable's own `require`, which knows Node's modules only. */
const diskRequire = `
const moduleUrl = require('node:url').pathToFileURL(process.execPath).href;
require = ((fromDisk, { fileURLToPath }) => (id) => fromDisk(id.startsWith('file:') ? fileURLToPath(id) : id))(
  require('node:module').createRequire(process.execPath), require('node:url'));
`;

function versionFrom({ version }: Manifest): Plugin {
  return {
    name: 'version',
    setup: (of) => {
      of.onLoad({ filter: /keyferry-version\.ts$/ }, () => ({
        contents: `export const keyferryVersion = () => ${JSON.stringify(version)};`,
      }));
    },
  };
}
