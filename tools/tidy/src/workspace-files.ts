/**
 * The files the checks look at: what git tracks, and what it would track (new and not ignored), so that a mistake shows
 * before it is committed. Built output and node_modules never count.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../../', import.meta.url));

/** A file of the workspace: its path from the root, with `/`, and its text. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/** One broken rule: where, what, and what to do about it. */
export interface Finding {
  readonly path: string;
  /** Counted from 1; absent when the whole file is meant. */
  readonly line?: number;
  readonly problem: string;
  readonly cure: string;
}

export function listFiles(): string[] {
  const out = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '-z'], { cwd: root, encoding: 'utf8' });
  // A file deleted on disk stays listed until the deletion is staged.
  return [...new Set(out.split('\0'))].filter((path) => path !== '' && existsSync(join(root, path))).toSorted();
}

/** Binary files (with a zero byte) are left out. */
export function readFiles(paths: readonly string[]): SourceFile[] {
  return paths
    .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }))
    .filter((file) => !file.text.includes('\0'));
}

export const isCode = (path: string): boolean => /\.(?:ts|mts|js|mjs)$/.test(path) && !path.endsWith('.d.ts');

export const isTest = (path: string): boolean =>
  /\.(?:test|test-d)\.ts$/.test(path) || path.includes('/test/') || path.includes('/testing/');

/** One line a finding, ready to be compared with an empty list in a test. */
export const describeFindings = (findings: readonly Finding[]): string[] =>
  findings.map(
    ({ path, line, problem, cure }) => `${path}${line === undefined ? '' : `:${line}`}  ${problem}. Cure: ${cure}`,
  );
