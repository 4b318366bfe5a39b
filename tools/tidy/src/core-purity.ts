/**
 * What core's sources may not contain: clock, timers, randomness, the process, Node, promises. A plan must come out the
 * same from the same input, and the simulator must own time; one call to the clock inside core breaks both.
 */
import ts from 'typescript';
import { importsOf, lineOf, parse, visit } from './syntax.ts';
import { isTest, type Finding, type SourceFile } from './workspace-files.ts';

const folder = 'packages/core/src/';
const clock = 'take the time as an argument (nowMs)';
const random = 'take the randomness as an argument';
const outside = 'take the value as an argument, or declare a port in core/src/ports and implement it in adapters';
const synchronous = 'return the decision and let the engine act on it; only core/src/ports may name promises, as types';

const members: Readonly<Record<string, string>> = {
  'Date.now': clock,
  'performance.now': clock,
  'Math.random': random,
  'crypto.randomUUID': random,
  'crypto.getRandomValues': random,
};
const timers = new Set(['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask']);
const roots = new Set(['process', 'globalThis']);
const asynchronousTypes = new Set([
  'Promise',
  'PromiseLike',
  'AsyncIterable',
  'AsyncIterator',
  'AsyncIterableIterator',
  'AsyncGenerator',
]);

/** Looks at packages/core/src only, its tests left out; `files` may hold anything. */
export function findImpurities(files: readonly SourceFile[]): Finding[] {
  return files.filter(({ path }) => path.startsWith(folder) && !isTest(path)).flatMap(findInFile);
}

function findInFile(file: SourceFile): Finding[] {
  const findings: Finding[] = importsOf(file)
    .filter(({ specifier }) => specifier.startsWith('node:'))
    .map(({ specifier, line }) => ({ path: file.path, line, problem: `imports '${specifier}'`, cure: outside }));
  const tree = parse(file);
  const mayNamePromises = file.path.startsWith(`${folder}ports/`);
  visit(tree, (node) => {
    const broken = judge(node, mayNamePromises);
    if (broken !== undefined) findings.push({ path: file.path, line: lineOf(tree, node), ...broken });
  });
  return findings;
}

function judge(node: ts.Node, mayNamePromises: boolean): Pick<Finding, 'problem' | 'cure'> | undefined {
  if (ts.isPropertyAccessExpression(node) && ts.isIdentifier(node.expression)) {
    const name = `${node.expression.text}.${node.name.text}`;
    const cure = members[name];
    if (cure !== undefined) return { problem: `uses ${name}`, cure };
    if (roots.has(node.expression.text)) return { problem: `uses ${name}`, cure: outside };
    if (node.expression.text === 'Promise') return { problem: `uses ${name}`, cure: synchronous };
  }
  if (ts.isNewExpression(node) && ts.isIdentifier(node.expression)) {
    const name = node.expression.text;
    if (name === 'Date' && (node.arguments ?? []).length === 0) return { problem: 'uses new Date()', cure: clock };
    if (name === 'Promise') return { problem: 'uses new Promise()', cure: synchronous };
  }
  if (ts.isCallExpression(node) && ts.isIdentifier(node.expression)) {
    const name = node.expression.text;
    if (timers.has(name))
      return { problem: `uses ${name}`, cure: 'leave waiting to the engine, through the Clock port' };
    if (name === 'Date') return { problem: 'uses Date()', cure: clock };
  }
  if (node.kind === ts.SyntaxKind.AsyncKeyword) return { problem: 'is async', cure: synchronous };
  if (ts.isAwaitExpression(node)) return { problem: 'awaits', cure: synchronous };
  if (ts.isForOfStatement(node) && node.awaitModifier !== undefined) return { problem: 'awaits', cure: synchronous };
  if (
    !mayNamePromises &&
    ts.isTypeReferenceNode(node) &&
    ts.isIdentifier(node.typeName) &&
    asynchronousTypes.has(node.typeName.text)
  ) {
    return { problem: `names ${node.typeName.text}`, cure: synchronous };
  }
  return undefined;
}
