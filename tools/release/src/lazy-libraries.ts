/**
 * What libraries make or load at a start and hardly ever use, made or loaded when it is used. For bundles of the command line,
 * where what is loaded is what a short command costs.
 *
 *     oclif                each of its files loads all that it might need (help, templates, versions, globs) at its first line
 *     texts in a terminal  need rules for every character of Unicode, but only where a text is no ASCII or has to be wrapped
 *
 * An edit is of text that has to be there: a version of a library in which it is not stops the build.
 */
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Plugin } from 'esbuild';

/** Libraries of which these functions are called, and nothing else is used. */
const functionsOf: Readonly<Record<string, readonly string[]>> = {
  'string-width': ['default'],
  'wrap-ansi': ['default'],
  fflate: ['gzipSync', 'gunzipSync'],
};

export const lazyLibraries: Plugin = {
  name: 'lazy-libraries',
  setup: (of) => {
    of.onLoad({ filter: /@oclif[\\/]core[\\/]lib[\\/].*\.js$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8');
      const [, file = ''] = /lib[\\/](.*)$/.exec(path) ?? [];
      return { contents: withLazyRequires(edits[file.replaceAll('\\', '/')]?.(path, text) ?? text) };
    });
    of.onResolve({ filter: new RegExp(`^(?:${Object.keys(functionsOf).join('|')})$`) }, async (asked) => {
      // Also asked by what is loaded below: by `require`, at which a module runs no sooner than that is called.
      if (asked.kind !== 'import-statement' || asked.pluginData === 'itself') return undefined;
      const { path: name, kind, importer, resolveDir } = asked;
      const { path } = await of.resolve(name, { kind, importer, resolveDir, pluginData: 'itself' });
      return { path: `${path}.lazy`, namespace: 'lazy-functions', pluginData: { name, path } };
    });
    of.onLoad({ filter: /.*/, namespace: 'lazy-functions' }, ({ pluginData }) => {
      const { name, path } = pluginData as { readonly name: string; readonly path: string };
      const library = `require(${JSON.stringify(path)})`;
      const lines = (functionsOf[name] ?? []).map((each) =>
        each === 'default'
          ? `export default (...all) => ${library}.default(...all);`
          : `export const ${each} = (...all) => ${library}.${each}(...all);`,
      );
      return { contents: lines.join('\n'), resolveDir: dirname(path) };
    });
  },
};

/** The program asks for its version of Node before anything is loaded; and only on one kind of machine is more to be asked. */
const edits: Readonly<Record<string, (path: string, text: string) => string>> = {
  'index.js': (path, text) => edited(path, text, 'checkNodeVersion();\n', ''),
  'util/os.js': (path, text) =>
    edited(
      path,
      text,
      "return (await import('wsl-utils')).isWsl",
      "return (0, node_os_1.release)().toLowerCase().includes('microsoft') && (await import('wsl-utils')).isWsl",
    ),
};

function edited(path: string, text: string, from: string, to: string): string {
  if (!text.includes(from)) throw new TypeError(`${path} has changed: it no longer says ${from}`);
  return text.replace(from, to);
}

/** What the TypeScript compiler makes of an import: `const fs_1 = require("./util/fs");`, and uses of `fs_1` by that name alone. */
const requireLine = /^(?:const|var) (\w+_\d+) = ((?:__import(?:Default|Star)\()?require\("[^"]+"\)\)?);$/gm;

function withLazyRequires(text: string): string {
  const names = [...text.matchAll(requireLine)].map(([, name = '']) => name);
  if (names.length === 0) return text;
  const lazy = text.replace(
    requireLine,
    (_line, name: string, load: string) => `let ${name}$;\nconst ${name} = () => ${name}$ ??= ${load};`,
  );
  const uses = new RegExp(String.raw`(?<!(?:let|const) )\b(${names.join('|')})\b(?!\$)`, 'g');
  // Of `new a_1.B(…)` the name is not what is called.
  return lazy.replace(uses, '($1())');
}
