/**
 * Digests of a configuration, by which apply knows that a plan was made with the one at hand.
 *
 * They cover the migration, its two stores and nothing else of the file: a change elsewhere leaves its plans valid.
 * Secrets are in them as references, so rotating a password changes nothing; paths are in them as written, so the same
 * file in another checkout has the same digest. `config.json` of a plan file has exactly the bytes that are digested.
 */
import { createHash } from 'node:crypto';
import { canonicalJson, KeyferryError } from '@keyferry/core';
import { nearest } from './nearest.ts';
import type { MigrationConfig, PlanConfig, ResolvedConfig, StoreConfig, SwitchPlaceConfig } from './resolved-config.ts';

/** @throws {KeyferryError} `config.unknown-migration` */
export function planConfig(config: ResolvedConfig, migration: string): PlanConfig {
  const { runLimits: _howFast, after: _when, reads: _whoUses, ...settings } = migrationSettings(config, migration);
  const stores: Record<string, StoreConfig> = {};
  const named = [settings.source.store, settings.target.store];
  for (const place of switchesOf(settings)) if ('store' in place) named.push(place.store);
  for (const store of named) {
    const found = config.stores[store];
    if (found !== undefined) stores[store] = found;
  }
  return { migration, settings, stores };
}

/** Where applications follow it, if they do. */
function switchesOf({ online, replicate }: PlanConfig['settings']): readonly SwitchPlaceConfig[] {
  const freeze = replicate?.freeze;
  return [...(online === undefined ? [] : [online.switch]), ...(freeze?.kind === 'key' ? [freeze] : [])];
}

/** SHA-256 in hexadecimal digits. @throws {KeyferryError} `config.unknown-migration` */
export function configDigest(config: ResolvedConfig, migration: string): string {
  return sha256(canonicalJson(planConfig(config, migration)));
}

/**
 * SHA-256 of what happens to keys and records on their way.
 * @param files SHA-256 of the modules and programs that the rules name, by their paths as written
 * @throws {KeyferryError} `config.unknown-migration`
 */
export function rulesDigest(
  config: ResolvedConfig,
  migration: string,
  { modules = {}, programs = {} }: RuleDigests = {},
): string {
  const { source, target, rules } = migrationSettings(config, migration);
  const digested = { prefix: { source: source.prefix, target: target.prefix }, rules };
  return sha256(canonicalJson({ ...digested, ...namedUnlessEmpty({ modules, programs }) }));
}

/** By the paths that the rules name them by. */
export interface RuleDigests {
  readonly modules?: Readonly<Record<string, string>>;
  readonly programs?: Readonly<Record<string, string>>;
}

/** Rules without either keep the digest that they always had. */
function namedUnlessEmpty(digests: Readonly<Record<string, object>>): object {
  return Object.fromEntries(Object.entries(digests).filter(([, each]) => Object.keys(each).length > 0));
}

function migrationSettings(config: ResolvedConfig, migration: string): MigrationConfig {
  const known = Object.keys(config.migrations);
  const settings = Object.hasOwn(config.migrations, migration) ? config.migrations[migration] : undefined;
  if (settings !== undefined) return settings;
  throw new KeyferryError('config.unknown-migration', { migration, known, suggestion: nearest(migration, known) });
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
