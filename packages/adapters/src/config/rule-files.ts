/** Are the rule modules that a configuration names there? Whether they are any good is seen when they are loaded. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { ConfigIssue } from '@keyferry/core';
import { isModulePath, moduleWords } from '../rule-modules/module-path.ts';
import { valueAt } from './schema-issues.ts';
import type { YamlText } from './yaml-text.ts';

export function checkRuleFiles(yaml: YamlText, root: unknown, directory: string): readonly ConfigIssue[] {
  const migrations = valueAt(root, ['migrations']);
  const names = typeof migrations === 'object' && migrations !== null ? Object.keys(migrations) : [];
  return names.flatMap((migration) => {
    const path = ['migrations', migration, 'rules'];
    const rules = valueAt(root, path);
    if (!Array.isArray(rules)) return [];
    return rules.flatMap((rule: unknown, at) => {
      const module = valueAt(rule, ['module']);
      if (typeof module !== 'string' || module === '') return [];
      const issue = (message: string): ConfigIssue => yaml.issue([...path, at, 'module'], 'value', message);
      if (!isModulePath(module)) return [issue(`${moduleWords} is expected`)];
      return existsSync(resolve(directory, module)) ? [] : [issue('there is no such file')];
    });
  });
}
