/**
 * Reads a configuration file: text, shape, what its parts say about each other, and then its meaning. All that is wrong
 * is said at once, each with its line, so that correcting a file takes one round.
 *
 * A password in plain text is the one mistake that must not be shown again: before anything else is said, every text
 * that stands where a secret would is handed to the redactor that all outputs pass through.
 */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { KeyferryError, type ConfigIssue } from '@keyferry/core';
import { learnPlaintext } from './plaintext.ts';
import { Redactor } from './redactor.ts';
import { checkReferences } from './references.ts';
import { checkRuleFiles } from './rule-files.ts';
import { resolveConfig } from './resolve-config.ts';
import type { ResolvedConfig } from './resolved-config.ts';
import { plaintextSecret } from './scalars.ts';
import { checkSchema } from './schema-issues.ts';
import { YamlText } from './yaml-text.ts';

/**
 * @param options.redactor learns secrets that stand in the file itself, so that an excerpt can be shown through it
 * @throws {KeyferryError} `config.not-found`, `file.unreadable`; `config.plaintext-secret` when nothing else is wrong,
 *   else `config.invalid` with every issue.
 */
export async function loadConfig(
  file: string,
  options: { readonly redactor?: Redactor } = {},
): Promise<ResolvedConfig> {
  const yaml = new YamlText(await readText(file));
  const { value } = yaml;
  learnPlaintext(value, options.redactor ?? new Redactor());
  if (yaml.broken) throw invalid(file, yaml.issues);
  const checked = checkSchema(yaml, value);
  const directory = dirname(resolve(file));
  const issues = [
    ...yaml.issues,
    ...(checked.ok ? [] : checked.issues),
    ...checkReferences(yaml, value),
    ...checkRuleFiles(yaml, value, directory),
  ];
  if (!checked.ok || issues.length > 0) throw invalid(file, issues);
  return resolveConfig(checked.config, file, directory);
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
    if (code === 'ENOENT') throw new KeyferryError('config.not-found', { file }, { cause });
    throw new KeyferryError('file.unreadable', { file, detail: code }, { cause });
  }
}

function invalid(file: string, found: readonly ConfigIssue[]): KeyferryError {
  const issues = found.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0));
  if (issues.every(({ message }) => message === plaintextSecret)) {
    const path = issues.map((issue) => issue.path).join(', ');
    return new KeyferryError('config.plaintext-secret', { file, path, line: issues[0]?.line ?? null });
  }
  return new KeyferryError('config.invalid', { file, issues });
}
