/**
 * What the schema found wrong, as complaints with a place in the file. The validator names paths; here they become
 * lines, unknown keys get the nearest known one as a suggestion, and those of later versions are told from mistakes.
 */
import type { ConfigIssue } from '@keyferry/core';
import type { z } from 'zod';
import { nearest } from './nearest.ts';
import { laterVersion, missing } from './scalars.ts';
import { configJsonSchema, laterKeys, recordMigration, schema, type CheckedConfig } from './schema.ts';
import type { IssuePath, YamlText } from './yaml-text.ts';

export type Checked =
  | { readonly ok: true; readonly config: CheckedConfig }
  | { readonly ok: false; readonly issues: readonly ConfigIssue[] };

export function checkSchema(yaml: YamlText, value: unknown): Checked {
  // A file is parsed once: to compile a parser for it first, as the library would, takes longer than that.
  const result = schema.safeParse(value, { error: describe, jitless: true });
  if (result.success) return { ok: true, config: result.data };
  const issues = result.error.issues.flatMap((issue) => toConfigIssues(yaml, value, issue));
  // The first says it: that a list is no text, and not also that it is an empty one.
  return {
    ok: false,
    issues: issues.filter(({ path }, at) => issues.findIndex((other) => other.path === path) === at),
  };
}

const shapes: Readonly<Record<string, string>> = {
  object: 'a map',
  array: 'a list',
  record: 'a map',
  string: 'a text',
};

/** Words for what the schema itself has none for. */
function describe(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.input === undefined) return missing;
  return issue.code === 'invalid_type' ? `${shapes[issue.expected] ?? issue.expected} is expected` : undefined;
}

function toConfigIssues(yaml: YamlText, root: unknown, issue: z.core.$ZodIssue): readonly ConfigIssue[] {
  const { path, message } = issue;
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => unknownKey(yaml, root, path, key));
    case 'invalid_key':
      return [yaml.issue(path, 'key', 'a name is up to 100 letters, digits, dots, dashes and underscores')];
    case 'invalid_union':
      if (path[0] === 'migrations' && path.length === 3 && path[2] === 'strategy') {
        return migrationIssues(yaml, root, path.slice(0, 2));
      }
      return [yaml.issue(path, 'value', message, suggestionFor(wordsOf(issue), valueAt(root, path)))];
    case 'invalid_value':
      return [yaml.issue(path, 'value', message, suggestionFor(issue.values, valueAt(root, path)))];
    default:
      return [yaml.issue(path, 'value', message)];
  }
}

/** Of a migration whose strategy is missing, mistyped or unknown: all that is wrong with it, as one of records. */
function migrationIssues(yaml: YamlText, root: unknown, path: IssuePath): readonly ConfigIssue[] {
  const { error } = recordMigration.safeParse(valueAt(root, path), { error: describe });
  return (error?.issues ?? []).flatMap((issue) =>
    toConfigIssues(yaml, root, { ...issue, path: [...path, ...issue.path] }),
  );
}

/** What could stand there instead: kinds of stores, or the keys of a reference. */
function wordsOf(issue: z.core.$ZodIssueInvalidUnion): readonly unknown[] {
  const options = 'options' in issue ? issue.options : null;
  return Array.isArray(options) ? options : ['env', 'file', 'ssm', 'secretsManager'];
}

/** A mistyped word, or a map with a mistyped key. */
function suggestionFor(known: readonly unknown[], given: unknown): string | null {
  const words = known.filter((word) => typeof word === 'string');
  if (typeof given === 'string') return nearest(given, words);
  if (typeof given !== 'object' || given === null) return null;
  for (const key of Object.keys(given)) {
    const near = words.includes(key) ? null : nearest(key, words);
    if (near !== null) return near;
  }
  return null;
}

function unknownKey(yaml: YamlText, root: unknown, path: IssuePath, key: string): ConfigIssue {
  const later = laterKeys.includes(key);
  const message = later ? laterVersion : 'is not a known key';
  const present = Object.keys(objectOf(valueAt(root, path)) ?? {});
  const known = knownKeys(root, path).filter((name) => !present.includes(name));
  return yaml.issue([...path, key], 'key', message, later ? null : nearest(key, known));
}

type Json = Readonly<Record<string, unknown>>;

const objectOf = (value: unknown): Json | null =>
  typeof value === 'object' && value !== null ? (value as Json) : null;

export function valueAt(root: unknown, path: IssuePath): unknown {
  return path.reduce<unknown>((value, step) => {
    const object = objectOf(value);
    return object !== null && Object.hasOwn(object, step) ? object[step as string] : undefined;
  }, root);
}

/** Keys that the schema knows at a place, read from the generated JSON schema: it has them all as plain data. */
function knownKeys(root: unknown, path: IssuePath): readonly string[] {
  let here: Json | null = configJsonSchema();
  for (const [index, step] of path.entries()) {
    const properties: Json | null = objectOf(here?.['properties']);
    here = objectOf(properties?.[String(step)] ?? here?.['items'] ?? here?.['additionalProperties']);
    const branches = here?.['oneOf'];
    if (Array.isArray(branches)) {
      // Stores: the kind says which of the shapes is meant.
      const kind = valueAt(root, [...path.slice(0, index + 1), 'kind']);
      here = objectOf(branches.find((branch) => valueAt(branch, ['properties', 'kind', 'const']) === kind));
    }
  }
  return Object.keys(objectOf(here?.['properties']) ?? {});
}
