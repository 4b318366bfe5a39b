/** All commands by id, loaded: for oclif where there is no manifest, and for whoever describes them all. */
import type { Command } from '@oclif/core';
import { commandLoaders } from './command-loaders.ts';

const loaded = Object.entries(commandLoaders).map(async ([id, load]) => [id, (await load()).default] as const);
const commands: Readonly<Record<string, Command.Class>> = Object.fromEntries(await Promise.all(loaded));

export default commands;
