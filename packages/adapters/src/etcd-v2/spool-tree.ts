/**
 * Turns the nodes of a v2 tree into entries of a spool: files become records, everything else is said not to be carried.
 *
 * - A key is the full path, as bytes. Directories are named by their path without a slash at its end, and belong to a
 *   range as any key does: the range of `/config/` holds what is below `/config` and not that directory itself.
 * - A file whose expiry (its own, or that of a directory above it) has passed is still listed until the leader's next
 *   sweep; copied without it, it would live for ever. It is reported as `ttl.expired`.
 * - A directory is reported as one, whether it expires or not: no target of keyferry's has directories.
 */
import {
  keyForDisplay,
  keyFromText,
  keyToText,
  rangeHolds,
  type Key,
  type KeyRange,
  type Version,
} from '@keyferry/core';
import type { RecordSpool } from '../spool/record-spool.ts';
import { TreeWalker, type TreeNode, type TreeSink } from './tree-walker.ts';

export interface TreeSpooling {
  readonly spool: RecordSpool;
  /** Nodes outside of it are left out. */
  readonly range: KeyRange;
  /** What counts as past. One instant for a whole tree, so that a view does not change while it is filled. */
  readonly nowMs: number;
  readonly broken: TreeSink['broken'];
}

/** Entries go into the spool with their offsets as places. */
export function spoolTree({ spool, range, nowMs, broken }: TreeSpooling): TreeWalker {
  const node = (found: TreeNode, offset: number): void => {
    const key = keyFromText(found.key);
    if (!rangeHolds(range, key)) return;
    put(found, key, offset);
  };
  const put = (found: TreeNode, key: Key, offset: number): void => {
    const { value, hasChildren, expiresAtMs, modifiedIndex, createdIndex } = found;
    if (value === null) {
      return spool.addNotCarried({ key, reason: hasChildren ? 'dir.with-children' : 'dir.empty' }, offset);
    }
    if (expiresAtMs !== null && expiresAtMs <= nowMs)
      return spool.addNotCarried({ key, reason: 'ttl.expired' }, offset);
    const record = { key, value: Buffer.from(value, 'utf8'), version: modifiedIndex as Version, expiresAtMs };
    return spool.add(createdIndex === null ? record : { ...record, created: createdIndex as Version }, offset);
  };
  return new TreeWalker({ node, broken });
}

/** Two keys of different bytes look the same once the server has replaced what is not UTF-8 by U+FFFD. */
export const keyTwice = (key: Key): string => `${keyToText(key) ?? keyForDisplay(key)} is there twice`;
