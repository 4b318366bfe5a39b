/**
 * Few files in place of many: what a set of entries has in common, in one.
 *
 * A bundler that splits cuts code by which entries can reach it, and a program with a hundred of them comes out in as many
 * pieces, most of a few hundred bytes. Node takes as long to find and link one of these as to compile 20 kB. Pieces that are
 * always loaded together are joined here; whoever imported one of them imports the joined file, where its names have the
 * number of their piece behind them.
 *
 *     pieces that these entries import, all the way down ──► one file      dynamic imports stay what they are
 *
 * Whatever a piece imports is joined with it, so that no joined file waits for one that waits for it.
 */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { build, type Metafile } from 'esbuild';

/** By name of the file: names of the files that it imports at its start. */
type Graph = ReadonlyMap<string, { readonly imports: readonly string[]; readonly isEntry: boolean }>;

export interface JoinedFile {
  readonly name: string;
  /** Sources, by the end of their paths, whose imports are gathered. */
  readonly of: readonly string[];
}

/**
 * @param first the source that is always run, and may need none of the rest: what it imports stays as it is
 * @returns names of the files that are there in the end
 */
export async function joinChunks(
  folder: string,
  metafile: Metafile,
  first: string,
  joined: readonly JoinedFile[],
): Promise<ReadonlySet<string>> {
  const graph = graphOf(metafile);
  const files = new Set(graph.keys());
  const alone = importedBy(graph, entryOf(metafile, first));
  for (const { name, of } of joined) {
    const pieces = of.flatMap((source) => [...importedBy(graph, entryOf(metafile, source))]);
    const isFree = (file: string) => files.has(file) && graph.get(file)?.isEntry === false && !alone.has(file);
    const own = [...new Set(pieces)].filter(isFree).toSorted();
    const file = await joinInto(folder, name, own);
    for (const piece of own) files.delete(piece);
    for (const each of files) await redirect(folder, each, own, file);
    for (const piece of own) await rm(join(folder, piece));
    files.add(file);
  }
  return files;
}

function graphOf({ outputs }: Metafile): Graph {
  return new Map(
    Object.entries(outputs).map(([path, { imports, entryPoint }]) => [
      basename(path),
      {
        imports: imports.flatMap(({ path: to, kind, external }) =>
          kind === 'import-statement' && external !== true ? [basename(to)] : [],
        ),
        isEntry: entryPoint !== undefined,
      },
    ]),
  );
}

function entryOf({ outputs }: Metafile, source: string): string {
  const found = Object.entries(outputs).find(([, { entryPoint }]) => entryPoint?.endsWith(source) === true);
  if (found === undefined) throw new TypeError(`no file of the bundle begins with ${source}`);
  return basename(found[0]);
}

function importedBy(graph: Graph, file: string, seen = new Set<string>()): ReadonlySet<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  for (const each of graph.get(file)?.imports ?? []) importedBy(graph, each, seen);
  return seen;
}

/** Every export of every piece, under a name that no other has. */
async function joinInto(folder: string, name: string, pieces: readonly string[]): Promise<string> {
  const lines = await Promise.all(
    pieces.map(async (piece, number) => {
      const names = exportsOf(await readFile(join(folder, piece), 'utf8'));
      const renamed = names.map((each) => `${each} as ${each}$${number}`);
      return renamed.length === 0 ? `import './${piece}';` : `export { ${renamed.join(', ')} } from './${piece}';`;
    }),
  );
  const { metafile } = await build({
    stdin: { contents: lines.join('\n'), resolveDir: folder, sourcefile: `${name}.mjs` },
    outdir: folder,
    entryNames: `${name}-[hash]`,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: 'none',
    logLevel: 'warning',
    metafile: true,
    external: ['node:*', '@keyferry/lambda', 'typescript', 'ts-node'],
    plugins: [
      {
        name: 'others-stay',
        setup: (of) => {
          of.onResolve({ filter: /^\.\/.*\.mjs$/ }, ({ path }) =>
            pieces.includes(basename(path)) ? undefined : { path, external: true },
          );
        },
      },
    ],
  });
  const [output = ''] = Object.keys(metafile.outputs);
  return basename(output);
}

/** `export{a,b as c};` at the end of a piece. */
function exportsOf(text: string): readonly string[] {
  const [, names = ''] = /(?:^|[;}\n])export\{([^{}]*)\};?\s*$/.exec(text) ?? [];
  return names.split(',').flatMap((each) => each.split(' as ').at(-1)?.trim() || []);
}

const importLine = /import(?:\{([^{}]*)\}from)?"\.\/([\w-]+\.mjs)";/g;

async function redirect(folder: string, file: string, pieces: readonly string[], to: string): Promise<void> {
  const text = await readFile(join(folder, file), 'utf8');
  const numbers = new Map(pieces.map((piece, number) => [piece, number]));
  const changed = text.replace(importLine, (line, names: string | undefined, from: string) => {
    const number = numbers.get(from);
    if (number === undefined) return line;
    if (names === undefined) return `import"./${to}";`;
    const renamed = names.split(',').map((each) => {
      const [name = '', here = name] = each.split(' as ').map((word) => word.trim());
      return `${name}$${number} as ${here}`;
    });
    return `import{${renamed.join(',')}}from"./${to}";`;
  });
  if (changed !== text) await writeFile(join(folder, file), changed);
}
