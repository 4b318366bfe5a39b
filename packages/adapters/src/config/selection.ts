/**
 * A part of a migration: `plan --only GLOB --exclude GLOB`. It stands behind the rules of the file, as two more of them,
 * so that globs see the keys that a plan shows, digests tell a part from the whole, and what is left out is counted.
 */
import { invariant, type KeySelection } from '@keyferry/core';
import type { ResolvedConfig, RuleConfig } from './resolved-config.ts';

/** The same configuration where `selection` is null, or the migration is none of it. */
export function selectPart(config: ResolvedConfig, migration: string, selection: KeySelection | null): ResolvedConfig {
  const settings = Object.hasOwn(config.migrations, migration) ? config.migrations[migration] : undefined;
  if (selection === null || settings === undefined) return config;
  invariant(settings.selection === undefined, `a part of ${migration} is chosen once`);
  const { only, exclude } = selection;
  const rules: RuleConfig[] = [...settings.rules];
  if (only.length > 0) rules.push({ include: only });
  if (exclude.length > 0) rules.push({ exclude });
  return { ...config, migrations: { ...config.migrations, [migration]: { ...settings, rules, selection } } };
}
