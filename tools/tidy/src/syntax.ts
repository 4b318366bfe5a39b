/** Small questions about TypeScript syntax, asked of the parser: comments and strings never count as code. */
import ts from 'typescript';
import type { SourceFile } from './workspace-files.ts';

export interface ImportSpecifier {
  readonly specifier: string;
  readonly line: number;
}

export const parse = (file: SourceFile): ts.SourceFile =>
  ts.createSourceFile(file.path, file.text, ts.ScriptTarget.ES2024, /* setParentNodes */ true);

export function visit(node: ts.Node, see: (node: ts.Node) => void): void {
  see(node);
  ts.forEachChild(node, (child) => visit(child, see));
}

export const lineOf = (tree: ts.SourceFile, node: ts.Node): number =>
  tree.getLineAndCharacterOfPosition(node.getStart(tree)).line + 1;

/** Every module a file names: imports, re-exports, `import()`, `require()`, `vi.mock()` and import types. */
export function importsOf(file: SourceFile): ImportSpecifier[] {
  const tree = parse(file);
  const found: ImportSpecifier[] = [];
  visit(tree, (node) => {
    const named = moduleName(node);
    if (named !== undefined) found.push({ specifier: named.text, line: lineOf(tree, named) });
  });
  return found;
}

function moduleName(node: ts.Node): ts.StringLiteralLike | undefined {
  let named: ts.Node | undefined;
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) named = node.moduleSpecifier;
  else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) named = node.argument.literal;
  else if (ts.isCallExpression(node) && loadsModule(node.expression)) named = node.arguments[0];
  return named !== undefined && ts.isStringLiteralLike(named) ? named : undefined;
}

function loadsModule(callee: ts.Expression): boolean {
  if (callee.kind === ts.SyntaxKind.ImportKeyword) return true;
  if (ts.isIdentifier(callee)) return callee.text === 'require';
  return ts.isPropertyAccessExpression(callee) && callee.getText() === 'vi.mock';
}
