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
import { TtlHeap, type Expiring } from './ttl-heap.ts';
import { noBytes, ValueStore, type ByteSpan, type ValueHolder } from './values.ts';

export class V2Node implements Expiring, ValueHolder {
  readonly name: string;
  parent: V2Node | null;
  /** Null: a file. */
  readonly children: Map<string, V2Node> | null;
  slab: Buffer = noBytes;
  valueStart = 0;
  valueBytes = 0;
  readonly createdIndex: number;
  modifiedIndex: number;
  expiresAtNs: bigint | null = null;
  heapIndex = -1;

  /** @param children null: a file, whose value is empty until a store keeps one for it */
  constructor(name: string, parent: V2Node | null, children: Map<string, V2Node> | null, index: number) {
    this.name = name;
    this.parent = parent;
    this.children = children;
    this.createdIndex = index;
    this.modifiedIndex = index;
  }

  /** As a byte string; of a directory an empty one. */
  get value(): string {
    return this.slab.toString('latin1', this.valueStart, this.valueStart + this.valueBytes);
  }

  /** The value where it lies: good for as long as nobody changes the tree. */
  get valueSpan(): Buffer {
    return this.slab.subarray(this.valueStart, this.valueStart + this.valueBytes);
  }
}

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

/** A byte string, or bytes where they lie. */
export type NewValue = string | ByteSpan;

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
/** So many directories are remembered: each with its path, so that memory must not grow with them. */
const knownMax = 10_000;
/** 2000-01-01: an expiry before it is taken for none where a node is created. */
const expiryMinNs = 946_684_800_000_000_000n;

export class V2Tree {
  readonly root: V2Node;
  currentIndex: number;
  /** Updates of directories that etcd up to 3.4 carries out and 3.5 refuses. */
  directoryUpdates = 0;
  private readonly heap = new TtlHeap<V2Node>();
  private readonly rules: TreeRules;
  private values: ValueStore;
  /** Directories that something was put into, by their paths; empty once one of them may be gone. */
  private readonly known = new Map<string, V2Node>();

  private constructor(root: V2Node, currentIndex: number, rules: TreeRules, values: ValueStore) {
    this.root = root;
    this.currentIndex = currentIndex;
    this.rules = rules;
    this.values = values;
  }

  /** As a server begins that has no snapshot. */
  static empty(rules: TreeRules): V2Tree {
    const root = new V2Node('', null, new Map(), 0);
    for (const name of ['0', '1']) root.children?.set(name, new V2Node(name, root, new Map(), 0));
    return new V2Tree(root, 0, rules, new ValueStore());
  }

  /** As a server goes on from a snapshot. @param values those that hold what its nodes have */
  static from(root: V2Node, currentIndex: number, rules: TreeRules, values: ValueStore): V2Tree {
    const tree = new V2Tree(root, currentIndex, rules, values);
    for (const node of nodesBelow(root)) if (node.expiresAtNs !== null) tree.heap.push(node);
    return tree;
  }

  /** @param path need not be clean */
  find(path: string): V2Node | Refusal {
    return findNode(this.root, path);
  }

  set(path: string, dir: boolean, value: NewValue, { expiresAtNs, refresh }: Expiry): TreeOutcome {
    return this.put(path, { dir, value, expiresAtNs, replace: true, refresh });
  }

  create(path: string, dir: boolean, value: NewValue, { expiresAtNs }: Expiry): TreeOutcome {
    return this.put(path, { dir, value, expiresAtNs, replace: false, refresh: false });
  }

  /** POST: under a name that is the index it gets. */
  createInOrder(path: string, dir: boolean, value: NewValue, expiry: Expiry): TreeOutcome {
    const name = String(this.currentIndex + 1);
    return this.create(
      `${path}/${this.rules.inOrderNamesArePadded ? name.padStart(20, '0') : name}`,
      dir,
      value,
      expiry,
    );
  }

  update(path: string, value: NewValue, { expiresAtNs, refresh }: Expiry): TreeOutcome {
    if (isReadOnly(path)) return refusals.rootReadOnly;
    const node = this.find(path);
    if (typeof node === 'number') return node;
    if (node.children !== null) {
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
    const node = this.find(path);
    if (typeof node === 'number') return node;
    if (node.children !== null) return refusals.notFile;
    if (!holds(node, condition)) return refusals.testFailed;
    this.write(node, refresh ? null : value);
    this.expireAt(node, expiresAtNs);
    return null;
  }

  compareAndDelete(path: string, condition: Condition): TreeOutcome {
    const node = this.find(path);
    if (typeof node === 'number') return node;
    if (node.children !== null) return refusals.notFile;
    if (!holds(node, condition)) return refusals.testFailed;
    this.currentIndex += 1;
    this.remove(node);
    return null;
  }

  delete(path: string, dir: boolean, recursive: boolean): TreeOutcome {
    if (isReadOnly(path)) return refusals.rootReadOnly;
    const node = this.find(path);
    if (typeof node === 'number') return node;
    if (node.children !== null) {
      if (!dir && !recursive) return refusals.notFile;
      if (node.children.size > 0 && !recursive) return refusals.directoryNotEmpty;
    }
    this.currentIndex += 1;
    this.remove(node);
    return null;
  }

  /** SYNC: what has expired until then goes, the earliest first, an index each. */
  deleteExpired(untilNs: bigint): void {
    for (;;) {
      const node = this.heap.top();
      if (node === undefined || node.expiresAtNs === null || node.expiresAtNs > untilNs) return;
      this.currentIndex += 1;
      this.heap.pop();
      this.remove(node);
    }
  }

  private put(path: string, { dir, value, expiresAtNs, replace, refresh }: Put): TreeOutcome {
    const clean = cleanPath(path);
    if (readOnlyPaths.has(clean)) return refusals.rootReadOnly;
    const index = this.currentIndex + 1;
    const slash = clean.lastIndexOf('/');
    const parent = this.directoryFor(clean.slice(0, slash), refresh, index);
    if (typeof parent === 'number') return parent;
    const siblings = parent.children as Map<string, V2Node>;
    const name = clean.slice(slash + 1);
    const there = siblings.get(name);
    if (there === undefined && refresh) return refusals.keyNotFound;
    if (there !== undefined) {
      if (!replace) return refusals.nodeExists;
      if (there.children !== null) return refusals.notFile;
      this.heap.remove(there);
    }
    const node = new V2Node(there?.name ?? flat(name), parent, dir ? new Map() : null, index);
    if (!dir && refresh && there !== undefined) {
      node.slab = there.slab;
      node.valueStart = there.valueStart;
      node.valueBytes = there.valueBytes;
    } else if (!dir) this.values.keep(node, value);
    siblings.set(node.name, node);
    if (expiresAtNs !== null && expiresAtNs >= expiryMinNs) this.expireAt(node, expiresAtNs);
    this.currentIndex = index;
    if (this.values.isMostlyDead) this.keepTheLiving();
    return null;
  }

  /** The directory of this path, made as far as it is not there; a path is clean here, and empty for the root. */
  private directoryFor(path: string, refresh: boolean, index: number): V2Node | Refusal {
    const known = this.known.get(path);
    if (known !== undefined) return known;
    let parent = this.root;
    for (const segment of path.split('/').slice(1)) {
      // A directory is made only below the last one that is there, so that a refusal can leave none behind.
      if (parent.children === null) return refusals.notDirectory;
      let next = parent.children.get(segment);
      if (next === undefined) {
        if (refresh) return refusals.keyNotFound;
        const name = flat(segment);
        next = new V2Node(name, parent, new Map(), index);
        parent.children.set(name, next);
      }
      parent = next;
    }
    if (parent.children === null) return refusals.notDirectory;
    if (this.known.size >= knownMax) this.known.clear();
    this.known.set(flat(path), parent);
    return parent;
  }

  /** @param value null: the one that is there stays */
  private write(node: V2Node, value: NewValue | null): void {
    this.currentIndex += 1;
    if (value !== null) this.values.keep(node, value);
    node.modifiedIndex = this.currentIndex;
    if (this.values.isMostlyDead) this.keepTheLiving();
  }

  private keepTheLiving(): void {
    let live = 0;
    for (const { valueBytes } of nodesBelow(this.root)) live += valueBytes;
    this.values = new ValueStore(live);
    for (const node of nodesBelow(this.root)) {
      const { slab, valueStart, valueBytes } = node;
      this.values.keep(node, { bytes: slab, start: valueStart, end: valueStart + valueBytes });
    }
  }

  private expireAt(node: V2Node, expiresAtNs: bigint | null): void {
    this.heap.remove(node);
    node.expiresAtNs = expiresAtNs;
    if (expiresAtNs !== null) this.heap.push(node);
  }

  private remove(node: V2Node): void {
    node.parent?.children?.delete(node.name);
    if (node.children !== null) this.known.clear();
    for (const each of nodesBelow(node)) this.heap.remove(each);
  }
}

const lengthOf = (value: NewValue): number => (typeof value === 'string' ? value.length : value.end - value.start);

const scratch = Buffer.alloc(256);

/** The same text by itself: a slice keeps all of what it was cut from, and is dear to compare. */
function flat(text: string): string {
  if (text.length > scratch.length) return Buffer.from(text, 'latin1').toString('latin1');
  return scratch.toString('latin1', 0, scratch.write(text, 0, 'latin1'));
}

/** @param path need not be clean */
export function findNode(root: V2Node, path: string): V2Node | Refusal {
  let node = root;
  for (const name of segmentsOf(path)) {
    if (node.children === null) return refusals.notDirectory;
    const child = node.children.get(name);
    if (child === undefined) return refusals.keyNotFound;
    node = child;
  }
  return node;
}

/** A node and all below it. Without recursion: a path may be as deep as a request is long. */
function* nodesBelow(top: V2Node): Generator<V2Node, void, undefined> {
  const open = [top];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    yield node;
    if (node.children !== null) for (const child of node.children.values()) open.push(child);
  }
}

function segmentsOf(path: string): string[] {
  const clean = cleanPath(path);
  return clean === '/' ? [] : clean.slice(1).split('/');
}

function isReadOnly(path: string): boolean {
  return readOnlyPaths.has(cleanPath(path));
}

function holds(node: V2Node, { prevValue, prevIndex }: Condition): boolean {
  return (prevIndex === 0 || node.modifiedIndex === prevIndex) && (prevValue === '' || node.value === prevValue);
}
