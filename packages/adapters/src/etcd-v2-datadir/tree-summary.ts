/** Counts over a tree: what of it is the user's, what is etcd's own, what expires, what is large. */
import { none, rootId, type NodeId, type NodeTable } from './node-table.ts';
import type { V2Tree } from './v2-tree.ts';

export interface TreeSummary {
  /** Of the user's keys: files, of which some are hidden or expire. */
  readonly files: number;
  readonly directories: number;
  /** Files that no listing from the root shows. */
  readonly hiddenFiles: number;
  /** Files with an expiry of their own or of a directory above. */
  readonly expiringFiles: number;
  /** Sum of the bytes of keys and values of the files. */
  readonly bytes: number;
  readonly largest: { readonly key: string; readonly valueBytes: number } | null;
  /** Nodes of /0: members, the version of the cluster. */
  readonly internal: number;
  /** Nodes of /2: users and roles of v2. */
  readonly auth: number;
  /** Nodes of the user that an etcd 3.6 would refuse to start with: those that a listing shows. */
  readonly listed: number;
  /** Users and roles of v2, which it refuses as well. */
  readonly authEntries: number;
}

/** What of a tree is etcd's own, and not the user's. */
export type OwnNodes = Pick<TreeSummary, 'internal' | 'auth'>;

export function summarize({ nodes, users }: V2Tree): TreeSummary {
  let [files, directories, hiddenFiles, expiringFiles, bytes, listed] = [0, 0, 0, 0, 0, 0];
  let largest: NodeId = none;
  const walk = (directory: Directory): void => {
    for (let node = nodes.firstChild(directory.node); node !== none; node = nodes.nextSibling(node)) {
      const isHidden = directory.isHidden || nodes.isHiddenName(node);
      const expires = directory.expires || nodes.expiresAtNs(node) !== null;
      const pathLength = directory.pathLength + 1 + nodes.nameLength(node);
      if (!isHidden) listed += 1;
      if (nodes.isDirectory(node)) {
        directories += 1;
        open.push({ node, pathLength, isHidden, expires });
        continue;
      }
      files += 1;
      bytes += pathLength + nodes.valueLength(node);
      if (isHidden) hiddenFiles += 1;
      if (expires) expiringFiles += 1;
      if (largest === none || nodes.valueLength(node) > nodes.valueLength(largest)) largest = node;
    }
  };
  const open: Directory[] = [];
  if (users !== null) {
    open.push({ node: users, pathLength: 0, isHidden: false, expires: nodes.expiresAtNs(users) !== null });
  }
  for (let each = open.pop(); each !== undefined; each = open.pop()) walk(each);
  const auth = nodes.child(rootId, '2');
  return {
    files,
    directories,
    hiddenFiles,
    expiringFiles,
    bytes,
    largest:
      largest === none ? null : { key: pathBelow(nodes, users, largest), valueBytes: nodes.valueLength(largest) },
    ...countOwn({ nodes }),
    listed,
    authEntries: auth === none ? 0 : childrenOf(nodes, auth, 'users') + childrenOf(nodes, auth, 'roles'),
  };
}

/** These alone: they are few, where the user's may be millions and lie anywhere in memory. */
export function countOwn({ nodes }: Pick<V2Tree, 'nodes'>): OwnNodes {
  const auth = nodes.child(rootId, '2');
  return {
    internal: countBelow(nodes, nodes.child(rootId, '0')),
    auth: auth === none ? 0 : 1 + countBelow(nodes, auth),
  };
}

/** One that is still to be walked. */
interface Directory {
  readonly node: NodeId;
  readonly pathLength: number;
  readonly isHidden: boolean;
  readonly expires: boolean;
}

function pathBelow(nodes: NodeTable, top: NodeId | null, node: NodeId): string {
  const names: string[] = [];
  for (let at = node; at !== top && at !== none; at = nodes.parent(at)) names.unshift(nodes.name(at));
  return names.map((name) => `/${name}`).join('');
}

function countBelow(nodes: NodeTable, top: NodeId): number {
  let count = 0;
  if (top !== none) for (const node of nodes.below(top)) count += node === top ? 0 : 1;
  return count;
}

function childrenOf(nodes: NodeTable, parent: NodeId, name: string): number {
  const directory = nodes.child(parent, name);
  if (directory === none || !nodes.isDirectory(directory)) return 0;
  let count = 0;
  for (let node = nodes.firstChild(directory); node !== none; node = nodes.nextSibling(node)) count += 1;
  return count;
}

/** Files of the user whose expiry, or that of a directory above, has passed. */
export function countExpired({ nodes, users }: V2Tree, nowMs: number): number {
  const nowNs = BigInt(nowMs) * 1_000_000n;
  const isPast = (node: NodeId): boolean => (nodes.expiresAtNs(node) ?? nowNs + 1n) <= nowNs;
  if (users === null || nodes.expiries.size === 0) return 0;
  let count = 0;
  const open = [{ node: users, expired: isPast(users) }];
  for (let each = open.pop(); each !== undefined; each = open.pop()) {
    for (let node = nodes.firstChild(each.node); node !== none; node = nodes.nextSibling(node)) {
      const expired = each.expired || isPast(node);
      if (nodes.isDirectory(node)) open.push({ node, expired });
      else if (expired) count += 1;
    }
  }
  return count;
}
