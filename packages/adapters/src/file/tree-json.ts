/**
 * Writes the JSON of a recursive GET of etcd v2, node by node, from records in tree order (tree-order.ts). Pure; holds
 * the names of the directories that are open and nothing else. tree-walker.ts of etcd-v2 reads it back.
 *
 * Indexes are numbers of this file, as if its keys had been put into an empty store in this order: a server counts anew
 * when a dump is loaded, and what was an index elsewhere means nothing here. A directory has that of its first key.
 */
import { directoriesAbove } from '../etcd-v2/key-form.ts';

export interface TreeRecord {
  readonly key: string;
  readonly value: string;
  readonly expiresAtMs: number | null;
}

interface OpenDirectory {
  readonly path: string;
  readonly index: number;
}

export class TreeJson {
  private readonly nowMs: number;
  private readonly open: OpenDirectory[] = [];
  private index = 0;
  /** Whether the next node has one before it in the same directory. */
  private isNext = false;

  /** @param nowMs what `ttl` counts from; `expiration`, the instant itself, is what counts */
  constructor(nowMs: number) {
    this.nowMs = nowMs;
  }

  record({ key, value, expiresAtMs }: TreeRecord): string {
    const above = directoriesAbove(key);
    let json = '';
    while (!isPrefix(this.open, above)) json += this.closeDirectory();
    if (this.index === 0) json += '{"action":"get","node":{"dir":true,"nodes":[';
    this.index += 1;
    for (const path of above.slice(this.open.length)) {
      json += `${this.comma()}{"key":${JSON.stringify(path)},"dir":true,"nodes":[`;
      this.open.push({ path, index: this.index });
      this.isNext = false;
    }
    json += `${this.comma()}{"key":${JSON.stringify(key)},"value":${JSON.stringify(value)}`;
    if (expiresAtMs !== null) json += `,${this.expiry(expiresAtMs)}`;
    this.isNext = true;
    return `${json},${indexes(this.index)}}`;
  }

  end(): string {
    if (this.index === 0) return '{"action":"get","node":{"dir":true}}\n';
    let json = '';
    while (this.open.length > 0) json += this.closeDirectory();
    return `${json}]}}\n`;
  }

  private closeDirectory(): string {
    this.isNext = true;
    return `],${indexes(this.open.pop()?.index ?? 0)}}`;
  }

  private comma(): string {
    return this.isNext ? ',' : '';
  }

  private expiry(atMs: number): string {
    const seconds = Math.ceil((atMs - this.nowMs) / 1000);
    // As etcd writes it: `ttl` is left out when it is 0.
    const ttl = seconds === 0 ? '' : `,"ttl":${seconds}`;
    return `"expiration":"${new Date(atMs).toISOString()}"${ttl}`;
  }
}

function isPrefix(open: readonly OpenDirectory[], above: readonly string[]): boolean {
  return open.every(({ path }, at) => path === above[at]);
}

const indexes = (index: number): string => `"modifiedIndex":${index},"createdIndex":${index}`;
