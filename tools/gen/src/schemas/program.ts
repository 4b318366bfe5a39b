/**
 * The sources of core and cli as the TypeScript compiler sees them. What --json prints is what the views return, so the
 * schemas are read from the types of the views: they cannot say anything else than the code does.
 */
import { join } from 'node:path';
import ts from 'typescript';

export interface Program {
  readonly checker: ts.TypeChecker;
  readonly sources: readonly ts.SourceFile[];
}

/** @throws when the sources do not compile: their types would then be guesses */
export function readProgram(root: string): Program {
  const configFile = join(root, 'packages/cli/tsconfig.build.json');
  const host: ts.ParseConfigFileHost = {
    ...ts.sys,
    onUnRecoverableConfigFileDiagnostic: (diagnostic) => fail([diagnostic]),
  };
  const parsed = ts.getParsedCommandLineOfConfigFile(configFile, undefined, host);
  // The schemas themselves and what imports them are made here; neither may stand in the way of making them.
  const fileNames = (parsed?.fileNames ?? []).filter((name) => name.endsWith('.ts') && !name.includes('/schemas/'));
  const program = ts.createProgram(fileNames, {
    ...parsed?.options,
    noEmit: true,
    composite: false,
    incremental: false,
  });
  const sources = program.getSourceFiles().filter(({ fileName }) => /\/packages\/(core|cli)\/src\//.test(fileName));
  return { checker: program.getTypeChecker(), sources };
}

/** The type of an interface or alias, wherever in the sources it is declared. */
export function typeNamed({ checker, sources }: Program, name: string): ts.Type {
  for (const source of sources) {
    for (const node of source.statements) {
      if ((ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)) && node.name.text === name) {
        return checker.getTypeAtLocation(node.name);
      }
    }
  }
  throw new TypeError(`there is no type ${name} in the sources of core and cli`);
}

function fail(diagnostics: readonly ts.Diagnostic[]): never {
  throw new TypeError(
    ts.formatDiagnostics(diagnostics, { ...ts.sys, getCanonicalFileName: (name) => name, getNewLine: () => '\n' }),
  );
}
