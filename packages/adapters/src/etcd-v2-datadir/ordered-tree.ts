/**
 * A tree that nobody changes any more, and the children of its directories in the byte order of their names.
 *
 *     rows, in the order in which they lie ──► (first bytes of the name, row) by parent ──► sorted, where somebody walks
 *
 * Siblings lie anywhere among millions of rows, and their names anywhere among the slabs: going from one to the next waits
 * for memory at each. So all directories are gathered in two passes over the rows as they lie, and what a sort needs to know
 * of most names comes along: four bytes of each, from behind what all names of its directory begin with. As one number with
 * the row they are sorted by the platform, and no name is made a string. Names that are still alike get their next four bytes.
 */
import { none, rootId, type NodeId, type NodeTable } from './node-table.ts';
import type { V2Tree } from './v2-tree.ts';

/** Up to here names are compared one with another: a call of the platform's sort costs more. */
const fewNames = 8;
const wordBytes = 4;

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

/** By the row of a directory; children as numbers of 64 bits, the row below and a part of the name above. */
interface Siblings {
  readonly counts: Int32Array;
  readonly ends: Int32Array;
  /** How many bytes all names begin with. */
  readonly shared: Int32Array;
  readonly packed: BigUint64Array;
  /** The halves of `packed`: row, part of the name. Little-endian, as all that Node runs on. */
  readonly halves: Uint32Array;
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
  const packed = new BigUint64Array(total);
  const halves = new Uint32Array(packed.buffer);
  for (let node = rootId + 1; node < rowCount; node += 1) {
    if (nodes.isRemoved(node)) continue;
    const parent = nodes.parent(node);
    const at = ends[parent] as number;
    ends[parent] = at + 1;
    halves[2 * at] = node;
    halves[2 * at + 1] = nodes.nameWord(node, shared[parent] as number);
  }
  return { counts, ends, shared, packed, halves };
}

/** Siblings alike up to `depth`, whose numbers hold the four bytes behind that. */
interface Run {
  readonly start: number;
  readonly end: number;
  readonly depth: number;
}

/** Once for each directory: the numbers do not stay what they were. */
function sortedChildren(nodes: NodeTable, siblings: Siblings, directory: NodeId): Int32Array {
  const { counts, ends, shared, packed, halves } = siblings;
  const last = ends[directory] as number;
  const first = last - (counts[directory] as number);
  // A list and no recursion: names may be as long as a request.
  const open: Run[] = [{ start: first, end: last, depth: shared[directory] as number }];
  for (let run = open.pop(); run !== undefined; run = open.pop()) {
    packed.subarray(run.start, run.end).sort();
    for (let start = run.start; start < run.end;) {
      const word = halves[2 * start + 1];
      let end = start + 1;
      while (end < run.end && halves[2 * end + 1] === word) end += 1;
      if (end - start > 1) {
        const depth = run.depth + wordBytes;
        if (end - start > fewNames && reaches(nodes, halves, start, end, depth)) {
          for (let at = start; at < end; at += 1) halves[2 * at + 1] = nodes.nameWord(halves[2 * at] as NodeId, depth);
          open.push({ start, end, depth });
        } else sortFew(nodes, halves, start, end);
      }
      start = end;
    }
  }
  const entries = new Int32Array(last - first);
  for (let i = 0; i < entries.length; i += 1) entries[i] = halves[2 * (first + i)] as NodeId;
  return entries;
}

/** Whether any name goes on behind `depth`. Names that do not are alike but for zero bytes at their ends. */
function reaches(nodes: NodeTable, halves: Uint32Array, start: number, end: number, depth: number): boolean {
  for (let at = start; at < end; at += 1) if (nodes.nameLength(halves[2 * at] as NodeId) > depth) return true;
  return false;
}

/** By insertion. */
function sortFew(nodes: NodeTable, halves: Uint32Array, start: number, end: number): void {
  for (let next = start + 1; next < end; next += 1) {
    const node = halves[2 * next] as NodeId;
    let at = next;
    for (; at > start && nodes.compareNames(halves[2 * (at - 1)] as NodeId, node) > 0; at -= 1) {
      halves[2 * at] = halves[2 * (at - 1)] as NodeId;
    }
    halves[2 * at] = node;
  }
}
