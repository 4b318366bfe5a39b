/**
 * Compiled code, kept between starts in the user's own cache folder: reading it back takes a fraction of what compiling takes,
 * which is a third of the CPU time of a short command.
 *
 *     $XDG_CACHE_HOME/keyferry/compiled, or ~/.cache/keyferry/compiled
 *
 * What lies there is run. So it is kept only where nobody else can put something: below a folder that is this user's own, in one
 * that this user alone can write, and no link. Where there is no such place (no home, a read-only one, one of somebody else under
 * sudo) code is compiled at each start, as ever. Node checks each file against the source and its own version, and drops
 * what does not fit. NODE_COMPILE_CACHE names another place, NODE_DISABLE_COMPILE_CACHE=1 wants none.
 */
import { lstatSync, mkdirSync, statSync, type Stats } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { dirname, isAbsolute, join } from 'node:path';

interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Of this user; undefined where there are none, as on Windows. */
  readonly userId: number | undefined;
}

/** Never fails: at worst nothing is kept. */
export function keepCompiledCode(): void {
  const { env } = process;
  if ((env['NODE_COMPILE_CACHE'] ?? '') !== '') return; // Node has done so
  if ((env['NODE_DISABLE_COMPILE_CACHE'] ?? '') !== '') return; // and not even the folder is made
  const folder = compiledCodeFolder({ env, userId: process.getuid?.() });
  if (folder !== null) enableCompileCache(folder);
}

/** A folder that is there and that this user alone can write; null: there is none, and none can be made. */
export function compiledCodeFolder({ env, userId }: Surroundings): string | null {
  const { XDG_CACHE_HOME: caches = '', HOME: home = '' } = env;
  // Who may write where is told by numbers of users alone.
  if (userId === undefined) return null;
  const path = isAbsolute(caches) ? [caches] : isAbsolute(home) ? [home, '.cache'] : [];
  if (path.length === 0) return null;
  try {
    const folder = join(...path, 'keyferry', 'compiled');
    const [first = ''] = path;
    // Asked before anything is made: under sudo the home may be that of somebody else.
    if (statSync(first).uid !== userId) return null;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const isMine = (stats: Stats): boolean => stats.isDirectory() && stats.uid === userId && (stats.mode & 0o022) === 0;
    const all = [statSync(first), statSync(join(...path)), lstatSync(dirname(folder)), lstatSync(folder)];
    return all.every(isMine) ? folder : null;
  } catch {
    return null;
  }
}
