/**
 * The version that keyferry states in documents and events, read from its package.json. The file is looked for
 * upwards, because sources and builds lie at different depths.
 */
import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import { invariant } from '@keyferry/core';

export const keyferryVersion = readVersion();

function readVersion(): string {
  const manifest = findPackageJSON(import.meta.url);
  invariant(manifest !== undefined, 'the command line has no package.json');
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { readonly version?: unknown };
  invariant(typeof version === 'string', 'the package.json of the command line has no version');
  return version;
}
