/** What a migration of strategy `parallel` says about stores and load balancers. */
import type { ConfigIssue } from '@keyferry/core';
import { nearest } from './nearest.ts';
import { valueAt } from './schema-issues.ts';
import type { YamlText } from './yaml-text.ts';

const kinds = { source: 'apicurio-2', target: 'apicurio-3' } as const;

export function checkParallel(yaml: YamlText, root: unknown, migration: string): readonly ConfigIssue[] {
  const path = ['migrations', migration];
  return [
    ...(['source', 'target'] as const).flatMap((side) => checkSide(yaml, root, [...path, side, 'store'], kinds[side])),
    ...checkBalancers(yaml, root, [...path, 'balancers']),
  ];
}

function checkSide(yaml: YamlText, root: unknown, path: readonly string[], kind: string): readonly ConfigIssue[] {
  const store = valueAt(root, path);
  if (typeof store !== 'string') return [];
  const known = Object.keys(valueAt(root, ['stores']) ?? {});
  if (!known.includes(store)) {
    const message = `there is no store ${JSON.stringify(store)} under stores`;
    return [yaml.issue(path, 'value', message, nearest(store, known))];
  }
  const found = valueAt(root, ['stores', store, 'kind']);
  if (found === kind) return [];
  return [yaml.issue(path, 'value', `under strategy parallel a store of kind ${kind} is expected here`)];
}

function checkBalancers(yaml: YamlText, root: unknown, path: readonly string[]): readonly ConfigIssue[] {
  const named = valueAt(root, path);
  if (!Array.isArray(named)) return [];
  const known = Object.keys(valueAt(root, ['balancers']) ?? {});
  return named.flatMap((name: unknown, at) => {
    if (typeof name !== 'string') return [];
    if (!known.includes(name)) {
      const message = `there is no load balancer ${JSON.stringify(name)} under balancers`;
      return [yaml.issue([...path, at], 'value', message, nearest(name, known))];
    }
    if (named.indexOf(name) === at) return [];
    return [yaml.issue([...path, at], 'value', `${name} is named twice`)];
  });
}
