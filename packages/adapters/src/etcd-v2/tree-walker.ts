/**
 * Walks the JSON of a recursive GET (`{"action":"get","node":{…}}`) and hands out its nodes, parents after children,
 * while the bytes still come in. Holds one open node a level and nothing else.
 *
 * Shared by the live adapter and by files that were saved from such a GET. It is strict, because every lenient reading
 * of a broken answer is a smaller tree: exactly one root node, a value or `dir` in each, an index in each but the root.
 * A directory's `expiration` must stand before its `nodes` (etcd writes it so, and so does a sort by name): children
 * inherit it, and they are handed out before their directory ends.
 */
import { JsonEvents, type JsonNumber, type JsonVisitor } from './json-events.ts';

export interface TreeNode {
  /** The full path, such as `/config/a`. */
  readonly key: string;
  /** Null for a directory. */
  readonly value: string | null;
  readonly hasChildren: boolean;
  /** `modifiedIndex` as written. */
  readonly modifiedIndex: string;
  /** `createdIndex` as written; null when it is not. */
  readonly createdIndex: string | null;
  /** Milliseconds since 1970: its own expiry or that of a directory above, whichever comes first. */
  readonly expiresAtMs: number | null;
}

export interface TreeSink {
  node(node: TreeNode, offset: number): void;
  /** Makes the error for an answer that is not such a tree. `offset` in bytes. */
  broken(detail: string, offset: number): Error;
}

interface OpenNode {
  key: string | null;
  value: string | null;
  dir: boolean;
  hasChildren: boolean;
  modifiedIndex: string | null;
  createdIndex: string | null;
  expiresAtMs: number | null;
}

/** Where in the document the parser is: above the node tree, in a node, in its list of children, in something unknown. */
type Level = 'document' | 'node' | 'nodes' | 'unknown';

export class TreeWalker implements JsonVisitor {
  private readonly sink: TreeSink;
  private readonly events: JsonEvents;
  private readonly levels: Level[] = [];
  private readonly nodes: OpenNode[] = [];
  private field = '';
  private rootSeen = false;
  /** Counts and message of an error answer that someone saved as if it were a tree. */
  private errorAnswer: string | null = null;

  constructor(sink: TreeSink) {
    this.sink = sink;
    this.events = new JsonEvents(this);
  }

  write(piece: Uint8Array): void {
    this.events.write(piece);
  }

  /** Call at the end of the stream: an answer that stops early must not pass for a smaller tree. */
  end(): void {
    this.events.end();
  }

  broken(detail: string, offset: number): Error {
    return this.sink.broken(detail, offset);
  }

  open(kind: 'object' | 'array', offset: number): void {
    const level = this.levels.at(-1);
    if (level === undefined) {
      if (kind === 'array') throw this.broken('it is a list, not the answer to a GET', offset);
      this.levels.push('document');
    } else if (level === 'document' && this.field === 'node' && kind === 'object') {
      if (this.rootSeen) throw this.broken('it has two root nodes', offset);
      this.rootSeen = true;
      this.openNode();
    } else if (level === 'nodes' && kind === 'object') {
      const parent = this.nodes.at(-1);
      if (parent !== undefined) parent.hasChildren = true;
      this.openNode();
    } else if (level === 'node' && this.field === 'nodes' && kind === 'array') {
      this.levels.push('nodes');
    } else if (level === 'nodes' || isKnown(level, this.field)) {
      throw this.broken(`"${this.field}" is an ${kind}`, offset);
    } else {
      this.levels.push('unknown');
    }
  }

  close(offset: number): void {
    const level = this.levels.pop();
    if (level === 'node') this.closeNode(offset);
    if (level === 'nodes') this.field = 'nodes';
    if (level !== 'document') return;
    if (this.errorAnswer !== null) throw this.broken(`it is an error answer: ${this.errorAnswer}`, offset);
    if (!this.rootSeen) throw this.broken('it has no "node"', offset);
  }

  name(name: string, offset: number): void {
    this.field = name;
    const node = this.nodes.at(-1);
    // Remembered children would be needed to correct them.
    if (name === 'expiration' && node?.hasChildren === true && this.levels.at(-1) === 'node') {
      throw this.broken('"expiration" of a directory stands after its "nodes"', offset);
    }
  }

  scalar(value: string | boolean | null | JsonNumber, offset: number): void {
    const level = this.levels.at(-1);
    if (level === undefined || level === 'nodes') throw this.broken('there is a bare value instead of a node', offset);
    if (level === 'document') this.documentField(value, offset);
    else if (level === 'node') this.nodeField(value, offset);
  }

  private documentField(value: string | boolean | null | JsonNumber, offset: number): void {
    const text = typeof value === 'object' ? (value?.number ?? 'null') : String(value);
    if (this.field === 'node') throw this.broken('"node" is not an object', offset);
    if (this.field === 'action' && value !== 'get') throw this.broken(`it answers a ${text}, not a get`, offset);
    if (this.field === 'errorCode' || this.field === 'message' || this.field === 'cause') {
      this.errorAnswer = this.errorAnswer === null ? text : `${this.errorAnswer} ${text}`;
    }
  }

  private nodeField(value: string | boolean | null | JsonNumber, offset: number): void {
    const node = this.nodes.at(-1);
    if (node === undefined || !isKnown('node', this.field)) return;
    const wrong = (): Error => this.broken(`"${this.field}" of a node has the wrong type`, offset);
    if (this.field === 'dir') {
      if (typeof value !== 'boolean') throw wrong();
      node.dir = value;
    } else if (this.field === 'modifiedIndex' || this.field === 'createdIndex') {
      if (typeof value !== 'object' || value === null || !/^\d+$/.test(value.number)) throw wrong();
      node[this.field] = value.number;
    } else {
      if (typeof value !== 'string' || !value.isWellFormed()) throw wrong();
      if (this.field === 'key') node.key = value;
      else if (this.field === 'value') node.value = value;
      else if (this.field === 'expiration') node.expiresAtMs = earlier(node.expiresAtMs, this.instant(value, offset));
      else throw wrong();
    }
  }

  private instant(text: string, offset: number): number {
    const atMs = Date.parse(text);
    if (!/^\d{4}-\d\d-\d\dT/.test(text) || Number.isNaN(atMs)) {
      throw this.broken(`"expiration" is "${text}", which is not a time`, offset);
    }
    return atMs;
  }

  private openNode(): void {
    const expiresAtMs = this.nodes.at(-1)?.expiresAtMs ?? null;
    this.nodes.push({
      key: null,
      value: null,
      dir: false,
      hasChildren: false,
      modifiedIndex: null,
      createdIndex: null,
      expiresAtMs,
    });
    this.levels.push('node');
  }

  private closeNode(offset: number): void {
    const node = this.nodes.pop();
    if (node === undefined) return;
    const { key, value, dir, hasChildren, modifiedIndex, createdIndex, expiresAtMs } = node;
    if (key === null) {
      // Only the root of the whole tree has no key.
      if (this.nodes.length > 0 || !dir) throw this.broken('a node has no "key"', offset);
      return;
    }
    if (!key.startsWith('/')) throw this.broken(`the key "${key}" does not start with a slash`, offset);
    if (modifiedIndex === null) throw this.broken(`${key} has no "modifiedIndex"`, offset);
    if (dir === (value !== null)) throw this.broken(`${key} must have either a "value" or "dir"`, offset);
    if (hasChildren && !dir) throw this.broken(`${key} has "nodes" and is no directory`, offset);
    this.sink.node({ key, value, hasChildren, modifiedIndex, createdIndex, expiresAtMs }, offset);
  }
}

const known: Readonly<Record<Level, readonly string[]>> = {
  document: ['action', 'node'],
  node: ['key', 'value', 'dir', 'expiration', 'modifiedIndex', 'createdIndex', 'nodes'],
  nodes: [],
  unknown: [],
};

function isKnown(level: Level, field: string): boolean {
  return known[level].includes(field);
}

function earlier(a: number | null, b: number): number {
  return a === null || b < a ? b : a;
}
