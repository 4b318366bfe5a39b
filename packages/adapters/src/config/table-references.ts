/** What a migration and the tables of its store of kind postgres say about each other. */
import type { ConfigIssue } from '@keyferry/core';
import { fixedPrefixOf } from '../postgres/key-template.ts';
import { valueAt } from './schema-issues.ts';
import type { IssuePath, YamlText } from './yaml-text.ts';

export interface TablesSide {
  readonly store: string;
  readonly side: 'source' | 'target';
  readonly prefix: string;
  readonly prefixPath: IssuePath;
}

/** Settings that would have a migration read or write nothing, or never say that there was nothing. */
export function checkTables(
  yaml: YamlText,
  root: unknown,
  { store, side, prefix, prefixPath }: TablesSide,
): readonly ConfigIssue[] {
  const at = ['stores', store, 'tables'];
  const tables = valueAt(root, at);
  if (!Array.isArray(tables) || tables.length === 0) return [];
  const issues: ConfigIssue[] = [];
  const prefixes = tables.map((_, nth) => valueAt(root, [...at, nth, 'key'])).filter((key) => typeof key === 'string');
  const mayMeet = (key: string): boolean => {
    const fixed = fixedPrefixOf(key);
    return fixed.startsWith(prefix) || prefix.startsWith(fixed);
  };
  if (prefixes.length > 0 && !prefixes.some(mayMeet)) {
    const message = `no table of store ${store} has a key under it; theirs are ${prefixes.join(', ')}`;
    issues.push(yaml.issue(prefixPath, 'value', message));
  }
  for (const nth of tables.keys()) {
    if (side === 'target' && valueAt(root, [...at, nth, 'query']) !== undefined) {
      const message = `nothing can be written to a query, and a migration has store ${store} as its target; name a table`;
      issues.push(yaml.issue([...at, nth, 'query'], 'key', message));
    }
  }
  const areAllAudits = tables.every((_, nth) => valueAt(root, [...at, nth, 'audit']) === true);
  if (side === 'source' && areAllAudits) {
    const message =
      'all tables are audits, so nothing could show that the source was ever used; one that is none is expected';
    issues.push(yaml.issue(at, 'key', message));
  }
  return issues;
}
