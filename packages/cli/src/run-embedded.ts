/**
 * oclif without its search for files: its configuration is handed to it whole, as one plugin that holds the table of commands,
 * and the one hook that there is. For what a bundler made of the command line, where no package lies as npm installs it.
 */
import { Config, Plugin, run, type Interfaces } from '@oclif/core';
import commandNotFound from './hooks/command-not-found.ts';
import type { CommandLoader } from './command-loaders.ts';

export interface Embedded {
  /** The package.json of this package. */
  readonly manifest: Interfaces.PJSON;
  readonly root: string;
  /** `oclif.manifest.json` lies there: with it no command is loaded but the one that runs. */
  readonly isDescribed: boolean;
  readonly loaders: Readonly<Record<string, CommandLoader>>;
}

export async function runEmbedded(
  argv: readonly string[],
  { manifest, root, isDescribed, loaders }: Embedded,
): Promise<void> {
  const { hooks: _files, plugins: _packages, ...oclif } = manifest.oclif;
  const pjson = { ...manifest, oclif };
  const plugin = new Plugin({ name: pjson.name, isRoot: true, root, pjson, ignoreManifest: !isDescribed });
  Object.assign(plugin, {
    getCommandIDs: async () => Object.keys(loaders),
    findCommand: async (id: string) => {
      const loaded = await loaders[id]?.();
      return loaded === undefined ? undefined : Object.assign(loaded.default, { id, plugin });
    },
  });
  await plugin.load();
  const config = new Config({ root, pjson, plugins: new Map([[plugin.name, plugin]]) });
  Object.assign(config, {
    runHook: async (event: string, { id }: { readonly id: string }) => {
      const call = { id, argv: [], context: {} as never, config };
      if (event === 'command_not_found') await commandNotFound.call(call.context, call);
      return { successes: [], failures: [] };
    },
  });
  await config.load();
  // `run` would make a plain configuration of this one.
  Config.load = async () => config;
  await run([...argv], { root });
}
