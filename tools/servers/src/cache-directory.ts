/**
 * Where fetched programs and records of running servers live: outside the checkout, so that a clean checkout or a
 * second worktree does not fetch again, and nothing large can be committed by accident.
 */
import { mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** `$XDG_CACHE_HOME/keyferry/servers`, or the same below `~/.cache`; created when absent. */
export function cacheDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  const base = environment['XDG_CACHE_HOME'];
  // The XDG base directory specification tells programs to ignore a relative path.
  const root = base !== undefined && base.startsWith('/') ? base : join(homedir(), '.cache');
  const directory = join(root, 'keyferry', 'servers');
  mkdirSync(directory, { recursive: true });
  return directory;
}
