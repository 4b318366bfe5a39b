/**
 * The user's part of the tree (/1) as a view: pages of entries in the byte order of their paths, straight from the nodes.
 *
 *     a   a-b   a/x   a/y   ab        '-' comes before '/': what is below a directory is not next to the directory itself
 *
 * So each directory stands twice among its siblings: as itself, by its name, and as what is below it, by its name and a
 * slash. Both are in order (ordered-tree.ts), and a walk takes whichever is next.
 *
 * What becomes of a node is as in the live adapter (etcd-v2/spool-tree.ts), so that a plan from either is the same one: files
 * become records, directories and what has expired are said not to be carried. What a listing over the API would hide is
 * here too: names below the range's directory that begin with an underscore. They are counted as `key.hidden`, or carried
 * like any other key when the store says `hidden: carry`.
 */
import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import {
  intersectRanges,
  type Key,
  type KeyRange,
  type NotCarried,
  type NotCarriedReason,
  type Position,
  type RecordPage,
  type ScanOptions,
  type StoreView,
} from '@keyferry/core';
import { byteString } from '../bytes.ts';
import { directoryOf } from '../etcd-v2/directory.ts';
import { none, type NodeId, type NodeTable } from './node-table.ts';
import type { Order, OrderedTree } from './ordered-tree.ts';
import { RecordPacker } from '../record-packer.ts';

export type HiddenNames = 'leave-out' | 'carry';

/** A page ends early where its values are large: a thousand values of 1 MiB would not be flat. */
const pageBytesMax = 4 * 1024 * 1024;

export interface TreeViewOptions {
  readonly position: Position;
  readonly range: KeyRange;
  /** What counts as past. */
  readonly nowMs: number;
  readonly hidden: HiddenNames;
}

export class TreeView implements StoreView {
  readonly position: Position;
  private readonly tree: OrderedTree;
  private readonly range: KeyRange;
  private readonly nowMs: number;
  /** The directory that is listed, where names that it hides are left out; null: no name is. */
  private readonly listed: string | null;

  constructor(tree: OrderedTree, { position, range, nowMs, hidden }: TreeViewOptions) {
    this.tree = tree;
    this.position = position;
    this.range = range;
    this.nowMs = nowMs;
    // A hidden directory that is named itself is listed; what it hides is below it.
    this.listed = hidden === 'carry' ? null : (directoryOf(range) ?? '');
  }

  async *scan(part: KeyRange, { pageKeysMax }: ScanOptions): AsyncGenerator<RecordPage, void, undefined> {
    const range = intersectRanges(this.range, part);
    const { nodes, users } = this.tree;
    if (range === null || users === null) return;
    const walk = new Walk(this.tree, users, range.start, (path, name) => this.isHidden(path, name));
    let records: RecordPacker | null = null;
    for (;;) {
      records = new RecordPacker(records);
      const notCarried: NotCarried[] = [];
      let notCarriedBytes = 0;
      let isLast = false;
      while (records.count + notCarried.length < pageKeysMax && records.size + notCarriedBytes < pageBytesMax) {
        const found = walk.next();
        if (found === none || (range.end !== null && walk.isAtOrBehind(range.end))) {
          isLast = true;
          break;
        }
        const reason = this.reasonNotToCarry(found, walk);
        if (reason === null) pack(records, nodes, found, walk);
        else {
          const key = walk.path as Key;
          notCarried.push({ key, reason });
          notCarriedBytes += key.length;
        }
      }
      // All of it is synchronous: without a turn of the loop a pair of embedded stores would starve signals and leases.
      await turnOfTheLoop();
      if (records.count + notCarried.length > 0) yield records.page(notCarried);
      if (isLast) return;
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  private isHidden(path: string, name: string): boolean {
    const { listed } = this;
    return listed !== null && name.startsWith('_') && !(listed === path || listed.startsWith(`${path}/`));
  }

  private reasonNotToCarry(node: NodeId, { isHidden, expiresAtMs }: Walk): NotCarriedReason | null {
    const { nodes } = this.tree;
    if (isHidden) return 'key.hidden';
    if (nodes.isDirectory(node)) {
      return hasListedChild(nodes, node, this.listed !== null) ? 'dir.with-children' : 'dir.empty';
    }
    return expiresAtMs !== null && expiresAtMs <= this.nowMs ? 'ttl.expired' : null;
  }
}

/** A directory on the way, and how far the walk has come in it. */
interface Level {
  readonly order: Order;
  /** Length of the directory's path, with a slash at its end, of which the walk has the bytes. */
  readonly prefixLength: number;
  readonly expiresAtMs: number | null;
  readonly isHidden: boolean;
  entry: number;
  below: number;
  /** Up to here entries are in the processor's cache. */
  fetched: number;
}

/** Few enough that the first are still there when it is their turn. */
const fetchedAtOnce = 64;

/** Nodes from a path on, in byte order. Without recursion: a path may be as deep as a request is long. */
class Walk {
  /** Of the path of the node that `next` found. */
  pathLength = 0;
  /** The earliest of its own and of the directories above. */
  expiresAtMs: number | null = null;
  isHidden = false;
  private readonly tree: OrderedTree;
  private readonly nodes: NodeTable;
  private readonly hides: (path: string, name: string) => boolean;
  private readonly levels: Level[] = [];
  /** The path of the innermost level, and behind it that of what was found last. */
  private bytes = Buffer.alloc(256);

  constructor(tree: OrderedTree, top: NodeId, start: string, hides: (path: string, name: string) => boolean) {
    this.tree = tree;
    this.nodes = tree.nodes;
    this.hides = hides;
    const from = start.startsWith('/') ? start.slice(1) : start < '/' ? '' : null;
    this.enter(top, '/', this.expiryMs(top), false, from);
  }

  /** Of the node that `next` found. */
  get path(): string {
    return byteString(this.bytes, 0, this.pathLength);
  }

  isAtOrBehind(path: string): boolean {
    const { bytes, pathLength } = this;
    const length = Math.min(pathLength, path.length);
    for (let i = 0; i < length; i += 1) {
      const order = (bytes[i] as number) - path.charCodeAt(i);
      if (order !== 0) return order > 0;
    }
    return pathLength >= path.length;
  }

  writePath(into: Buffer, at: number): void {
    const { bytes, pathLength } = this;
    for (let i = 0; i < pathLength; i += 1) into[at + i] = bytes[i] as number;
  }

  /** `none` behind the last one. */
  next(): NodeId {
    for (let level = this.levels.at(-1); level !== undefined; level = this.levels.at(-1)) {
      const { order, prefixLength } = level;
      const entry = order.entries[level.entry];
      const below = order.below[level.below];
      if (entry !== undefined && (below === undefined || this.nodes.name(entry) < below.name)) {
        if (level.entry === level.fetched) {
          level.fetched = Math.min(order.entries.length, level.entry + fetchedAtOnce);
          this.nodes.fetch(order.entries, level.entry, level.fetched);
        }
        level.entry += 1;
        this.find(prefixLength, entry);
        this.expiresAtMs = earlier(level.expiresAtMs, this.expiryMs(entry));
        this.isHidden =
          level.isHidden || (this.nodes.isHiddenName(entry) && this.hides(this.path, this.nodes.name(entry)));
        return entry;
      }
      if (below === undefined) this.levels.pop();
      else {
        level.below += 1;
        this.find(prefixLength, below.node);
        const { path } = this;
        const isHidden = level.isHidden || this.hides(path, below.name);
        this.enter(below.node, `${path}/`, earlier(level.expiresAtMs, this.expiryMs(below.node)), isHidden, '');
      }
    }
    return none;
  }

  /** @param from where to begin among what is below, as the rest of a path; null: behind all of it */
  private enter(
    node: NodeId,
    prefix: string,
    expiresAtMs: number | null,
    isHidden: boolean,
    from: string | null,
  ): void {
    const order = this.tree.orderOf(node);
    if (from === null) return;
    const { entries } = order;
    const entry = from === '' ? 0 : firstAtLeast(entries.length, (i) => this.nodes.name(entries[i] as NodeId), from);
    const below = from === '' ? 0 : firstAtLeast(order.below.length, (i) => order.below[i]?.name ?? '', from);
    this.makeRoom(prefix.length);
    this.bytes.write(prefix, 0, 'latin1');
    this.levels.push({ order, prefixLength: prefix.length, expiresAtMs, isHidden, entry, below, fetched: entry });
    // The start may lie below the directory in front of it.
    const before = order.below[below - 1];
    if (before === undefined || !from.startsWith(before.name)) return;
    const path = prefix + this.nodes.name(before.node);
    this.enter(
      before.node,
      `${path}/`,
      earlier(expiresAtMs, this.expiryMs(before.node)),
      isHidden || this.hides(path, before.name),
      from.slice(before.name.length),
    );
  }

  private find(prefixLength: number, node: NodeId): void {
    this.makeRoom(prefixLength + this.nodes.nameLength(node));
    this.pathLength = this.nodes.writeName(node, this.bytes, prefixLength);
  }

  private makeRoom(length: number): void {
    if (length <= this.bytes.length) return;
    const before = this.bytes;
    this.bytes = Buffer.alloc(2 * length);
    before.copy(this.bytes);
  }

  /** Milliseconds, cut off as the live adapter reads them. */
  private expiryMs(node: NodeId): number | null {
    const expiresAtNs = this.nodes.expiresAtNs(node);
    return expiresAtNs === null ? null : Number(expiresAtNs / 1_000_000n);
  }
}

/** Of names in ascending order, the first that is not below `name`. */
function firstAtLeast(count: number, nameAt: (i: number) => string, name: string): number {
  let [low, high] = [0, count];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (nameAt(middle) < name) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** To whoever lists it, a directory of hidden names alone is an empty one. */
function hasListedChild(nodes: NodeTable, directory: NodeId, hides: boolean): boolean {
  for (let node = nodes.firstChild(directory); node !== none; node = nodes.nextSibling(node)) {
    if (!hides || !nodes.isHiddenName(node)) return true;
  }
  return false;
}

function pack(records: RecordPacker, nodes: NodeTable, node: NodeId, walk: Walk): void {
  const { pathLength, expiresAtMs } = walk;
  const version = nodes.modifiedIndex(node);
  const created = nodes.createdIndex(node);
  const at = records.reserve(pathLength, nodes.valueLength(node), { version, created, expiresAtMs });
  walk.writePath(records.bytes, at);
  nodes.writeValue(node, records.bytes, at + pathLength);
}

function earlier(a: number | null, b: number | null): number | null {
  return a === null || (b !== null && b < a) ? b : a;
}
