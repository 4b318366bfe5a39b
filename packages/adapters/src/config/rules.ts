/** The rules of a migration as one transform, in the order in which they stand. Globs see keys as they will be written. */
import {
  compose,
  customRule,
  decodeBase64,
  editJson,
  encodeBase64,
  gunzip,
  gzip,
  invariant,
  keyFromText,
  keyToText,
  onlyFor,
  renamePattern,
  renamePrefix,
  renameTemplate,
  selectKeys,
  type Key,
  type RuleModule,
  type Transform,
} from '@keyferry/core';
import { compileGlob } from './glob.ts';
import type { ProgramConfig, RenameConfig, RuleConfig, ValueMapConfig } from './resolved-config.ts';

type Modules = ReadonlyMap<string, RuleModule>;

/**
 * Null when no rule says anything about keys or values.
 * @param rules without a program among them (`aroundProgram`)
 * @param modules those that the rules name, by their paths as written
 */
export function buildTransform(rules: readonly RuleConfig[], modules: Modules = new Map()): Transform | null {
  const transforms = rules.flatMap((rule) => transformOf(rule, modules) ?? []);
  return transforms.length === 0 ? null : compose(transforms);
}

/** The program among the rules, of which there is one at most, and the rules on both sides of it. */
export function aroundProgram(rules: readonly RuleConfig[]): {
  readonly before: readonly RuleConfig[];
  readonly program: ProgramConfig | null;
  readonly after: readonly RuleConfig[];
} {
  const at = rules.findIndex((rule) => 'program' in rule);
  const rule = rules[at];
  if (rule === undefined || !('program' in rule)) return { before: rules, program: null, after: [] };
  return { before: rules.slice(0, at), program: rule.program, after: rules.slice(at + 1) };
}

/** How long keys may live on so that leases can be shared; undefined: the adapter's own default. */
export function leaseBucketOf(rules: readonly RuleConfig[]): number | undefined {
  for (const rule of rules) if ('ttl' in rule) return rule.ttl.toLease.bucketMs;
  return undefined;
}

/** Which keys a rule goes on with, if that is what it says. */
export function selectionOf(rule: RuleConfig): ((key: Key) => boolean) | null {
  if ('include' in rule) return including(rule.include);
  return 'exclude' in rule ? excluding(rule.exclude) : null;
}

export function transformOf(rule: RuleConfig, modules: Modules): Transform | null {
  if ('ttl' in rule) return null; // the target's: it grants the leases
  invariant(!('program' in rule), 'a program is asked by pages, and not record by record');
  if ('include' in rule) return selectKeys(`include ${rule.include.join(', ')}`, including(rule.include));
  if ('exclude' in rule) return selectKeys(`exclude ${rule.exclude.join(', ')}`, excluding(rule.exclude));
  if ('rename' in rule) return renaming(rule.rename);
  if ('module' in rule) {
    const module = modules.get(rule.module);
    invariant(module !== undefined, `the module ${rule.module} was not loaded`);
    return customRule(rule.module, module);
  }
  const { map, keys } = rule.value;
  return keys === null ? valueMap(map) : onlyFor(keys.join(', '), including(keys), valueMap(map));
}

function renaming(rename: RenameConfig): Transform {
  switch (rename.kind) {
    case 'prefix':
      return renamePrefix(keyFromText(rename.prefix), keyFromText(rename.to));
    case 'pattern':
      return renamePattern(rename.pattern, rename.to);
    case 'template':
      return renameTemplate(rename.template, rename.to);
  }
}

function valueMap(map: ValueMapConfig): Transform {
  switch (map.kind) {
    case 'base64':
      return map.direction === 'encode' ? encodeBase64() : decodeBase64();
    case 'gzip':
      return map.direction === 'compress' ? gzip() : gunzip();
    case 'json':
      return editJson(map.edits);
  }
}

function excluding(globs: readonly string[]): (key: Key) => boolean {
  const matches = including(globs);
  return (key) => !matches(key);
}

function including(globs: readonly string[]): (key: Key) => boolean {
  const matchers = globs.map(compileGlob);
  // A key that is no text is matched byte by byte, as in sensitive.ts.
  return (key) => {
    const text = keyToText(key) ?? key;
    return matchers.some((matches) => matches(text));
  };
}
