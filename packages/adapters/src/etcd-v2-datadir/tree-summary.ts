/** Counts over a tree: what of it is the user's, what is etcd's own, what expires, what is large. */
import type { V2Node, V2Tree } from './v2-tree.ts';

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

interface Open {
  readonly node: V2Node;
  readonly path: string;
  readonly isHidden: boolean;
  readonly expires: boolean;
}

export function summarize(tree: V2Tree): TreeSummary {
  let [files, directories, hiddenFiles, expiringFiles, bytes, listed] = [0, 0, 0, 0, 0, 0];
  let largest: TreeSummary['largest'] = null;
  const users = tree.root.children?.get('1');
  const open: Open[] = users === undefined ? [] : [{ node: users, path: '', isHidden: false, expires: false }];
  for (let each = open.pop(); each !== undefined; each = open.pop()) {
    const { node, path, isHidden } = each;
    const expires = each.expires || node.expiresAtNs !== null;
    if (node !== users && !isHidden) listed += 1;
    if (node.children !== null) {
      if (node !== users) directories += 1;
      for (const child of node.children.values()) {
        open.push({
          node: child,
          path: `${path}/${child.name}`,
          isHidden: isHidden || child.name.startsWith('_'),
          expires,
        });
      }
      continue;
    }
    files += 1;
    bytes += path.length + node.valueBytes;
    if (isHidden) hiddenFiles += 1;
    if (expires) expiringFiles += 1;
    if (largest === null || node.valueBytes > largest.valueBytes) largest = { key: path, valueBytes: node.valueBytes };
  }
  const auth = tree.root.children?.get('2');
  return {
    files,
    directories,
    hiddenFiles,
    expiringFiles,
    bytes,
    largest,
    internal: countBelow(tree.root.children?.get('0')),
    auth: auth === undefined ? 0 : 1 + countBelow(auth),
    listed,
    authEntries: ['users', 'roles'].reduce((sum, name) => sum + (auth?.children?.get(name)?.children?.size ?? 0), 0),
  };
}

function countBelow(top: V2Node | undefined): number {
  let count = 0;
  const open = top === undefined ? [] : [top];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    for (const child of node.children?.values() ?? []) {
      count += 1;
      open.push(child);
    }
  }
  return count;
}

/** Files of the user whose expiry, or that of a directory above, has passed. */
export function countExpired(tree: V2Tree, nowMs: number): number {
  const nowNs = BigInt(nowMs) * 1_000_000n;
  const users = tree.root.children?.get('1');
  let count = 0;
  const open = users === undefined ? [] : [{ node: users, expired: false }];
  for (let each = open.pop(); each !== undefined; each = open.pop()) {
    const { node } = each;
    const expired = each.expired || (node.expiresAtNs !== null && node.expiresAtNs <= nowNs);
    if (node.children === null && expired) count += 1;
    for (const child of node.children?.values() ?? []) open.push({ node: child, expired });
  }
  return count;
}
