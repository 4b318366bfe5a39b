/**
 * The nodes of a tree as rows of numbers: half a million objects and strings would be collected again and again while the log
 * is replayed, and cost three times the memory.
 *
 *     row = 64 bytes, one line of a processor's cache: what is in any order is read at random, and each line read is dear
 *           kind  parent  first child  next sibling  previous sibling  next of its bucket  length of name, of value
 *           place of name  place of value  created  modified
 *     bucket ─► row ─► row          a child is found by the hash of its parent and its name
 *
 * What few nodes have, an expiry, is kept beside it. Rows of removed nodes are given out again. It knows nothing of what a
 * request may do: that is v2-tree.ts.
 */
import { byteString, hashOfBytes, noBytes, textBytes } from '../bytes.ts';
import { ByteSlabs, type ByteSpan, type Place } from './byte-slabs.ts';
import type { Expiring } from './ttl-heap.ts';

/** A row of the table: good until the node is removed. */
export type NodeId = number;

export const none = -1;
export const rootId: NodeId = 0;

/** A byte string, or bytes where they lie. */
export type NewValue = string | ByteSpan;

export interface ExpiringNode extends Expiring {
  readonly node: NodeId;
}

const kinds = { removed: 0, file: 1, directory: 2 } as const;

/** A block is moved only while it is the first and small: later to grow costs no copy. */
const blockRowBits = 14;
const blockRows = 1 << blockRowBits; // a power would be a floating-point number, and so would all that is counted by it
const firstBlockRows = 256;
const [rowBytes, cacheLineBytes] = [64, 64];
/** By 32-bit number of a row; the doubles by 64-bit number. */
const field = {
  kind: 0,
  parent: 1,
  firstChild: 2,
  next: 3,
  previous: 4,
  chain: 5,
  nameLength: 6,
  valueLength: 7,
} as const;
const double = { namePlace: 4, valuePlace: 5, created: 6, modified: 7 } as const;
type Field = (typeof field)[keyof typeof field];
type Double = (typeof double)[keyof typeof double];

export class NodeTable {
  readonly expiries = new Map<NodeId, ExpiringNode>();
  private slabs = new ByteSlabs();
  private readonly integers: Int32Array[] = [];
  private readonly doubles: Float64Array[] = [];
  private rows = 0;
  private capacity = 0;
  private firstRemoved = none;
  /** Of use to nobody, but what is read for nothing may be left out. */
  private seen = 0;
  private buckets = new Int32Array(firstBlockRows).fill(none);

  /** With a root, which is a directory. */
  constructor() {
    this.addRow(none, noBytes, 0, 0);
    this.makeDirectory(rootId);
  }

  /** Rows that there are or were: each below this is a node, or removed. */
  get rowCount(): number {
    return this.rows;
  }

  isRemoved(node: NodeId): boolean {
    return this.get(node, field.kind) === kinds.removed;
  }

  /** The child of this name; `none`: there is none. */
  child(parent: NodeId, name: string): NodeId {
    return this.childAt(parent, textBytes(name), 0, name.length);
  }

  /** As `child`, by a name where it lies. */
  childAt(parent: NodeId, bytes: Buffer, from: number, end: number): NodeId {
    let node = this.buckets[this.bucketOf(parent, bytes, from, end)] as number;
    while (node !== none) {
      if (this.get(node, field.parent) === parent && this.isNamed(node, bytes, from, end)) return node;
      node = this.get(node, field.chain);
    }
    return none;
  }

  /** A file without a value; the caller has made sure that nothing has its name. */
  add(parent: NodeId, name: string, index: number): NodeId {
    return this.addAt(parent, textBytes(name), 0, name.length, index);
  }

  /** As `add`, by a name where it lies. */
  addAt(parent: NodeId, bytes: Buffer, from: number, end: number, index: number): NodeId {
    const node = this.addRow(parent, bytes, from, end);
    this.setDouble(node, double.created, index);
    this.setDouble(node, double.modified, index);
    const next = this.get(parent, field.firstChild);
    this.set(node, field.next, next);
    if (next !== none) this.set(next, field.previous, node);
    this.set(parent, field.firstChild, node);
    if (this.rows > this.buckets.length) this.rehash();
    else this.chain(node, this.bucketOf(parent, bytes, from, end));
    return node;
  }

  /** With all below it. The nodes' expiries are the caller's to forget. */
  remove(top: NodeId): void {
    this.unlink(top);
    const all = [...this.below(top)]; // the walk goes by what is about to be cleared
    for (const node of all) {
      this.unchain(node);
      this.slabs.drop(this.get(node, field.nameLength) + this.get(node, field.valueLength));
      this.set(node, field.kind, kinds.removed);
      this.set(node, field.chain, this.firstRemoved);
      this.firstRemoved = node;
    }
  }

  /** A node and all below it, a directory before what is in it. Nothing may be removed meanwhile. */
  *below(top: NodeId): Generator<NodeId, void, undefined> {
    for (let node = top; ;) {
      yield node;
      let next = this.firstChild(node);
      while (next === none) {
        if (node === top) return;
        next = this.nextSibling(node);
        if (next === none) node = this.parent(node);
      }
      node = next;
    }
  }

  isDirectory(node: NodeId): boolean {
    return this.get(node, field.kind) === kinds.directory;
  }

  /** What has no children yet. */
  makeDirectory(node: NodeId): void {
    this.setValue(node, '');
    this.set(node, field.kind, kinds.directory);
  }

  parent(node: NodeId): NodeId {
    return this.get(node, field.parent);
  }

  firstChild(node: NodeId): NodeId {
    return this.get(node, field.firstChild);
  }

  /** In no order. */
  nextSibling(node: NodeId): NodeId {
    return this.get(node, field.next);
  }

  name(node: NodeId): string {
    const place = this.getDouble(node, double.namePlace);
    const start = this.slabs.startOf(place);
    return byteString(this.slabs.slabOf(place), start, start + this.get(node, field.nameLength));
  }

  /** Writes the name into a buffer that has room for it; @returns where it ends there */
  writeName(node: NodeId, into: Buffer, at: number): number {
    return this.slabs.copyTo(this.getDouble(node, double.namePlace), this.get(node, field.nameLength), into, at);
  }

  nameLength(node: NodeId): number {
    return this.get(node, field.nameLength);
  }

  /** The four bytes of the name from `at` on as a number, the first one highest; zero for what is behind its end. */
  nameWord(node: NodeId, at: number): number {
    const place = this.getDouble(node, double.namePlace);
    const slab = this.slabs.slabOf(place);
    const start = this.slabs.startOf(place);
    const length = this.get(node, field.nameLength);
    let word = 0;
    for (let i = at; i < at + 4; i += 1) word = (word << 8) | (i < length ? (slab[start + i] as number) : 0);
    return word >>> 0;
  }

  /** How many bytes two names begin with alike, at most `max`. */
  sharedNameLength(a: NodeId, b: NodeId, max: number): number {
    const placeA = this.getDouble(a, double.namePlace);
    const placeB = this.getDouble(b, double.namePlace);
    const slabA = this.slabs.slabOf(placeA);
    const slabB = this.slabs.slabOf(placeB);
    const startA = this.slabs.startOf(placeA);
    const startB = this.slabs.startOf(placeB);
    const end = Math.min(this.get(a, field.nameLength), this.get(b, field.nameLength), max);
    let shared = 0;
    while (shared < end && slabA[startA + shared] === slabB[startB + shared]) shared += 1;
    return shared;
  }

  /** Whether it begins with an underscore. */
  isHiddenName(node: NodeId): boolean {
    const place = this.getDouble(node, double.namePlace);
    return this.get(node, field.nameLength) > 0 && this.slabs.slabOf(place)[this.slabs.startOf(place)] === 0x5f;
  }

  /** Where it lies: good for as long as nobody changes the tree. */
  value(node: NodeId): Buffer {
    const place = this.getDouble(node, double.valuePlace);
    const start = this.slabs.startOf(place);
    return this.slabs.slabOf(place).subarray(start, start + this.get(node, field.valueLength));
  }

  /** As `writeName`. */
  writeValue(node: NodeId, into: Buffer, at: number): number {
    return this.slabs.copyTo(this.getDouble(node, double.valuePlace), this.get(node, field.valueLength), into, at);
  }

  /**
   * Has the processor fetch what is about to be read of some nodes: rows, then names and the values behind them. Read one by one,
   * each is waited for; asked for together, they come together.
   */
  fetch(nodes: Int32Array, from: number, end: number): void {
    let { seen } = this;
    for (let i = from; i < end; i += 1) seen ^= this.get(nodes[i] as NodeId, field.kind);
    for (let i = from; i < end; i += 1) {
      const place = this.getDouble(nodes[i] as NodeId, double.namePlace);
      const slab = this.slabs.slabOf(place);
      const start = this.slabs.startOf(place);
      seen ^= (slab[start] as number) ^ (slab[start + cacheLineBytes] as number);
    }
    this.seen = seen;
  }

  valueLength(node: NodeId): number {
    return this.get(node, field.valueLength);
  }

  setValue(node: NodeId, value: NewValue): void {
    if (typeof value === 'string') this.setValueAt(node, Buffer.from(value, 'latin1'), 0, value.length);
    else this.setValueAt(node, value.bytes, value.start, value.end);
  }

  /** As `setValue`, of bytes where they lie. */
  setValueAt(node: NodeId, bytes: Buffer, from: number, end: number): void {
    const { slabs } = this;
    slabs.drop(this.get(node, field.valueLength));
    const place: Place = from === end ? 0 : slabs.keepBytes(bytes, from, end);
    this.set(node, field.valueLength, end - from);
    this.setDouble(node, double.valuePlace, place);
    if (slabs.isMostlyDead) this.keepTheLiving();
  }

  createdIndex(node: NodeId): number {
    return this.getDouble(node, double.created);
  }

  modifiedIndex(node: NodeId): number {
    return this.getDouble(node, double.modified);
  }

  setCreatedIndex(node: NodeId, index: number): void {
    this.setDouble(node, double.created, index);
  }

  setModifiedIndex(node: NodeId, index: number): void {
    this.setDouble(node, double.modified, index);
  }

  /** Nanoseconds since 1970; null: none. */
  expiresAtNs(node: NodeId): bigint | null {
    // Most trees have few, and many have none: then nothing is looked up.
    return this.expiries.size === 0 ? null : (this.expiries.get(node)?.expiresAtNs ?? null);
  }

  /** Bytes of names and values that are held, dead ones too. */
  get heldBytes(): number {
    return this.slabs.heldBytes;
  }

  private keepTheLiving(): void {
    const before = this.slabs;
    this.slabs = new ByteSlabs();
    const move = (node: NodeId, which: Double, length: number): void => {
      const place = this.getDouble(node, which);
      const start = before.startOf(place);
      if (length > 0) this.setDouble(node, which, this.slabs.keepBytes(before.slabOf(place), start, start + length));
    };
    for (const node of this.below(rootId)) {
      move(node, double.namePlace, this.get(node, field.nameLength));
      move(node, double.valuePlace, this.get(node, field.valueLength));
    }
  }

  private addRow(parent: NodeId, bytes: Buffer, from: number, end: number): NodeId {
    let node = this.firstRemoved;
    if (node === none) {
      node = this.rows;
      if (node === this.capacity) this.addRows();
      this.rows += 1;
    } else this.firstRemoved = this.get(node, field.chain);
    this.set(node, field.kind, kinds.file);
    this.set(node, field.parent, parent);
    this.set(node, field.firstChild, none);
    this.set(node, field.next, none);
    this.set(node, field.previous, none);
    this.set(node, field.chain, none);
    this.set(node, field.nameLength, end - from);
    this.set(node, field.valueLength, 0);
    this.setDouble(node, double.namePlace, from === end ? 0 : this.slabs.keepBytes(bytes, from, end));
    this.setDouble(node, double.valuePlace, 0);
    this.setDouble(node, double.created, 0);
    this.setDouble(node, double.modified, 0);
    return node;
  }

  private addRows(): void {
    const { capacity } = this;
    const isFirst = capacity < blockRows;
    const rows = isFirst ? Math.max(firstBlockRows, 2 * capacity) : blockRows;
    const block = new ArrayBuffer(rows * rowBytes);
    const at = isFirst ? 0 : this.integers.length;
    if (isFirst && capacity > 0) new Int32Array(block).set(this.integers[0] as Int32Array);
    this.integers[at] = new Int32Array(block);
    this.doubles[at] = new Float64Array(block);
    this.capacity = isFirst ? rows : capacity + rows;
  }

  private unlink(node: NodeId): void {
    const [previous, next] = [this.get(node, field.previous), this.get(node, field.next)];
    if (previous === none) this.set(this.parent(node), field.firstChild, next);
    else this.set(previous, field.next, next);
    if (next !== none) this.set(next, field.previous, previous);
    this.set(node, field.next, none);
    this.set(node, field.previous, none);
  }

  private chain(node: NodeId, bucket: number): void {
    this.set(node, field.chain, this.buckets[bucket] as number);
    this.buckets[bucket] = node;
  }

  private unchain(node: NodeId): void {
    const bucket = this.bucketOfRow(node);
    const after = this.get(node, field.chain);
    let at = this.buckets[bucket] as number;
    if (at === node) {
      this.buckets[bucket] = after;
      return;
    }
    while (this.get(at, field.chain) !== node) at = this.get(at, field.chain);
    this.set(at, field.chain, after);
  }

  private isNamed(node: NodeId, bytes: Buffer, from: number, end: number): boolean {
    const length = this.get(node, field.nameLength);
    if (length !== end - from) return false;
    const place = this.getDouble(node, double.namePlace);
    const slab = this.slabs.slabOf(place);
    const start = this.slabs.startOf(place);
    for (let i = 0; i < length; i += 1) if (slab[start + i] !== bytes[from + i]) return false;
    return true;
  }

  private bucketOf(parent: NodeId, bytes: Buffer, from: number, end: number): number {
    return hashOfBytes(bytes, from, end, parent) & (this.buckets.length - 1);
  }

  private bucketOfRow(node: NodeId): number {
    const place = this.getDouble(node, double.namePlace);
    const start = this.slabs.startOf(place);
    return this.bucketOf(this.parent(node), this.slabs.slabOf(place), start, start + this.get(node, field.nameLength));
  }

  private rehash(): void {
    this.buckets = new Int32Array(this.buckets.length * 2).fill(none);
    for (let node = rootId + 1; node < this.rows; node += 1) {
      if (this.get(node, field.kind) === kinds.removed) continue;
      this.chain(node, this.bucketOfRow(node));
    }
  }

  private get(node: NodeId, which: Field): number {
    return (this.integers[node >>> blockRowBits] as Int32Array)[((node & (blockRows - 1)) << 4) + which] as number;
  }

  private set(node: NodeId, which: Field, value: number): void {
    (this.integers[node >>> blockRowBits] as Int32Array)[((node & (blockRows - 1)) << 4) + which] = value;
  }

  private getDouble(node: NodeId, which: Double): number {
    return (this.doubles[node >>> blockRowBits] as Float64Array)[((node & (blockRows - 1)) << 3) + which] as number;
  }

  private setDouble(node: NodeId, which: Double, value: number): void {
    (this.doubles[node >>> blockRowBits] as Float64Array)[((node & (blockRows - 1)) << 3) + which] = value;
  }
}
