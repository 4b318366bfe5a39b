/**
 * The entry of the single executable, which tools/release bundles: all commands in one file, no package beside it.
 *
 * oclif finds commands and hooks by reading a package's files. Here there are none, so its configuration is handed to it
 * whole: one plugin that holds the command table, and the one hook that there is. Everything else is as installed.
 */
import { Config, Plugin, run, type Interfaces } from '@oclif/core';
import { commands as helpCommands } from '@oclif/plugin-help';
import commandTable from './command-table.ts';
import commandNotFound from './hooks/command-not-found.ts';
import { main } from './main.ts';

/** The package.json of this package; put in by the bundler. */
declare const embeddedManifest: Interfaces.PJSON;

const table: Readonly<Record<string, unknown>> = { ...commandTable, ...helpCommands };
const root = process.execPath;

async function runEmbedded(argv: readonly string[]): Promise<void> {
  const { hooks: _files, plugins: _packages, ...oclif } = embeddedManifest.oclif;
  const pjson = { ...embeddedManifest, oclif };
  const plugin = new Plugin({ name: pjson.name, isRoot: true, root, pjson, ignoreManifest: true });
  Object.assign(plugin, {
    getCommandIDs: async () => Object.keys(table),
    findCommand: async (id: string) => Object.assign(table[id] as object, { id, plugin }),
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

void main(process.argv.slice(2), runEmbedded);
