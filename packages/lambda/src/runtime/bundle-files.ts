/**
 * What lies in a function's bundle beside its code, and how it is found there.
 *
 *     index.cjs        the handler and the clients that its migration names
 *     keyferry.json    the migration's configuration, as it was resolved when the bundle was made; secrets as references
 *     files/…          modules of rules and public certificates, in the places that the configuration gives them
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ResolvedConfig } from '@keyferry/adapters';
import { KeyferryError } from '@keyferry/core';

export const bundleFormat = 'keyferry.bundle';
export const codeFile = 'index.cjs';
export const manifestFile = 'keyferry.json';
export const filesFolder = 'files';

export interface BundleManifest {
  readonly format: typeof bundleFormat;
  readonly formatVersion: string;
  readonly keyferryVersion: string;
  readonly migration: string;
  readonly config: Omit<ResolvedConfig, 'directory'>;
}

/** @throws {KeyferryError} `lambda.bundle-invalid` */
export async function readBundle(folder: string): Promise<{ migration: string; config: ResolvedConfig }> {
  const file = join(folder, manifestFile);
  let manifest: Partial<BundleManifest>;
  try {
    manifest = JSON.parse(await readFile(file, 'utf8')) as Partial<BundleManifest>;
  } catch (cause) {
    throw new KeyferryError('lambda.bundle-invalid', { file, why: 'it cannot be read' }, { cause });
  }
  const { format, migration, config } = manifest;
  if (format !== bundleFormat || migration === undefined || config === undefined) {
    throw new KeyferryError('lambda.bundle-invalid', { file, why: 'it is none' });
  }
  return { migration, config: { ...config, directory: join(folder, filesFolder) } };
}
