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
    if (named.indexOf(name) === at) return checkPaths(yaml, root, ['balancers', name]);
    return [yaml.issue([...path, at], 'value', `${name} is named twice`)];
  });
}

/** What is relative is so to the configuration, which is on this machine. */
function checkPaths(yaml: YamlText, root: unknown, path: readonly string[]): readonly ConfigIssue[] {
  if (valueAt(root, [...path, 'access']) === undefined) return [];
  const lists = ['files', 'accessLogs'].flatMap((field) => {
    const listed = valueAt(root, [...path, field]);
    return Array.isArray(listed) ? listed.map((_, at) => [field, at] as const) : [];
  });
  const places: readonly (readonly (string | number)[])[] = [
    ...['configFile', 'directory', 'pidFile', 'socket'].map((field) => [field]),
    ...lists,
  ];
  return places.flatMap((place) => {
    const found = valueAt(root, [...path, ...place]);
    const isAddress = place[0] === 'socket' && typeof found === 'string' && !found.includes('/');
    if (typeof found !== 'string' || found.startsWith('/') || isAddress) return [];
    return [yaml.issue([...path, ...place], 'value', 'on another machine (access) a path has to be absolute')];
  });
}
