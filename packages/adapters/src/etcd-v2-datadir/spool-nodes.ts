/**
 * Turns the user's part of the tree (/1) into entries of a spool, by the rules of the live adapter (etcd-v2/spool-tree.ts), so
 * that a plan from either is the same one: files become records, directories and what has expired are said not to be carried.
 *
 * What a listing over the API would hide is here too: names below the range's directory that begin with an underscore. They
 * are counted as `key.hidden`, or carried like any other key when the store says `hidden: carry`.
 */
import {
  rangeHolds,
  type Key,
  type KeyRange,
  type NotCarriedReason,
  type StoredRecord,
  type Version,
} from '@keyferry/core';
import { directoryOf } from '../etcd-v2/directory.ts';
import type { RecordSpool } from '../spool/record-spool.ts';
import type { V2Node, V2Tree } from './v2-tree.ts';

export type HiddenNames = 'leave-out' | 'carry';

export interface NodeSpooling {
  readonly spool: RecordSpool;
  readonly range: KeyRange;
  /** What counts as past. */
  readonly nowMs: number;
  readonly hidden: HiddenNames;
}

interface OpenNode {
  readonly node: V2Node;
  readonly path: Key;
  readonly expiresAtMs: number | null;
  readonly isHidden: boolean;
}

export function spoolNodes(tree: V2Tree, { spool, range, nowMs, hidden }: NodeSpooling): void {
  const users = tree.root.children?.get('1');
  if (users === undefined) return;
  // A hidden directory that is named itself is listed; what it hides is below it.
  const named = hidden === 'carry' ? null : (directoryOf(range) ?? '');
  const isHidden = (path: Key, name: string): boolean =>
    named !== null && name.startsWith('_') && !(named === path || named.startsWith(`${path}/`));
  const put = (found: OpenNode): void => {
    const { node, path: key, expiresAtMs } = found;
    if (!rangeHolds(range, key)) return;
    const reason = reasonNotToCarry(found, nowMs, named !== null);
    if (reason !== null) spool.addNotCarried({ key, reason });
    else spool.add(recordOf(node, key, expiresAtMs));
  };
  const open: OpenNode[] = [{ node: users, path: '' as Key, expiresAtMs: expiryMs(users), isHidden: false }];
  for (let each = open.pop(); each !== undefined; each = open.pop()) {
    if (each.node !== users) put(each);
    const { node, path, expiresAtMs } = each;
    if (node.children === null) continue;
    // The last one pushed comes next, so the keys reach the spool nearly sorted, which it is fastest with.
    for (const child of [...node.children.values()].toSorted(descending)) {
      const childPath = `${path}/${child.name}` as Key;
      open.push({
        node: child,
        path: childPath,
        expiresAtMs: earlier(expiresAtMs, expiryMs(child)),
        isHidden: each.isHidden || isHidden(childPath, child.name),
      });
    }
  }
}

const descending = (a: V2Node, b: V2Node): number => (a.name < b.name ? 1 : -1);

function reasonNotToCarry(
  { node, expiresAtMs, isHidden }: OpenNode,
  nowMs: number,
  hides: boolean,
): NotCarriedReason | null {
  if (isHidden) return 'key.hidden';
  if (node.children !== null) return hasListedChild(node.children, hides) ? 'dir.with-children' : 'dir.empty';
  return expiresAtMs !== null && expiresAtMs <= nowMs ? 'ttl.expired' : null;
}

/** To whoever lists it, a directory of hidden names alone is an empty one. */
function hasListedChild(children: ReadonlyMap<string, V2Node>, hides: boolean): boolean {
  if (!hides) return children.size > 0;
  for (const name of children.keys()) if (!name.startsWith('_')) return true;
  return false;
}

function recordOf(node: V2Node, key: Key, expiresAtMs: number | null): StoredRecord {
  return {
    key,
    value: Buffer.from(node.value, 'latin1'),
    version: String(node.modifiedIndex) as Version,
    created: String(node.createdIndex) as Version,
    expiresAtMs,
  };
}

/** Milliseconds, cut off as the live adapter reads them. */
function expiryMs({ expiresAtNs }: V2Node): number | null {
  return expiresAtNs === null ? null : Number(expiresAtNs / 1_000_000n);
}

function earlier(a: number | null, b: number | null): number | null {
  return a === null || (b !== null && b < a) ? b : a;
}
