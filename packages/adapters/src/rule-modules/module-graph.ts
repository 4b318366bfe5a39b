/**
 * Loads modules of rules into this process, and knows every byte that it executed of them.
 *
 * Node is asked for each import as it makes it (`module.registerHooks`), so that no import can be written in a way that
 * a search of the text would miss. What is hashed is the very text that is handed to Node. Only files beside a module
 * can be hashed: a package, a module of Node or an import while records are asked for is refused, because a plan could
 * not tell when it has changed. Modules load synchronously; one that waits at its top level is refused by Node.
 *
 * A process loads a file once and keeps it, as Node does; what it executes is what it states the digest of.
 */
import { createHash } from 'node:crypto';
import { readFileSync, realpathSync } from 'node:fs';
import { createRequire, registerHooks, type LoadFnOutput } from 'node:module';
import { dirname, relative, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { canonicalJson } from '@keyferry/core';
import { isModulePath } from './module-path.ts';

interface LoadedFile {
  readonly imports: Set<string>;
  /** Of its bytes; empty until they were read. */
  sha256: string;
}

const files = new Map<string, LoadedFile>();
/** The module that is being loaded; imports from any file at another time are made while a rule runs. */
let loading: string | null = null;
let hooked = false;

/** What a module exports as its default. @throws whatever keeps it from being loaded, in words for people */
export function loadDefaultExport(path: string): unknown {
  hookOnce();
  const url = urlOf(path);
  const nodeRequire = createRequire(import.meta.url);
  loading = url;
  try {
    const { default: exported } = nodeRequire(fileURLToPath(url)) as { readonly default?: unknown };
    return exported;
  } finally {
    loading = null;
  }
}

/** SHA-256 of a loaded module and of all that it imports, the same in every checkout. */
export function moduleDigest(path: string): string {
  const folder = dirname(fileURLToPath(urlOf(path)));
  const contents = reachedFrom(urlOf(path)).map((url) => [
    relative(folder, fileURLToPath(url)).split(sep).join('/'),
    files.get(url)?.sha256 ?? '',
  ]);
  return createHash('sha256')
    .update(canonicalJson(contents.toSorted(([a = ''], [b = '']) => (a < b ? -1 : 1))))
    .digest('hex');
}

/** Paths of a loaded module and of all that it imports. */
export function moduleFiles(path: string): readonly string[] {
  return reachedFrom(urlOf(path)).map((url) => fileURLToPath(url));
}

function reachedFrom(start: string): readonly string[] {
  const reached = new Set<string>();
  const reach = (url: string): void => {
    if (reached.has(url)) return;
    reached.add(url);
    for (const imported of files.get(url)?.imports ?? []) reach(imported);
  };
  reach(start);
  return [...reached];
}

const urlOf = (path: string): string => pathToFileURL(realpathSync(path)).href;

class ImportRefused extends Error {}

function hookOnce(): void {
  if (hooked) return;
  hooked = true;
  registerHooks({
    resolve(specifier, context, nextResolve) {
      const importer = context.parentURL === undefined ? undefined : files.get(context.parentURL);
      if (importer === undefined) {
        const resolved = nextResolve(specifier, context);
        return resolved.url === loading ? known(resolved) : resolved;
      }
      if (loading === null) throw new ImportRefused(`it imports ${specifier} while it runs; a rule waits for nothing`);
      if (!/^\.\.?\//.test(specifier)) {
        throw new ImportRefused(
          `it imports ${specifier}, and only files beside it, by ./ or ../, can be part of its digest`,
        );
      }
      const resolved = nextResolve(specifier, context);
      importer.imports.add(resolved.url);
      return known(resolved);
    },
    load(url, context, nextLoad): LoadFnOutput {
      const file = files.get(url);
      if (file === undefined) return nextLoad(url, context);
      const source = readFileSync(fileURLToPath(url));
      file.sha256 = createHash('sha256').update(source).digest('hex');
      return { format: formatOf(url), source, shortCircuit: true };
    },
  });
}

function known<R extends { readonly url: string }>(resolved: R): R & { readonly format: string } {
  const { url } = resolved;
  if (!files.has(url)) files.set(url, { imports: new Set(), sha256: '' });
  return { ...resolved, format: formatOf(url) };
}

/** Always a module, whatever a package.json nearby says of its folder. */
function formatOf(url: string): string {
  if (url.endsWith('.json')) return 'json';
  if (!isModulePath(url))
    throw new ImportRefused(`it imports ${url.slice(url.lastIndexOf('/') + 1)}, which is no module`);
  return url.endsWith('ts') ? 'module-typescript' : 'module';
}
