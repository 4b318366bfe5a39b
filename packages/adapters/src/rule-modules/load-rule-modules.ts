/** The modules that the rules of a migration name, loaded and checked, with their digests. */
import { resolve } from 'node:path';
import { KeyferryError, ruleModuleFault, type RuleModule } from '@keyferry/core';
import type { ResolvedConfig, RuleConfig } from '../config/resolved-config.ts';
import { pruneScope } from '../config/rule-scope.ts';
import { aroundProgram } from '../config/rules.ts';
import { assertUsable } from '../programs/program-files.ts';
import { loadDefaultExport, moduleDigest, moduleFiles } from './module-graph.ts';

export interface LoadedRules {
  /** By their paths as the configuration has them. */
  readonly modules: ReadonlyMap<string, RuleModule>;
  readonly digests: Readonly<Record<string, string>>;
}

/**
 * Loads those of all migrations, to see whether they can be, and whether what they are fits the rest; programs are
 * looked for, and not started.
 * @throws {KeyferryError} `rule.module-invalid`, `program.unusable`, `config.invalid`
 */
export function checkUserCode(config: ResolvedConfig): void {
  for (const [migration, { rules }] of Object.entries(config.migrations)) {
    const { modules } = loadRuleModules(config.directory, rules);
    pruneScope(config, migration, modules);
    const { program } = aroundProgram(rules);
    if (program !== null) assertUsable(program, config.directory);
  }
}

/** @throws {KeyferryError} `rule.module-invalid` */
export function loadRuleModules(directory: string, rules: readonly RuleConfig[]): LoadedRules {
  const modules = new Map<string, RuleModule>();
  const digests: Record<string, string> = {};
  for (const rule of rules) {
    if (!('module' in rule)) continue;
    const path = resolve(directory, rule.module);
    modules.set(rule.module, loadModule(rule.module, path));
    digests[rule.module] = moduleDigest(path);
  }
  return { modules, digests };
}

/** Paths of all files that the modules of these rules are made of. @throws {KeyferryError} `rule.module-invalid` */
export function ruleModuleFiles(directory: string, rules: readonly RuleConfig[]): readonly string[] {
  loadRuleModules(directory, rules);
  return rules.flatMap((rule) => ('module' in rule ? moduleFiles(resolve(directory, rule.module)) : []));
}

function loadModule(name: string, path: string): RuleModule {
  let exported: unknown;
  try {
    exported = loadDefaultExport(path);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    const [detail = ''] = message.split('\n');
    throw new KeyferryError('rule.module-invalid', { module: name, detail }, { cause });
  }
  const fault = ruleModuleFault(exported);
  if (fault !== null) throw new KeyferryError('rule.module-invalid', { module: name, detail: fault });
  return exported as RuleModule;
}
