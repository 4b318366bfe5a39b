/**
 * Goal: the lint rules that guard the layers are awake. @nx/enforce-module-boundaries skips itself, without an error,
 * when nx has no project graph, and an override that no longer matches a path says nothing either.
 * Method: hand both linters a wrong file, as text or in a temporary folder, and look for the rule's name.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { root } from './workspace-files.ts';

const bin = (name: string): string => join(root, 'node_modules/.bin', name);
const run = (name: string, args: readonly string[], cwd: string, input = ''): string => {
  const { status, stdout, stderr } = spawnSync(bin(name), args, { cwd, input, encoding: 'utf8' });
  return `exit ${status}\n${stdout}${stderr}`;
};

describe('the boundaries rule', () => {
  // Writes the project graph that the rule reads.
  beforeAll(() => {
    const shown = run('nx', ['show', 'projects'], root);
    if (!shown.includes('@keyferry/core')) throw new Error(`nx shows no projects: ${shown}`);
  });
  const lint = (path: string, specifier: string): string =>
    run('eslint', ['--stdin', '--stdin-filename', path], root, `import '${specifier}';\n`);

  it.each([
    ['packages/core/src/probe.ts', '@keyferry/engine'],
    ['packages/engine/src/probe.ts', '@keyferry/adapters'],
    ['packages/adapters/src/probe.ts', '@keyferry/servers'],
    ['packages/engine/src/probe.ts', '../../core/src/index.ts'],
  ])('refuses %s → %s', (path, specifier) => {
    expect(lint(path, specifier)).toContain('@nx/enforce-module-boundaries');
  });
  it.each([
    ['packages/cli/src/probe.ts', '@keyferry/engine'],
    ['packages/adapters/test/probe.test.ts', '@keyferry/servers'],
  ])('accepts %s → %s', (path, specifier) => {
    expect(lint(path, specifier)).toBe('exit 0\n');
  });
});

describe('the rule against Node in core', () => {
  const lint = (path: string): string => {
    const folder = mkdtempSync(join(tmpdir(), 'keyferry-lint-'));
    try {
      mkdirSync(join(folder, dirname(path)), { recursive: true });
      copyFileSync(join(root, '.oxlintrc.json'), join(folder, '.oxlintrc.json'));
      writeFileSync(join(folder, path), `export { readFileSync } from 'node:fs';\n`);
      return run('oxlint', ['--format', 'unix', '.'], folder);
    } finally {
      rmSync(folder, { recursive: true });
    }
  };
  it('refuses a node: import in core/src', () => {
    expect(lint('packages/core/src/probe.ts')).toContain('no-restricted-imports');
  });
  it('accepts one elsewhere', () => {
    expect(lint('packages/engine/src/probe.ts')).toContain('exit 0\n');
  });
});
