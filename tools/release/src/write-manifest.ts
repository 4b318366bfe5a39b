/**
 * oclif.manifest.json beside the package.json of the current folder, as the last step of a build: with it, `--help` loads no
 * command at all. It is as old as `dist`, which it stands beside.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Plugin } from '@oclif/core';

const root = process.cwd();
const plugin = new Plugin({ root, isRoot: true, ignoreManifest: true, errorOnManifestCreate: true });
await plugin.load();
await writeFile(join(root, 'oclif.manifest.json'), JSON.stringify(plugin.manifest));
