/**
 * oclif without its search for files: its configuration is handed to it whole, as one plugin that holds the table of commands,
 * and the one hook that there is. For what a bundler made of the command line, where no package lies as npm installs it.
 *
 *     a command that is called by its name ──► loaded, and described to oclif alone
 *     help, a topic, a wrong name          ──► all are, since it is about all
 */
import { Config, Plugin, run, type Command, type Interfaces } from '@oclif/core';
import { calledCommand } from './called-command.ts';
import commandNotFound from './hooks/command-not-found.ts';
import type { CommandLoader } from './command-loaders.ts';

export interface Embedded {
  /** The package.json of this package. */
  readonly manifest: Interfaces.PJSON;
  readonly root: string;
  readonly loaders: Readonly<Record<string, CommandLoader>>;
}

export async function runEmbedded(argv: readonly string[], { manifest, root, loaders }: Embedded): Promise<void> {
  const { hooks: _files, plugins: _packages, ...oclif } = manifest.oclif;
  const pjson = { ...manifest, oclif };
  const plugin = new Plugin({ name: pjson.name, isRoot: true, root, pjson, ignoreManifest: true });
  const id = calledCommand(argv, loaders);
  const called = id === null ? undefined : await loaders[id]?.();
  Object.assign(plugin, {
    ...(id === null || called === undefined
      ? {}
      : { _manifest: async () => ({ version: pjson.version, commands: { [id]: beforeItRuns(id, called.default) } }) }),
    getCommandIDs: async () => Object.keys(loaders),
    findCommand: async (wanted: string) => {
      const loaded = await loaders[wanted]?.();
      return loaded === undefined ? undefined : Object.assign(loaded.default, { id: wanted, plugin });
    },
  });
  await plugin.load();
  const config = new Config({ root, pjson, plugins: new Map([[plugin.name, plugin]]) });
  Object.assign(config, {
    runHook: async (event: string, { id: wanted }: { readonly id: string }) => {
      const call = { id: wanted, argv: [], context: {} as never, config };
      if (event === 'command_not_found') await commandNotFound.call(call.context, call);
      return { successes: [], failures: [] };
    },
  });
  // Also of those that are not described: where a name ends and arguments begin, and which name is near a wrong one.
  Object.defineProperty(config, 'commandIDs', { value: Object.keys(loaders) });
  await config.load();
  // `run` would make a plain configuration of this one.
  Config.load = async () => config;
  await run([...argv], { root });
}

/** What oclif asks of a command before it has it run; all else it takes from the command itself. */
function beforeItRuns(id: string, { args, strict }: Command.Class) {
  return { id, args, strict };
}
