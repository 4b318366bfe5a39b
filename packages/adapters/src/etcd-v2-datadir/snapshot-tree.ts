/**
 * The tree that a v2 snapshot holds, from its JSON as it is read.
 *
 *     {"Root":{node},"WatcherHub":{…},"CurrentIndex":17,"Stats":{…},"CurrentVersion":2}
 *     node: {"Path":"/1/a","CreatedIndex":5,"ModifiedIndex":9,"ExpireTime":"0001-01-01T00:00:00Z","Value":"x","Children":null}
 *     Children: null of a file; of a directory an object by name, {} when it is empty. ACL, of 2.0, is skipped.
 *
 * WatcherHub repeats the last thousand events with their values and may be most of the file; it is skipped.
 *
 * Source: etcd 3.4 `etcdserver/api/v2store/store.go` (Save, Recovery), `node.go`; `store/` of 2.3.
 */
import { JsonScanner, type JsonEvents } from './json-scanner.ts';
import { Malformed } from './protobuf.ts';
import { V2Node } from './v2-tree.ts';
import { ValueStore } from './values.ts';

export interface SnapshotTree {
  readonly root: V2Node;
  readonly currentIndex: number;
  /** What holds the values of its nodes. */
  readonly values: ValueStore;
  /** Siblings whose names were alike in the JSON: of each pair etcd itself keeps one when it starts from the snapshot. */
  readonly collapsedNames: number;
}

/** A node whose object is open. Its fields may come in any order, so what it is becomes clear at its end. */
interface OpenNode {
  readonly name: string;
  createdIndex: number;
  modifiedIndex: number;
  expiresAtNs: bigint | null;
  value: string;
  children: Map<string, V2Node> | null;
}

type Level = 'top' | 'node' | 'children' | 'skipped';

export class SnapshotTreeReader implements JsonEvents {
  private readonly scanner = new JsonScanner(this);
  private readonly levels: Level[] = [];
  private readonly nodes: OpenNode[] = [];
  private readonly values = new ValueStore();
  private field = '';
  private root: V2Node | null = null;
  private currentIndex: number | null = null;
  private collapsedNames = 0;
  private wantsString = false;

  /** Only names and values of nodes are looked at. */
  get skipsStrings(): boolean {
    return !this.wantsString;
  }

  write(piece: Buffer): void {
    this.scanner.write(piece);
  }

  /** @throws {Malformed} unless it was such a tree, and all of it */
  end(): SnapshotTree {
    this.scanner.end();
    const { root, currentIndex, collapsedNames, values } = this;
    if (root === null || root.children === null) throw new Malformed('its JSON has no root directory');
    if (currentIndex === null) throw new Malformed('its JSON has no CurrentIndex');
    return { root, currentIndex, collapsedNames, values };
  }

  open(kind: 'object' | 'array'): void {
    const level = this.levels.at(-1);
    if (level === undefined && kind === 'object') this.levels.push('top');
    else if (level === 'top' && this.field === 'Root' && kind === 'object') this.openNode('');
    else if (level === 'children' && kind === 'object') this.openNode(this.field);
    else if (level === 'node' && this.field === 'Children' && kind === 'object') {
      this.node().children = new Map();
      this.levels.push('children');
    } else if (level === 'top' || level === 'skipped' || (level === 'node' && !known.node.has(this.field))) {
      this.levels.push('skipped');
    } else throw new Malformed(`"${this.field}" in its JSON is an ${kind}`);
    this.wantsString = false;
  }

  close(): void {
    if (this.levels.pop() === 'node') this.closeNode();
  }

  name(name: string): void {
    this.field = name;
    this.wantsString = this.levels.at(-1) === 'node' && (name === 'Value' || name === 'ExpireTime');
  }

  string(value: string): void {
    const level = this.levels.at(-1);
    if (level === 'skipped') return;
    if (level === 'node' && this.field === 'Value') this.node().value = value;
    else if (level === 'node' && this.field === 'ExpireTime') this.node().expiresAtNs = expiryOf(value);
    else if (level === 'children' || level === undefined || (known[level].has(this.field) && this.field !== 'Path')) {
      throw new Malformed(`"${this.field}" in its JSON is a string`);
    }
  }

  literal(text: string): void {
    const level = this.levels.at(-1);
    if (level === 'top' && this.field === 'CurrentIndex') this.currentIndex = indexOf(text);
    else if (level === 'children' || level === undefined) throw new Malformed(`a node in its JSON is ${text}`);
    else if (level === 'node' && this.field === 'CreatedIndex') this.node().createdIndex = indexOf(text);
    else if (level === 'node' && this.field === 'ModifiedIndex') this.node().modifiedIndex = indexOf(text);
    else if (level !== 'skipped' && known[level].has(this.field) && !(this.field === 'Children' && text === 'null')) {
      throw new Malformed(`"${this.field}" in its JSON is ${text}`);
    }
  }

  private openNode(name: string): void {
    this.levels.push('node');
    this.nodes.push({ name, createdIndex: 0, modifiedIndex: 0, expiresAtNs: null, value: '', children: null });
  }

  private closeNode(): void {
    const { name, createdIndex, modifiedIndex, expiresAtNs, value, children } = this.nodes.pop() as OpenNode;
    const node = new V2Node(name, null, children, createdIndex);
    if (children === null) this.values.keep(node, value);
    node.modifiedIndex = modifiedIndex;
    node.expiresAtNs = expiresAtNs;
    if (children !== null) for (const child of children.values()) child.parent = node;
    const siblings = this.nodes.at(-1)?.children;
    if (siblings === undefined || siblings === null) this.root = node;
    else {
      if (siblings.has(name)) this.collapsedNames += 1;
      siblings.set(name, node);
    }
  }

  private node(): OpenNode {
    return this.nodes.at(-1) as OpenNode;
  }
}

const known = {
  top: new Set(['Root', 'CurrentIndex']),
  node: new Set(['Path', 'CreatedIndex', 'ModifiedIndex', 'ExpireTime', 'Value', 'Children']),
} as const;

function indexOf(text: string): number {
  const index = Number(text);
  if (!Number.isSafeInteger(index) || index < 0) throw new Malformed(`an index in its JSON is ${text}`);
  return index;
}

const rfc3339 = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/;

/** Nanoseconds since 1970; null: it is Go's zero time, and the node is permanent. */
function expiryOf(text: string): bigint | null {
  if (text === '0001-01-01T00:00:00Z') return null;
  const [, seconds, fraction = '', zone] = rfc3339.exec(text) ?? [];
  const atMs = Date.parse(`${seconds ?? ''}${zone ?? ''}`);
  if (Number.isNaN(atMs)) throw new Malformed(`an ExpireTime in its JSON is "${text}", which is no time`);
  return BigInt(atMs) * 1_000_000n + BigInt(fraction.padEnd(9, '0'));
}
