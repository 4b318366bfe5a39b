/**
 * Handlers as one file of CommonJS each, which starts faster than an ES module, with all that it needs inside: no
 * node_modules, no layer, nothing looked for beside it but keyferry.json.
 */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { KeyferryError } from '@keyferry/core';
import type { Plugin } from 'esbuild';
import { codeFile } from '../runtime/bundle-files.ts';
import type { FunctionName } from '../runtime/invocation.ts';
import { leftOut } from './left-out.ts';
import { onlyNamed } from './named-adapters.ts';

export interface HandlerBundle {
  readonly bytes: number;
  /** Folders of the libraries in it, whose licences go with it. */
  readonly libraries: readonly string[];
}

/**
 * Writes OUT/NAME/index.cjs for each name.
 * @param named the adapters that are wanted (named-adapters.ts)
 */
export async function bundleHandlers(
  names: readonly FunctionName[],
  out: string,
  options: { readonly named: ReadonlySet<string>; readonly version: string },
): Promise<ReadonlyMap<FunctionName, HandlerBundle>> {
  const here = fileURLToPath(import.meta.url);
  const folder = dirname(here);
  // Sources in a checkout, built files in a package: whichever this file is itself.
  const extension = here.endsWith('.ts') ? 'ts' : 'js';
  const { build } = await loadBundler();
  const { metafile } = await build({
    absWorkingDir: folder,
    entryPoints: names.map((name) => ({
      in: join(folder, `../handlers/${name}.${extension}`),
      out: `${name}/${codeFile.replace(/\.cjs$/, '')}`,
    })),
    outdir: out,
    outExtension: { '.js': '.cjs' },
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node24',
    // `module`: what can be left out of a library can only be told of ES modules.
    mainFields: ['module', 'main'],
    conditions: ['module', ...(extension === 'ts' ? ['keyferry-source'] : [])],
    minify: true,
    legalComments: 'none',
    metafile: true,
    logLevel: 'silent',
    define: { 'import.meta.url': 'bundleUrl', 'import.meta.dirname': '__dirname' },
    banner: { js: "const bundleUrl = require('node:url').pathToFileURL(__filename).href;" },
    plugins: [onlyNamed(options.named), leftOut(), versionOf(options.version)],
  });
  const bundles = new Map<FunctionName, HandlerBundle>();
  for (const name of names) {
    const output = Object.entries(metafile.outputs).find(([path]) => path.endsWith(`${name}/${codeFile}`))?.[1];
    const libraries = Object.keys(output?.inputs ?? {}).flatMap(
      (path) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? [],
    );
    bundles.set(name, {
      bytes: output?.bytes ?? 0,
      libraries: [...new Set(libraries)].map((path) => join(folder, path)).toSorted(),
    });
  }
  return bundles;
}

/** @throws {KeyferryError} `lambda.no-bundler` in the single executable, which has none in it */
async function loadBundler(): Promise<typeof import('esbuild')> {
  try {
    return await import('esbuild');
  } catch (cause) {
    throw new KeyferryError('lambda.no-bundler', {}, { cause });
  }
}

/** Read from a package.json elsewhere. */
function versionOf(version: string): Plugin {
  return {
    name: 'version',
    setup: (of) => {
      of.onLoad({ filter: /keyferry-version\.[jt]s$/ }, () => ({
        contents: `export const keyferryVersion = () => ${JSON.stringify(version)};`,
      }));
    },
  };
}
