/**
 * Directories, as applications of etcd v2 know them, over stores that have none: a directory is what has keys below it.
 *
 *     /app/queue/1          the record 1 of /app/queue
 *     /app/queue/sub/x      … and its directory sub
 *     /app/empty/.directory a directory in which nothing is, because an application made it
 *
 * The mark is a record like any other, so that it moves, comes back and is deleted by the rules that records have, in a store
 * that has directories as in one that has not (SPEC R111). Pure.
 */
import type { Brand } from '../../model/brand.ts';
import { escapeControls } from '../../model/key.ts';
import { KeyferryError } from '../../errors/keyferry-error.ts';

/** A path without a slash at its end. Made by `directory`. */
export type Directory = Brand<string, 'Directory'>;

const markName = '.directory';

/**
 * Names a directory.
 * @throws {KeyferryError} `client.path-refused`: it is the root, or has an empty part, "." or ".."
 */
export function directory(path: string): Directory {
  const why = unfitPath(path);
  if (why !== null) throw new KeyferryError('client.path-refused', { path: escapeControls(path), why });
  return path as Directory;
}

/** The remainder of a sentence; null: it is fit. */
function unfitPath(path: string): string | null {
  if (path === '' || path === '/') return 'the root is no directory that could be made or deleted';
  if (path.endsWith('/')) return 'it ends with a slash';
  if (path.includes('//')) return 'it has an empty part';
  return /(?:^|\/)\.\.?(?:\/|$)/.test(path) ? 'it has a part "." or ".."' : null;
}

/** What the keys of all that is in it begin with. */
export const prefixOf = (of: Directory): string => `${of}/`;

/** The record that keeps a directory there although nothing is in it. */
export const markOf = (of: Directory): string => `${of}/${markName}`;

export type Child =
  { readonly kind: 'record' } | { readonly kind: 'mark' } | { readonly kind: 'below'; readonly directory: Directory };

/** What a key is to the directory that it lies in. @param key begins with `prefixOf(of)` */
export function childOf(of: Directory, key: string): Child {
  const end = key.indexOf('/', prefixOf(of).length);
  if (end >= 0) return { kind: 'below', directory: key.slice(0, end) as Directory };
  return { kind: key === markOf(of) ? 'mark' : 'record' };
}
