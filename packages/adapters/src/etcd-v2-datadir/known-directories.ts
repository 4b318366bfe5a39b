/**
 * Directories that were found lately, by the bytes of their paths: whoever puts a thousand keys into one need not walk down to it
 * a thousand times.
 *
 * One place for each value of a hash, in which the last one stays: nothing grows, and nothing has to be thrown out.
 */
import { hashOfBytes } from '../bytes.ts';
import { none, type NodeId } from './node-table.ts';

const places = 1024;
/** Longer paths are rare, and are not worth their memory. */
const pathBytesMax = 512;

interface Known {
  readonly path: Buffer;
  readonly node: NodeId;
}

export class KnownDirectories {
  private readonly known = Array.from({ length: places }, (): Known | null => null);
  private isEmpty = true;

  /** The directory whose path is `bytes` from `from` to `end`; `none`: it is not known. */
  find(bytes: Buffer, from: number, end: number): NodeId {
    const found = this.known[placeOf(bytes, from, end)] as Known | null;
    if (found === null) return none;
    const { path, node } = found;
    if (path.length !== end - from) return none;
    for (let i = 0; i < path.length; i += 1) if (path[i] !== bytes[from + i]) return none;
    return node;
  }

  add(bytes: Buffer, from: number, end: number, node: NodeId): void {
    if (end - from > pathBytesMax) return;
    this.isEmpty = false;
    this.known[placeOf(bytes, from, end)] = { path: Buffer.from(bytes.subarray(from, end)), node };
  }

  /** One of them may be gone. */
  clear(): void {
    if (!this.isEmpty) this.known.fill(null);
    this.isEmpty = true;
  }
}

const placeOf = (bytes: Buffer, from: number, end: number): number => hashOfBytes(bytes, from, end, 0) & (places - 1);
