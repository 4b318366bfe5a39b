/**
 * Node's own modules as they are. For `import`, Node makes an export of each member of a module, and so loads what some of them
 * stand for and nothing here uses: WebSocket and fetch behind http, WebCrypto behind crypto, the terminal behind process.
 */
import { builtinModules } from 'node:module';
import type { Plugin } from 'esbuild';

export const plainBuiltins: Plugin = {
  name: 'plain-builtins',
  setup: (of) => {
    const names = new Set(builtinModules.flatMap((name) => [name, `node:${name}`]).concat('node:sqlite'));
    of.onResolve({ filter: /^[a-z0-9_:/]+$/ }, ({ path, kind }) => {
      if (kind !== 'import-statement' || !names.has(path)) return undefined;
      return { path: path.replace(/^(?:node:)?/, 'node:'), namespace: 'builtin', sideEffects: false };
    });
    of.onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({ contents: exportsOf(path) }));
  },
};

function exportsOf(name: string): string {
  const members = Object.getOwnPropertyNames(process.getBuiltinModule(name));
  return [
    `const all = process.getBuiltinModule(${JSON.stringify(name)});`,
    'export default all;',
    // Each is asked for by itself, so that those that nobody imports are left out.
    ...members
      .filter((member) => /^[A-Za-z_]\w*$/.test(member) && member !== 'default')
      .map((member) => `export const ${member} = /* @__PURE__ */ (() => all.${member})();`),
  ].join('\n');
}
