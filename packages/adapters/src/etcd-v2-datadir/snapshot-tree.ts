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
import { NodeTable, none, rootId, type NodeId } from './node-table.ts';
import { Malformed } from './protobuf.ts';

export interface SnapshotTree {
  readonly nodes: NodeTable;
  readonly currentIndex: number;
  /** Siblings whose names were alike in the JSON: of each pair etcd itself keeps one when it starts from the snapshot. */
  readonly collapsedNames: number;
}

type Level = 'top' | 'node' | 'children' | 'skipped';

export class SnapshotTreeReader implements JsonEvents {
  private readonly scanner = new JsonScanner(this);
  private readonly levels: Level[] = [];
  private readonly nodes = new NodeTable();
  /** Of which the object is open, the innermost last. Fields may come in any order: what a node is becomes clear at its end. */
  private readonly path: NodeId[] = [];
  private hasRoot = false;
  private field = '';
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
    const { nodes, hasRoot, currentIndex, collapsedNames } = this;
    if (!hasRoot || !nodes.isDirectory(rootId)) throw new Malformed('its JSON has no root directory');
    if (currentIndex === null) throw new Malformed('its JSON has no CurrentIndex');
    return { nodes, currentIndex, collapsedNames };
  }

  open(kind: 'object' | 'array'): void {
    const level = this.levels.at(-1);
    if (level === undefined && kind === 'object') this.levels.push('top');
    else if (level === 'top' && this.field === 'Root' && kind === 'object') this.openNode('');
    else if (level === 'children' && kind === 'object') this.openNode(this.field);
    else if (level === 'node' && this.field === 'Children' && kind === 'object') {
      this.nodes.makeDirectory(this.node());
      this.levels.push('children');
    } else if (level === 'top' || level === 'skipped' || (level === 'node' && !known.node.has(this.field))) {
      this.levels.push('skipped');
    } else throw new Malformed(`"${this.field}" in its JSON is an ${kind}`);
    this.wantsString = false;
  }

  close(): void {
    if (this.levels.pop() === 'node') this.path.pop();
  }

  name(name: string): void {
    this.field = name;
    this.wantsString = this.levels.at(-1) === 'node' && (name === 'Value' || name === 'ExpireTime');
  }

  string(value: string): void {
    const level = this.levels.at(-1);
    if (level === 'skipped') return;
    if (level === 'node' && this.field === 'Value') this.keepValue(value);
    else if (level === 'node' && this.field === 'ExpireTime') this.keepExpiry(expiryOf(value));
    else if (level === 'children' || level === undefined || (known[level].has(this.field) && this.field !== 'Path')) {
      throw new Malformed(`"${this.field}" in its JSON is a string`);
    }
  }

  literal(text: string): void {
    const level = this.levels.at(-1);
    if (level === 'top' && this.field === 'CurrentIndex') this.currentIndex = indexOf(text);
    else if (level === 'children' || level === undefined) throw new Malformed(`a node in its JSON is ${text}`);
    else if (level === 'node' && this.field === 'CreatedIndex') this.nodes.setCreatedIndex(this.node(), indexOf(text));
    else if (level === 'node' && this.field === 'ModifiedIndex')
      this.nodes.setModifiedIndex(this.node(), indexOf(text));
    else if (level !== 'skipped' && known[level].has(this.field) && !(this.field === 'Children' && text === 'null')) {
      throw new Malformed(`"${this.field}" in its JSON is ${text}`);
    }
  }

  private openNode(name: string): void {
    this.levels.push('node');
    const parent = this.path.at(-1);
    if (parent === undefined) {
      this.openRoot();
      return;
    }
    const sameName = this.nodes.child(parent, name);
    if (sameName !== none) {
      this.collapsedNames += 1;
      for (const node of this.nodes.below(sameName)) this.nodes.expiries.delete(node);
      this.nodes.remove(sameName);
    }
    this.path.push(this.nodes.add(parent, name, 0));
  }

  private openRoot(): void {
    if (this.hasRoot) throw new Malformed('its JSON has a second root');
    this.hasRoot = true;
    this.path.push(rootId);
  }

  /** That of a directory is none. */
  private keepValue(value: string): void {
    if (!this.nodes.isDirectory(this.node())) this.nodes.setValue(this.node(), value);
  }

  private keepExpiry(expiresAtNs: bigint | null): void {
    const node = this.node();
    if (expiresAtNs === null) this.nodes.expiries.delete(node);
    else this.nodes.expiries.set(node, { node, expiresAtNs, heapIndex: -1 });
  }

  private node(): NodeId {
    return this.path.at(-1) as NodeId;
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
