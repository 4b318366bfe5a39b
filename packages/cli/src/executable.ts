/** The entry of the single executable, which tools/release bundles: all commands in one file, no package beside it. */
import type { Interfaces } from '@oclif/core';
import { commandLoaders, type CommandLoader } from './command-loaders.ts';
import { main } from './main.ts';
import { runEmbedded } from './run-embedded.ts';
import { growYoung } from './heap-generations.ts';

growYoung();

/** The package.json of this package; put in by the bundler. */
declare const embeddedManifest: Interfaces.PJSON;

const help: CommandLoader = async () => ({ default: (await import('@oclif/plugin-help')).commands.help });
const loaders = { ...commandLoaders, help };

void main(process.argv.slice(2), (argv) =>
  runEmbedded(argv, { manifest: embeddedManifest, root: process.execPath, loaders }),
);
