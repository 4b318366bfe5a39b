/**
 * `lambda package`: from a migration's configuration to a folder for each function, that starts from itself alone.
 *
 *     OUT/plan/  dispatch/  backfill/  verify/  sweep/        index.cjs, keyferry.json, files/
 *     OUT/tail/                                               of strategy replicate
 *
 * They are made beside their place and moved there whole, so that a half-made bundle is never deployed.
 */
import { copyFile, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import {
  checkUserCode,
  keyferryVersion,
  planConfig,
  ruleModuleFiles,
  type ResolvedConfig,
  type SecretReference,
  type StoreConfig,
} from '@keyferry/adapters';
import { invariant, KeyferryError } from '@keyferry/core';
import { bundleFormat, filesFolder, manifestFile, type BundleManifest } from '../runtime/bundle-files.ts';
import type { FunctionName } from '../runtime/invocation.ts';
import { bundleHandlers, type HandlerBundle } from './bundle-handlers.ts';
import { namedModules } from './named-adapters.ts';

export type { FunctionName } from '../runtime/invocation.ts';

const copying: readonly FunctionName[] = ['plan', 'dispatch', 'backfill', 'verify', 'sweep'];
/** The first copy is made from a machine; what follows it is one function. */
const following: readonly FunctionName[] = ['tail'];

export interface PackagedFunction extends HandlerBundle {
  readonly name: FunctionName;
  readonly folder: string;
  /** As Lambda's setting of that name has it. */
  readonly handler: 'index.handler';
}

export interface Packaged {
  readonly migration: string;
  readonly folder: string;
  readonly functions: readonly PackagedFunction[];
}

/**
 * @param out the folder to write to; what is in the functions' folders there is replaced
 * @throws {KeyferryError} `lambda.not-packable`; `config.unknown-migration`, `rule.module-invalid`
 */
export async function packageMigration(config: ResolvedConfig, migration: string, out: string): Promise<Packaged> {
  const ownConfig = configOf(config, migration);
  assertPackable(ownConfig, migration);
  checkUserCode(ownConfig);
  const manifest: BundleManifest = {
    format: bundleFormat,
    formatVersion: '1.0',
    keyferryVersion: keyferryVersion(),
    migration,
    config: withoutDirectory(ownConfig),
  };
  const files = [...certificates(ownConfig), ...ruleModuleFiles(ownConfig.directory, rulesOf(ownConfig, migration))];
  const named = namedModules(ownConfig);
  await mkdir(out, { recursive: true });
  const draft = await mkdtemp(join(resolve(out), '.draft-'));
  try {
    const names = ownConfig.migrations[migration]?.strategy === 'replicate' ? following : copying;
    const bundles = await bundleHandlers(names, draft, { named, version: manifest.keyferryVersion });
    const functions: PackagedFunction[] = [];
    for (const [name, bundle] of bundles) {
      await writeFile(join(draft, name, manifestFile), `${JSON.stringify(manifest, null, 2)}\n`);
      for (const file of files) await copyInto(join(draft, name, filesFolder), ownConfig.directory, file, migration);
      const folder = resolve(out, name);
      await rm(folder, { recursive: true, force: true });
      await rename(join(draft, name), folder);
      functions.push({ ...bundle, name, folder, handler: 'index.handler' });
    }
    return { migration, folder: resolve(out), functions };
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/** The migration and its stores, and nothing else of the file. */
function configOf(config: ResolvedConfig, migration: string): ResolvedConfig {
  const { stores } = planConfig(config, migration);
  const settings = config.migrations[migration];
  invariant(settings !== undefined, `a configuration has the plan's part of ${migration} and not the rest`);
  return { ...config, stores, migrations: { [migration]: settings } };
}

function withoutDirectory({ directory: _itsPlaceHere, ...config }: ResolvedConfig): BundleManifest['config'] {
  return config;
}

const rulesOf = ({ migrations }: ResolvedConfig, migration: string) => migrations[migration]?.rules ?? [];

/** @throws {KeyferryError} `lambda.not-packable` */
function assertPackable(config: ResolvedConfig, migration: string): void {
  const refuse = (why: string, fix: string): never => {
    throw new KeyferryError('lambda.not-packable', { migration, why, fix });
  };
  if (!('dynamodb' in config.state)) {
    refuse(
      'its state is in a file of this machine',
      'keep it in a table that functions reach:   state: { dynamodb: { table: keyferry, region: eu-west-1 } }',
    );
  }
  if (config.migrations[migration]?.rules.some((rule) => 'program' in rule) === true) {
    refuse('one of its rules is a program of this machine', `apply it from here:   keyferry apply ${migration}`);
  }
  if ((config.migrations[migration]?.backup ?? null) !== null) {
    refuse(
      'it demands a backup, which goes into a directory of this machine',
      `apply it from here:   keyferry apply ${migration}`,
    );
  }
  for (const [name, store] of Object.entries(config.stores)) {
    if (isOnThisMachine(store)) {
      const fix = `apply it from this machine:   keyferry apply ${migration}`;
      refuse(`store ${name} is of kind ${store.kind}, in files of this machine`, fix);
    }
    for (const reference of secretsOf(store)) {
      if (!('file' in reference)) continue;
      refuse(
        `a secret of store ${name} is in a file, and files of a bundle are no place for secrets`,
        'refer to it as { ssm: NAME }, { secretsManager: ID } or { env: NAME }',
      );
    }
  }
}

const isOnThisMachine = (store: StoreConfig): boolean => 'file' in store || 'path' in store || 'dataDir' in store;

function secretsOf(store: StoreConfig): readonly SecretReference[] {
  const key = 'tls' in store ? (store.tls?.key ?? null) : null;
  const token = 'token' in store ? store.token : null;
  const { user = null, password = null } = ('auth' in store ? store.auth : null) ?? {};
  const all = [key, token, typeof user === 'string' ? null : user, password];
  return all.filter((reference) => reference !== null);
}

/** Public ones; keys are secrets. */
function certificates({ stores }: ResolvedConfig): readonly string[] {
  return Object.values(stores).flatMap((store) => {
    if (!('tls' in store)) return [];
    const { ca = null, cert = null } = store.tls ?? {};
    return [ca, cert].flatMap((reference) => (reference !== null && 'file' in reference ? [reference.file] : []));
  });
}

/** In the place that the configuration gives it. @throws {KeyferryError} `lambda.not-packable` when that is elsewhere */
async function copyInto(folder: string, directory: string, file: string, migration: string): Promise<void> {
  const path = relative(directory, resolve(directory, file));
  if (path.startsWith(`..${sep}`)) {
    throw new KeyferryError('lambda.not-packable', {
      migration,
      why: `${path} lies outside of the folder of its configuration`,
      fix: 'move it beside the configuration, or below it',
    });
  }
  await mkdir(dirname(join(folder, path)), { recursive: true });
  await copyFile(resolve(directory, file), join(folder, path));
}
