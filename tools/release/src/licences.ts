/** Whose work is in a bundle, and under which licences it is passed on. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Metafile } from 'esbuild';

/** Folders of the libraries that a bundle holds. */
export function packagesIn({ inputs }: Metafile): readonly string[] {
  // Without what stands for one of its files and is none (lazy-libraries.ts).
  const files = Object.keys(inputs).filter((path) => !/^[\w-]+:/.test(path));
  const folders = files.flatMap((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path) ?? []);
  return [...new Set(folders)].toSorted();
}

/** The texts that the licences of what is inside want to go along. */
export async function licences(
  root: string,
  packages: readonly string[],
  first: readonly string[] = [],
): Promise<string> {
  const texts = packages.map(async (folder) => {
    const path = join(root, folder);
    const { name, version, license } = JSON.parse(await readFile(join(path, 'package.json'), 'utf8')) as {
      readonly name: string;
      readonly version: string;
      readonly license?: string;
    };
    const files = (await readdir(path)).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file));
    const bodies = await Promise.all(files.map((file) => readFile(join(path, file), 'utf8')));
    return [`${name} ${version} (${license ?? 'see below'})`, ...bodies].join('\n\n');
  });
  return `${[...first, ...(await Promise.all(texts))].join(`\n\n${'-'.repeat(80)}\n\n`)}\n`;
}
