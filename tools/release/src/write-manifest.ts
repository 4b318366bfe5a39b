/**
 * oclif.manifest.json beside the package.json of the current folder (`prepack` of the command line): with it, `--help` loads
 * no command at all. Only a package that leaves the repository has one: in a checkout it would be out of date at once.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Plugin } from '@oclif/core';

const root = process.cwd();
const plugin = new Plugin({ root, isRoot: true, ignoreManifest: true, errorOnManifestCreate: true });
await plugin.load();
await writeFile(join(root, 'oclif.manifest.json'), JSON.stringify(plugin.manifest));
