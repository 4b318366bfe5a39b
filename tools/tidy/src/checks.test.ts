/** Goal: each check does find what it is there for. Method: one wrong file a rule, beside one that is right. */
import { describe, expect, it } from 'vitest';
import { findBoundaryBreaks, type Project } from './boundaries.ts';
import { findBareErrors, findFocusedTests, findLongFiles } from './code-habits.ts';
import { findImpurities } from './core-purity.ts';
import { findBrokenLinks } from './links.ts';
import { findTextHabits } from './text-habits.ts';

const project = (folder: string, name: string, layer: string, dependencies: string[] = []): Project => ({
  folder,
  name,
  layer,
  subpaths: ['.', './testing'],
  scripts: ['lint'],
  dependencies,
});
const projects = [
  project('packages/core', '@keyferry/core', 'core'),
  project('packages/engine', '@keyferry/engine', 'engine'),
  project('packages/adapters', '@keyferry/adapters', 'adapters'),
  project('packages/client', '@keyferry/client', 'client'),
  project('packages/cli', 'keyferry', 'cli'),
  project('packages/lambda', '@keyferry/lambda', 'lambda'),
  project('tools/servers', '@keyferry/servers', 'servers'),
  project('tools/sim', '@keyferry/sim', 'tools'),
];
const file = (path: string, text: string) => ({ path, text });
const importing = (path: string, specifier: string) => [file(path, `import { x } from '${specifier}';`)];

describe('import boundaries', () => {
  it.each([
    ['packages/core/src/a.ts', '@keyferry/engine', /core\) imports '@keyferry\/engine'/],
    ['packages/core/src/a.ts', '@keyferry/servers', /imports '@keyferry\/servers'/],
    ['packages/engine/src/a.ts', '@keyferry/adapters', /engine\) imports/],
    ['packages/adapters/src/a.ts', '@keyferry/engine', /adapters\) imports/],
    ['packages/adapters/src/a.ts', '@keyferry/servers', /adapters\) imports/],
    ['packages/client/src/a.ts', '@keyferry/adapters', /client\) imports/],
    ['packages/engine/src/a.ts', 'keyferry', /engine\) imports/],
    ['packages/adapters/test/a.test.ts', '@keyferry/engine', /adapters\) imports/],
    ['packages/engine/src/a.ts', '@keyferry/core/src/model/key.ts', /reaches inside/],
    ['packages/engine/src/a.ts', '@keyferry/core/testing', /test code into src/],
    ['packages/core/src/a.ts', '../testing/arbitraries.ts', /test code into src/],
    ['packages/engine/src/a.ts', '../../core/src/index.ts', /leaves @keyferry\/engine/],
  ])('%s may not import %s', (path, specifier, problem) => {
    const findings = findBoundaryBreaks(projects, importing(path, specifier));
    expect(findings).toHaveLength(1);
    expect(findings[0]?.problem).toMatch(problem);
    expect(findings[0]?.line).toBe(1);
  });

  it.each([
    ['packages/engine/src/a.ts', '@keyferry/core'],
    ['packages/cli/src/a.ts', '@keyferry/adapters'],
    ['packages/lambda/src/a.ts', '@keyferry/engine'],
    ['packages/adapters/test/contract/a.test.ts', '@keyferry/servers'],
    ['packages/adapters/test/contract/a.test.ts', '@keyferry/core/testing'],
    ['packages/core/src/a.test.ts', '../testing/arbitraries.ts'],
    ['packages/adapters/src/a.ts', 'node:fs'],
    ['tools/sim/src/a.ts', '@keyferry/engine/testing'],
  ])('%s may import %s', (path, specifier) => {
    expect(findBoundaryBreaks(projects, importing(path, specifier))).toEqual([]);
  });

  it.each([`export * from 'keyferry';`, `const x = await import('keyferry');`, `type X = import('keyferry').X;`])(
    'sees %s',
    (text) => expect(findBoundaryBreaks(projects, [file('packages/core/src/a.ts', text)])).toHaveLength(1),
  );

  it('sees a wrong dependency in a manifest, a package without a layer, and one that is not linted', () => {
    const wrong = [
      { ...project('packages/cli', 'keyferry', 'cli'), scripts: [] },
      project('packages/core', '@keyferry/core', 'core', ['@keyferry/engine']),
      project('packages/engine', '@keyferry/engine', ''),
    ];
    expect(findBoundaryBreaks(wrong, []).map(({ path }) => path)).toEqual([
      'packages/cli/package.json',
      'packages/core/package.json',
      'packages/engine/package.json',
    ]);
  });
});

describe('purity of core', () => {
  it.each([
    'const now = Date.now();',
    'const now = new Date();',
    'const n = Math.random();',
    'setTimeout(() => {}, 1);',
    'const e = process.env;',
    `import { readFileSync } from 'node:fs';`,
    'async function f() {}',
    'let p: Promise<void>;',
    'let p: AsyncIterable<number>;',
  ])('refuses %s', (text) => expect(findImpurities([file('packages/core/src/plan/a.ts', text)])).toHaveLength(1));

  it.each([
    ['packages/core/src/plan/a.ts', '// Date.now() and process.env are words here\nconst d = new Date(5);'],
    ['packages/core/src/ports/source.ts', 'export interface S { read(): Promise<void>; }'],
    ['packages/core/src/plan/a.test.ts', 'const now = Date.now();'],
    ['packages/engine/src/a.ts', 'const now = Date.now();'],
  ])('accepts %s: %s', (path, text) => expect(findImpurities([file(path, text)])).toEqual([]));

  it('refuses work with promises in the ports too', () => {
    expect(findImpurities([file('packages/core/src/ports/a.ts', 'async function f() {}')])).toHaveLength(1);
  });
});

describe('habits of code', () => {
  it('finds a bare error in sources and leaves tests alone', () => {
    const text = `throw new Error('no');`;
    const findings = findBareErrors([file('packages/cli/src/a.ts', text), file('packages/cli/src/a.test.ts', text)]);
    expect(findings.map(({ path }) => path)).toEqual(['packages/cli/src/a.ts']);
  });
  it('finds a focused test', () => {
    const text = ['it', 'only(`x`, () => {});'].join('.');
    expect(findFocusedTests([file('packages/cli/src/a.test.ts', text)])).toHaveLength(1);
  });
  it('finds a file of 401 lines, not one of 400, not a generated one', () => {
    const lines = (count: number, first: string) => first + '\n'.repeat(count - 1) + 'end';
    expect(
      findLongFiles([
        file('packages/cli/src/a.ts', lines(401, '')),
        file('packages/cli/src/b.ts', lines(400, '')),
        file('packages/cli/src/c.ts', lines(401, '// @generated by tools/gen')),
      ]).map(({ path }) => path),
    ).toEqual(['packages/cli/src/a.ts']);
  });
});

describe('habits of text', () => {
  it.each([
    ['docs/a.md', `see ${['', 'home', 'someone', 'x'].join('/')}`],
    ['docs/a.md', `https://${['registry', 'npmjs', 'org'].join('.')}/x`],
    ['package-lock.json', '      "resolved": "https://somewhere.example/x.tgz",'],
    ['.npmrc', 'registry=somewhere'],
    ['docs/a.md', ['TO', 'DO: write'].join('')],
  ])('%s may not hold %s', (path, text) => expect(findTextHabits([file(path, text)])).toHaveLength(1));

  it.each([
    ['docs/a.md', 'see ./work/x and https://example.org/root/x'],
    ['package-lock.json', '      "resolved": "packages/core",'],
    ['.npmrc', 'save-exact=true'],
  ])('%s may hold %s', (path, text) => expect(findTextHabits([file(path, text)])).toEqual([]));
});

describe('links', () => {
  const paths = ['README.md', 'docs/README.md', 'docs/guides/a.md'];
  it.each(['[x](../gone.md)', '[x]: gone.md', '![x](<gone.png>)'])('finds %s broken', (text) =>
    expect(findBrokenLinks([file('docs/README.md', text)], paths)).toHaveLength(1),
  );
  it.each(['[x](../README.md#top)', '[x](guides/)', '[x](https://example.org)', '[x](#here)', '`[x](gone.md)`'])(
    'accepts %s',
    (text) => expect(findBrokenLinks([file('docs/README.md', text)], paths)).toEqual([]),
  );
});
