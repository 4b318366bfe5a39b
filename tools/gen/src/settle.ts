/** Brings files to what they should be, or only says which are not: both ways look at the same bytes. */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export interface SettleOptions {
  /** Path below the root, and text. */
  readonly wanted: ReadonlyMap<string, string>;
  /** What else lies in these is left over. */
  readonly folders: readonly string[];
  /** Paths in the folders that people write. */
  readonly byHand: readonly string[];
  /** Write nothing. */
  readonly check: boolean;
}

/** @returns the paths that are, or were, not what is wanted */
export async function settle(
  root: string,
  { wanted, folders, byHand, check }: SettleOptions,
): Promise<readonly string[]> {
  const stale: string[] = [];
  for (const [path, text] of wanted) {
    const file = join(root, path);
    const there = await readFile(file, 'utf8').catch(() => null);
    if (there === text) continue;
    stale.push(path);
    if (check) continue;
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }
  for (const folder of folders) {
    for (const name of await readdir(join(root, folder)).catch(() => [])) {
      const path = `${folder}/${name}`;
      if (wanted.has(path) || byHand.includes(path)) continue;
      stale.push(path);
      if (!check) await rm(join(root, path));
    }
  }
  return stale;
}
