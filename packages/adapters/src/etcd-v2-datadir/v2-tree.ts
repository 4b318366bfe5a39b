/**
 * etcd's v2 store as it decides what a request does: which nodes there are then, with which indexes.
 *
 * A request that etcd refused is in the log like any other, and it is refused here for the same reason, because all that
 * counts is the store and the request. A refusal changes nothing and takes no index; everything else takes exactly one,
 * except what has expired, which takes one for each. So one request judged wrongly shifts every index after it: each
 * rule below is a line of etcd's.
 *
 * Names and values are byte strings. Source: etcd 3.4 `etcdserver/api/v2store/store.go` and `node.go`, which do the same as
 * `store/` of 2.3; what differs in 2.0 and in 3.5 is in `TreeRules`.
 */
import { cleanPath } from './clean-path.ts';
import { NodeTable, none, rootId, type ExpiringNode, type NewValue, type NodeId } from './node-table.ts';
import { KnownDirectories } from './known-directories.ts';
import type { PlainPut } from './plain-put.ts';
import { TtlHeap } from './ttl-heap.ts';
import { V2Node } from './v2-node.ts';

export interface TreeRules {
  /** 3.5 refuses every update of a directory; before, it could renew a directory's TTL. */
  readonly directoriesCanBeUpdated: boolean;
  /** 2.0 and 2.1 name in-order keys by the bare index, later ones by 20 digits. */
  readonly inOrderNamesArePadded: boolean;
}

/** etcd's errorCode, for a request that was refused. */
export type Refusal = 100 | 101 | 102 | 104 | 105 | 107 | 108;
export const refusals = {
  keyNotFound: 100,
  testFailed: 101,
  notFile: 102,
  notDirectory: 104,
  nodeExists: 105,
  rootReadOnly: 107,
  directoryNotEmpty: 108,
} as const satisfies Record<string, Refusal>;

/** Null: done. */
export type TreeOutcome = Refusal | null;

export interface Condition {
  /** Empty: none. */
  readonly prevValue: string;
  /** 0: none. */
  readonly prevIndex: number;
}

export interface Expiry {
  /** Nanoseconds since 1970; null: none. */
  readonly expiresAtNs: bigint | null;
  /** Keeps the value that is there. */
  readonly refresh: boolean;
}

interface Put {
  readonly dir: boolean;
  readonly value: NewValue;
  readonly expiresAtNs: bigint | null;
  /** Takes the place of a file that is there. */
  readonly replace: boolean;
  /** Only of a file that is there, whose value stays. */
  readonly refresh: boolean;
}

const readOnlyPaths = new Set(['/', '/0', '/1']);
/** 2000-01-01: an expiry before it is taken for none where a node is created. */
const expiryMinNs = 946_684_800_000_000_000n;

/** A node, or a refusal as a negative number. */
type FoundId = NodeId;

export class V2Tree {
  readonly nodes: NodeTable;
  currentIndex: number;
  /** Updates of directories that etcd up to 3.4 carries out and 3.5 refuses. */
  directoryUpdates = 0;
  /** Names that were made of an index, whatever became of them. */
  inOrderNames = 0;
  private readonly heap = new TtlHeap<ExpiringNode>();
  private readonly rules: TreeRules;
  /** Directories that something was put into; empty once one of them may be gone. */
  private readonly known = new KnownDirectories();

  private constructor(nodes: NodeTable, currentIndex: number, rules: TreeRules) {
    this.nodes = nodes;
    this.currentIndex = currentIndex;
    this.rules = rules;
  }

  /** As a server begins that has no snapshot. */
  static empty(rules: TreeRules): V2Tree {
    const nodes = new NodeTable();
    for (const name of ['0', '1']) nodes.makeDirectory(nodes.add(rootId, name, 0));
    return new V2Tree(nodes, 0, rules);
  }

  /** As a server goes on from a snapshot. */
  static from(nodes: NodeTable, currentIndex: number, rules: TreeRules): V2Tree {
    const tree = new V2Tree(nodes, currentIndex, rules);
    for (const each of nodes.expiries.values()) tree.heap.push(each);
    return tree;
  }

  get root(): V2Node {
    return new V2Node(this.nodes, rootId);
  }

  /** What is below /1: the user's keys. */
  get users(): NodeId | null {
    const node = this.nodes.child(rootId, '1');
    return node === none ? null : node;
  }

  /** @param path need not be clean */
  find(path: string): V2Node | Refusal {
    return findNode(this.nodes, path);
  }

  set(path: string, dir: boolean, value: NewValue, { expiresAtNs, refresh }: Expiry): TreeOutcome {
    return this.put(path, { dir, value, expiresAtNs, replace: true, refresh });
  }

  /** As `set` of a file that stays, from where it lies in the log. */
  setPlain({ bytes, pathStart, nameStart, pathEnd, valueStart, valueEnd }: PlainPut): TreeOutcome {
    const { nodes } = this;
    const index = this.currentIndex + 1;
    const parent = this.directoryFor(bytes, pathStart, nameStart - 1, false, index);
    if (parent < 0) return refusalOf(parent);
    let node = nodes.childAt(parent, bytes, nameStart, pathEnd);
    if (node === none) node = nodes.addAt(parent, bytes, nameStart, pathEnd, index);
    else if (nodes.isDirectory(node)) return refusals.notFile;
    else this.replaceFile(node, index);
    nodes.setValueAt(node, bytes, valueStart, valueEnd);
    this.currentIndex = index;
    return null;
  }

  create(path: string, dir: boolean, value: NewValue, { expiresAtNs }: Expiry): TreeOutcome {
    return this.put(path, { dir, value, expiresAtNs, replace: false, refresh: false });
  }

  /** POST: under a name that is the index it gets. */
  createInOrder(path: string, dir: boolean, value: NewValue, expiry: Expiry): TreeOutcome {
    const name = String(this.currentIndex + 1);
    this.inOrderNames += 1;
    return this.create(
      `${path}/${this.rules.inOrderNamesArePadded ? name.padStart(20, '0') : name}`,
      dir,
      value,
      expiry,
    );
  }

  update(path: string, value: NewValue, { expiresAtNs, refresh }: Expiry): TreeOutcome {
    if (isReadOnly(path)) return refusals.rootReadOnly;
    const node = findId(this.nodes, path);
    if (node < 0) return refusalOf(node);
    if (this.nodes.isDirectory(node)) {
      if (lengthOf(value) > 0) return refusals.notFile;
      this.directoryUpdates += 1;
      if (!this.rules.directoriesCanBeUpdated) return refusals.notFile;
      this.currentIndex += 1; // and yet the index of the directory stays
    } else this.write(node, refresh ? null : value);
    this.expireAt(node, expiresAtNs);
    return null;
  }

  compareAndSwap(path: string, condition: Condition, value: NewValue, { expiresAtNs, refresh }: Expiry): TreeOutcome {
    if (isReadOnly(path)) return refusals.rootReadOnly;
    const node = findId(this.nodes, path);
    if (node < 0) return refusalOf(node);
    if (this.nodes.isDirectory(node)) return refusals.notFile;
    if (!this.holds(node, condition)) return refusals.testFailed;
    this.write(node, refresh ? null : value);
    this.expireAt(node, expiresAtNs);
    return null;
  }

  compareAndDelete(path: string, condition: Condition): TreeOutcome {
    const node = findId(this.nodes, path);
    if (node < 0) return refusalOf(node);
    if (this.nodes.isDirectory(node)) return refusals.notFile;
    if (!this.holds(node, condition)) return refusals.testFailed;
    this.currentIndex += 1;
    this.remove(node);
    return null;
  }

  delete(path: string, dir: boolean, recursive: boolean): TreeOutcome {
    if (isReadOnly(path)) return refusals.rootReadOnly;
    const node = findId(this.nodes, path);
    if (node < 0) return refusalOf(node);
    if (this.nodes.isDirectory(node)) {
      if (!dir && !recursive) return refusals.notFile;
      if (this.nodes.firstChild(node) !== none && !recursive) return refusals.directoryNotEmpty;
    }
    this.currentIndex += 1;
    this.remove(node);
    return null;
  }

  /** SYNC: what has expired until then goes, the earliest first, an index each. */
  deleteExpired(untilNs: bigint): void {
    for (;;) {
      const top = this.heap.top();
      if (top === undefined || top.expiresAtNs === null || top.expiresAtNs > untilNs) return;
      this.currentIndex += 1;
      this.heap.pop();
      this.remove(top.node);
    }
  }

  private put(path: string, { dir, value, expiresAtNs, replace, refresh }: Put): TreeOutcome {
    const { nodes } = this;
    const clean = cleanPath(path);
    if (readOnlyPaths.has(clean)) return refusals.rootReadOnly;
    const index = this.currentIndex + 1;
    const bytes = Buffer.from(clean, 'latin1');
    const slash = clean.lastIndexOf('/');
    const parent = this.directoryFor(bytes, 0, slash, refresh, index);
    if (parent < 0) return refusalOf(parent);
    let node = nodes.childAt(parent, bytes, slash + 1, bytes.length);
    if (node === none) {
      if (refresh) return refusals.keyNotFound;
      node = nodes.addAt(parent, bytes, slash + 1, bytes.length, index);
    } else {
      if (!replace) return refusals.nodeExists;
      if (nodes.isDirectory(node)) return refusals.notFile;
      this.replaceFile(node, index);
    }
    if (dir) nodes.makeDirectory(node);
    else if (!refresh) nodes.setValue(node, value);
    if (expiresAtNs !== null && expiresAtNs >= expiryMinNs) this.expireAt(node, expiresAtNs);
    this.currentIndex = index;
    return null;
  }

  /** Another node of the same name, as etcd sees it. */
  private replaceFile(node: NodeId, index: number): void {
    this.expireAt(node, null);
    this.nodes.setCreatedIndex(node, index);
    this.nodes.setModifiedIndex(node, index);
  }

  /** The directory of a path, made as far as it is not there; a path is clean here, and empty for the root. */
  private directoryFor(bytes: Buffer, from: number, end: number, refresh: boolean, index: number): FoundId {
    const { nodes, known } = this;
    const found = known.find(bytes, from, end);
    if (found !== none) return found;
    let parent = rootId;
    for (const segment of bytes.toString('latin1', from, end).split('/').slice(1)) {
      // A directory is made only below the last one that is there, so that a refusal can leave none behind.
      if (!nodes.isDirectory(parent)) return -refusals.notDirectory;
      let next = nodes.child(parent, segment);
      if (next === none) {
        if (refresh) return -refusals.keyNotFound;
        next = nodes.add(parent, segment, index);
        nodes.makeDirectory(next);
      }
      parent = next;
    }
    if (!nodes.isDirectory(parent)) return -refusals.notDirectory;
    known.add(bytes, from, end, parent);
    return parent;
  }

  /** @param value null: the one that is there stays */
  private write(node: NodeId, value: NewValue | null): void {
    this.currentIndex += 1;
    if (value !== null) this.nodes.setValue(node, value);
    this.nodes.setModifiedIndex(node, this.currentIndex);
  }

  private expireAt(node: NodeId, expiresAtNs: bigint | null): void {
    const { expiries } = this.nodes;
    const known = expiries.get(node);
    if (known !== undefined) this.heap.remove(known);
    if (expiresAtNs === null) {
      if (known !== undefined) expiries.delete(node);
      return;
    }
    const expiring = { node, expiresAtNs, heapIndex: -1 };
    expiries.set(node, expiring);
    this.heap.push(expiring);
  }

  private remove(top: NodeId): void {
    const { nodes } = this;
    if (nodes.isDirectory(top)) this.known.clear();
    if (nodes.expiries.size > 0) for (const node of nodes.below(top)) this.expireAt(node, null);
    nodes.remove(top);
  }

  private holds(node: NodeId, { prevValue, prevIndex }: Condition): boolean {
    if (prevIndex !== 0 && this.nodes.modifiedIndex(node) !== prevIndex) return false;
    return prevValue === '' || new V2Node(this.nodes, node).value === prevValue;
  }
}

const lengthOf = (value: NewValue): number => (typeof value === 'string' ? value.length : value.end - value.start);

/** @param path need not be clean */
export function findNode(nodes: NodeTable, path: string): V2Node | Refusal {
  const node = findId(nodes, path);
  return node < 0 ? refusalOf(node) : new V2Node(nodes, node);
}

function findId(nodes: NodeTable, path: string): FoundId {
  let node = rootId;
  for (const name of segmentsOf(path)) {
    if (!nodes.isDirectory(node)) return -refusals.notDirectory;
    const child = nodes.child(node, name);
    if (child === none) return -refusals.keyNotFound;
    node = child;
  }
  return node;
}

const refusalOf = (found: FoundId): Refusal => -found as Refusal;

function segmentsOf(path: string): string[] {
  const clean = cleanPath(path);
  return clean === '/' ? [] : clean.slice(1).split('/');
}

function isReadOnly(path: string): boolean {
  return readOnlyPaths.has(cleanPath(path));
}
