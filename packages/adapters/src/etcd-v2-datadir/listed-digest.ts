/**
 * The digest of what a listing from the root shows: equal for a member that is asked over HTTP and one whose directory is read,
 * if they hold the same at the same index of v2. Hidden names are in no listing, so they are in neither.
 *
 * A sum of hashes, because a listing hands out parents behind their children; only for comparing, and never stored.
 */
import { DigestSum, keyFromText, RecordHasher } from '@keyferry/core';
import type { TreeNode } from '../etcd-v2/tree-walker.ts';
import { none, type NodeId } from './node-table.ts';
import type { V2Tree } from './v2-tree.ts';

type Listed = Pick<TreeNode, 'key' | 'value' | 'modifiedIndex' | 'createdIndex' | 'expiresAtMs'>;

const salt = '0'.repeat(32);

export class ListedDigest {
  private readonly hasher = new RecordHasher(salt);
  private readonly sum = new DigestSum();

  /** As text: what is not UTF-8 is U+FFFD in a listing. */
  add({ key, value, modifiedIndex, createdIndex, expiresAtMs }: Listed): void {
    const content = JSON.stringify([value, modifiedIndex, createdIndex, expiresAtMs]);
    this.sum.add(this.hasher.hash({ key: keyFromText(key), value: Buffer.from(content), expiresAtMs: null }));
  }

  text(): string {
    return this.sum.value().sum;
  }
}

export function listedDigestOf({ nodes, users }: V2Tree): string {
  const digest = new ListedDigest();
  const open: { readonly node: NodeId; readonly path: string; readonly expiresAtMs: number | null }[] = [];
  if (users !== null) open.push({ node: users, path: '', expiresAtMs: expiryMs(nodes.expiresAtNs(users)) });
  for (let each = open.pop(); each !== undefined; each = open.pop()) {
    for (let node = nodes.firstChild(each.node); node !== none; node = nodes.nextSibling(node)) {
      if (nodes.isHiddenName(node)) continue;
      const path = `${each.path}/${nodes.name(node)}`;
      const own = expiryMs(nodes.expiresAtNs(node));
      const expiresAtMs = Math.min(own ?? Infinity, each.expiresAtMs ?? Infinity);
      const expiry = expiresAtMs === Infinity ? null : expiresAtMs;
      digest.add({
        key: Buffer.from(path, 'latin1').toString('utf8'),
        value: nodes.isDirectory(node) ? null : nodes.value(node).toString('utf8'),
        modifiedIndex: String(nodes.modifiedIndex(node)),
        createdIndex: String(nodes.createdIndex(node)),
        expiresAtMs: expiry,
      });
      if (nodes.isDirectory(node)) open.push({ node, path, expiresAtMs: expiry });
    }
  }
  return digest.text();
}

/** Cut off, as a listing is read. */
function expiryMs(expiresAtNs: bigint | null): number | null {
  return expiresAtNs === null ? null : Number(expiresAtNs / 1_000_000n);
}
