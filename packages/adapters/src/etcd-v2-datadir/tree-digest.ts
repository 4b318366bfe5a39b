/**
 * The digest of the user's part of a tree: equal exactly when two members hold the same nodes, with the same values,
 * indexes and expiries, hidden ones and directories among them. In the order of names, so that it does not matter in which
 * order they came to be; only for comparing, and never shown or stored.
 */
import { createHash, type Hash } from 'node:crypto';
import type { V2Node } from './v2-node.ts';
import type { V2Tree } from './v2-tree.ts';

/** SHA-256 in hexadecimal digits. */
export function treeDigest(tree: V2Tree): string {
  const hash = createHash('sha256');
  const users = tree.root.children?.get('1');
  if (users !== undefined) addNode(hash, '', users);
  return hash.digest('hex');
}

function addNode(hash: Hash, path: string, node: V2Node): void {
  const { value, createdIndex, modifiedIndex, expiresAtNs, children } = node;
  const kind = children === null ? 'file' : 'directory';
  hash.update(JSON.stringify([path, kind, value, createdIndex, modifiedIndex, String(expiresAtNs)]));
  for (const child of [...(children?.values() ?? [])].toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    addNode(hash, `${path}/${child.name}`, child);
  }
}
