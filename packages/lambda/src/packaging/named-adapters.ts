/**
 * Which adapters a bundle holds: those that its migration names. The wiring loads each by an `import()` of its own; what is
 * not named is put in as nothing, so that no client of another store comes along.
 */
import type { ResolvedConfig } from '@keyferry/adapters';
import type { Plugin } from 'esbuild';

/** Modules of the adapters that are loaded on demand, by their paths from the adapters' own folder. */
export function namedModules({ stores }: Pick<ResolvedConfig, 'stores'>): ReadonlySet<string> {
  const named = new Set(['state/dynamodb/index', 'spool/record-spool']);
  for (const { kind } of Object.values(stores)) named.add(`${kind}/index`);
  const references = JSON.stringify(stores);
  if (/"(?:ssm|secretsManager)":/.test(references)) named.add('aws-secrets/read-secret');
  return named;
}

const nothing = 'keyferry-left-out';

export function onlyNamed(named: ReadonlySet<string>): Plugin {
  return {
    name: 'only-named-adapters',
    setup: (of) => {
      of.onResolve({ filter: /^\.\.?\// }, ({ kind, path, importer }) => {
        if (kind !== 'dynamic-import' || !/[\\/](?:wire(?:-\w+)?|secrets|backup)\.[jt]s$/.test(importer)) return null;
        const module = path.replace(/^(?:\.\.?\/)+/, '').replace(/\.[jt]s$/, '');
        return named.has(module) ? null : { path: module, namespace: nothing };
      });
      of.onLoad({ filter: /.*/, namespace: nothing }, () => ({ contents: '', loader: 'js' }));
    },
  };
}
