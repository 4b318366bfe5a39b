/**
 * Which directory to ask for, so that one answer holds a whole range of keys.
 *
 *     range            directory       also in the answer, and left out
 *     /config/ …       /config
 *     /config …        (root)          everything beside /config, /config2
 *     /config/a …      /config         /config/b
 *
 * One answer is one state of the store; two answers would be two. So the deepest directory that holds all of the range
 * is read, even if it holds more. Its path always ends with a slash in the request: with read permission on `/app/*`
 * alone, `/app/?recursive=true` is allowed while `/app?recursive=true` is not [measured, 3.3 to 3.5].
 */
import { commonPrefix, intersectRanges, prefixRange, type Key, type KeyRange } from '@keyferry/core';

/** A directory's path without a slash at its end; the root is empty. */
export type Directory = Key;

const slash = '/' as Key;

/** Null when the range can hold no key of etcd v2: all start with a slash, and no segment is empty, `.` or `..`. */
export function directoryOf(range: KeyRange): Directory | null {
  const within = intersectRanges(range, prefixRange(slash));
  if (within === null) return null;
  const common = commonPrefix(within);
  const directory = common.slice(0, Math.max(0, common.lastIndexOf(slash))) as Directory;
  const segments = directory.split('/').slice(1);
  // The server would answer such a path with a redirect to another one.
  return segments.some((segment) => segment === '' || segment === '.' || segment === '..') ? null : directory;
}

/**
 * A range that begins within hidden names (`/_x`, `/a/_b`), whose directory the API answers as if they were not there.
 * `/_x/` is none: a hidden directory that is named itself is listed.
 */
export function startsAmongHidden(range: KeyRange): boolean {
  const common = commonPrefix(range);
  return common.startsWith('_', common.lastIndexOf(slash) + 1) && common.includes(slash);
}
