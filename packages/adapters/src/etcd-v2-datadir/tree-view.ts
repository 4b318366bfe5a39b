/**
 * The user's part of the tree (/1) as a view: pages of entries in the byte order of their paths, straight from the nodes.
 *
 *     a   a-b   a/x   a/y   ab        '-' comes before '/': what is below a directory is not next to the directory itself
 *
 * So each directory stands twice among its siblings: as itself, by its name, and as what is below it, by its name and a
 * slash. Both are in order, and a walk takes whichever is next. Siblings are sorted once, when they are first walked.
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
  type StoredRecord,
  type StoreView,
  type Version,
} from '@keyferry/core';
import { directoryOf } from '../etcd-v2/directory.ts';
import type { V2Node, V2Tree } from './v2-tree.ts';

export type HiddenNames = 'leave-out' | 'carry';

/** A page ends early where its values are large: a thousand values of 1 MiB would not be flat. */
const pageBytesMax = 4 * 1024 * 1024;

/** A tree that nobody changes any more, and the order of its nodes as far as somebody asked for it. */
export class OrderedTree {
  readonly users: V2Node | null;
  private readonly orders = new Map<V2Node, Order>();

  constructor(tree: V2Tree) {
    this.users = tree.root.children?.get('1') ?? null;
  }

  orderOf(directory: V2Node): Order {
    const known = this.orders.get(directory);
    if (known !== undefined) return known;
    const children = directory.children ?? new Map<string, V2Node>();
    // By the names alone: a sort that has to look into nodes takes three times as long.
    const entries = [...children.keys()].toSorted().map((name) => children.get(name) as V2Node);
    const below = entries
      .filter((node) => node.children !== null)
      .map((node) => ({ node, name: `${node.name}/` }))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
    const order = { entries, below };
    this.orders.set(directory, order);
    return order;
  }
}

interface Order {
  readonly entries: readonly V2Node[];
  /** Directories, by their name and a slash. */
  readonly below: readonly { readonly node: V2Node; readonly name: string }[];
}

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
    const { users } = this.tree;
    if (range === null || users === null) return;
    const walk = new Walk(this.tree, users, range.start, (path, name) => this.isHidden(path, name));
    for (;;) {
      const records: StoredRecord[] = [];
      const notCarried: NotCarried[] = [];
      let bytes = 0;
      let isLast = false;
      while (records.length + notCarried.length < pageKeysMax && bytes < pageBytesMax) {
        const found = walk.next();
        if (found === null || (range.end !== null && walk.path >= range.end)) {
          isLast = true;
          break;
        }
        const key = walk.path as Key;
        const reason = this.reasonNotToCarry(found, walk);
        bytes += key.length + found.valueBytes;
        if (reason !== null) notCarried.push({ key, reason });
        else records.push(recordOf(found, key, walk.expiresAtMs));
      }
      // All of it is synchronous: without a turn of the loop a pair of embedded stores would starve signals and leases.
      await turnOfTheLoop();
      if (records.length + notCarried.length > 0) yield { records, notCarried };
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

  private reasonNotToCarry({ children }: V2Node, { isHidden, expiresAtMs }: Walk): NotCarriedReason | null {
    if (isHidden) return 'key.hidden';
    if (children !== null) return hasListedChild(children, this.listed !== null) ? 'dir.with-children' : 'dir.empty';
    return expiresAtMs !== null && expiresAtMs <= this.nowMs ? 'ttl.expired' : null;
  }
}

/** A directory on the way, and how far the walk has come in it. */
interface Level {
  readonly order: Order;
  /** Of the directory, with a slash at its end. */
  readonly prefix: string;
  readonly expiresAtMs: number | null;
  readonly isHidden: boolean;
  entry: number;
  below: number;
}

/** Nodes from a path on, in byte order. Without recursion: a path may be as deep as a request is long. */
class Walk {
  /** Of the node that `next` found. */
  path = '';
  /** The earliest of its own and of the directories above. */
  expiresAtMs: number | null = null;
  isHidden = false;
  private readonly tree: OrderedTree;
  private readonly hides: (path: string, name: string) => boolean;
  private readonly levels: Level[] = [];

  constructor(tree: OrderedTree, top: V2Node, start: string, hides: (path: string, name: string) => boolean) {
    this.tree = tree;
    this.hides = hides;
    this.enter(top, '/', expiryMs(top), false, start.startsWith('/') ? start.slice(1) : start < '/' ? '' : null);
  }

  next(): V2Node | null {
    for (let level = this.levels.at(-1); level !== undefined; level = this.levels.at(-1)) {
      const { order, prefix } = level;
      const entry = order.entries[level.entry];
      const below = order.below[level.below];
      if (entry !== undefined && (below === undefined || entry.name < below.name)) {
        level.entry += 1;
        this.path = prefix + entry.name;
        this.expiresAtMs = earlier(level.expiresAtMs, expiryMs(entry));
        this.isHidden = level.isHidden || this.hides(this.path, entry.name);
        return entry;
      }
      if (below === undefined) this.levels.pop();
      else {
        level.below += 1;
        const path = prefix + below.node.name;
        const isHidden = level.isHidden || this.hides(path, below.node.name);
        this.enter(below.node, `${path}/`, earlier(level.expiresAtMs, expiryMs(below.node)), isHidden, '');
      }
    }
    return null;
  }

  /** @param from where to begin among what is below, as the rest of a path; null: behind all of it */
  private enter(
    node: V2Node,
    prefix: string,
    expiresAtMs: number | null,
    isHidden: boolean,
    from: string | null,
  ): void {
    const order = this.tree.orderOf(node);
    if (from === null) return;
    const entry = from === '' ? 0 : firstAtLeast(order.entries, from);
    const below = from === '' ? 0 : firstAtLeast(order.below, from);
    this.levels.push({ order, prefix, expiresAtMs, isHidden, entry, below });
    // The start may lie below the directory in front of it.
    const before = order.below[below - 1];
    if (before === undefined || !from.startsWith(before.name)) return;
    const path = prefix + before.node.name;
    this.enter(
      before.node,
      `${path}/`,
      earlier(expiresAtMs, expiryMs(before.node)),
      isHidden || this.hides(path, before.node.name),
      from.slice(before.name.length),
    );
  }
}

/** Of names in ascending order, the first that is not below `name`. */
function firstAtLeast(named: readonly { readonly name: string }[], name: string): number {
  let [low, high] = [0, named.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((named[middle] as { readonly name: string }).name < name) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** To whoever lists it, a directory of hidden names alone is an empty one. */
function hasListedChild(children: ReadonlyMap<string, V2Node>, hides: boolean): boolean {
  if (!hides) return children.size > 0;
  for (const name of children.keys()) if (!name.startsWith('_')) return true;
  return false;
}

function recordOf(node: V2Node, key: Key, expiresAtMs: number | null): StoredRecord {
  const { valueSpan: value, modifiedIndex, createdIndex } = node;
  return {
    key,
    value,
    version: String(modifiedIndex) as Version,
    created: String(createdIndex) as Version,
    expiresAtMs,
  };
}

/** Milliseconds, cut off as the live adapter reads them. */
function expiryMs({ expiresAtNs }: V2Node): number | null {
  return expiresAtNs === null ? null : Number(expiresAtNs / 1_000_000n);
}

function earlier(a: number | null, b: number | null): number | null {
  return a === null || (b !== null && b < a) ? b : a;
}
