/** All that is generated, by path: the pages of docs/reference, the schemas of --json, and the table that loads them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { capabilitiesPage } from './pages/capabilities.ts';
import { cliPage } from './pages/cli.ts';
import { configPage } from './pages/config.ts';
import { errorsPage } from './pages/errors.ts';
import { exitCodesPage } from './pages/exit-codes.ts';
import { findingsPage } from './pages/findings.ts';
import { messagesPage } from './pages/messages.ts';
import { documentSchemas, documentTable } from './schemas/documents.ts';
import { readProgram } from './schemas/program.ts';

const pages = 'docs/reference';
const schemas = 'packages/cli/snapshots/schemas';

/** Whole folders: what else lies there is left over. */
export const generatedFolders: readonly string[] = [pages, schemas];

/** Reference pages that no code says. */
export const pagesByHand: readonly string[] = [`${pages}/wire-protocol.md`];

/** Each package that ships carries the licence: npm takes it from the package's own folder only. */
const licensed: readonly string[] = ['core', 'engine', 'adapters', 'cli'];

export function generatedFiles(root: string): ReadonlyMap<string, string> {
  const program = readProgram(root);
  const documents = documentSchemas(program);
  const files = new Map<string, string>([
    [`${pages}/cli.md`, cliPage()],
    [`${pages}/exit-codes.md`, exitCodesPage()],
    [`${pages}/errors.md`, errorsPage(program)],
    [`${pages}/findings.md`, findingsPage()],
    [`${pages}/messages.md`, messagesPage(program)],
    [`${pages}/capabilities.md`, capabilitiesPage(program)],
    [`${pages}/config.md`, configPage()],
    ['packages/cli/src/schemas/documents.ts', documentTable(Object.keys(documents))],
  ]);
  for (const [name, schema] of Object.entries(documents)) {
    files.set(`${schemas}/${name}.json`, JSON.stringify(schema));
  }
  const license = readFileSync(join(root, 'LICENSE'), 'utf8');
  for (const name of licensed) files.set(`packages/${name}/LICENSE`, license);
  return files;
}
