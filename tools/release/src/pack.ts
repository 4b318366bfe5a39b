/** The packages that ship, as npm would publish them: tarballs in a folder, from a build without leftovers. */
import { execFile } from 'node:child_process';
import { access, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export const shipped = ['core', 'engine', 'adapters', 'lambda', 'cli'] as const;

/** @returns the tarballs, in the order of `shipped` */
export async function packAll(root: string, folder: string): Promise<readonly string[]> {
  await mkdir(folder, { recursive: true });
  const tarballs: string[] = [];
  for (const name of shipped) {
    const own = join(root, 'packages', name);
    await removeLeftovers(own);
    const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', folder], { cwd: own });
    // What a script of the package prints comes before the list.
    const [{ filename }] = JSON.parse(stdout.slice(stdout.search(/^\[/m))) as [{ readonly filename: string }];
    tarballs.push(join(folder, filename));
  }
  return tarballs;
}

/** The compiler never removes what it made of a source that is gone. */
async function removeLeftovers(own: string): Promise<void> {
  const dist = join(own, 'dist');
  for (const entry of await readdir(dist, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.name.endsWith('.tsbuildinfo')) continue;
    const source = entry.name.replace(/(?:\.d)?\.[jt]s(?:\.map)?$/, '.ts');
    const path = join(entry.parentPath, entry.name);
    await access(join(entry.parentPath.replace(dist, own), source)).catch(() => rm(path));
  }
}
