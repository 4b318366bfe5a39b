/**
 * The entry of the installed command line: a bundle, because to find and read a thousand files takes longer than most commands.
 *
 *     a command of our own ──► run-embedded.ts, from the few files of the bundle
 *     anything else (help, completion, a wrong name, `lambda`) ──► index.ts, which oclif runs from the package as it lies
 *
 * `lambda` makes bundles of functions from the sources of the packages, and shares their modules with nobody.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Interfaces } from '@oclif/core';
import { calledCommand } from './called-command.ts';
import { commandLoaders } from './command-loaders.ts';
import { keepCompiledCode } from './compiled-code.ts';
import { growYoung } from './heap-generations.ts';

growYoung();
keepCompiledCode();

/** From the folder of the bundle. */
const root = fileURLToPath(new URL('..', import.meta.url));
const argv = process.argv.slice(2);

const called = calledCommand(argv, commandLoaders);
if (called !== null && !called.startsWith('lambda:')) {
  const [{ main }, { runEmbedded }] = await Promise.all([import('./main.ts'), import('./run-embedded.ts')]);
  const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as Interfaces.PJSON;
  await main(argv, (all) => runEmbedded(all, { manifest, root, loaders: commandLoaders }));
} else {
  await import(new URL('../dist/src/index.js', import.meta.url).href);
}
