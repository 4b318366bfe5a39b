/** One node of a table, for whoever looks at few of them: an object that is made when it is asked for. */
import { none, type NodeId, type NodeTable } from './node-table.ts';

export class V2Node {
  readonly id: NodeId;
  private readonly nodes: NodeTable;

  constructor(nodes: NodeTable, id: NodeId) {
    this.nodes = nodes;
    this.id = id;
  }

  get name(): string {
    return this.nodes.name(this.id);
  }

  /** Null: a file. */
  get children(): V2Children | null {
    return this.nodes.isDirectory(this.id) ? new V2Children(this.nodes, this.id) : null;
  }

  /** As a byte string; of a directory an empty one. */
  get value(): string {
    return this.nodes.value(this.id).toString('latin1');
  }

  get createdIndex(): number {
    return this.nodes.createdIndex(this.id);
  }

  get modifiedIndex(): number {
    return this.nodes.modifiedIndex(this.id);
  }

  get expiresAtNs(): bigint | null {
    return this.nodes.expiresAtNs(this.id);
  }
}

/** What is in a directory, in no order. */
export class V2Children {
  private readonly nodes: NodeTable;
  private readonly parent: NodeId;

  constructor(nodes: NodeTable, parent: NodeId) {
    this.nodes = nodes;
    this.parent = parent;
  }

  get(name: string): V2Node | undefined {
    const node = this.nodes.child(this.parent, name);
    return node === none ? undefined : new V2Node(this.nodes, node);
  }

  *values(): Generator<V2Node, void, undefined> {
    const { nodes, parent } = this;
    for (let node = nodes.firstChild(parent); node !== none; node = nodes.nextSibling(node))
      yield new V2Node(nodes, node);
  }

  *keys(): Generator<string, void, undefined> {
    for (const { name } of this.values()) yield name;
  }

  *[Symbol.iterator](): Generator<[string, V2Node], void, undefined> {
    for (const node of this.values()) yield [node.name, node];
  }
}
