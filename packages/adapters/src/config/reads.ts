/**
 * Which store a component is set to use, against what is asked for: to migrate its records from under a component that goes on
 * reading the source is a contradiction, and so is one that reads a store that is neither of the two.
 *
 * A name in the file is checked with the file; a variable, when something is to be applied: it is the host's, and a plan
 * may be made anywhere.
 */
import { KeyferryError, type ConfigIssue } from '@keyferry/core';
import { nearest } from './nearest.ts';
import type { ResolvedConfig } from './resolved-config.ts';
import { valueAt } from './schema-issues.ts';
import type { YamlText } from './yaml-text.ts';

interface Sides {
  readonly source: string;
  readonly target: string;
}

export function checkReads(yaml: YamlText, root: unknown, migration: string): readonly ConfigIssue[] {
  const base = ['migrations', migration];
  const path = [...base, 'reads'];
  const reads = valueAt(root, path);
  if (reads === undefined) return [];
  const strategy = valueAt(root, [...base, 'strategy']);
  if (strategy !== undefined && strategy !== 'offline') {
    return [yaml.issue(path, 'key', 'has an effect with strategy: offline alone; with others the switch says it')];
  }
  const [source, target] = ['source', 'target'].map((side) => valueAt(root, [...base, side, 'store']));
  if (typeof reads !== 'string' || typeof source !== 'string' || typeof target !== 'string') return [];
  const why = contradiction(reads, { source, target });
  return why === null ? [] : [yaml.issue(path, 'value', why, nearest(reads, [target]))];
}

/**
 * @param env variables of the process unless given
 * @throws {KeyferryError} `config.contradiction`: nothing was asked of any store
 */
export function assertReadsTarget(
  config: ResolvedConfig,
  migration: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
): void {
  const settings = config.migrations[migration];
  const reads = settings?.reads;
  if (settings === undefined || reads === undefined || typeof reads === 'string') return;
  const value = env[reads.env] ?? '';
  const sides = { source: settings.source.store, target: settings.target.store };
  const why = value === '' ? `it says nothing, and ${sides.target} is expected` : contradiction(value, sides);
  if (why === null) return;
  throw new KeyferryError('config.contradiction', { migration, setting: reads.env, why, target: sides.target });
}

function contradiction(reads: string, { source, target }: Sides): string | null {
  if (reads === target) return null;
  if (reads === source) return `the component still reads ${source}, whose records would go to ${target}`;
  return `the component reads ${JSON.stringify(reads)}, and records go from ${source} to ${target}`;
}
