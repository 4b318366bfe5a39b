/**
 * The version that plans, documents and events are stamped with: that of this package, read from its package.json. All
 * packages of keyferry are released under one version. The file is looked for upwards, because sources and builds lie
 * at different depths. Exported by itself too (`@keyferry/adapters/version`): it must not take the stores with it.
 */
import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import { invariant } from '@keyferry/core';

let version: string | null = null;

export function keyferryVersion(): string {
  version ??= readVersion();
  return version;
}

function readVersion(): string {
  const manifest = findPackageJSON(import.meta.url);
  invariant(manifest !== undefined, 'the adapters have no package.json');
  const { version: found } = JSON.parse(readFileSync(manifest, 'utf8')) as { readonly version?: unknown };
  invariant(typeof found === 'string', 'the package.json of the adapters has no version');
  return found;
}
