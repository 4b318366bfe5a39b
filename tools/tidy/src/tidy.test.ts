/** Goal: what a review would say each time is said by a test. Method: read every file of the workspace once. */
import { describe, expect, it } from 'vitest';
import { findBoundaryBreaks, readProject } from './boundaries.ts';
import { findBareErrors, findFocusedTests, findLongFiles } from './code-habits.ts';
import { findImpurities } from './core-purity.ts';
import { findBrokenLinks } from './links.ts';
import { findTextHabits } from './text-habits.ts';
import { describeFindings, isCode, listFiles, readFiles, type Finding } from './workspace-files.ts';

const paths = listFiles();
const files = readFiles(paths);
const code = files.filter(({ path }) => isCode(path));
const projects = files
  .filter(({ path }) => /^(?:(?:packages|tools)\/[^/]+|bench)\/package\.json$/.test(path))
  .map(readProject);

const none = (findings: readonly Finding[]) => expect(describeFindings(findings)).toEqual([]);

describe('the workspace', () => {
  it('is there to be looked at', () => {
    expect(projects.map(({ name }) => name)).toEqual(expect.arrayContaining(['@keyferry/core', 'keyferry']));
    expect(code.some(({ path }) => path.startsWith('packages/core/src/'))).toBe(true);
  });
  it('imports only in the allowed direction, and through exports', () => none(findBoundaryBreaks(projects, code)));
  it('keeps core pure and synchronous', () => none(findImpurities(code)));
  it('throws coded errors', () => none(findBareErrors(code)));
  it('leaves no test focused', () => none(findFocusedTests(code)));
  it('keeps each source file to one subject', () => none(findLongFiles(files)));
  it('links only to files that exist', () => none(findBrokenLinks(files, paths)));
  it('names no machine, no registry and no unfinished work', () => none(findTextHabits(files)));
});
