/**
 * The names and values of a tree, outside of JavaScript's heap: bytes one behind the other in slabs, each known by its
 * place. As strings they would be most of the heap, and be copied again and again while it is collected.
 *
 * What is dropped stays in its slab. The log may be many times as large as what it leaves, so the tree copies the living into
 * fresh slabs when most of what was added is dead (`isMostlyDead`).
 */
import { copyBytes, noBytes } from '../bytes.ts';

/** Bytes that somebody else holds: good until the next record of the log. */
export interface ByteSpan {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

/** Which slab, times 2^32, and where in it. */
export type Place = number;

/** Small trees are many: the first slab is small, and each next one twice as large, up to this. */
const [slabBytesMin, slabBytesMax] = [16 * 1024, 1024 * 1024];
/** Below this much nothing is worth a copy. */
const keptBytesMin = 32 * 1024 * 1024;
const slabFactor = 2 ** 32;

export class ByteSlabs {
  private readonly slabs: Buffer[] = [noBytes];
  private used = 0;
  private added = 0;
  private live = 0;

  /** Most of what is held is nobody's any more. */
  get isMostlyDead(): boolean {
    return this.added > keptBytesMin && this.added > 2 * this.live;
  }

  /** Bytes that are held, dead ones too. */
  get heldBytes(): number {
    return this.slabs.reduce((sum, { length }) => sum + length, 0);
  }

  /** Copies a part of `bytes`. */
  keepBytes(bytes: Buffer, from: number, end: number): Place {
    const length = end - from;
    const slab = this.slabFor(length);
    const start = this.used;
    copyBytes(bytes, from, end, slab, start);
    return this.took(length);
  }

  /** Into a buffer that has room for it; @returns where it ends there */
  copyTo(place: Place, length: number, into: Buffer, at: number): number {
    const start = this.startOf(place);
    copyBytes(this.slabOf(place), start, start + length, into, at);
    return at + length;
  }

  /** What was kept is nobody's any more. */
  drop(length: number): void {
    this.live -= length;
  }

  slabOf(place: Place): Buffer {
    return this.slabs[Math.floor(place / slabFactor)] as Buffer;
  }

  /** Where in its slab. */
  startOf(place: Place): number {
    return place >>> 0;
  }

  private slabFor(length: number): Buffer {
    const last = this.slabs.at(-1) as Buffer;
    if (this.used + length <= last.length) return last;
    const size = Math.min(slabBytesMax, Math.max(slabBytesMin, 2 * last.length));
    const slab = Buffer.allocUnsafeSlow(Math.max(size, length));
    this.slabs.push(slab);
    this.used = 0;
    return slab;
  }

  private took(length: number): Place {
    const place = (this.slabs.length - 1) * slabFactor + this.used;
    this.used += length;
    this.added += length;
    this.live += length;
    return place;
  }
}
