/**
 * A tree that nobody changes any more, and the children of its directories in the byte order of their names.
 *
 *     rows, in the order in which they lie ──► (first bytes of the name, row) by parent ──► sorted, where somebody walks
 *
 * Siblings lie anywhere among millions of rows, and their names anywhere among the slabs: going from one to the next waits
 * for memory at each. So all directories are gathered in two passes over the rows as they lie, and what a sort needs to know
 * of most names comes along (sort-rows.ts): four bytes of each, from behind what all names of its directory begin with.
 */
import { PackedRows, type RowNames } from '../sort-rows.ts';
import { none, rootId, type NodeId, type NodeTable } from './node-table.ts';
import type { V2Tree } from './v2-tree.ts';

/** What is in a directory, each by its name; and once more what is below it. */
export interface Order {
  readonly entries: Int32Array;
  /** Directories, by their name and a slash. */
  readonly below: readonly { readonly node: NodeId; readonly name: string }[];
}

export class OrderedTree {
  readonly nodes: NodeTable;
  readonly users: NodeId | null;
  private readonly orders = new Map<NodeId, Order>();
  private siblings: Siblings | null = null;

  constructor({ nodes, users }: V2Tree) {
    this.nodes = nodes;
    this.users = users;
  }

  orderOf(directory: NodeId): Order {
    const known = this.orders.get(directory);
    if (known !== undefined) return known;
    const { nodes } = this;
    this.siblings ??= gather(nodes);
    const entries = sortedChildren(nodes, this.siblings, directory);
    const below: { readonly node: NodeId; readonly name: string }[] = [];
    for (const node of entries) if (nodes.isDirectory(node)) below.push({ node, name: `${nodes.name(node)}/` });
    const order: Order = { entries, below: below.toSorted((a, b) => (a.name < b.name ? -1 : 1)) };
    this.orders.set(directory, order);
    return order;
  }
}

/** By the row of a directory; children as packed rows, with a part of the name from behind what all names begin with. */
interface Siblings {
  readonly counts: Int32Array;
  readonly ends: Int32Array;
  /** How many bytes all names begin with. */
  readonly shared: Int32Array;
  readonly rows: PackedRows;
}

function gather(nodes: NodeTable): Siblings {
  const { rowCount } = nodes;
  const counts = new Int32Array(rowCount);
  const firsts = new Int32Array(rowCount).fill(none);
  const shared = new Int32Array(rowCount);
  for (let node = rootId + 1; node < rowCount; node += 1) {
    if (nodes.isRemoved(node)) continue;
    const parent = nodes.parent(node);
    counts[parent] = (counts[parent] as number) + 1;
    const first = firsts[parent] as NodeId;
    if (first === none) {
      firsts[parent] = node;
      shared[parent] = nodes.nameLength(node);
    } else shared[parent] = nodes.sharedNameLength(first, node, shared[parent] as number);
  }
  const ends = new Int32Array(rowCount);
  let total = 0;
  for (let row = 0; row < rowCount; row += 1) {
    ends[row] = total;
    total += counts[row] as number;
  }
  const rows = new PackedRows(total);
  for (let node = rootId + 1; node < rowCount; node += 1) {
    if (nodes.isRemoved(node)) continue;
    const parent = nodes.parent(node);
    const at = ends[parent] as number;
    ends[parent] = at + 1;
    rows.set(at, node, nodes.nameWord(node, shared[parent] as number));
  }
  return { counts, ends, shared, rows };
}

/** Once for each directory: the numbers do not stay what they were. */
function sortedChildren(nodes: NodeTable, { counts, ends, shared, rows }: Siblings, directory: NodeId): Int32Array {
  const last = ends[directory] as number;
  const first = last - (counts[directory] as number);
  const names: RowNames = {
    length: (node) => nodes.nameLength(node),
    word: (node, at) => nodes.nameWord(node, at),
    shared: (a, b, max) => nodes.sharedNameLength(a, b, max),
  };
  rows.sort(names, first, last, shared[directory] as number);
  const entries = new Int32Array(last - first);
  for (let i = 0; i < entries.length; i += 1) entries[i] = rows.rowAt(first + i);
  return entries;
}
