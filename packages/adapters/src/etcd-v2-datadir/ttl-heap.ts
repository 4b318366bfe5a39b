/**
 * The nodes of a tree that expire, the earliest first: Go's `container/heap`, move for move.
 *
 * Any heap gives the same order, except among nodes that expire in the same nanosecond: there the order of the moves
 * decides which goes first, and whether a directory and a file in it cost one index or two. So the moves are those of
 * etcd's (`store/ttl_key_heap.go`, container/heap).
 */
export interface Expiring {
  /** Nanoseconds since 1970; null: never. Nodes in a heap have one. */
  expiresAtNs: bigint | null;
  /** Place in the heap; -1: in none. The heap's own. */
  heapIndex: number;
}

export class TtlHeap<T extends Expiring> {
  private readonly nodes: T[] = [];

  get size(): number {
    return this.nodes.length;
  }

  top(): T | undefined {
    return this.nodes[0];
  }

  push(node: T): void {
    node.heapIndex = this.nodes.length;
    this.nodes.push(node);
    this.up(node.heapIndex);
  }

  pop(): void {
    const last = this.nodes.length - 1;
    this.swap(0, last);
    this.down(0, last);
    this.dropLast();
  }

  /** Harmless for a node that is not in it. */
  remove(node: T): void {
    const at = node.heapIndex;
    if (at < 0) return;
    const last = this.nodes.length - 1;
    if (at !== last) {
      this.swap(at, last);
      if (!this.down(at, last)) this.up(at);
    }
    this.dropLast();
  }

  private dropLast(): void {
    const node = this.nodes.pop();
    if (node !== undefined) node.heapIndex = -1;
  }

  private up(from: number): void {
    for (let at = from; at > 0;) {
      const parent = (at - 1) >> 1;
      if (!this.less(at, parent)) return;
      this.swap(at, parent);
      at = parent;
    }
  }

  private down(from: number, length: number): boolean {
    let at = from;
    for (;;) {
      const left = 2 * at + 1;
      if (left >= length) break;
      const right = left + 1;
      const child = right < length && this.less(right, left) ? right : left;
      if (!this.less(child, at)) break;
      this.swap(at, child);
      at = child;
    }
    return at > from;
  }

  private less(a: number, b: number): boolean {
    return instant(this.nodes[a]) < instant(this.nodes[b]);
  }

  private swap(a: number, b: number): void {
    const [nodeA, nodeB] = [this.nodes[a] as T, this.nodes[b] as T];
    this.nodes[a] = nodeB;
    this.nodes[b] = nodeA;
    nodeB.heapIndex = a;
    nodeA.heapIndex = b;
  }
}

function instant(node: Expiring | undefined): bigint {
  return node?.expiresAtNs ?? 0n;
}
