/** Review remarks about any code of ours: coded errors, no test left focused, no file with two subjects. */
import ts from 'typescript';
import { lineOf, parse, visit } from './syntax.ts';
import { isCode, isTest, type Finding, type SourceFile } from './workspace-files.ts';

const linesMax = 400;

/** `throw new Error(…)` in the packages: such an error has no code, so no exit code, no retry rule and no remedy. */
export function findBareErrors(files: readonly SourceFile[]): Finding[] {
  const inSources = files.filter(({ path }) => /^packages\/[^/]+\/src\//.test(path) && !isTest(path));
  return inSources.flatMap((file) =>
    findNodes(
      file,
      (node) =>
        ts.isThrowStatement(node) &&
        ts.isNewExpression(node.expression) &&
        ts.isIdentifier(node.expression.expression) &&
        node.expression.expression.text === 'Error',
      'throws a bare Error',
      "throw new KeyferryError('area.what-happened', { … }), or use invariant(…) for a broken assumption",
    ),
  );
}

/** A focused test (`it.only`) silently switches off all the others of its file. */
export function findFocusedTests(files: readonly SourceFile[]): Finding[] {
  return files
    .filter(({ path }) => isTest(path))
    .flatMap((file) =>
      findNodes(
        file,
        (node) =>
          ts.isPropertyAccessExpression(node) &&
          node.name.text === 'only' &&
          /^(?:it|test|describe|suite|bench)\b/.test(node.expression.getText()),
        'runs only some of its tests',
        'take the .only out',
      ),
    );
}

/** Generated files say `@generated` in one of their first five lines; tests are tables and may be long. */
export function findLongFiles(files: readonly SourceFile[]): Finding[] {
  return files
    .filter(({ path, text }) => isCode(path) && !isTest(path) && !/^(?:.*\n){0,4}.*@generated/.test(text))
    .map(({ path, text }) => ({ path, lines: text.trimEnd().split('\n').length }))
    .filter(({ lines }) => lines > linesMax)
    .map(({ path, lines }) => ({
      path,
      problem: `has ${lines} lines, more than ${linesMax}`,
      cure: 'look for its second subject and give that a file of its own; generated files say @generated at the top',
    }));
}

function findNodes(file: SourceFile, matches: (node: ts.Node) => boolean, problem: string, cure: string): Finding[] {
  const tree = parse(file);
  const findings: Finding[] = [];
  visit(tree, (node) => {
    if (matches(node)) findings.push({ path: file.path, line: lineOf(tree, node), problem, cure });
  });
  return findings;
}
