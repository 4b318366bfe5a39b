/** From a configuration to what the engine is told of a migration: its rules, loaded and composed, and its limits. */
import {
  invariant,
  keyFromText,
  type MigrationId,
  type MigrationSpec,
  type ProgramStage,
  type Scratch,
} from '@keyferry/core';
import { configDigest, planConfig, rulesDigest } from './config/digest.ts';
import type { PlannedSettings, ResolvedConfig } from './config/resolved-config.ts';
import { pruneScope } from './config/rule-scope.ts';
import { aroundProgram, buildTransform } from './config/rules.ts';
import { sensitiveMatcher } from './config/sensitive.ts';
import { keyferryVersion } from './environment/keyferry-version.ts';
import type { LoadedProgram } from './programs/index.ts';
import { loadRuleModules, type LoadedRules } from './rule-modules/load-rule-modules.ts';
import type { WireOptions } from './wire.ts';

/** Creates in a plan with a row of their own; beyond that a chunk's digest stands for them, and the file still opens. */
const createRowsMax = 100_000;

/**
 * What the rules of a migration do, without its stores: for `test`.
 * @throws {KeyferryError} `config.unknown-migration`, `rule.module-invalid`, `program.unusable`
 */
export async function wireRules(
  config: ResolvedConfig,
  migration: string,
  options: Pick<WireOptions, 'redactor' | 'env'>,
): Promise<{ readonly spec: MigrationSpec; readonly scratch: Scratch }> {
  const { settings } = planConfig(config, migration);
  const spec = buildSpec(config, migration, settings, await loadRules(config, migration, settings, options));
  const { diskScratch: scratch } = await import('./spool/record-spool.ts');
  return { spec, scratch };
}

interface Rules extends LoadedRules {
  readonly program: LoadedProgram | null;
}

/** What starts a program is loaded only where a rule names one: no function of a cloud does. */
export async function loadRules(
  { directory }: ResolvedConfig,
  migration: string,
  { rules }: PlannedSettings,
  { redactor, env = process.env }: Pick<WireOptions, 'redactor' | 'env'>,
): Promise<Rules> {
  const { program } = aroundProgram(rules);
  const modules = loadRuleModules(directory, rules);
  if (program === null) return { ...modules, program: null };
  const { loadProgram } = await import('./programs/index.ts');
  return { ...modules, program: loadProgram(program, { migration, directory, redactor, env }) };
}

function programStage(rules: PlannedSettings['rules'], { modules, program }: Rules): ProgramStage | null {
  if (program === null) return null;
  return { program: program.program, after: buildTransform(aroundProgram(rules).after, modules) };
}

export function buildSpec(
  config: ResolvedConfig,
  migration: string,
  settings: PlannedSettings,
  rules: Rules,
): MigrationSpec {
  const { modules, digests, program } = rules;
  const { source, target, limits } = settings;
  const runLimits = config.migrations[migration]?.runLimits;
  invariant(runLimits !== undefined, `a configuration has the digest of ${migration} and not its limits`);
  return {
    migration: migration as MigrationId,
    strategy: settings.strategy,
    ...onlineTerms(settings),
    replicate: settings.replicate ?? null,
    sourceStore: source.store,
    targetStore: target.store,
    rule: { sourcePrefix: keyFromText(source.prefix), targetPrefix: keyFromText(target.prefix) },
    selection: settings.selection ?? null,
    transform: buildTransform(aroundProgram(settings.rules).before, modules),
    program: programStage(settings.rules, rules),
    onConflict: settings.onConflict,
    prune: settings.prune,
    inScope: pruneScope(config, migration, modules),
    guards: settings.guards,
    keepBefore: settings.keepBefore,
    requireEmpty: target.requireEmpty,
    workers: limits.workers,
    limits: { chunkKeysMax: limits.chunkKeys, chunkBytesMax: limits.chunkBytes, createRowsMax },
    runLimits,
    costs: { sharedState: 'dynamodb' in config.state, prices: config.prices },
    planMaxAgeMs: settings.plan.maxAgeMs,
    isSensitive: sensitiveMatcher(settings.sensitive),
    configDigest: configDigest(config, migration),
    rulesDigest: rulesDigest(config, migration, {
      modules: digests,
      programs: program === null ? {} : { [program.name]: program.digest },
    }),
    keyferryVersion: keyferryVersion(),
  };
}

function onlineTerms({ online }: PlannedSettings): Pick<MigrationSpec, 'online'> {
  if (online === undefined) return {};
  const { switch: _where, ...terms } = online;
  return { online: terms };
}
