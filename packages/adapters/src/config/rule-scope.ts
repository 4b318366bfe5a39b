/**
 * Which keys of the target the rules would carry something to: `prune` deletes no others. Asked of a key that only the
 * target has, so rules are followed backwards.
 *
 *     target key ──last rule back──► … ──first rule back──► the keys that would become it
 *
 * A key is in scope when there is such a key and none of them is left out on its way. Where a rule has no way back, as a
 * pattern, a program or a module that moves keys, nobody can tell what a selection before it left out.
 */
import { KeyferryError, keyFromText, type Key, type RuleModule, type Transform } from '@keyferry/core';
import type { ResolvedConfig, RuleConfig } from './resolved-config.ts';
import { selectionOf, transformOf } from './rules.ts';

type InScope = (targetKey: Key) => boolean;
type Modules = ReadonlyMap<string, RuleModule>;

/** Null: it cannot be told. */
export function scopeOf(rules: readonly RuleConfig[], modules: Modules, targetPrefix: Key): InScope | null {
  const steps: ((keys: readonly Key[]) => readonly Key[])[] = [];
  for (const rule of rules.toReversed()) {
    const selects = selectionOf(rule);
    if (selects !== null) {
      steps.push((keys) => (keys.every(selects) ? keys : []));
      continue;
    }
    if (!movesKeys(rule, modules)) continue;
    const transform = 'program' in rule ? null : transformOf(rule, modules);
    const inverse = transform?.inverse ?? null;
    if (!('rename' in rule) || transform === null || inverse === null) {
      if (rules.slice(0, rules.indexOf(rule)).some((before) => selectionOf(before) !== null)) return null;
      break; // nothing is left out before it, so that all keys are carried as far as this
    }
    steps.push((keys) => keys.flatMap((key) => preimages(key, transform, inverse)));
  }
  return (targetKey) => {
    let keys: readonly Key[] = [targetKey];
    for (const step of steps) keys = step(keys);
    return keys.some((key) => key.startsWith(targetPrefix));
  };
}

/**
 * What to prune by, for a migration of a checked configuration.
 * @throws {KeyferryError} `config.invalid` when it deletes, and what the rules leave out cannot be told.
 */
export function pruneScope({ file, migrations }: ResolvedConfig, migration: string, modules: Modules): InScope {
  const settings = migrations[migration];
  // Both delete what the source does not have: prune by a plan, replication as the source does.
  if (settings === undefined || !(settings.prune || settings.strategy === 'replicate')) return () => false;
  const { rules, target } = settings;
  const inScope = scopeOf(rules, modules, keyFromText(target.prefix));
  if (inScope !== null) return inScope;
  const message =
    'it cannot be told which keys of the target the rules leave out, and those are not to be deleted: ' +
    'let include and exclude stand behind patterns, templates without a way back, modules and programs';
  const path = `migrations.${migration}.${settings.prune ? 'prune' : 'strategy'}`;
  throw new KeyferryError('config.invalid', {
    file,
    issues: [{ path, line: null, column: null, message, suggestion: null }],
  });
}

function movesKeys(rule: RuleConfig, modules: Modules): boolean {
  return 'rename' in rule || 'program' in rule || ('module' in rule && modules.get(rule.module)?.keepsKeys !== true);
}

/** The keys that become `key`: itself, if it is left as it is, and the one that the way back leads to. */
function preimages(key: Key, transform: Transform, inverse: Transform): readonly Key[] {
  const candidates = new Set([key, renamed(inverse, key)]);
  return [...candidates].filter(
    (candidate): candidate is Key => candidate !== null && renamed(transform, candidate) === key,
  );
}

/** Renames look at nothing but keys. */
function renamed(rename: Transform, key: Key): Key | null {
  const outcome = rename.apply({ key, value: new Uint8Array(), expiresAtMs: null });
  return outcome.kind === 'kept' ? outcome.record.key : null;
}
